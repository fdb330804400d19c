"""Code and questions as the words that the index searches: an identifier whole, and what it is put together of.

`getHTTPStatus2` is searched by "gethttpstatus2" and by "get", "http", "status", "2". Index and query go through the
same function, so what one of them does the other does too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# A dash joins words of two letters and more; between shorter ones it is a minus. Looked behind only where one stands.
_WORD = re.compile(r"[^\W_][\w$]*(?:-(?=[^\W\d_]{2})(?<=[^\W\d_]{2}-)[\w$]+)*|_+[^\W_][\w$]*")
# What a word of ASCII text can't lie across: all such text is cut there, and only a cut that is new is looked into.
_CUTS = "".join(char if char.isalnum() or char in "_$-" else " " for char in map(chr, range(128)))
_ASCII_WORD = re.compile(r"[A-Za-z0-9][\w$]*(?:-(?=[A-Za-z]{2})(?<=[A-Za-z]{2}-)[\w$]+)*|_+[A-Za-z0-9][\w$]*", re.ASCII)
_SUBWORD = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]")
_OTHER_SUBWORD = re.compile(r"[^\W\d_]+|\d+")
# Scripts without spaces between words: a pair of characters is what can be found of them.
_PAIRED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+")
_KEPT, _MOST_KNOWN = 64, 1 << 17


def code_tokens(text: str) -> list[str]:
    """Every identifier and word of a text in lower case, each followed by its subwords if it has several.

    Camel case, snake case, kebab case and digits are taken apart; repeated words stay, an identifier stays whole
    however long it is.
    """
    return searchable(text).split()


def searchable(text: str) -> str:
    """The tokens of a text in their order, with a space between: what the index of words is made of."""
    pieces = text.translate(_CUTS).split() if text.isascii() else _WORD.findall(unicodedata.normalize("NFKC", text))
    return " ".join(filter(None, map(_known.__getitem__, pieces)))


def name_tokens(name: str) -> list[str]:
    """The words that a symbol's name is put together of, in lower case, each once, the name itself first.

    A dotted name gives the words of each of its parts.
    """
    return list(dict.fromkeys(code_tokens(name)))


def searchable_name(name: str) -> str:
    """The words of a name with a space between: what the index of names is made of."""
    return " ".join(name_tokens(name))


def in_words(text: str) -> str:
    """A text as it is said: its words and the parts of its identifiers, in lower case, with a space between."""
    if text.isascii():
        return " ".join(_SUBWORD.findall(text)).lower()
    return " ".join(_by_case(unicodedata.normalize("NFKC", text)))


def _tokens(word: str) -> str:
    word = word.strip("_$")
    whole = word.lower()
    parts = " ".join(_SUBWORD.findall(word)).lower() if word.isascii() else " ".join(_parts(word))
    return whole if parts == whole else f"{whole} {parts}"


class _Known(dict[str, str]):
    """Pieces of text as their tokens, with spaces between; what is common in code is taken apart once."""

    def __missing__(self, piece: str) -> str:
        # Most pieces are one word already.
        whole = not piece.isascii() or (piece[0].isalnum() and "-" not in piece)
        words = (piece,) if whole else _ASCII_WORD.findall(piece)
        tokens = " ".join(map(_tokens, words))
        if len(piece) <= _KEPT:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[piece] = tokens
        return tokens


_known = _Known()


def _parts(word: str) -> list[str]:
    return [part for run in _by_case(word) for part in _paired(run)]


def _by_case(word: str) -> Iterator[str]:
    """Runs of letters or digits, cut where a lower case letter is followed by a capital."""
    for run in _OTHER_SUBWORD.findall(word):
        start = 0
        for at in range(1, len(run)):
            if run[at].isupper() and (run[at - 1].islower() or run[at + 1 : at + 2].islower()):
                yield run[start:at].lower()
                start = at
        yield run[start:].lower()


def _paired(run: str) -> Iterator[str]:
    if len(run) > 2 and _PAIRED.fullmatch(run):
        yield from (run[at : at + 2] for at in range(len(run) - 1))
    else:
        yield run
