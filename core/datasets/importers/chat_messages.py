"""Chat `messages`, as OpenAI, Hugging Face and mlx-lm write them; `weight` 0 keeps an answer out of training.

`split` ("train" or "validation") and `provenance` (an object) of a record are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ChatMessages:
    """One conversation a record."""

    name = "chat_messages"
    title = "Chat messages"
    shape = 'chat messages {"messages": [{"role", "content"}]}'
    target = "dataset"

    def sniff(self, sample: Sequence[Mapping[str, Any]]) -> bool:
        """A record with `messages`."""
        return any("messages" in record for record in sample)

    def convert(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """The messages as they are; the dataset's own check names what is wrong with them."""
        return {name: record.get(name) for name in ("messages", "id", "split", "provenance")}


IMPORTER = ChatMessages()
