"""Importer of raw conversations: title, turns, input parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class RawConversations:
    """One conversation a file, or an array or JSONL of them."""

    name = "raw_conversation"
    title = "Conversations"
    shape = 'a conversation {"title", "turns": [{"role", "content"}], "input_parameters"}'
    target = "conversation"

    def sniff(self, sample: Sequence[Mapping[str, Any]]) -> bool:
        """A record with turns, or one that has everything but them."""
        return any("turns" in record or {"title", "input_parameters"} <= record.keys() for record in sample)

    def convert(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """The record is a raw conversation already."""
        return record


IMPORTER = RawConversations()
