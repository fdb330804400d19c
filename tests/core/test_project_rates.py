"""What indexing will take is told by what it took here."""

from __future__ import annotations

from typing import Any

import pytest

from core import jobs
from core.db import Database
from core.jobs import JobState
from core.projects.jobs import INDEX_JOB
from core.projects.rates import LEAST_BYTES, LEAST_CHUNKS, Rates, measured
from tests.core.factories import Place


@pytest.fixture
def db(here: Place) -> Database:
    return here.db


def ended(db: Database, state: JobState = JobState.COMPLETED, **result: Any) -> None:
    job = jobs.create(db, INDEX_JOB, "Indexing", {"project": {"id": "one"}})
    jobs.set_state(db, job.id, state, result=result)


def done(read: float, read_s: float, embedded: int = 0, embed_s: float = 0.0, slug: str = "lexical") -> dict[str, Any]:
    return {"first_bytes": read, "first_s": read_s, "embedded": embedded, "embed_s": embed_s, "slug": slug}


def test_before_the_first_job_nothing_is_known(db: Database) -> None:
    assert measured(db) == Rates(0.0, {})
    # As jobs of earlier versions told.
    ended(db, words_s=1.0, seconds=2.0, embedded=500)
    ended(db)
    assert measured(db) == Rates(0.0, {})


def test_the_newest_job_that_did_enough_tells_and_each_model_has_its_own_rate(db: Database) -> None:
    ended(db, **done(8e6, 4.0, 1000, 100.0, "small"))
    ended(db, **done(6e6, 2.0, 300, 60.0, "large"))
    ended(db, **done(5e6, 1.0, 2000, 100.0, "small"))
    assert measured(db) == Rates(5e6, {"small": 20.0, "large": 5.0})
    # A small project, one changed file, and a job that failed.
    ended(db, **done(LEAST_BYTES - 1, 1.0, LEAST_CHUNKS - 1, 2.0, "small"))
    ended(db, **done(0, 0.0, 1, 2.0, "small"))
    ended(db, JobState.FAILED, **done(9e9, 1.0, 9000, 2.0, "small"))
    for _ in range(300):
        ended(db, **done(0, 0.0))
    assert measured(db) == Rates(5e6, {"small": 20.0, "large": 5.0})


@pytest.mark.parametrize("odd", [None, "12", [1], {}, True, -1, 0])
def test_odd_values_of_a_job_are_passed_over(db: Database, odd: Any) -> None:
    ended(db, **done(8e6, 4.0, 1000, 100.0, "small"))
    for key in ("first_bytes", "first_s", "embedded", "embed_s", "slug"):
        ended(db, **{**done(0, 0.0, 0, 0.0, "small"), key: odd})
    assert measured(db) == Rates(2e6, {"small": 10.0})
