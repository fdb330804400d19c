"""The pass over a project's folder behind `scan`: without recursion, without following a link, without waiting."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from core.cancel import CancelToken
from core.code_index import plain, secrets
from core.code_index.ignore import Ignores, RuleFile
from core.code_index.never_wanted import never_wanted_file, never_wanted_folder
from core.code_index.records import FoundFile, Left, LeftOut

DEEPEST = 200
# Files in folders that are left out are counted so far, for one folder and for all of them together.
COUNTED_IN_ONE, COUNTED_IN_ALL = 2_000, 20_000
# What looks for secrets takes long to set up, and is fast then.
_BATCH_FILES, _BATCH_BYTES = 512, 8_000_000
_EVERY_S = 0.1
_MOST_WAITING = 64

Progress = Callable[[int, str], None]
Known = Mapping[str, tuple[int, int]]
# Path, names beside it, rules above it, and the rule by which only its tracked files are wanted.
_Folder = tuple[str, frozenset[str], tuple[RuleFile, ...] | None, str]


def look_at(
    ignores: Ignores,
    folder: int,
    path: str,
    found: os.stat_result,
    language: Callable[[str], str],
    known: Known | None = None,
    opened: bool = True,
) -> LeftOut | tuple[FoundFile, bytes]:
    """A file that no rule leaves out, with its content, whose secrets aren't sought.

    The content is empty where the file is known, or is not to be opened at all.

    Raises `plain.Unread`.
    """
    name = path.rpartition("/")[2]
    if why := odd_name(path):
        return LeftOut(printable(path), Left.UNREADABLE, why)
    if stat.S_ISLNK(found.st_mode):
        return _link(ignores.root, path)
    plain.refuse_special(found)
    if secret := secrets.by_name(path):
        return LeftOut(path, Left.SECRET, f"the name {secret}")
    if why_not := plain.by_name(name):
        return LeftOut(path, *why_not)
    if found.st_size > plain.LARGEST:
        raise plain.too_large(found.st_size)
    data = b""
    if opened and (known or {}).get(path) != (found.st_size, found.st_mtime_ns):
        data, found = plain.read_in(folder, name)
        if why_not := plain.by_content(name, data):
            return LeftOut(path, *why_not)
    return FoundFile(path, found.st_size, found.st_mtime_ns, language(path)), data


def odd_name(path: str) -> str:
    """Why a path can't be written into an index, a prompt or a list."""
    if path.isascii():
        return "" if path.isprintable() else "its name has control characters"
    if any("\ud800" <= char <= "\udfff" for char in path):
        return "its name is not UTF-8"
    return "its name has control characters" if any(ord(c) < 32 or c in "\x7f\x85\u2028\u2029" for c in path) else ""


def printable(path: str) -> str:
    """A path as it can be shown: bytes that are not UTF-8 and control characters replaced."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _link(root: Path, path: str) -> LeftOut:
    """A link is never followed; what it leads to in the project is indexed under its own name."""
    here = os.path.join(root, path)
    target = os.path.realpath(here)
    try:
        written = printable(os.readlink(here))
    except OSError:
        written = "?"
    if not Path(target).is_relative_to(root):
        return LeftOut(path, Left.LINK_OUT, f"a link to {written}")
    return LeftOut(path, Left.SPECIAL, f"a link to {written} in the project, which has its own entry")


class Walk:
    """One pass over a folder, without recursion; without `opened` no file is opened, and content leaves none out."""

    def __init__(
        self,
        ignores: Ignores,
        token: CancelToken,
        progress: Progress | None,
        language: Callable[[str], str],
        known: Known | None = None,
        workspace: Path | None = None,
        *,
        opened: bool = True,
    ) -> None:
        self.ignores = ignores
        self.files: list[FoundFile] = []
        self.left: list[LeftOut] = []
        self.inside: dict[str, int] = {}
        self._token, self._progress, self._language, self._known = token, progress, language, known
        self._opened = opened
        self._workspace = os.path.realpath(workspace) if workspace else ""
        self._batch: list[tuple[FoundFile, bytes]] = []
        self._batch_bytes = 0
        self._to_count = COUNTED_IN_ALL
        self._seen: set[tuple[int, int]] = set()
        self._told = 0.0
        self._folders: list[tuple[str, frozenset[str], tuple[RuleFile, ...] | None, str]] = [
            ("", frozenset(), None, "")
        ]

    def run(self) -> None:
        """Fill `files` and `left`. Raises Cancelled."""
        while self._folders:
            path, beside, chain, under = self._folders.pop()
            self._token.raise_if_cancelled()
            self._tell(path)
            try:
                folder = plain.open_folder(self.ignores.root, path)
            except OSError as exc:
                self._leave(f"{path}/", Left.UNREADABLE, plain.refused(exc).detail)
                continue
            try:
                self._folder(folder, path, beside, chain, under)
            finally:
                os.close(folder)
        self._flush()

    def _folder(
        self, folder: int, path: str, beside: frozenset[str], chain: tuple[RuleFile, ...] | None, under: str
    ) -> None:
        here = os.fstat(folder)
        if (here.st_dev, here.st_ino) in self._seen:
            self._leave(f"{path}/", Left.SPECIAL, "the same folder as another one in the project")
            return
        self._seen.add((here.st_dev, here.st_ino))
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as exc:
            self._leave(f"{path}/", Left.UNREADABLE, plain.refused(exc).detail)
            return
        names = frozenset(entry.name for entry in entries)
        if path and (why := self._unwanted(path, beside, names)):
            self._leave_folder(path, Left.DEFAULT, why, folder)
            return
        chain = self.ignores.chain(path, chain) if ".gitignore" in names or chain is None else chain
        for number, entry in enumerate(entries):
            if number % 256 == 255:
                self._token.raise_if_cancelled()
                self._tell(path)
            below = f"{path}/{entry.name}" if path else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    self._subfolder(folder, below, entry.name, names, chain, under)
                else:
                    self._file(folder, below, entry, chain, under)
            except plain.Unread as exc:
                self._leave(below, exc.reason, exc.detail)
            except OSError as exc:
                self._leave(below, Left.UNREADABLE, plain.refused(exc).detail)

    def _unwanted(self, path: str, beside: frozenset[str], names: frozenset[str]) -> str:
        if self._workspace and os.path.realpath(os.path.join(self.ignores.root, path)) == self._workspace:
            return "Bright Run's workspace"
        tracked = self.ignores.is_tracked(path, folder=True)
        return never_wanted_folder(path.rpartition("/")[2], beside, names, tracked=tracked)

    def _subfolder(
        self, folder: int, path: str, name: str, beside: frozenset[str], chain: tuple[RuleFile, ...], under: str
    ) -> None:
        if default := never_wanted_folder(name, frozenset(), frozenset(), tracked=True):
            self._leave_folder(path, Left.DEFAULT, default, folder, name)
            return
        rule = self.ignores.rule(path, chain, folder=True)
        under = under or (str(rule) if rule else "")
        if under and not self.ignores.is_tracked(path, folder=True):
            self._leave_folder(path, Left.IGNORED, under, folder, name)
        elif why := odd_name(name):
            self._leave_folder(printable(path), Left.UNREADABLE, why, folder, name)
        elif path.count("/") >= DEEPEST:
            self._leave(f"{path}/", Left.UNREADABLE, f"deeper than {DEEPEST} folders")
        else:
            self._folders.append((path, beside, chain, under))

    def _file(self, folder: int, path: str, entry: os.DirEntry[str], chain: tuple[RuleFile, ...], under: str) -> None:
        if default := never_wanted_file(entry.name):
            self._leave(path, Left.DEFAULT, default)
            return
        rule = under or self.ignores.rule(path, chain, folder=False)
        if rule and not self.ignores.is_tracked(path):
            self._leave(path, Left.IGNORED, str(rule))
            return
        found = entry.stat(follow_symlinks=False)
        answer = look_at(self.ignores, folder, path, found, self._language, self._known, self._opened)
        if isinstance(answer, LeftOut):
            self.left.append(answer)
            return
        file, data = answer
        if not data:
            self.files.append(file)
            return
        self._batch.append((file, data))
        self._batch_bytes += len(data)
        if len(self._batch) >= _BATCH_FILES or self._batch_bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        hidden = secrets.found_in([data for _, data in self._batch]) if self._batch else {}
        for index, (file, _) in enumerate(self._batch):
            if index in hidden:
                self._leave(file.path, Left.SECRET, hidden[index])
            else:
                self.files.append(file)
        self._batch.clear()
        self._batch_bytes = 0

    def _leave(self, path: str, reason: Left, detail: str) -> None:
        self.left.append(LeftOut(printable(path) if odd_name(path) else path, reason, detail))

    def _leave_folder(self, path: str, reason: Left, detail: str, folder: int, name: str = ".") -> None:
        self._leave(f"{path}/", reason, detail)
        most = min(COUNTED_IN_ONE, self._to_count)
        held = _count(folder, name, most)
        self._to_count -= held
        if most:
            self.inside[self.left[-1].path] = held

    def _tell(self, path: str) -> None:
        now = time.monotonic()
        if self._progress and now - self._told >= _EVERY_S:
            self._told = now
            self._progress(len(self.files) + len(self.left) + len(self._batch), printable(path))


def _count(above: int, name: str, most: int) -> int:
    """Files in a folder and those below it, at most `most`; what can't be read counts nothing."""
    count = 0
    try:
        waiting = [os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)]
    except OSError:
        return 0
    try:
        while waiting and count < most:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if not entry.is_dir(follow_symlinks=False):
                            count += 1
                        elif len(waiting) < _MOST_WAITING:
                            waiting.append(
                                os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                            )
                        if count >= most:
                            break
            except OSError:
                continue
            finally:
                os.close(folder)
    finally:
        for folder in waiting:
            os.close(folder)
    return count
