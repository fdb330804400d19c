"""A project's .git, read without running Git: where it is, which paths are tracked, what its state is known by.

What is there may be broken or hostile: sizes and time are bounded, links are not followed, and whatever can't be read
is told in a notice, after which the project is one without Git.
"""

from __future__ import annotations

import io
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.code_index import plain
from core.code_index.records import Left
from core.errors import Cancelled

LARGEST_INDEX = 64 << 20
LONGEST_READ_S = 20.0
_SMALL = 1 << 16
_IGNORE_CASE = re.compile(rb"^\s*ignorecase\s*(?:=\s*(?:true|yes|on|1)\s*)?$", re.IGNORECASE | re.MULTILINE)
_SHA256 = re.compile(rb"^\s*objectformat\s*=\s*sha256\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Git:
    """`top` is the working tree's top folder, `prefix` the project below it (bytes, ending in "/", or empty).

    `folder` holds HEAD and index, `common` the rest; they differ in a linked working tree.
    """

    top: Path
    prefix: bytes
    folder: Path
    common: Path
    ignore_case: bool = False
    sha256: bool = False

    def stamp(self) -> tuple[object, ...]:
        """Changes when another branch is checked out, or when HEAD, the index or the excludes are written."""
        return tuple(
            _stamp(path) for path in (self.folder / "HEAD", self.folder / "index", self.common / "info/exclude")
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def find_git(root: Path, notices: list[str]) -> Git | None:
    """The Git working tree that `root` (a real path) is or stands in; None without one, with a notice if it is broken.

    Above the root only folders of the same user count, and neither the home folder nor the top of the disk.
    """
    try:
        owner = os.stat(root).st_uid
        if found := _git_of(root, root):
            return found
    except (OSError, plain.Unread) as exc:
        why = exc.detail if isinstance(exc, plain.Unread) else (exc.strerror or str(exc)).lower()
        notices.append(
            f"The project's .git can't be used ({why}). The ignore files count; which files Git tracks is unknown."
        )
        return None
    home = Path(os.path.realpath(Path.home()))
    for top in root.parents:
        if top in (home, Path(top.anchor)) or home.is_relative_to(top):
            return None
        try:
            if os.lstat(top / ".git").st_uid == owner and (found := _git_of(top, root)):
                return found
        except (OSError, plain.Unread):
            continue
    return None


def _git_of(top: Path, root: Path) -> Git | None:
    """The working tree whose top folder is `top`. Raises OSError or `plain.Unread` where its .git is broken."""
    place = top / ".git"
    try:
        mode = os.lstat(place).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        folder = common = place
    elif stat.S_ISREG(mode):
        folder = _linked(top)
        common = _common(folder)
    else:
        raise plain.Unread(Left.SPECIAL, "it is neither a folder nor a file")
    plain.read_file(folder, "HEAD", _SMALL)
    try:
        config = plain.read_file(common, "config", _SMALL)
    except plain.Unread:
        config = b""
    prefix = b"" if top == root else os.fsencode(root.relative_to(top)) + b"/"
    return Git(top, prefix, folder, common, _IGNORE_CASE.search(config) is not None, _SHA256.search(config) is not None)


def _linked(top: Path) -> Path:
    """Where a .git file leads. Only a folder that names this .git in return is taken: Git's own rule for worktrees."""
    said = plain.read_file(top, ".git", _SMALL)
    if not said.startswith(b"gitdir: "):
        raise plain.Unread(Left.UNREADABLE, "it does not say where the repository is")
    folder = _resolved(top, said[8:])
    if _resolved(folder, plain.read_file(folder, "gitdir", _SMALL)) != top / ".git":
        raise plain.Unread(Left.LINK_OUT, "it leads to a repository that does not know of it")
    return folder


def _common(folder: Path) -> Path:
    try:
        said = plain.read_file(folder, "commondir", _SMALL)
    except plain.Unread:
        return folder
    return _resolved(folder, said)


def _resolved(folder: Path, said: bytes) -> Path:
    """The path that a line of a file in `folder` names."""
    if b"\0" in said:
        raise plain.Unread(Left.UNREADABLE, "it names no path")
    return Path(os.path.realpath(folder / os.fsdecode(said.strip(b"\r\n"))))


class _Bounded(io.BytesIO):
    """Bytes whose reader gives up after a time: parsing a hostile index could take for ever."""

    def __init__(self, data: bytes, stop: Callable[[], bool]) -> None:
        super().__init__(data)
        self._stop = stop
        self._end = time.monotonic() + LONGEST_READ_S
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads % 4096 == 0:
            if self._stop():
                raise Cancelled("user")
            if time.monotonic() > self._end:
                raise ValueError("it takes too long to read")
        return super().read(size)


def tracked_paths(git: Git, notices: list[str], stop: Callable[[], bool] = lambda: False) -> frozenset[bytes]:
    """The paths that Git tracks, below the top of the working tree; empty with a notice where that can't be read."""
    from dulwich.index import read_index
    from dulwich.object_format import SHA1, SHA256

    try:
        data = plain.read_file(git.folder, "index", LARGEST_INDEX)
    except plain.Unread as exc:
        if not exc.gone:
            notices.append(f"Which files Git tracks is unknown: its index can't be read ({exc.detail}).")
        return frozenset()
    try:
        kind = SHA256 if git.sha256 else SHA1
        return frozenset(entry.name for entry in read_index(_Bounded(data, stop), kind))
    except Cancelled:
        raise
    # Whatever a parser of binary data may raise.
    except Exception as exc:
        notices.append(f"Which files Git tracks is unknown: its index is damaged ({type(exc).__name__}).")
        return frozenset()
