"""Stop words are found across pieces, cut off, and never shown in part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.inference.engine import Piece
from core.inference.stopping import stopped


class Stream:
    """Pieces that note whether they were read to their end."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.ended = texts, False

    def pieces(self) -> Iterator[Piece]:
        for number, text in enumerate(self.texts, start=1):
            last = number == len(self.texts)
            yield Piece(text, "length" if last else "", {"tokens": number} if last else {})
        self.ended = True


@pytest.mark.parametrize(
    ("texts", "words", "said", "reason"),
    [
        (("One. ", "Two", "\nUs", "er: no"), ["\nUser:"], "One. Two", "stop"),
        (("One. ", "\nUs", "eful"), ["\nUser:"], "One. \nUseful", "length"),
        (("abc", "abd"), ["abd", "ca"], "ab", "stop"),
        (("a", "aa", "ab!"), ["aab"], "aa", "stop"),
        (("all of it",), ["", "never"], "all of it", "length"),
        (("nothing",), ["nothing"], "", "stop"),
        (("ends in a begi",), ["beginning"], "ends in a begi", "length"),
    ],
)
def test_an_answer_ends_before_the_first_stop_word(
    texts: tuple[str, ...], words: list[str], said: str, reason: str
) -> None:
    stream = Stream(*texts)
    found = list(stopped(stream.pieces(), words))
    assert "".join(piece.text for piece in found) == said
    assert found[-1].finish_reason == reason
    assert stream.ended == (reason == "length")


@given(st.text("ab", max_size=20), st.text("ab", min_size=1, max_size=4), st.integers(1, 4))
def test_any_cut_of_a_text_into_pieces_gives_the_same(text: str, word: str, size: int) -> None:
    parts = [text[n : n + size] for n in range(0, len(text), size)] or [""]
    found = list(stopped(Stream(*parts).pieces(), [word]))
    assert "".join(piece.text for piece in found) == text.partition(word)[0]
    assert (found[-1].finish_reason == "stop") == (word in text)
