"""A look at a folder that may become a project, off the GUI thread: what is in it, what would be left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.cancel import CancelToken
from core.code_index.languages import language_of
from core.code_index.scan import BYTES_PER_SECOND, Estimate, Scan, check_root, estimate, scan
from ui import format as fmt
from ui.pages.projects.words import plain, reason_words

MOST_REASONS = 5
# Counted with a folder that is left out as a whole; more than so many are said to be more.
MANY = 2_000


@dataclass
class Far:
    """How far a look is; written by its thread, read by the GUI's."""

    count: int = 0
    folder: str = ""

    def tell(self, count: int, folder: str) -> None:
        """Called by the scan."""
        self.count, self.folder = count, folder

    @property
    def words(self) -> str:
        """For people."""
        where = f" in {plain(self.folder)}" if self.folder else ""
        return f"{fmt.plural(self.count, 'entry', 'entries')} so far{where}" if self.count else "Looking at the folder"


@dataclass(frozen=True)
class Looked:
    """A folder as it was found. `project` is the id of the project that it is already, empty for a new one."""

    root: Path
    project: str = ""
    scan: Scan | None = None
    languages: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def files(self) -> int:
        """Files to index."""
        return len(self.scan.files) if self.scan is not None else 0

    @property
    def found_words(self) -> str:
        """ "1,974 files to index, 12 MB"."""
        size = self.scan.bytes if self.scan is not None else 0
        return f"{fmt.plural(self.files, 'file')} to index, {fmt.size(size)}"

    def left_words(self) -> list[str]:
        """What is left out, a line a reason, the most frequent first."""
        if self.scan is None:
            return []
        inside: dict[str, int] = {}
        for entry in self.scan.left_out:
            held = self.scan.inside.get(entry.path, 0)
            inside[str(entry.reason)] = inside.get(str(entry.reason), 0) + held
        out = []
        for reason, count in list(self.scan.reasons.items())[:MOST_REASONS]:
            held = inside.get(str(reason), 0)
            more = f", with {fmt.count(held)}{' or more' if held >= MANY else ''} files inside" if held else ""
            out.append(f"{reason_words(str(reason))}: {fmt.count(count)}{more}")
        if rest := list(self.scan.reasons.values())[MOST_REASONS:]:
            out.append(f"other reasons: {fmt.count(sum(rest))}")
        return out

    def estimate(self, chunks_per_second: float, bytes_per_second: float = 0.0) -> Estimate | None:
        """How long the index takes with a model of that speed; 0 bytes a second is the usual."""
        if self.scan is None:
            return None
        return estimate(self.scan, chunks_per_second, bytes_per_second or BYTES_PER_SECOND)


def look_at(
    root: Path, workspace: Path, known: Mapping[Path, str], token: CancelToken, far: Far
) -> Looked:  # fmt: skip
    """Scan a folder. Raises the AppErrors of `check_root` and `scan`, Cancelled."""
    real = root.expanduser()
    if not real.is_absolute():
        real = Path.home() / real
    warnings = check_root(real, workspace)
    real = real.resolve()
    if real in known:
        return Looked(real, known[real])
    found = scan(real, token, far.tell, language=language_of, workspace=workspace)
    languages: dict[str, tuple[int, int]] = {}
    for file in found.files:
        files, size = languages.get(file.language, (0, 0))
        languages[file.language] = (files + 1, size + file.size)
    return Looked(real, "", found, languages, [*warnings, *found.notices])


def estimate_words(found: Estimate | None) -> str:
    """When it can be searched, and how."""
    if found is None:
        return ""
    by_words = f"Searchable by words and names in about {_about(found.reading)}"
    return f"{by_words}; by meaning about {_about(found.embedding)} later." if found.embedding else f"{by_words}."


def _about(seconds: float) -> str:
    """A time that is only estimated: no seconds of an hour."""
    coarse = 1 if seconds < 1 else round(seconds) if seconds < 20 else round(seconds / 10) * 10
    return fmt.duration(coarse if seconds < 600 else round(seconds / 60) * 60)
