"""A conversation that is longer than the model reads: its oldest exchanges are left out, and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Message = Mapping[str, str]
# In steps: were one more left out with each question, each question would have to be read from its beginning.
STEPS = (8, 4, 2, 1)


def fitted(
    messages: Sequence[Message], count: Callable[[Sequence[Message]], int], most: int
) -> tuple[list[Message], int]:
    """The messages that have room in `most` tokens by `count`, and how many of the oldest were left out.

    System messages at the beginning stay, and so does the last message; what is kept begins with a user's.
    """
    if count(messages) <= most:
        return list(messages), 0
    head = next((n for n, message in enumerate(messages) if message["role"] != "system"), len(messages))
    starts = [n for n in range(head, len(messages)) if messages[n]["role"] == "user"]
    for step in STEPS:
        for start in starts[step::step]:
            kept = [*messages[:head], *messages[start:]]
            if count(kept) <= most:
                return kept, start - head
    last = starts[-1] if starts else len(messages) - 1
    return [*messages[:head], *messages[last:]], last - head
