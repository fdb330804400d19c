"""Finds the files of a project that are worth an index, and says of every other one why it is left out.

found = files + left out; a folder that is left out as a whole counts once, its path ending in "/".
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from core.cancel import CancelToken
from core.code_index import plain, secrets
from core.code_index.ignore import Ignores
from core.code_index.records import FoundFile, Left, LeftOut
from core.code_index.walk import Known, Progress, Walk, look_at
from core.errors import AppError, Where

# Measured: 36 MB of Python's own library take 9 to 12 s on two cores; 19 MB of Django 5.2 make 42,000 chunks.
BYTES_PER_SECOND, BYTES_PER_CHUNK = 3_000_000, 460


@dataclass(frozen=True)
class Scan:
    """What is in a project's folder. Both lists are in order of their paths.

    `inside` says how many files a folder that is left out holds, as far as they were counted (`COUNTED_IN_ONE` means
    that many or more). `notices` are sentences for the user.
    """

    root: Path
    files: Sequence[FoundFile]
    left_out: Sequence[LeftOut]
    inside: Mapping[str, int] = field(default_factory=dict)
    notices: Sequence[str] = ()
    seconds: float = 0.0

    @property
    def found(self) -> int:
        """Everything that was met: files to index and what is left out."""
        return len(self.files) + len(self.left_out)

    @cached_property
    def bytes(self) -> int:
        """Size of the files to index."""
        return sum(file.size for file in self.files)

    @cached_property
    def languages(self) -> Mapping[str, int]:
        """Files a language, the most frequent first."""
        return dict(Counter(file.language for file in self.files).most_common())

    @cached_property
    def reasons(self) -> Mapping[Left, int]:
        """Entries left out a reason, the most frequent first."""
        return dict(Counter(entry.reason for entry in self.left_out).most_common())


@dataclass(frozen=True)
class Estimate:
    """Seconds until a project can be searched by words (`reading`), and after that by meaning (`embedding`)."""

    chunks: int
    reading: float
    embedding: float

    @property
    def total(self) -> float:
        """Both, in seconds."""
        return self.reading + self.embedding


def estimate(
    scan: Scan,
    chunks_per_second: float,
    bytes_per_second: float = BYTES_PER_SECOND,
    bytes_per_chunk: float = BYTES_PER_CHUNK,
) -> Estimate:
    """How long the index of what was found takes; 0 chunks a second means that nothing is embedded."""
    chunks = max(len(scan.files), round(scan.bytes / bytes_per_chunk))
    return Estimate(chunks, scan.bytes / bytes_per_second, chunks / chunks_per_second if chunks_per_second else 0.0)


def check_root(root: Path, workspace_root: Path) -> list[str]:
    """Warnings about a folder that is to be a project. Raises AppError where it can't be one."""
    where = Where(str(root))
    real, workspace = Path(os.path.realpath(root)), Path(os.path.realpath(workspace_root))
    if not os.path.isdir(real):
        kind = "is a file, not a folder" if os.path.lexists(real) else "does not exist"
        raise AppError("no_project_folder", f"It {kind}.", hint="Choose the folder that holds the code.", where=where)
    home = Path(os.path.realpath(Path.home()))
    wide = {real == home: "your home folder", real == Path(real.anchor): "the whole disk"}.get(True)
    if wide or home.is_relative_to(real):
        raise AppError(
            "project_too_wide",
            f"It is {wide or 'a folder that holds your home folder'}, not a project.",
            hint="Choose the folder of one project in it.",
            where=where,
        )
    if real.is_relative_to(workspace):
        raise AppError(
            "project_in_workspace",
            "It is inside the workspace, where Bright Run keeps its own files.",
            hint="Move the code out of the workspace, or choose another folder.",
            where=where,
        )
    try:
        with os.scandir(real) as entries:
            next(entries, None)
    except OSError as exc:
        raise AppError(
            "no_permission",
            f"It can't be read ({(exc.strerror or str(exc)).lower()}).",
            hint="Give yourself permission to read it (Get Info in the Finder, or chmod u+rx).",
            where=where,
        ) from exc
    if workspace.is_relative_to(real):
        return ["The workspace is in this folder; it is left out of the index."]
    return []


def scan(
    root: Path,
    token: CancelToken,
    progress: Progress | None = None,
    *,
    language: Callable[[str], str],
    known: Known | None = None,
    workspace: Path | None = None,
) -> Scan:
    """Look at everything below `root`. `progress` gets how many entries were met, and the folder it is in.

    A file whose size and time of change are those in `known` is not opened again. `workspace` is left out where it is
    inside. Raises AppError `no_project_folder`, Cancelled.
    """
    started = time.monotonic()
    if not os.path.isdir(root):
        raise AppError("no_project_folder", "It is not a folder.", hint="Choose it again.", where=Where(str(root)))
    walk = Walk(Ignores(root, lambda: token.cancelled), token, progress, language, known, workspace)
    walk.run()
    files = sorted(walk.files, key=lambda file: file.path)
    left = sorted(walk.left, key=lambda entry: entry.path)
    notices = [*walk.ignores.notices, *_nothing(files, left)]
    return Scan(walk.ignores.root, files, left, walk.inside, notices, time.monotonic() - started)


def look(
    root: Path, path: str, *, language: Callable[[str], str], ignores: Ignores | None = None
) -> FoundFile | LeftOut | None:
    """One file as `scan` would find it; None where there is nothing. `ignores` saves reading the rules again."""
    ignores = ignores or Ignores(root)
    above, _, name = path.rpartition("/")
    try:
        plain.parts(path)
        folder = plain.open_folder(ignores.root, above)
    except plain.Unread as exc:
        return LeftOut(path, exc.reason, exc.detail)
    except OSError as exc:
        # ENOTDIR is also what a link in a folder's place gives.
        refused = plain.refused(exc)
        return None if isinstance(exc, FileNotFoundError) else LeftOut(path, Left.UNREADABLE, refused.detail)
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not _written_so(folder, name, found):
            return None
        if stat.S_ISDIR(found.st_mode):
            return LeftOut(path, Left.SPECIAL, "a folder")
        if why := ignores.why(path, folder=False):
            return LeftOut(path, *why)
        answer = look_at(ignores, folder, path, found, language)
        if isinstance(answer, LeftOut):
            return answer
        file, data = answer
        hidden = secrets.by_content(data) if data else ""
        return LeftOut(path, Left.SECRET, hidden) if hidden else file
    except plain.Unread as exc:
        return None if exc.gone else LeftOut(path, exc.reason, exc.detail)
    except OSError as exc:
        return None if isinstance(exc, FileNotFoundError) else LeftOut(path, Left.UNREADABLE, plain.refused(exc).detail)
    finally:
        os.close(folder)


def _written_so(folder: int, name: str, found: os.stat_result) -> bool:
    """Whether a folder has an entry of exactly this name: a.py is found as A.py too where case makes no difference."""
    swapped = name.swapcase()
    try:
        other = os.stat(swapped, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return True
    return swapped == name or not os.path.samestat(other, found) or name in os.listdir(folder)


def _nothing(files: Sequence[FoundFile], left: Sequence[LeftOut]) -> Iterator[str]:
    if files:
        return
    if not left:
        yield "0 files: the folder is empty."
        return
    (reason, detail), count = Counter((entry.reason, entry.detail) for entry in left).most_common(1)[0]
    yield f"0 files to index: all {len(left):,} entries are left out, {count:,} of them as {reason} ({detail})."
