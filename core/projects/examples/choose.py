"""Which files are held out, which examples are the same, and how many of each kind are taken."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from core.code_index.records import digest
from core.conversations import likeness
from core.projects.examples.records import Example, What, Why

WORDS = re.compile(r"\w+|[^\w\s]")
# Shorter answers have too few shingles for a likeness: only the same words count.
LEAST_FOR_LIKENESS = 12
# Answers alike in 0.8 share two of their 16 buckets with a probability of 0.997.
BUCKETS_SHARED, CROWDED = 2, 24
TESTS_LATER = 4


def place_of(path: str) -> float:
    """A number from 0 to 1 for a path, the same for ever."""
    return int(digest("held out", path)[:12], 16) / 16**12


def held_out(paths: Iterable[str], share: float) -> frozenset[str]:
    """The files that only validate: those whose place is below the share; at least one of two, never all.

    Of a path alone it depends whether it is one of them, so that the choice stays the same as the code grows.
    """
    places = sorted((place_of(path), path) for path in set(paths))
    if len(places) < 2:
        return frozenset()
    count = sum(place < share for place, _ in places)
    return frozenset(path for _, path in places[: min(len(places) - 1, max(1, count))])


class Sieve:
    """Tells whether an example was there before: in the same words, or nearly so among those of its kind."""

    def __init__(self, alike: float) -> None:
        self._alike = alike
        self._words: set[str] = set()
        self._buckets: dict[What, dict[int, list[bytes]]] = defaultdict(dict)

    def repeats(self, example: Example) -> Why | None:
        """Why it is a repetition; None takes it in."""
        asked = example.question if example.what in (What.WHERE, What.CONVENTION) else ""
        exact = digest(example.what, " ".join(asked.split()), " ".join(example.answer.split()))
        if exact in self._words:
            return Why.SAME
        words = WORDS.findall(example.answer.lower())
        if example.what in (What.WHERE, What.CONVENTION) or len(words) < LEAST_FOR_LIKENESS:
            self._words.add(exact)
            return None
        signature = likeness.signature(words)
        buckets = self._buckets[example.what]
        keys = likeness.buckets(signature)
        near = Counter(other for key in keys for other in buckets.get(key, ()))
        if any(count >= BUCKETS_SHARED and likeness.share(signature, other) >= self._alike
               for other, count in near.items()):  # fmt: skip
            return Why.ALIKE
        self._words.add(exact)
        for key in keys:
            # A bucket that many share says nothing; what is alike shares others.
            if len(held := buckets.setdefault(key, [])) < CROWDED:
                held.append(signature)
        return None


def in_turns(examples: Iterable[Example]) -> list[Example]:
    """One of each file after the other, files and what is in them in an order that depends on the texts alone.

    Tests come some turns later: there are many of them, and what they test is asked for more often.
    """
    by_file: dict[str, list[tuple[str, Example]]] = defaultdict(list)
    for example in examples:
        by_file[example.path].append((example.id, example))
    turns = []
    for path, own in by_file.items():
        own.sort(key=lambda item: item[0])
        turns += [
            (turn + example.is_test * TESTS_LATER, digest(path), example) for turn, (_, example) in enumerate(own)
        ]
    turns.sort(key=lambda item: item[:2])
    return [example for _, _, example in turns]


def room(available: Mapping[What, int], shares: Mapping[What, float], total: int) -> dict[What, int]:
    """How many of each kind are taken: in proportion to the shares, none more than its share of what is taken.

    Shares of kinds that are missing go to the others. At least one of each kind that there is; but for that, not
    more than `total` in all.
    """
    present = {what: shares.get(what, 0.1) for what, count in available.items() if count}
    whole = sum(present.values())
    scaled = {what: share / min(1.0, whole) for what, share in present.items()}
    taken = min(total, sum(available.values()))
    while True:
        most = {what: min(available[what], max(1, math.ceil(share * taken))) for what, share in scaled.items()}
        now = min(taken, sum(most.values()))
        if now == taken:
            break
        taken = now
    low, high = 0.0, taken * whole / min(present.values(), default=1.0)
    for _ in range(50):
        middle = (low + high) / 2
        fits = sum(min(most[what], math.ceil(share / whole * middle)) for what, share in present.items()) <= taken
        low, high = (middle, high) if fits else (low, middle)
    out = {what: max(1, min(most[what], math.ceil(share / whole * low))) for what, share in present.items()}
    for what in sorted(out, key=lambda what: -present[what]):
        out[what] += max(0, min(most[what] - out[what], taken - sum(out.values())))
    return out


def within(
    examples: Sequence[Example], shares: Mapping[What, float], total: int, admit: Callable[[Example], Why | None],
    drop: Callable[[Example, Why], None],
) -> list[Example]:  # fmt: skip
    """`room` of each kind in the order of the examples.

    `admit` says why one can't be used; another of its kind takes its room.
    """
    kept: list[Example] = []
    space = room(Counter(example.what for example in examples), shares, total)
    for example in examples:
        if space[example.what] <= 0 or len(kept) >= total:
            drop(example, Why.KIND_FULL)
        elif why := admit(example):
            drop(example, why)
        else:
            space[example.what] -= 1
            kept.append(example)
    # Again: of some kinds there may be fewer now.
    space = room(Counter(example.what for example in kept), shares, total)
    out = []
    for example in kept:
        space[example.what] -= 1
        if space[example.what] >= 0:
            out.append(example)
        else:
            drop(example, Why.KIND_FULL)
    return out
