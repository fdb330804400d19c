"""Stop words in a stream of pieces: found across pieces, cut off, and never shown in part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.inference.engine import Answer, Piece


def stopped(pieces: Iterator[Piece], words: Sequence[str]) -> Iterator[Piece]:
    """The pieces up to the first stop word, which ends them as the model's own end would; `pieces` is closed then.

    What could still become a stop word is held back until it is known.
    """
    words = [word for word in words if word]
    held = ""
    for piece in pieces:
        held += piece.text
        places = [place for word in words if (place := held.find(word)) >= 0]
        if places:
            yield replace(piece, text=held[: min(places)], finish_reason="stop")
            pieces.close()  # type: ignore[attr-defined]
            return
        kept = 0 if piece.finish_reason else max((_beginning(held, word) for word in words), default=0)
        text, held = (held[:-kept], held[-kept:]) if kept else (held, "")
        yield replace(piece, text=text)


def cut_off(answer: Answer, words: Sequence[str]) -> Answer:
    """A whole answer up to the first stop word."""
    places = [place for word in words if word and (place := answer.text.find(word)) >= 0]
    return replace(answer, text=answer.text[: min(places)], finish_reason="stop") if places else answer


def _beginning(text: str, word: str) -> int:
    """How many characters at the end of the text begin the word."""
    return next((size for size in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:size])), 0)
