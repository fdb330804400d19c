"""What a project's adapter was trained on, as hashes, and how far the code has moved since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from core.code_index.records import ParsedFile, digest
from core.errors import AppError
from core.projects.examples.symbols import symbols_of
from core.workspace.files import atomic_write, read_json

FORMAT = 1
# From here on an adapter knows too little of the code; a handful of symbols is no reason to train for an hour.
WORTH_SHARE, WORTH_SYMBOLS = 0.2, 20
# A page looks into so many changed files at most; of more, the numbers are scaled up.
MOST_PARSED = 200


def snapshot_path(folder: Path, job_id: str) -> Path:
    """Where a project's folder keeps what the examples of that job were made of."""
    return folder / "trained" / f"{job_id}.json"


@dataclass(frozen=True)
class Snapshot:
    """The code at one moment: of each file the hash of its bytes, and of its symbols key -> hash of their text."""

    hashes: Mapping[str, str]
    symbols: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, files: Iterable[tuple[str, ParsedFile]]) -> Snapshot:
        """From (hash, parsed file)."""
        hashes, symbols = dict[str, str](), dict[str, Mapping[str, str]]()
        for hash_, parsed in files:
            if found := texts_of(parsed):
                hashes[parsed.path], symbols[parsed.path] = hash_, found
        return cls(hashes, symbols)

    def write(self, path: Path) -> None:
        """Keep it, whole or not at all. Raises AppError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        files = {name: [hash_, self.symbols[name]] for name, hash_ in self.hashes.items()}
        atomic_write(path, orjson.dumps({"format": FORMAT, "files": files}))

    @classmethod
    def read(cls, path: Path) -> Snapshot | None:
        """None where there is none, or one that this program can't read."""
        try:
            data: Mapping[str, Any] = read_json(path)
        except AppError:
            return None
        if data.get("format") != FORMAT:
            return None
        files = data["files"]
        return cls({name: file[0] for name, file in files.items()}, {name: file[1] for name, file in files.items()})


def texts_of(parsed: ParsedFile) -> dict[str, str]:
    """Key -> hash of the text of each symbol in a file."""
    return {symbol.key: symbol.text_hash for symbol in symbols_of(parsed)}


@dataclass(frozen=True)
class Drift:
    """Numbers of symbols: in the code now, of them `new` and `changed` since; `gone` are those no longer there.

    One that was only moved with its text unchanged is neither. `estimated`: only some files were looked into.
    """

    symbols: int
    new: int
    changed: int
    gone: int
    estimated: bool = False

    @property
    def share(self) -> float:
        """New and changed symbols of all there are now, 0 to 1."""
        return (self.new + self.changed) / self.symbols if self.symbols else 0.0

    @property
    def worth_retraining(self) -> bool:
        """Whether to offer it."""
        return self.share >= WORTH_SHARE and self.new + self.changed >= WORTH_SYMBOLS

    @property
    def words(self) -> str:
        """For the user."""
        if not self.new + self.changed:
            return "The code is as it was when the adapter was trained."
        about = "About " if self.estimated else ""
        return (
            f"{about}{self.new + self.changed:,} of {self.symbols:,} symbols are new or changed since the adapter was"
            f" trained ({self.share:.0%})."
        )


@dataclass
class _Counts:
    symbols: int = 0
    changed: int = 0
    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def add(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        self.symbols += len(after)
        self.changed += sum(key in before and before[key] != text for key, text in after.items())
        self.new += [text for key, text in after.items() if key not in before]
        self.gone += [text for key, text in before.items() if key not in after]

    def drift(self, factor: float = 1.0, whole: int = 0) -> Drift:
        """`whole` symbols are as they were; the others stand for `factor` times as many."""
        moved = (Counter(self.new) & Counter(self.gone)).total()
        numbers = [self.symbols, len(self.new) - moved, self.changed, len(self.gone) - moved]
        symbols, new, changed, gone = (round(number * factor) for number in numbers)
        return Drift(symbols + whole, new, changed, gone, factor > 1.0)


def drift(trained: Snapshot, current: Snapshot) -> Drift:
    """From all of the code then and now."""
    counts = _Counts()
    for path in {**trained.symbols, **current.symbols}:
        counts.add(trained.symbols.get(path, {}), current.symbols.get(path, {}))
    return counts.drift()


def drift_of(
    trained: Snapshot, hashes: Mapping[str, str], parse: Callable[[str], ParsedFile | None], most: int = MOST_PARSED
) -> Drift:
    """From the hashes of the files as they are indexed now: only those that are not the same are parsed.

    `hashes` maps paths of files with a grammar to the hash of their bytes; `parse` gives None for what can't be read.
    """
    same = {path for path, hash_ in hashes.items() if trained.hashes.get(path) == hash_}
    other = sorted({*hashes, *trained.hashes} - same, key=lambda path: digest("drift", path))
    counts = _Counts()
    for path in other[:most]:
        parsed = parse(path) if path in hashes else None
        counts.add(trained.symbols.get(path, {}), texts_of(parsed) if parsed is not None else {})
    return counts.drift(max(1.0, len(other) / most), sum(len(trained.symbols[path]) for path in same))
