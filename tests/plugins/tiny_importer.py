"""An importer from elsewhere: one module, one line of registration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Dialogues:
    name = "dialogues"
    title = "Dialogues"
    shape = 'dialogues {"dialogue": ["client", "consultant", ...]}'
    target = "conversation"

    def sniff(self, sample: Sequence[Mapping[str, Any]]) -> bool:
        return any("dialogue" in record for record in sample)

    def convert(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(record["dialogue"])]
        return {"title": record.get("name"), "turns": turns}


IMPORTER = Dialogues()
