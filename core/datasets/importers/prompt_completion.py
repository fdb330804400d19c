"""`prompt` and `completion`: two texts, or two lists of messages; the prompt is context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.reading.errors import wrong_shape


class PromptCompletion:
    """One question and its answer a record."""

    name = "prompt_completion"
    title = "Prompt and completion"
    shape = 'prompt and completion {"prompt", "completion"}'
    target = "dataset"

    def sniff(self, sample: Sequence[Mapping[str, Any]]) -> bool:
        """A record with either field."""
        return any("prompt" in record and "completion" in record for record in sample)

    def convert(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """As messages; only the completion trains."""
        asked = _messages(record.get("prompt"), "prompt", "user")
        context = [m | {"weight": 0} if m.get("role") == "assistant" else m for m in asked]
        return {"messages": [*context, *_messages(record.get("completion"), "completion", "assistant")]}


def _messages(value: Any, name: str, role: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [dict(item) for item in value]
    raise wrong_shape(name, value, "text or a list of messages", "Write text in quotes.")


IMPORTER = PromptCompletion()
