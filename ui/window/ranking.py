"""How well a text fits what was typed: words by their beginnings first, letters in order last."""

from __future__ import annotations

import re

from core.db.connection import fold

WHOLE, START, WORDS_IN_ORDER, WORDS, INITIALS, INSIDE, LETTERS = 100.0, 90.0, 80.0, 70.0, 65.0, 60.0, 30.0
_WORD = re.compile(r"\w+")


def score(query: str, text: str) -> float:
    """0 if `text` does not fit `query`, else up to 100; a shorter text of the same kind of fit is a little better."""
    wanted, have = " ".join((fold(query) or "").split()), fold(text) or ""
    if not wanted:
        return 0.0
    found = _tier(wanted, have)
    return found - min(len(have), 200) / 100 if found else 0.0


def _tier(wanted: str, have: str) -> float:
    if wanted == have:
        return WHOLE + 2
    if have.startswith(wanted):
        return START
    words, asked = _WORD.findall(have), wanted.split()
    if _in_order(asked, words):
        return WORDS_IN_ORDER
    if all(any(word.startswith(part) for word in words) for part in asked):
        return WORDS
    if len(wanted) > 1 and "".join(word[0] for word in words).startswith(wanted):
        return INITIALS
    if all(part in have for part in asked):
        return INSIDE
    return _letters(wanted.replace(" ", ""), words)


def _in_order(asked: list[str], words: list[str]) -> bool:
    left = iter(words)
    return all(any(word.startswith(part) for word in left) for part in asked)


def _letters(letters: str, words: list[str]) -> float:
    """Letters in order, the first of them at the beginning of a word: "imprt", "trfi"; the fewer gaps the better."""
    best = 0.0
    for start, word in enumerate(words):
        if len(letters) < 3 or word[0] != letters[0]:
            continue
        place, gaps, rest = 0, 0, " ".join(words[start:])
        for letter in letters:
            found = rest.find(letter, place)
            if found < 0:
                break
            gaps += found - place
            place = found + 1
        else:
            best = max(best, LETTERS - min(gaps, 20) if gaps <= 3 * len(letters) else 0.0)
    return best
