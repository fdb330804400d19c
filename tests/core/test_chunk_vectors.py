"""One vector of what a chunk says and of what it is called."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest

from core.code_index.chunk_vectors import TITLE_WEIGHT, chunk_vectors
from core.code_index.chunking import parse_file
from core.code_index.records import Kind
from tests.support.code_index import chunk

JAVA = b"class HttpCache {\n    byte[] readFromURL2(String baseUrl, int max_size) {\n        return null;\n    }\n}\n"
CODE, TITLE = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


def embed(texts: Sequence[str]) -> np.ndarray:
    return np.stack([CODE if text.startswith("# ") else TITLE for text in texts])


def test_a_title_is_a_name_and_a_signature_as_they_are_said() -> None:
    method = next(one for one in parse_file("a/Http.java", JAVA).chunks if one.kind is Kind.METHOD)
    assert method.title == "http cache read from url 2. byte read from url 2 string base url int max size"
    strange = chunk(1, qualified="größeVonBäumen", signature="\\", text="x")
    assert strange.title == "größe von bäumen."
    decomposed = chunk(1, qualified=unicodedata.normalize("NFD", "bäumeWald"), signature="def bäumeWald()")
    assert decomposed.title == "bäume wald. def bäume wald"
    # A signature alone says nothing.
    assert chunk(1, qualified="__", signature="def __()").title == ""


@pytest.mark.parametrize("kind", [Kind.MODULE, Kind.TEXT])
def test_what_is_no_symbol_has_no_title_and_the_vector_of_its_text(kind: Kind) -> None:
    plain = chunk(1, kind=kind)
    assert plain.title == ""
    assert chunk_vectors([plain], embed).tolist() == [CODE.tolist()]


def test_code_and_title_are_one_vector_of_length_1_each_with_its_own() -> None:
    made = chunk_vectors([chunk(1, kind=Kind.MODULE), chunk(2), chunk(3, kind=Kind.TEXT), chunk(4)], embed)
    both = CODE + TITLE_WEIGHT * TITLE
    for row, expected in zip(made, [CODE, both, CODE, both], strict=True):
        assert row == pytest.approx(expected / np.linalg.norm(expected))
    assert made.dtype == np.float32
    assert chunk_vectors([], lambda texts: np.zeros((len(texts), 2), np.float32)).shape == (0, 2)


@pytest.mark.parametrize("start", ["# ", "box get"])
def test_where_the_model_made_no_numbers_of_one_of_the_two_there_are_none(start: str) -> None:
    made = chunk_vectors([chunk(1), chunk(2)], lambda texts: np.where(
        [[text.startswith(start) and "item_1" in text.replace(" ", "_")] for text in texts], np.nan, embed(texts)
    ))  # fmt: skip
    assert np.isfinite(made).all(axis=1).tolist() == [False, True]


def test_another_number_of_vectors_is_refused_also_one_that_numpy_would_spread() -> None:
    with pytest.raises(ValueError, match="3 vectors of 4 texts"):
        chunk_vectors([chunk(1), chunk(2)], lambda texts: embed(texts[:3]))


def test_the_vector_of_a_symbol_has_another_name_than_that_of_its_text_alone() -> None:
    """Vectors that an earlier version kept are those of the text."""
    one = chunk(1)
    plain = one._replace(kind=Kind.MODULE)
    assert one.embed_hash != plain.hash_of(one.embedded)
    assert one.embed_hash == one.hash_of(one.embedded)
