"""Text as the product keeps it: one form of Unicode, plain spaces, quotes and line ends."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‟": '"', "‘": "'", "’": "'", "‚": "'", "‛": "'"})
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# Joiners (200C, 200D) stay: emoji and several scripts need them.
_ZERO_WIDTH = re.compile("[\u200b\u2060\ufeff\u00ad]")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\u0085]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TRAILING = re.compile(r"[ \t]+(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")
_CURLY = re.compile("[“”„‟‘’‚‛]")


def clean(text: str, counts: Counter[str] | None = None) -> str:
    """The text in normal form; what was changed is added to `counts`. The words stay as they are."""
    counts = Counter() if counts is None else counts
    if text.isascii() and text.isprintable() and text == text.strip():
        return text
    composed = unicodedata.normalize("NFC", text)
    if composed != text:
        counts["decomposed accents"] += 1
    text = composed
    for name, pattern, replacement in (
        ("line endings", _LINE_ENDS, "\n"), ("special spaces", _SPACES, " "),
        ("zero-width characters", _ZERO_WIDTH, ""), ("control characters", _CONTROL, ""),
    ):  # fmt: skip
        text, found = pattern.subn(replacement, text)
        if found:
            counts[name] += found
    curly = len(_CURLY.findall(text))
    if curly:
        counts["curly quotes"] += curly
        text = text.translate(QUOTES)
    trimmed = _BLANK_LINES.sub("\n\n", _TRAILING.sub("", text)).strip()
    if trimmed != text:
        counts["spaces and blank lines at the ends"] += 1
    return trimmed


def fold(text: str) -> str:
    """Lower case with plain quotes, for comparing words."""
    return clean(text).translate(QUOTES).lower()


def find_phrase(folded: str, phrase: str) -> int:
    """Where `phrase` begins in a folded text, as whole words ("all in" is not in "small income"); -1 if nowhere."""
    at = folded.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        if not (at and folded[at - 1].isalnum() and phrase[0].isalnum()) and not (
            end < len(folded) and folded[end].isalnum() and phrase[-1].isalnum()
        ):
            return at
        at = folded.find(phrase, at + 1)
    return -1


def slug(text: str) -> str:
    """Letters, digits and underscores of a text, for ids; empty if there are none."""
    return re.sub(r"[^\w]+", "_", fold(text)).strip("_")
