"""Which paths of a project are left out by a rule: .gitignore files, .git/info/exclude, and what nobody wants indexed.

The rules are Git's (gitignore(5)); tracked files are never ignored. dulwich reads the lines of the ignore files, their
bracket expressions and Git's index; no program of Git is run, since its configuration could name others to run.
Patterns are compiled here, so that a hostile one takes no more than quadratic time, and so that a rule can be named.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.code_index import plain
from core.code_index.git_folder import Git, find_git, tracked_paths
from core.code_index.never_wanted import Names, never_wanted_file, never_wanted_folder
from core.code_index.records import Left

MOST_RULES = 2_000
IGNORE_FILE = ".gitignore"
_LARGEST_IGNORE_FILE = 1 << 18
_LONGEST_RULE = 4096

Why = tuple[Left, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file: `text` as written, `source` the file it stands in."""

    source: str
    line: int
    text: str
    negated: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} {self.text}"


class RuleFile:
    """The rules of one ignore file, for paths below `base` (bytes, ending in "/", or empty)."""

    def __init__(self, data: bytes, source: str, base: bytes = b"", *, ignore_case: bool = False) -> None:
        self.base = base
        self.cut = 0
        rules: list[tuple[Rule, bool, bool, bytes]] = []
        for rule, only_folders, anchored, pattern in _rules(data, source):
            if len(rules) == MOST_RULES:
                self.cut += 1
                continue
            rules.append((rule, only_folders, anchored, pattern))
        # The last rule that matches decides, so the last comes first in each alternation.
        rules.reverse()
        flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        self._decide = {
            (folder, anchored): _Alternation([(rule, pattern) for rule, only, at, pattern in rules
                                              if at == anchored and (folder or not only)], flags)
            for folder in (False, True) for anchored in (False, True)
        }  # fmt: skip

    def decides(self, path: bytes, *, folder: bool) -> Rule | None:
        """The rule that decides on a path (from the same top as `base`), or None where none does."""
        path = path[len(self.base) :]
        by_name = self._decide[folder, False].match(path[path.rfind(b"/") + 1 :])
        by_path = self._decide[folder, True].match(path)
        if by_name is None or by_path is None:
            return by_name or by_path
        return max(by_name, by_path, key=lambda rule: rule.line)


class _Alternation:
    def __init__(self, rules: Sequence[tuple[Rule, bytes]], flags: int) -> None:
        self._rules = [rule for rule, _ in rules]
        self._match = re.compile(b"|".join(b"(" + p + b"\\Z)" for _, p in rules), flags).match if rules else None

    def match(self, text: bytes) -> Rule | None:
        found = self._match(text) if self._match else None
        return self._rules[found.lastindex - 1] if found and found.lastindex else None


def _rules(data: bytes, source: str) -> Iterable[tuple[Rule, bool, bool, bytes]]:
    """(rule, whether for folders alone, whether it is for the whole path, its pattern) for each line that has one."""
    from dulwich.ignore import read_ignore_patterns
    from dulwich.wildmatch import MalformedPattern

    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        for text in read_ignore_patterns(io.BytesIO(line)):
            if len(text) > _LONGEST_RULE:
                continue
            negated = text.startswith(b"!")
            glob = text[1:] if negated else text
            folder = glob.endswith(b"/")
            glob = glob[:-1] if folder else glob
            with contextlib.suppress(MalformedPattern):
                anchored, pattern = translate(glob)
                if pattern:
                    shown = text.decode("utf-8", "replace")[:100]
                    yield Rule(source, number, shown, negated), folder, anchored, pattern


def translate(glob: bytes) -> tuple[bool, bytes]:
    """A pattern without "!" and last "/": (whether it is for a whole path rather than a name, its regular expression).

    Each star is followed at once by the next piece and never tried again (an atomic group), which finds the same since
    what stands between stars has one length: the method of fnmatch. Raises MalformedPattern.
    """
    segments = _segments(glob)
    anchored = b"/" in glob
    if len(segments) > 1 and not segments[0]:
        segments = segments[1:]
    if not segments or any(not segment for segment in segments):
        return anchored, b""
    groups: list[list[bytes]] = [[]]
    for segment in segments:
        if anchored and len(segment) > 1 and not any(segment):
            groups.append([])
        else:
            groups[-1].append(_segment(segment))
    return anchored, _path(groups)


def _segments(glob: bytes) -> list[list[bytes | None]]:
    """Path segments, each a list of expressions for one byte, None for a star."""
    from dulwich.wildmatch import translate_bracket_expression

    found: list[list[bytes | None]] = [[]]
    at = 0
    while at < len(glob):
        char = glob[at : at + 1]
        at += 1
        if char == b"/":
            found.append([])
        elif char == b"*":
            found[-1].append(None)
        elif char == b"?":
            found[-1].append(b"[^/]")
        elif char == b"[":
            at, bracket = translate_bracket_expression(glob, at)
            found[-1].append(bracket)
        else:
            if char == b"\\":
                # A backslash at the very end escapes nothing, and Git matches nothing then.
                char = glob[at : at + 1] or b"/"
                at += 1
            found[-1].append(re.escape(char))
    return found


def _segment(segment: list[bytes | None]) -> bytes:
    pieces: list[list[bytes]] = [[]]
    for item in segment:
        if item is not None:
            pieces[-1].append(item)
        elif pieces[-1] or len(pieces) == 1:
            pieces.append([])
    first, *rest = (b"".join(piece) for piece in pieces)
    if not rest:
        return first
    middle = b"".join(b"(?>[^/]*?" + piece + b")" for piece in rest[:-1])
    return first + middle + b"[^/]*" + rest[-1]


def _path(groups: list[list[bytes]]) -> bytes:
    """Segments with "**" between the groups."""
    if len(groups) == 1:
        return b"/".join(groups[0])
    first, *middle, last = (b"/".join(group) for group in groups)
    out = first + b"/" if first else b""
    for group in middle:
        if group:
            out += b"(?>(?:[^/]+/)*?" + group + b"/)"
    # A "**" at the end is everything inside, but not the folder itself.
    return out + (b"(?:[^/]+/)*" + last if last else b".+")


class Ignores:
    """The rules of a project. `notices` say what could not be taken into account.

    Paths are relative to the project's root, with "/", as text (undecodable bytes as `os.fsdecode` has them).
    """

    def __init__(self, root: Path, stop: Callable[[], bool] = lambda: False) -> None:
        self.root = Path(os.path.realpath(root))
        self.notices: list[str] = []
        self.git: Git | None = find_git(self.root, self.notices)
        self._case = self.git is not None and self.git.ignore_case
        self.tracked: frozenset[bytes] = tracked_paths(self.git, self.notices, stop) if self.git else frozenset()
        self._tracked_folders = _above(self.tracked)
        self._prefix = self.git.prefix if self.git else b""
        self._loaded: dict[str, RuleFile | None] = {}
        self._base = tuple(self._outer())

    def _outer(self) -> Iterable[RuleFile]:
        """The rules that hold above the root, weakest first."""
        if self.git is None:
            return
        if exclude := _ignore_data(self.git.common, "info/exclude", self.notices):
            yield RuleFile(exclude, ".git/info/exclude", ignore_case=self._case)
        above = b""
        for part in self._prefix.split(b"/")[:-1]:
            data = _ignore_data(self.git.top, os.fsdecode(above) + IGNORE_FILE, self.notices)
            if data:
                yield RuleFile(data, os.path.join(self.git.top, os.fsdecode(above) + IGNORE_FILE), above,
                               ignore_case=self._case)  # fmt: skip
            above += part + b"/"

    def chain(self, folder: str, above: tuple[RuleFile, ...] | None = None) -> tuple[RuleFile, ...]:
        """The rule files that hold in a folder ("" the root), strongest last; `above` is its parent's chain."""
        if above is None:
            above = self.chain(folder.rpartition("/")[0]) if folder else self._base
        if folder not in self._loaded:
            path = f"{folder}/{IGNORE_FILE}" if folder else IGNORE_FILE
            data = _ignore_data(self.root, path, self.notices)
            base = self._prefix + (os.fsencode(folder) + b"/" if folder else b"")
            self._loaded[folder] = RuleFile(data, path, base, ignore_case=self._case) if data else None
            if (made := self._loaded[folder]) and made.cut:
                self.notices.append(f"{path}: {made.cut} rules after the first {MOST_RULES:,} are not applied.")
        own = self._loaded[folder]
        return (*above, own) if own else above

    def rule(self, path: str, chain: Sequence[RuleFile], *, folder: bool) -> Rule | None:
        """The rule that ignores a path whose folders are not ignored, or None; that it is tracked is not asked."""
        if not chain:
            return None
        full = self._prefix + os.fsencode(path)
        for file in reversed(chain):
            if (found := file.decides(full, folder=folder)) is not None:
                return None if found.negated else found
        return None

    def is_tracked(self, path: str, *, folder: bool = False) -> bool:
        """Whether Git tracks a file, or anything in a folder."""
        return self._prefix + os.fsencode(path) in (self._tracked_folders if folder else self.tracked)

    def why(self, path: str, *, folder: bool | None = None) -> Why | None:
        """Why a path is left out by a rule, its folders first; None where no rule does.

        `folder` says what it is; None looks on disk, and takes what isn't there for a file.
        """
        inside = ""
        names = path.split("/")
        for depth in range(1, len(names)):
            above = "/".join(names[:depth])
            found = self._why_folder(above, names[depth - 1])
            if found and found[0] is Left.DEFAULT:
                return found
            inside = inside or (found[1] if found else "")
        if folder is None:
            folder = _is_folder(self.root / path)
        if folder:
            found = self._why_folder(path, names[-1])
            if (found and found[0] is Left.DEFAULT) or not self.is_tracked(path, folder=True):
                return found or ((Left.IGNORED, inside) if inside else None)
            return None
        if default := never_wanted_file(names[-1]):
            return Left.DEFAULT, default
        if self.is_tracked(path):
            return None
        if inside:
            return Left.IGNORED, inside
        rule = self.rule(path, self.chain("/".join(names[:-1])), folder=False)
        return (Left.IGNORED, str(rule)) if rule else None

    def _why_folder(self, path: str, name: str) -> Why | None:
        tracked = self.is_tracked(path, folder=True)
        where = self.root / path
        if default := never_wanted_folder(name, Names(str(where.parent)), Names(str(where)), tracked=tracked):
            return Left.DEFAULT, default
        rule = self.rule(path, self.chain(path.rpartition("/")[0]), folder=True)
        # Of an ignored folder, what is tracked is wanted all the same.
        return (Left.IGNORED, str(rule)) if rule else None


def _above(paths: Iterable[bytes]) -> frozenset[bytes]:
    found: set[bytes] = set()
    for path in paths:
        while (cut := path.rfind(b"/")) > 0 and (path := path[:cut]) not in found:
            found.add(path)
    return frozenset(found)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _ignore_data(root: Path, path: str, notices: list[str]) -> bytes:
    """An ignore file's bytes, empty where there is none; one that can't be read is told."""
    try:
        return plain.read_file(root, path, _LARGEST_IGNORE_FILE)
    except plain.Unread as exc:
        if not exc.gone:
            notices.append(f"The ignore rules of {path} are not applied: {exc.detail}.")
        return b""
