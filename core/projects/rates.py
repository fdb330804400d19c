"""How quick this machine is at indexing code, from the jobs that did it: what another one will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core import jobs
from core.db import Database
from core.jobs import JobState
from core.projects.jobs import INDEX_JOB

# Less says more of starting than of the work.
LEAST_BYTES, LEAST_CHUNKS = 1_000_000, 64


@dataclass(frozen=True)
class Rates:
    """Bytes of code a second until they are found by words, 0 where none were read yet; chunks a second by model."""

    reading: float = 0.0
    embedding: Mapping[str, float] = field(default_factory=dict)


def measured(db: Database) -> Rates:
    """From the newest job that did enough of each."""
    reading, embedding = 0.0, dict[str, float]()
    for job in jobs.listing(db, states=(JobState.COMPLETED,), kind=INDEX_JOB):
        done = job.result or {}
        read, words_s = done.get("read_bytes", 0), done.get("words_s", 0.0)
        if not reading and read >= LEAST_BYTES and words_s > 0:
            reading = read / words_s
        slug, embedded, rest_s = done.get("slug", ""), done.get("embedded", 0), done.get("seconds", 0.0) - words_s
        if slug and embedded >= LEAST_CHUNKS and rest_s > 0:
            embedding.setdefault(slug, embedded / rest_s)
    return Rates(reading, embedding)
