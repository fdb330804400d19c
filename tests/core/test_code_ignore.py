"""Git's rules as Git applies them, each named by file and line; a broken or hostile .git stops nothing."""

from __future__ import annotations

import io
import os
import tempfile
import time
from pathlib import Path

import pytest
from dulwich.ignore import IgnoreFilterManager
from dulwich.index import SerializedIndexEntry, write_index
from hypothesis import given, settings
from hypothesis import strategies as st

from core.code_index import git_folder
from core.code_index.ignore import Ignores, RuleFile, translate
from core.code_index.records import Left
from tests.core.test_code_scan import left, paths, scanned, write


def entry(path: str) -> SerializedIndexEntry:
    return SerializedIndexEntry(path.encode(), 0, 0, 0, 0, 0o100644, 0, 0, 0, b"0" * 40, 0, 0)  # type: ignore[arg-type]


def repository(root: Path, tracked: list[str] | None = None, folder: str = ".git") -> Path:
    git = root / folder
    (git / "info").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "config").write_text("[core]\n\tignorecase = false\n")
    if tracked is not None:
        out = io.BytesIO()
        write_index(out, [entry(path) for path in sorted(tracked)])
        (git / "index").write_bytes(out.getvalue() + b"\0" * 20)
    return git


RULES = [
    ("*.log", ["a.log", "d/e/a.log"], ["a.txt", "log"]),
    ("/a.py", ["a.py"], ["d/a.py"]),
    ("d/", ["d/x", "e/d/x"], ["f/d"]),
    ("d/e", ["d/e"], ["f/d/e"]),
    ("**/e/x", ["e/x", "d/e/x"], ["x"]),
    ("d/**", ["d/x", "d/e/x"], ["x", "f/d/x"]),
    ("d/**/x", ["d/x", "d/e/f/x"], ["x", "e/x"]),
    ("?.py", ["a.py"], ["ab.py", "d/ab.py"]),
    ("[ab].py", ["a.py", "b.py"], ["c.py"]),
    ("[!a].py", ["b.py"], ["a.py"]),
    ("\\!a", ["!a"], ["a"]),
    ("\\#a", ["#a"], ["a"]),
    ("#a", [], ["#a", "a"]),
    ("a b  ", ["a b"], ["a", "b"]),
    ("*\n!keep.py", ["a.py"], ["keep.py"]),
    ("d/*\n!d/keep", ["d/x"], ["d/keep"]),
    ("d/\n!d/keep", ["d/x", "d/keep"], []),
    ("[", [], ["[", "a"]),
    ("a\\", [], ["a", "a\\"]),
    ("\ufeffa.py", ["a.py"], ["b.py"]),
    ("a.py\r\nb.py\r", ["a.py", "b.py"], []),
    ("//a", [], ["a"]),
    ("/", [], ["a"]),
]


@pytest.mark.parametrize(("rules", "ignored", "kept"), RULES)
def test_rules_are_those_of_git(source: Path, rules: str, ignored: list[str], kept: list[str]) -> None:
    files = dict.fromkeys([*ignored, *kept], "x\n")
    try:
        write(source, {".gitignore": rules, **files})
    except (FileExistsError, NotADirectoryError):
        for path in kept:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
    ignores = Ignores(source)
    assert [path for path in ignored if ignores.why(path) is None] == []
    assert [path for path in kept if ignores.why(path) is not None] == []
    found = set(paths(scanned(source)))
    assert not found & set(ignored)


def test_the_rule_is_named(source: Path) -> None:
    repository(source)
    write(source, {".gitignore": "# rules\n\n*.log\nout/\n", "sub/.gitignore": "!a.log\n/b.py\n", "a.log": "",
                   "out/x": "x", "sub/a.log": "", "sub/b.py": "", "sub/c.log": "", "mine.txt": "",
                   ".git/info/exclude": "*.tmp\nmine.*\n"})  # fmt: skip
    found = scanned(source)
    assert left(found) == {
        ".git/": (Left.DEFAULT, ".git/"), "a.log": (Left.IGNORED, ".gitignore:3 *.log"),
        "out/": (Left.IGNORED, ".gitignore:4 out/"), "sub/b.py": (Left.IGNORED, "sub/.gitignore:2 /b.py"),
        "sub/c.log": (Left.IGNORED, ".gitignore:3 *.log"), "mine.txt": (Left.IGNORED, ".git/info/exclude:2 mine.*"),
    }  # fmt: skip
    assert "sub/a.log" in paths(found)
    assert found.inside["out/"] == 1


def test_tracked_files_are_not_ignored(source: Path) -> None:
    repository(source, ["out/kept.py", "a.log", "build/real.py", "node_modules/x.js"])
    write(source, {".gitignore": "*.log\nout/\n", "a.log": "", "b.log": "", "out/kept.py": "", "out/other.py": "",
                   "out/deep/x.py": "", "setup.py": "", "build/real.py": "", "build/new.py": "",
                   "node_modules/x.js": ""})  # fmt: skip
    found = scanned(source)
    assert paths(found) == [".gitignore", "a.log", "build/new.py", "build/real.py", "out/kept.py", "setup.py"]
    ignores = Ignores(source)
    for path in paths(found):
        assert ignores.why(path) is None
    for path in ("b.log", "out/other.py", "out/deep/x.py"):
        assert ignores.why(path) is not None
        assert ignores.why(path)[0] is Left.IGNORED  # type: ignore[index]


def test_rules_above_a_project_in_a_repository_count(tmp_path: Path) -> None:
    top = tmp_path / "top"
    write(top, {".gitignore": "*.log\n/pkg/own/x.py\n/x.py\n", "pkg/.gitignore": "*.tmp\n", "pkg/own/x.py": "",
                "pkg/own/a.py": "", "pkg/own/a.log": "", "pkg/own/a.tmp": "", "pkg/own/t.log": ""})  # fmt: skip
    repository(top, ["pkg/own/t.log"])
    assert paths(scanned(top / "pkg" / "own")) == ["a.py", "t.log"]


def test_case_counts_as_the_repository_says(source: Path) -> None:
    git = repository(source)
    write(source, {".gitignore": "*.LOG\n", "a.log": ""})
    assert "a.log" in paths(scanned(source))
    (git / "config").write_text("[core]\n\tignorecase = true\n")
    assert "a.log" not in paths(scanned(source))


def test_a_linked_working_tree_finds_its_repository(tmp_path: Path, source: Path) -> None:
    main = repository(tmp_path / "main")
    tree = repository(main / "worktrees", ["a.log"], "source")
    (tree / "commondir").write_text("../..\n")
    (tree / "gitdir").write_text(f"{source}/.git\n")
    (main / "info" / "exclude").write_text("*.log\n")
    write(source, {".git": f"gitdir: {tree}\n", "a.log": "", "b.log": ""})
    found = scanned(source)
    assert (paths(found), found.notices) == (["a.log"], [])
    (tree / "gitdir").write_text("/elsewhere/.git\n")
    found = scanned(source)
    assert paths(found) == ["a.log", "b.log"]
    assert "does not know of it" in found.notices[0]


def broken_gits() -> dict[str, object]:
    return {
        "no HEAD": lambda git: (git / "HEAD").unlink(),
        "HEAD a pipe": lambda git: ((git / "HEAD").unlink(), os.mkfifo(git / "HEAD")),
        "index garbage": lambda git: (git / "index").write_bytes(os.urandom(500)),
        "index cut": lambda git: (git / "index").write_bytes((git / "index").read_bytes()[:60]),
        "index lies": lambda git: (git / "index").write_bytes(b"DIRC\0\0\0\4\xff\xff\xff\xff" + b"\1" * 400),
        "index a folder": lambda git: ((git / "index").unlink(), (git / "index").mkdir()),
        "index a link": lambda git: ((git / "index").unlink(), (git / "index").symlink_to("/etc/passwd")),
        "index a pipe": lambda git: ((git / "index").unlink(), os.mkfifo(git / "index")),
        "excludes a pipe": lambda git: os.mkfifo(git / "info" / "exclude"),
    }


@pytest.mark.parametrize("how", list(broken_gits()))
def test_a_broken_repository_degrades_to_the_ignore_files_with_a_word(source: Path, how: str) -> None:
    git = repository(source, ["a.py"])
    write(source, {".gitignore": "*.log\n", "a.py": "x\n", "a.log": ""})
    broken_gits()[how](git)  # type: ignore[operator]
    found = scanned(source)
    assert paths(found) == [".gitignore", "a.py"]
    assert len(found.notices) == 1


@pytest.mark.parametrize("content", ["gitdir: /etc\n", "nonsense", "gitdir: \0\n", ""])
def test_a_git_file_that_leads_elsewhere_is_not_followed(source: Path, content: str) -> None:
    write(source, {".git": content, "a.py": ""})
    found = scanned(source)
    assert paths(found) == ["a.py"]
    assert len(found.notices) == 1


def test_nothing_of_git_is_run(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    def never(*_args: object, **_options: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr(os, "system", never)
    monkeypatch.setattr(os, "posix_spawn", never)
    git = repository(source, ["a.py"])
    (git / "config").write_text("[core]\n\tfsmonitor = touch /tmp/owned\n\thooksPath = hooks\n")
    write(source, {"a.py": "x\n"})
    assert paths(scanned(source)) == ["a.py"]


def test_an_index_that_takes_too_long_is_given_up(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(source, [f"f{number}.py" for number in range(3000)])
    monkeypatch.setattr(git_folder, "LONGEST_READ_S", 0.0)
    assert "its index is damaged" in scanned(source).notices[0]


def test_ignore_files_that_are_links_or_too_large_are_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("*\n")
    (source / ".gitignore").symlink_to(tmp_path / "rules")
    write(source, {"sub/.gitignore": "#" * 300_000, "sub/a.py": "x\n"})
    found = scanned(source)
    assert paths(found) == ["sub/.gitignore", "sub/a.py"] or paths(found) == ["sub/a.py"]
    assert len([notice for notice in found.notices if "are not applied" in notice]) == 2


def test_hostile_patterns_take_no_time() -> None:
    """Each of these takes ages where stars are tried in every way."""
    name = b"a" * 250
    deep = b"/".join([b"a"] * 1000)
    began = time.process_time()
    for glob in (b"*a" * 60 + b"b", b"a*" * 100 + b"b", b"**/a/" * 40 + b"b", b"*" * 500 + b"b", b"a/**/" * 60 + b"b",
                 b"[a-z]*" * 50 + b"!"):  # fmt: skip
        rules = RuleFile(glob, "x")
        assert rules.decides(name, folder=False) is None
        assert rules.decides(deep, folder=False) is None
    assert time.process_time() - began < 30


def test_rules_over_the_bound_are_told(source: Path) -> None:
    write(source, {".gitignore": "\n".join(f"f{number}" for number in range(2100)), "f5": "", "f2099": ""})
    found = scanned(source)
    assert "f2099" in paths(found)
    assert "f5" not in paths(found)
    assert found.notices == [".gitignore: 100 rules after the first 2,000 are not applied."]


NAMES = st.sampled_from(["a", "b", "ab", "x.py", "a.py", "*", "foo", "é", " ", "#x"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
ATOMS = st.sampled_from(
    ["a", "b", "ab", "*", "?", "*.py", "a*", "*b*a", "[ab]", "[!a]", "\\*", "foo", "é", "[[:alpha:]]"]
)
SEGMENTS = st.one_of(st.just("**"), st.lists(ATOMS, min_size=1, max_size=2).map("".join))
PATTERNS = st.tuples(
    st.sampled_from(["", "!"]), st.sampled_from(["", "/"]), st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "/"]),
).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PATTERNS, max_size=5), st.lists(PATTERNS, max_size=3), st.sets(PATHS, max_size=12))
def test_rules_decide_as_dulwich_does(rules: list[str], nested: list[str], files: set[str]) -> None:
    # dulwich asks the rules inside a folder about the folder itself, which "**" there matches; Git does not.
    nested = [rule for rule in nested if "**" not in rule]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        made = []
        for path in files:
            try:
                write(root, {path: "x\n"})
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue
            made.append(path)
        write(root, {".gitignore": "\n".join(rules)})
        if (root / "a").is_dir():
            write(root, {"a/.gitignore": "\n".join(nested)})
        theirs = IgnoreFilterManager(place, [], False)
        ours = Ignores(root)
        for path in made:
            assert (ours.why(path) is not None) == bool(theirs.is_ignored(path)), path
        assert {p for p in paths(scanned(root)) if not p.endswith(".gitignore")} == {
            p for p in made if not theirs.is_ignored(p)}  # fmt: skip


@given(st.binary(max_size=40))
def test_any_line_is_a_rule_or_none(line: bytes) -> None:
    RuleFile(line, "x").decides(b"a/b", folder=False)


def test_a_pattern_without_a_slash_is_for_names() -> None:
    assert translate(b"a*b") == (False, b"a[^/]*b")
    assert translate(b"/a")[0]
