"""What a pass over a project says of itself, while it runs and at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from core.errors import AppError


@dataclass(frozen=True)
class Step:
    """Progress: `done` of `total` in the unit of the stage, `rate` of them a second as measured, 0 if unknown.

    Stages: "scanning" (entries met), "reading" (files), "indexing" (nothing counted), "embedding" (chunks).
    """

    stage: str
    done: int
    total: int
    rate: float = 0.0
    detail: str = ""


Tell = Callable[[Step], None]


def silent(_step: Step) -> None:
    """Tells nobody."""


class Pace:
    """Reports the progress of one stage, a few times a second at most; `done` were so before it began."""

    def __init__(self, tell: Tell, stage: str, total: int, done: int = 0, every_s: float = 0.2) -> None:
        self._tell, self.stage, self.total, self._every_s = tell, stage, total, every_s
        self.done = self._before = done
        self._began = self._told = time.monotonic()
        tell(Step(stage, done, total))

    def add(self, count: int, detail: str = "") -> None:
        """`count` more are done."""
        self.done += count
        now = time.monotonic()
        if now - self._told >= self._every_s or self.done >= self.total:
            self._told = now
            rate = (self.done - self._before) / max(1e-6, now - self._began)
            self._tell(Step(self.stage, self.done, self.total, rate, detail))


@dataclass
class Report:
    """The counts of a pass: `found` = `used` + `left_out` + `failed`, in files (a folder left out counts once).

    `changed` were read anew, `removed` are gone from the index, `missing` are chunks without a vector, where the index
    has vectors. `incomplete`: a pass over all files is still to be made. `words_s` is when the changes could be found
    by words, `seconds` the whole pass; `first_s` is what reading took where nothing was read before, and `first_bytes`
    what there was. `more`: its time for embedding was over before all had vectors. `whole`: it was over all files.
    """

    found: int = 0
    used: int = 0
    left_out: int = 0
    failed: int = 0
    changed: int = 0
    removed: int = 0
    chunks: int = 0
    embedded: int = 0
    from_cache: int = 0
    missing: int = 0
    words_s: float = 0.0
    first_bytes: int = 0
    first_s: float = 0.0
    seconds: float = 0.0
    incomplete: bool = False
    more: bool = False
    whole: bool = False
    slug: str = ""
    index_state: str = ""
    notices: list[AppError] = field(default_factory=list)
    # The files that were read anew, by path.
    read: set[str] = field(default_factory=set)

    def after(self, before: Report) -> Report:
        """This pass and those before it as one: how the files stand now, and all that was done."""
        told = {notice.message for notice in self.notices}
        return replace(
            self, changed=before.changed + self.changed, removed=before.removed + self.removed,
            first_bytes=before.first_bytes, first_s=before.first_s,
            chunks=before.chunks + self.chunks, embedded=before.embedded + self.embedded,
            from_cache=before.from_cache + self.from_cache, words_s=before.words_s,
            seconds=before.seconds + self.seconds,
            notices=[*(notice for notice in before.notices if notice.message not in told), *self.notices],
        )  # fmt: skip
