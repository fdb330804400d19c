"""Stage 2: the structure of the conversation. Blockers stop it, warnings travel along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.enrichment.normal_form import clean
from core.enrichment.stage import BLOCKER, INFO, WARNING, StageContext, State

ROLES = ("user", "assistant")
KNOWN = ("title", "turns", "input_parameters", "conversation_metadata", "tier")
METADATA = ("session_context", "conversation_phase", "expected_outcome")
KNOWN_TURN = ("role", "content", "emotional_context")
_MEND = "Correct the source file and import it again."


class Validate:
    """Looks at every turn and at the two objects beside them."""

    name = "validate"
    version = "1"
    title = "Validate"

    def run(self, context: StageContext, state: State) -> State:
        """Record findings; the state is passed on unchanged."""
        source = state.source
        if not isinstance(source.get("title"), str) or not clean(source["title"]):
            context.find(
                WARNING, "title", "There is no title; the one in the list is used.", "Give the conversation a title."
            )
        for name in ("input_parameters", "conversation_metadata"):
            if source.get(name) is not None and not isinstance(source[name], Mapping):
                context.find(BLOCKER, name, f"It must be an object, not {_kind(source[name])}.", _MEND)
        _unknown(context, source, KNOWN, "")
        _texts(context, source.get("conversation_metadata"))
        turns = source.get("turns")
        if not isinstance(turns, list) or not turns:
            context.find(BLOCKER, "turns", "There are no turns.", _MEND)
            return state
        context.token.raise_if_cancelled()
        self._turns(context, turns)
        return state

    def _turns(self, context: StageContext, turns: list[Any]) -> None:
        previous = ""
        users = 0
        for index, turn in enumerate(turns):
            place = f"turns[{index}]"
            role = turn.get("role") if isinstance(turn, Mapping) else None
            if role not in ROLES:
                message = f"Turn {index + 1} is from {role!r}, not user or assistant."
                context.find(BLOCKER, f"{place}.role", message, _MEND)
                continue
            if role == previous:
                context.find(
                    BLOCKER, place, f"Turns {index} and {index + 1} are both from the {role}.",
                    "Join the two, or add the turn that is missing between them, and import it again.",
                )  # fmt: skip
            previous = role
            users += role == "user"
            _content(context, turn, index)
            if not isinstance(turn.get("emotional_context", {}), Mapping):
                message = "It is not an object; the word list is used instead."
                context.find(WARNING, f"{place}.emotional_context", message, _MEND)
            _unknown(context, turn, KNOWN_TURN, f"{place}.")
        if users == 0:
            context.find(BLOCKER, "turns", "There is no turn from the user, so there is nothing to answer.", _MEND)
        elif previous == "user":
            context.find(
                WARNING, f"turns[{len(turns) - 1}]", "The last turn has no answer; neither does its pair.",
                "Write the answer, or leave it: pairs without one are not trained on.",
            )  # fmt: skip
        if isinstance(turns[0], Mapping) and turns[0].get("role") == "assistant":
            context.find(
                WARNING, "turns[0]", "The assistant speaks first; that turn is only context for the first pair.",
                "Nothing to do if this is intended.",
            )  # fmt: skip


def _content(context: StageContext, turn: Mapping[str, Any], index: int) -> None:
    place, content = f"turns[{index}].content", turn.get("content")
    if content is not None and not isinstance(content, str):
        context.find(BLOCKER, place, f"The content must be text, not {_kind(content)}.", _MEND)
    elif content is None or not clean(content):
        if turn["role"] == "user":
            context.find(BLOCKER, place, f"The user says nothing in turn {index + 1}.", _MEND)
        else:
            context.find(
                WARNING, place, f"The answer in turn {index + 1} is missing; its pair has none either.",
                "Write the answer, or leave it: pairs without one are not trained on.",
            )  # fmt: skip


def _texts(context: StageContext, given: Any) -> None:
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if name in METADATA and not isinstance(value, str):
            message = "It is not text; the scaffolding's is used instead."
            context.find(WARNING, f"conversation_metadata.{name}", message, _MEND)


def _unknown(context: StageContext, value: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for name in value:
        if name not in known:
            context.find(INFO, f"{prefix}{name}", "The v4 format has no place for this; it stays in the source file.")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")


STAGE = Validate()
