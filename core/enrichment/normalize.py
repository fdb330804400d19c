"""Stage 4: Unicode, spaces, quotes, ranges and key order; what was changed is counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

from core.enrichment.normal_form import clean
from core.enrichment.provenance import KINDS
from core.enrichment.stage import INFO, NORMALISED, WARNING, StageContext, State

_TOP = ("dataset_metadata", "consultant_profile", "input_parameters", "training_pairs")
_PAIR = (
    "id", "conversation_id", "turn_number", "conversation_metadata", "system_prompt", "conversation_history",
    "current_user_input", "emotional_context", "target_response", "training_metadata",
)  # fmt: skip
_SCORES = ("empathy_score", "clarity_score", "appropriateness_score", "brand_voice_alignment")


class Normalize:
    """Leaves every word as it is and every character in one form."""

    name = "normalize"
    version = "1"
    title = "Normalize"

    def run(self, context: StageContext, state: State) -> State:
        """Return the state with the document in normal form."""
        document: dict[str, Any] = {}
        for key in (*_TOP, *(key for key in state.document if key not in _TOP)):
            if key == "training_pairs":
                document[key] = [self._pair(context, pair, i) for i, pair in enumerate(state.document.get(key, []))]
            elif key in state.document:
                counts: Counter[str] = Counter()
                document[key] = _clean(state.document[key], counts)
                _report(context, key, counts)
        unknown = sorted({said.get("source", "") for said in state.sources.values()} - set(KINDS))
        if unknown:
            context.find(WARNING, "sources", f"Fields name an unknown source: {', '.join(unknown)}.")
        if not context.findings:
            context.find(INFO, "document", "Nothing needed changing.")
        return state.with_(document=document)

    def _pair(self, context: StageContext, pair: dict[str, Any], index: int) -> dict[str, Any]:
        context.token.raise_if_cancelled()
        place = f"training_pairs[{index}]"
        out: dict[str, Any] = {}
        for key in (*_PAIR, *(key for key in pair if key not in _PAIR)):
            if key in pair:
                counts: Counter[str] = Counter()
                out[key] = _clean(pair[key], counts)
                # The history repeats earlier pairs, whose changes are counted there.
                if key != "conversation_history":
                    _report(context, f"{place}.{key}", counts)
        if out.get("target_response") == "":
            out["target_response"] = None
            context.find(NORMALISED, f"{place}.target_response", "An empty answer became null.")
        _ranges(context, out.get("training_metadata"), place)
        return out


def _clean(value: Any, counts: Counter[str]) -> Any:
    if isinstance(value, str):
        return clean(value, counts)
    if isinstance(value, list):
        return [_clean(part, counts) for part in value]
    if isinstance(value, dict):
        return {key: _clean(part, counts) for key, part in value.items()}
    return value


def _report(context: StageContext, place: str, counts: Counter[str]) -> None:
    for name, count in counts.items():
        context.find(NORMALISED, place, f"{name[0].upper()}{name[1:]}: {count:,}.")


def _ranges(context: StageContext, metadata: Any, place: str) -> None:
    """Scores into 1 to 5, in steps of 0.1; a stage from elsewhere may have set them."""
    if not isinstance(metadata, dict):
        return
    criteria = metadata.get("quality_criteria")
    holders: list[tuple[dict[str, Any], tuple[str, ...]]] = [(metadata, ("quality_score",))]
    if isinstance(criteria, dict):
        holders.append((criteria, _SCORES))
    for holder, names in holders:
        for name in names:
            value = holder.get(name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            bounded = round(min(5.0, max(1.0, float(value))), 1)
            if bounded != value:
                context.find(NORMALISED, f"{place}.training_metadata.{name}", f"{value} became {bounded}.")
                holder[name] = bounded


STAGE = Normalize()
