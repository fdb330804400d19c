"""v4 training pairs: the aggregate, one enriched conversation, or JSONL; folded back into conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.datasets.importers import Folded, Place
from core.errors import AppError
from core.reading.errors import wrong_shape

_MAX_TURN = 1_000_000
_NEEDED = ("conversation_id", "turn_number", "current_user_input")


class V4Pairs:
    """A pair carries all earlier turns; folding back makes sure that no turn trains twice."""

    name = "v4"
    title = "Bright Run training pairs (v4)"
    shape = 'v4 training pairs {"conversation_id", "turn_number", "current_user_input", "target_response"}'
    target = "dataset"
    format = "brightrun_lora_v4"

    def sniff(self, sample: Sequence[Mapping[str, Any]]) -> bool:
        """A record with the fields of a pair."""
        return any(sum(name in record for name in _NEEDED) >= 2 for record in sample)

    def convert(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """A single pair with its history as a conversation."""
        folded = self.fold(iter([self.slim(record, history=True)]))
        return {"messages": folded.messages}

    def place(self, record: Mapping[str, Any]) -> Place:
        """Conversation and turn, with everything `fold` relies on checked."""
        ident, turn = record.get("conversation_id"), record.get("turn_number")
        if not isinstance(ident, str) or not ident:
            raise _wrong("conversation_id", ident, "a text")
        if not isinstance(turn, int) or isinstance(turn, bool) or not 1 <= turn <= _MAX_TURN:
            raise _wrong("turn_number", turn, f"a whole number from 1 to {_MAX_TURN:,}")
        asked, answer = record.get("current_user_input"), record.get("target_response")
        if not isinstance(asked, str) or not asked.strip():
            raise _wrong("current_user_input", asked, "the words of the client")
        if "target_response" not in record or not (answer is None or isinstance(answer, str)):
            raise _wrong("target_response", answer, "text, or null where there is no answer")
        if not isinstance(record.get("system_prompt", ""), str):
            raise _wrong("system_prompt", record["system_prompt"], "a text")
        if not isinstance(record.get("conversation_history", []), list):
            raise _wrong("conversation_history", record["conversation_history"], "a list of the earlier turns")
        return Place(ident, turn, _opening(record, turn))

    def slim(self, record: Mapping[str, Any], *, history: bool) -> Mapping[str, Any]:
        """Prompt, question, answer, and the earlier turns when this is not simply the next one."""
        out = {
            "turn": record["turn_number"],
            "system": record.get("system_prompt", ""),
            "user": record["current_user_input"],
            "answer": record["target_response"],
        }
        return out | ({"history": record.get("conversation_history", [])} if history else {})

    def fold(self, parts: Iterator[Mapping[str, Any]]) -> Folded:
        """Pairs in order; turns that only a history knows become context that is not trained on."""
        messages: list[dict[str, Any]] = []
        last = cut = 0
        for part in parts:
            if last == 0 and part["system"].strip():
                messages.append({"role": "system", "content": part["system"]})
            if part["turn"] != last + 1:
                messages += _context(part.get("history", []), known=sum(m["role"] != "system" for m in messages))
            empty = part["answer"] is None or not part["answer"].strip()
            cut += empty
            messages.append({"role": "user", "content": part["user"]})
            answer = "" if empty else part["answer"]
            messages.append({"role": "assistant", "content": answer, "weight": 0 if empty else 1})
            last = part["turn"]
        return Folded(messages, cut)


def _opening(record: Mapping[str, Any], turn: int) -> str | None:
    history = record.get("conversation_history") or []
    first = history[0].get("content") if history and isinstance(history[0], Mapping) else None
    text = record["current_user_input"] if turn == 1 else first
    return " ".join(text.split()) if isinstance(text, str) else None


def _context(history: list[Any], known: int) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for value in history[known:]:
        if not isinstance(value, Mapping) or not isinstance(value.get("content"), str | None):
            raise _wrong("conversation_history", value, "a list of turns with role and content")
        message = {"role": value.get("role"), "content": value.get("content") or ""}
        out.append(message | ({"weight": 0} if message["role"] == "assistant" else {}))
    return out


def _wrong(name: str, value: Any, wanted: str) -> AppError:
    return wrong_shape(name, value, wanted, "Export the training file again, or fix the line.")


IMPORTER = V4Pairs()
