"""Rows by column: what comes out of the store's table is what went in, however it was put together."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.code_index.columns import NONE, Columns, arrow, joined, schema, vectors_of
from core.code_index.rows import HEAD, SHOWN, STRINGS, VECTOR, Row, rows_from
from tests.support.code_index import chunk, rows

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DIMENSION = 3


@st.composite
def some_rows(draw: st.DrawFn) -> list[Row]:
    made = rows(
        chunk(number, text=draw(WORDS), name=draw(WORDS), references=tuple(draw(st.lists(WORDS, max_size=3))))
        for number in range(draw(st.integers(0, 5)))
    )
    for row in made:
        row["imports"] = draw(st.lists(WORDS, max_size=3))
        row["is_test"] = draw(st.booleans())
        row["complexity"] = draw(st.integers(0, 2**31 - 1))
        row[VECTOR] = draw(st.sampled_from([None, np.array([0.5, -1, 2], np.float16)]))
    return made


def shown(table: Any) -> list[Row]:
    """As the store's readers see rows."""
    vectors = vectors_of(table[VECTOR], DIMENSION)
    read = rows_from(table.drop_columns([VECTOR]).to_pylist())
    return [
        row | {VECTOR: None if vector is None else vector.tolist()} for row, vector in zip(read, vectors, strict=True)
    ]


def plain(made: list[Row]) -> list[Row]:
    return [row | {VECTOR: None if row[VECTOR] is None else row[VECTOR].tolist()} for row in made]


@given(st.lists(some_rows(), max_size=4))
def test_rows_come_back_as_they_went_in(files: list[list[Row]]) -> None:
    sent = [pickle.loads(pickle.dumps(Columns.of(file))) for file in files]
    whole = joined(sent)
    table = arrow(whole, DIMENSION)
    table.validate(full=True)
    flat = [row for file in files for row in file]
    assert whole.count == table.num_rows == len(flat)
    assert [whole.texts(name) for name in ("id", "text")] == [[row[name] for row in flat] for name in ("id", "text")]
    assert [{name: row[name] for name in (*SHOWN, "imports", VECTOR)} for row in shown(table)] == [
        {name: row[name] for name in (*SHOWN, "imports", VECTOR)} for row in plain(flat)
    ]
    for name in set(STRINGS) - {HEAD}:
        assert table[name].to_pylist() == [row[name] for row in flat]


def test_without_a_dimension_there_is_no_column_for_vectors() -> None:
    assert arrow(Columns.of(rows([chunk(1)])), None).schema == schema(None)
    assert VECTOR not in schema(None).names
    assert arrow(NONE, DIMENSION).num_rows == 0


def test_half_a_pair_of_surrogates_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        Columns.of(rows([chunk(1, text="\ud800")]))
