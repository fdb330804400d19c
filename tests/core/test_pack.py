"""What is sent to a model: symbols whole, never more than the budget, and nothing left out without a word."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.code_index.pack import pack
from core.code_index.records import Found, Kind


def found(path: str, lines: int, start: int = 1, **extra: Any) -> Found:
    text = "\n".join(f"line {n}" for n in range(lines))
    return Found(path, start, start + lines - 1, Kind.FUNCTION, f"f{start}", "python", 1.0, {}, text, extra=extra)


def words(text: str) -> int:
    return len(text.split())


def test_symbols_are_whole_and_under_their_place() -> None:
    packed = pack([found("a.py", 3, 10), found("b.py", 2)], 1000, words)
    assert packed.text.startswith("# a.py:10-12 | function f10\nline 0\nline 1\nline 2\n\n# b.py:1-2 | function f1\n")
    assert [piece.cut for piece in packed.used] == [0, 0]
    assert packed.tokens == words(packed.text)
    assert packed.left_out == ()


def test_one_that_does_not_fit_makes_room_for_a_smaller_one() -> None:
    packed = pack([found("a.py", 5), found("b.py", 100), found("c.py", 2)], 40, words)
    assert [piece.found.path for piece in packed.used] == ["a.py", "c.py"]
    assert [left.found.path for left in packed.left_out] == ["b.py"]
    assert "205 tokens, and 25 were left" in packed.left_out[0].reason


def test_the_first_is_cut_where_it_alone_is_too_large() -> None:
    packed = pack([found("a.py", 500), found("b.py", 2)], 60, words)
    assert packed.used[0].cut > 400
    assert f"… {packed.used[0].cut} more lines" in packed.text
    assert packed.tokens <= 60


def test_imports_are_told_once_a_file_and_parents_each_time() -> None:
    one, two = (found("a.py", 1, n, imports=("os", "re"), parent_signature="class A(B)") for n in (1, 5))
    packed = pack([one, two], 1000, words)
    assert packed.text.count("# imports os, re") == 1
    assert packed.text.count("# in class A(B)") == 2


def test_nothing() -> None:
    assert pack([], 100, words).text == ""
    packed = pack([found("a.py", 3)], 0, words)
    assert (packed.used, len(packed.left_out), packed.tokens) == ((), 1, 0)


@given(st.lists(st.integers(1, 60), max_size=12), st.integers(0, 400), st.sampled_from([words, len]))
def test_budget_and_balance(sizes: list[int], budget: int, count: Any) -> None:
    all_of = [found(f"{n % 3}.py", size, n + 1, imports=("os",)) for n, size in enumerate(sizes)]
    packed = pack(all_of, budget, count)
    assert packed.tokens <= budget
    assert packed.tokens == (count(packed.text) if packed.used else 0)
    assert len(packed.used) + len(packed.left_out) == len(all_of)
    assert {id(p.found) for p in packed.used} | {id(p.found) for p in packed.left_out} == {id(f) for f in all_of}
    assert all(piece.cut or piece.found.text in piece.text for piece in packed.used)
