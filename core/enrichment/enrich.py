"""Stage 3: turns become training pairs, joined with their scaffolding and scored by local rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.enrichment import quality, scaffold, training_pairs
from core.enrichment.provenance import RULE, SETTING, origin
from core.enrichment.quality import CRITERIA, TITLES, Score
from core.enrichment.stage import INFO, StageContext, State

VERSION = "1.0.0"


class Enrich:
    """Builds the v4 document; its text is put into normal form by the next stage."""

    name = "enrich"
    version = "1"
    title = "Enrich"

    def run(self, context: StageContext, state: State) -> State:
        """Return the state with document, sources, quality and columns.

        Raises AppError `missing_input_parameters`, `unknown_persona`, `unknown_arc` or `unknown_topic`.
        """
        cast = scaffold.resolve(context, state.source)
        library = context.library
        own = scaffold.input_parameters(cast)
        foreign = scaffold.foreign_ids(context, state.source, own)
        frame = training_pairs.Frame(
            conversation=context.conversation, cast=cast, metadata=scaffold.metadata(context, state, cast),
            system_prompt=library.system_prompt, prompt_is_set=library.prompt_is_set,
            voice=quality.voice_words(library.profile, library.system_prompt), words=library.lexicon,
        )  # fmt: skip
        if not library.profile_is_set:
            context.find(
                INFO, "consultant_profile", "No consultant profile is set; a minimal one is used.",
                "Nothing to do; every file names the profile it was enriched with.",
            )  # fmt: skip
        found = training_pairs.exchanges(state.source["turns"])
        context.token.raise_if_cancelled()
        built = training_pairs.build(found, frame)
        document = {
            "dataset_metadata": {
                "dataset_name": f"fp_conversation_{context.conversation_id}",
                "version": VERSION,
                "created_date": str(context.conversation["created_at"])[:10],
                "vertical": library.vertical,
                "total_conversations": 1,
                "total_turns": len(built.pairs),
            },
            "consultant_profile": dict(library.profile),
            "input_parameters": own,
            "training_pairs": built.pairs,
        }
        graded = _quality(built.scores)
        return state.with_(
            document=document,
            sources=_frame_sources(library.profile_is_set) | scaffold.parameter_sources(own, foreign) | built.sources,
            quality=graded,
            columns=_columns(cast, state.source.get("tier"), foreign, graded),
        )


def _quality(scores: Sequence[dict[str, Score]]) -> dict[str, Any]:
    """Scores of the whole conversation with their reasons; null where there is no answer."""
    if not scores:
        why = "There is no answer to score"
        none = {name: {"title": TITLES[name], "score": None, "reason": why} for name in CRITERIA}
        return {"quality_score": None, "criteria": none}
    means = {name: round(sum(pair[name].value for pair in scores) / len(scores), 2) for name in CRITERIA}
    criteria = {
        name: {"title": TITLES[name], "score": mean, "reason": quality.summarise(scores, name)}
        for name, mean in means.items()
    }
    return {"quality_score": round(sum(means.values()) / len(means), 2), "criteria": criteria}


def _columns(cast: scaffold.Cast, tier: str | None, foreign: dict[str, str], graded: dict[str, Any]) -> dict[str, Any]:
    return {
        "persona_id": cast.persona.id, "emotional_arc_id": cast.arc.id, "training_topic_id": cast.topic.id,
        "persona_key": cast.persona.key, "emotional_arc_key": cast.arc.key, "training_topic_key": cast.topic.key,
        "tier": tier or cast.arc.tier, "source_ids": foreign, "quality_score": graded["quality_score"],
        "quality_criteria": {name: found["score"] for name, found in graded["criteria"].items()},
    }  # fmt: skip


def _frame_sources(profile_is_set: bool) -> dict[str, dict[str, str]]:
    profile = "The profile in this workspace's settings" if profile_is_set else "None is set; the minimal one is used"
    return {
        "dataset_metadata.dataset_name": origin(RULE, "fp_conversation_ and the conversation's id"),
        "dataset_metadata.version": origin(RULE, "Fixed by the v4 format"),
        "dataset_metadata.created_date": origin(RULE, "The day the conversation was imported into this workspace"),
        "dataset_metadata.vertical": origin(SETTING, "The vertical of this workspace"),
        "dataset_metadata.total_conversations": origin(RULE, "One conversation per file"),
        "dataset_metadata.total_turns": origin(RULE, "The number of pairs"),
        "consultant_profile": origin(SETTING, profile),
    }


STAGE = Enrich()
