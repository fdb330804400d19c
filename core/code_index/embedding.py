"""The second half of a pass: rows get their vectors, the newest files first, so that they are found by meaning."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from core.cancel import CancelToken
from core.code_index.chunk_vectors import chunk_vectors
from core.code_index.columns import Columns
from core.code_index.health import Opened
from core.code_index.records import Chunk
from core.code_index.report import Pace, Report, Tell
from core.code_index.rows import VECTOR, Row, chunk_of
from core.code_index.state import Change, FileState, Stage
from core.code_index.store import other_model
from core.code_index.vectors import VectorCache
from core.errors import AppError, Cancelled

# Texts of like length are batched together, for which a group must be large.
GROUP = 256
# So many are made before it is looked whether to go on: a small model on a slow machine makes twelve a second.
AT_ONCE = 32
BATCH_ROWS, BATCH_S = 1_000, 5.0
FILES_AT_ONCE = 64


class Makes(Protocol):
    """What makes vectors."""

    @property
    def slug(self) -> str:
        """Names all that its vectors depend on."""

    @property
    def dimension(self) -> int:
        """Numbers a vector."""

    @property
    def soft_limit(self) -> int:
        """For the chunker, in characters that are not blank."""

    def embed(self, texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        """float32 (n, dimension), each row of length 1."""


@dataclass
class Embedding:
    """Embeds what has no vector yet: the cache is written first, then whole rows."""

    opened: Opened
    embedder: Makes
    cache: VectorCache
    report: Report
    token: CancelToken
    # By time.monotonic(): what is not done then is left, and `report.more` says so.
    until: float = math.inf
    _group: list[Row] = field(default_factory=list)
    _done: list[Row] = field(default_factory=list)
    _files: dict[str, FileState] = field(default_factory=dict)
    _since: float = 0.0
    _kept: int = 0

    def run(self, files: Sequence[FileState], tell: Tell) -> None:
        """All chunks of these files. Raises Cancelled and ModelStopped; all that was embedded until then is kept."""
        waiting = sorted((file for file in files if file.embedded < file.chunks), key=lambda file: -file.mtime_ns)
        done = sum(file.embedded for file in files)
        pace = Pace(tell, "embedding", sum(file.chunks for file in files), done)
        self._since = time.monotonic()
        try:
            for start in range(0, len(waiting), FILES_AT_ONCE):
                part = waiting[start : start + FILES_AT_ONCE]
                self._files |= {file.path: file for file in part}
                for row in self.opened.store.rows_without_vector([file.path for file in part]):
                    self._group.append(row)
                    if len(self._group) < GROUP:
                        continue
                    self._embed(pace)
                    if self.report.more:
                        return
            self._embed(pace)
        finally:
            self._flush()

    def _embed(self, pace: Pace) -> None:
        """One group: from the cache, else by the model; `more` where the time is over before."""
        self.token.raise_if_cancelled()
        group, self._group = self._group, []
        rows: dict[str, list[Row]] = {}
        for row in group:
            rows.setdefault(row["embed_hash"], []).append(row)
        found = self.cache.get(rows)
        self.report.from_cache += self._take({name: rows[name] for name in found}, found, pace)
        for part in _parts({name: same[0] for name, same in rows.items() if name not in found}):
            if self._over(pace):
                return
            self.token.raise_if_cancelled()
            made = self._make([chunk_of(rows[name][0]) for name in part])
            good = np.isfinite(made).all(axis=1)
            new = {name: made[place].astype(np.float16) for place, name in enumerate(part) if good[place]}
            self.cache.put(new)
            self.report.embedded += len(new)
            self._take({name: rows[name] for name in part}, new, pace)
        self._over(pace)

    def _over(self, pace: Pace) -> bool:
        """Whether the rest is for another pass. Each keeps something, or passes over what is refused had no end."""
        self.report.more = bool(self._kept) and time.monotonic() >= self.until and pace.done < pace.total
        return self.report.more

    def _take(self, rows: Mapping[str, list[Row]], found: Mapping[str, np.ndarray], pace: Pace) -> int:
        """Rows with the vectors that were found or made, written where there are many; returns how many rows."""
        taken = [row for same in rows.values() for row in same]
        if not taken:
            return 0
        for row in taken:
            row[VECTOR] = found.get(row["embed_hash"])
        kept = [row for row in taken if row[VECTOR] is not None]
        self._kept += len(kept)
        self._done += kept
        self._refuse([row for row in taken if row[VECTOR] is None])
        pace.add(len(taken), taken[-1]["path"])
        if len(self._done) >= BATCH_ROWS or time.monotonic() - self._since >= BATCH_S:
            self._flush()
        return len(taken)

    def _make(self, chunks: list[Chunk]) -> np.ndarray:
        try:
            made = chunk_vectors(chunks, lambda texts: self.embedder.embed(texts, self.token))
        except Cancelled:
            raise
        except Exception as exc:
            raise ModelStopped(exc) from exc
        if made.shape != (len(chunks), self.opened.store.dimension):
            raise ModelStopped(other_model(self.opened.store.folder, self.opened.store.dimension, made.shape[-1]))
        return made

    def _refuse(self, rows: Sequence[Row]) -> None:
        """Texts of which the model made something that is no vector stay without one, and their files say so."""
        for path in {row["path"] for row in rows}:
            old = self._files[path]
            self._files[path] = replace(old, reason="not all embedded", detail="the model made no numbers of a part")
            self.opened.state.write(Change([self._files[path]]))

    def _flush(self) -> None:
        """Write whole rows and mark their files."""
        rows, self._done = self._done, []
        self._since = time.monotonic()
        if not rows:
            return
        self.opened.store.upsert(Columns.of(rows))
        changed = set()
        for row in rows:
            file = self._files[row["path"]]
            self._files[row["path"]] = replace(file, embedded=file.embedded + 1)
            changed.add(row["path"])
        for path in changed:
            file = self._files[path]
            if file.embedded >= file.chunks:
                self._files[path] = replace(file, state=Stage.EMBEDDED, reason="", detail="")
        self.opened.acknowledge(Change([self._files[path] for path in changed]))


def _parts(rows: Mapping[str, Row]) -> list[list[str]]:
    """Rows of like length together, by name; first those with the newest, which is the first of `rows`."""
    order = {name: place for place, name in enumerate(rows)}
    longest = sorted(rows, key=lambda name: -len(rows[name]["text"]))
    parts = [longest[start : start + AT_ONCE] for start in range(0, len(longest), AT_ONCE)]
    return sorted(parts, key=lambda part: min(order[name] for name in part))


class ModelStopped(Exception):  # noqa: N818 - carries the error
    """The model failed; `error` is for the user. What it had made is kept."""

    def __init__(self, exc: BaseException) -> None:
        super().__init__(repr(exc))
        self.error = exc if isinstance(exc, AppError) else AppError(
            "embedding_failed",
            f"The model for searching by meaning stopped ({type(exc).__name__}).",
            hint="Searching by words works. Start indexing again, or choose another model in the settings.",
            detail=repr(exc),
        )  # fmt: skip
