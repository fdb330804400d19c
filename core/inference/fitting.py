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
    last = starts[-1] if starts else len(messages) - 1

    def kept(start: int) -> list[Message]:
        return [*messages[:head], *messages[start:]]

    if len(starts) < 2 or count(kept(last)) > most:
        return kept(last), last - head
    # The first exchange from which all have room; to count takes time, so the middle is asked each time.
    low, high = 1, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count(kept(starts[middle])) <= most else (middle + 1, high)
    place = next(p for step in STEPS if (p := -(-low // step) * step) < len(starts))
    return kept(starts[place]), starts[place] - head
