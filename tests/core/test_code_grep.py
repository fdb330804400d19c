"""Plain search finds what is in the files as they are now, in bounded time whatever the pattern is."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cancel import CancelToken
from core.code_index import grep as module
from core.code_index.chunking import parse_file
from core.code_index.grep import Grepped, grep, read_lines
from core.code_index.records import FoundFile, Left
from core.errors import AppError, Cancelled
from tests.core.test_code_scan import scanned, write


def found(root: Path, pattern: str, **options: Any) -> Grepped:
    return grep(root, scanned(root).files, pattern, **options)


def places(result: Grepped) -> list[tuple[str, int]]:
    return [(line.path, line.number) for line in result.lines]


@pytest.fixture
def code(source: Path) -> Path:
    return write(source, {
        "a.py": "def node():\n    return Node(1)\n\n# nodes and node_name\n",
        "sub/b.go": "package node\r\nfunc Node() {}\r\n",
        "sub/c.txt": "Knöten, node.\nnode",
        "substance.py": "x = node\n",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "options", "expected"),
    [
        ("Node", {}, [("a.py", 2), ("sub/b.go", 2)]),
        (
            "node",
            {"whole_word": True},
            [("a.py", 1), ("sub/b.go", 1), ("sub/c.txt", 1), ("sub/c.txt", 2), ("substance.py", 1)],
        ),
        ("NODE(", {"ignore_case": True}, [("a.py", 1), ("a.py", 2), ("sub/b.go", 2)]),
        ("Node(1", {}, [("a.py", 2)]),
        (".", {}, [("sub/c.txt", 1)]),
        (r"^\w+ node$", {"regex": True}, [("sub/b.go", 1)]),
        (r"^node", {"regex": True}, [("sub/c.txt", 2)]),
        (r"\{\}$", {"regex": True}, [("sub/b.go", 2)]),
        (r"\Anode", {"regex": True}, [("sub/c.txt", 2)]),
        ("KNÖTEN", {"ignore_case": True, "whole_word": True}, [("sub/c.txt", 1)]),
        ("nöt", {"whole_word": True}, []),
        ("node", {"languages": ["go"]}, [("sub/b.go", 1)]),
        ("node", {"paths": ["sub"], "languages": ["text"]}, [("sub/c.txt", 1), ("sub/c.txt", 2)]),
        (
            "node",
            {"paths": ["sub/", "substance.py"], "languages": ["python", "go"]},
            [("sub/b.go", 1), ("substance.py", 1)],
        ),
        ("a|b", {"regex": True, "whole_word": True}, []),
        ("nowhere", {}, []),
    ],
)  # fmt: skip
def test_what_is_found(code: Path, pattern: str, options: dict[str, Any], expected: list[tuple[str, int]]) -> None:
    result = found(code, pattern, **options)
    assert places(result) == expected
    assert result.complete


def test_a_line_says_where_the_match_is_and_what_stands_around(code: Path) -> None:
    result = found(code, "node", whole_word=True, context=1)
    first, second, third = result.lines[0], result.lines[1], result.lines[2]
    assert (first.text, first.column, first.length) == ("def node():", 4, 4)
    assert (first.before, first.after) == ([], ["    return Node(1)"])
    assert second.text == "package node"
    assert third.text[third.column : third.column + third.length] == "node"
    assert (result.searched, result.not_reached, result.unread) == (4, 0, [])


def test_the_limit_is_told_and_the_counts_add_up(source: Path) -> None:
    write(source, {f"f{number:03}.py": "x\nx\n" for number in range(50)})
    result = found(source, "x", limit=5)
    assert len(result.lines) == 5
    assert "more than 5" in result.notice
    assert result.searched + result.not_reached == 50
    assert found(source, "x", limit=100).complete


def test_very_long_lines_are_cut_around_the_match(source: Path) -> None:
    write(source, {"a.md": "word " * 1000 + "needle" + " word" * 100 + "\n", "b.md": "x" * 20_000 + "needle"})
    files = [FoundFile(name, 0, 0, "text") for name in ("a.md", "b.md")]
    result = grep(source, files, "needle")
    assert len(result.lines) == 1
    line = result.lines[0]
    assert line.cut
    assert line.text[line.column : line.column + line.length] == "needle"
    assert len(line.text) == module.SHOWN
    assert "long lines" in result.notice


@pytest.mark.parametrize(
    ("pattern", "place"),
    [("(abc", "character 1"), ("abc)", "character 4"), ("a[b", "character 2"), ("*x", "character 1"),
     ("x(?=y)", "character 2"), (r"(a)\1", "character 4"),
     ("a{3,1}", "character"), ("(?P<n", "character"), ("x{2000}", "")],
)  # fmt: skip
def test_a_wrong_pattern_is_refused_with_its_place(code: Path, pattern: str, place: str) -> None:
    with pytest.raises(AppError) as caught:
        found(code, pattern, regex=True)
    assert caught.value.code == "bad_pattern"
    assert caught.value.where.field.startswith(place)
    assert caught.value.hint


@pytest.mark.parametrize("pattern", ["", "a\nb", "x" * 2000, "\udc80"])
def test_what_is_no_pattern_is_refused(code: Path, pattern: str) -> None:
    with pytest.raises(AppError, match=r"pattern|nothing"):
        found(code, pattern)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b", r"(a*)*(a*)*(a*)*b", "(.*)" * 9 + "[^a]!",
                                     r"^(([a-z])+.)+[A-Z]([a-z])+$"])  # fmt: skip
def test_catastrophic_patterns_take_no_longer_than_others(source: Path, pattern: str) -> None:
    """With backtracking, one of these lines takes longer than this machine will exist."""
    write(source, {"a.txt": ("a" * 400 + "!\n") * 200})
    began = time.process_time()
    result = found(source, pattern, regex=True)
    assert result.complete
    assert result.lines == []
    assert time.process_time() - began < 30


def test_the_time_is_bounded_and_that_is_told(source: Path) -> None:
    write(source, {f"f{number}.txt": "x\n" for number in range(20)})
    result = found(source, "x", seconds=-1)
    assert result.lines == []
    assert "ended" in result.notice
    assert result.searched + result.not_reached == 20


def test_a_search_can_be_cancelled(source: Path) -> None:
    write(source, {"a.txt": "x\n"})
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        found(source, "x", token=token)


def test_files_that_are_gone_or_became_links_are_named(source: Path, tmp_path: Path) -> None:
    write(source, {"a.py": "needle\n", "b.py": "needle\n", "c.py": "needle\n"})
    files = scanned(source).files
    (source / "a.py").unlink()
    (tmp_path / "outside.py").write_text("needle\n")
    (source / "b.py").unlink()
    (source / "b.py").symlink_to(tmp_path / "outside.py")
    result = grep(source, [*files, FoundFile("../outside.py", 0, 0, "python")], "needle")
    assert places(result) == [("c.py", 1)]
    assert [(entry.path, entry.reason) for entry in result.unread] == [
        ("a.py", Left.UNREADABLE), ("b.py", Left.UNREADABLE), ("../outside.py", Left.LINK_OUT)]  # fmt: skip
    assert result.searched + len(result.unread) + result.not_reached == 4


def test_lines_are_read_safely(code: Path, tmp_path: Path) -> None:
    assert read_lines(code, "a.py", 1, 2) == ["def node():", "    return Node(1)"]
    assert read_lines(code, "sub/b.go", 2, 99) == ["func Node() {}"]
    assert read_lines(code, "a.py", -5, 1) == ["def node():"]
    assert read_lines(code, "a.py", 50, 60) == []
    write(code, {"latin.txt": b"caf\xe9\n", "wide.txt": "Grüße\nzwei\n".encode("utf-16")})
    assert read_lines(code, "latin.txt", 1, 1) == ["café"]
    assert read_lines(code, "wide.txt", 1, 2) == ["Grüße", "zwei"]
    (tmp_path / "out.txt").write_text("secret\n")
    (code / "link").symlink_to(tmp_path)
    (code / "own").symlink_to("sub")
    for path in ("../out.txt", "link/out.txt", "own/c.txt", "/etc/passwd", "sub/../../out.txt", "", "sub", "gone.py",
                 "a\0b", "sub//c.txt", "./a.py"):  # fmt: skip
        with pytest.raises(AppError) as caught:
            read_lines(code, path, 1, 5)
        assert caught.value.code == "no_such_lines"
        assert "secret" not in str(caught.value)


def test_other_threads_go_on_while_it_matches(source: Path) -> None:
    write(source, {"a.txt": ("word " * 100 + "\n") * 1500})
    ticks, done = [0], threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks[0] += 1

    thread = threading.Thread(target=tick)
    thread.start()
    found(source, r"(?:[a-z ]{0,100}q){8}", regex=True)
    done.set()
    thread.join()
    assert ticks[0] > 0


TEXTS = st.lists(st.text(st.sampled_from("aAbB_ .ö1"), max_size=8), max_size=6).map("\n".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.text(st.sampled_from("aAbB_.ö1"), min_size=1, max_size=3), st.booleans(), st.booleans())
def test_it_finds_what_pythons_re_finds(
    tmp_path_factory: pytest.TempPathFactory, text: str, pattern: str, ignore_case: bool, whole_word: bool
) -> None:
    root = tmp_path_factory.mktemp("grep")
    (root / "a.txt").write_text(text, encoding="utf-8")
    result = grep(root, [FoundFile("a.txt", 0, 0, "text")], pattern, ignore_case=ignore_case, whole_word=whole_word)
    inner = re.escape(pattern)
    form = re.compile(rf"(?<!\w){inner}(?!\w)" if whole_word else inner, re.IGNORECASE if ignore_case else 0)
    assert [line.number for line in result.lines] == [
        n for n, line in enumerate(text.split("\n"), 1) if form.search(line)
    ]
    for line in result.lines:
        assert line.text[line.column : line.column + line.length].lower() == pattern.lower()


OLD = "def a():\n    return 1\n\ndef b():\n    return 2\n"


@pytest.mark.parametrize("data", [OLD.replace("\n", "\r").encode(), OLD.encode("utf-16-le")])
def test_a_line_is_the_same_for_the_search_and_for_the_index(source: Path, data: bytes) -> None:
    (source / "old.py").write_bytes(data)
    symbol = next(chunk for chunk in parse_file("old.py", data).chunks if chunk.name == "b")
    assert read_lines(source, "old.py", symbol.start_line, symbol.end_line) == symbol.text.split("\n")
    found = grep(source, [FoundFile("old.py", len(data), 0, "python")], "def b")
    assert [line.number for line in found.lines] == [symbol.start_line]
