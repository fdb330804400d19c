"""How quick this workspace's machine is at indexing code, from the jobs that did it: what another one will take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from core import jobs
from core.db import Database
from core.jobs import Job, JobState
from core.projects.jobs import INDEX_JOB

# Less says more of starting than of the work.
LEAST_BYTES, LEAST_CHUNKS = 4_000_000, 64
# Each look from the command line is a job too.
JOBS = 1_000


@dataclass(frozen=True)
class Rates:
    """Bytes of code a second until they are found by words, 0 where none were read yet; chunks a second by model."""

    reading: float = 0.0
    embedding: Mapping[str, float] = field(default_factory=dict)


def measured(db: Database) -> Rates:
    """From the newest job that did enough of each: read a whole project for the first time, made vectors."""
    reading, embedding = 0.0, dict[str, float]()
    for job in jobs.listing(db, states=(JobState.COMPLETED,), kind=INDEX_JOB, limit=JOBS):
        reading = reading or _rate(job, "first_bytes", "first_s", LEAST_BYTES)
        slug = job.result.get("slug")
        if isinstance(slug, str) and (rate := _rate(job, "embedded", "embed_s", LEAST_CHUNKS)):
            embedding.setdefault(slug, rate)
    return Rates(reading, embedding)


def _rate(job: Job, done: str, seconds: str, least: float) -> float:
    """0 where the job did too little, or does not say."""
    count, took = _number(job.result.get(done)), _number(job.result.get(seconds))
    return count / took if count >= least and took > 0 else 0.0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
