"""What the files of a folder are known to hold: LanceDB neither syncs what it writes nor notices a flipped byte.

Lance never changes a file it has written, so each is synced and hashed once, when a batch is acknowledged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.workspace.files import fsync_dir

BLOCK = 1 << 20
# Lance writes it again with each commit, and does without it.
HINT = "latest_version_hint.json"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A file's size in bytes and the SHA-256 of its content."""

    size: int
    hash: str


@dataclass(frozen=True)
class Verdict:
    """How a folder differs from its seals, as names of files; `extra` are those nobody acknowledged."""

    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    bytes: int = 0


def walk(folder: Path, prefix: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files below a folder with their names relative to it; a folder that is not there has none."""
    try:
        entries = list(os.scandir(folder / prefix))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from walk(folder, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


def lasting(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Those of its files that are written once."""
    return (pair for pair in walk(folder) if pair[1].name != HINT)


def total(folder: Path) -> int:
    """Bytes of the files below a folder."""
    size = 0
    for _, entry in walk(folder):
        try:
            size += entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
    return size


def seal(folder: Path, known: Mapping[str, Sealed]) -> tuple[dict[str, Sealed], set[str]]:
    """Sync and hash the files that are not known yet; returns them, and the known ones that are gone."""
    present = {name for name, _ in lasting(folder)}
    new = {}
    for name in present - known.keys():
        fd = os.open(folder / name, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        new[name] = _sealed(folder / name)
    for parent in {parent for name in new for parent in _parents(folder, name)}:
        fsync_dir(parent)
    return new, known.keys() - present


def _parents(folder: Path, name: str) -> Iterator[Path]:
    """The folders from a file's up to `folder`: a new one is an entry of the one above it."""
    place = (folder / name).parent
    while place != folder:
        yield place
        place = place.parent
    yield folder


def _sealed(path: Path) -> Sealed:
    sum_, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as handle:
        while block := handle.read(BLOCK):
            sum_.update(block)
            size += len(block)
    return Sealed(size, sum_.hexdigest())


def verify(folder: Path, known: Mapping[str, Sealed]) -> Verdict:
    """Compare each file with its seal, reading all of it."""
    present = {name for name, _ in lasting(folder)}
    changed, size = [], 0
    for name in sorted(present & known.keys()):
        try:
            found = _sealed(folder / name)
        except OSError:
            found = Sealed(-1, "")
        size += max(0, found.size)
        if found != known[name]:
            changed.append(name)
    missing, extra = known.keys() - present, present - known.keys()
    return Verdict(tuple(sorted(missing)), tuple(changed), tuple(sorted(extra)), size)


def remove(folder: Path, names: Iterable[str]) -> None:
    """Delete files below a folder, and the folders that are empty then."""
    for name in names:
        path = folder / name
        path.unlink(missing_ok=True)
        while (path := path.parent) != folder:
            try:
                path.rmdir()
            except OSError:
                break


def move_away(folder: Path, place: Path, keep: int = 1) -> None:
    """Rename a damaged folder or file into the quarantine `place`, where the newest `keep` stay."""
    place.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name.partition("-")[0]) for path in place.iterdir() if path.name.partition("-")[0].isdigit()]
    os.rename(folder, place / f"{max(taken, default=0) + 1:06d}-{folder.name}")
    names = sorted(path for path in place.iterdir() if path.name.endswith(f"-{folder.name}"))
    for old in names[:-keep]:
        shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
