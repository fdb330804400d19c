"""What the next start makes of jobs that were under way: states, events, and one that can't be recovered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.jobs import Job, JobState
from core.workers import protocol
from core.workers.session import JobSession, recover, run_folder
from tests.core.factories import Place, place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    found = place(tmp_path)
    yield found
    found.db.close()


def under_way(here: Place, kind: str, params: dict[str, Any]) -> Job:
    job = jobs.claim_next(here.db, jobs.create(here.db, kind, kind, params).id)
    assert job is not None
    return job


def log(here: Place, job: Job, *events: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the events as a worker does."""
    folder = run_folder(here.workspace, job.id)
    folder.mkdir(parents=True, exist_ok=True)
    written = protocol.EventLog(folder / "events.jsonl", 0)
    for kind, fields in events:
        written.append(job.id, kind, fields)
    written.close()
    return [message for message, _ in protocol.read_events(folder / "events.jsonl")]


ITEM = {"file": "a.json", "line": 1, "field": "", "outcome": "rejected", "code": "x", "message": "m", "hint": "h"}


def test_a_job_that_reported_its_end_is_done_although_the_state_was_never_written(here: Place) -> None:
    job = under_way(here, "import", {"files": []})
    events = log(here, job, ("item", ITEM), ("done", {"result": {"in": 1, "rejected": 1}}))
    JobSession(here.workspace, job).apply(here.db, events)
    # Killed here: the events are applied, the final state is not.
    assert [found.status for found in recover(here.db, here.workspace)] == [JobState.COMPLETED]
    assert jobs.get(here.db, job.id).result == {"in": 1, "rejected": 1}
    assert here.db.execute("select count(*) from import_items").fetchone()[0] == 1


def test_the_end_of_an_earlier_attempt_is_not_that_of_a_later_one(here: Place) -> None:
    job = under_way(here, "import", {"files": []})
    log(here, job, ("item", ITEM), ("stopped", {"reason": "user"}), ("item", ITEM))
    assert [found.status for found in recover(here.db, here.workspace)] == [JobState.INTERRUPTED]


def test_one_job_that_can_not_be_recovered_does_not_keep_the_others(here: Place) -> None:
    bad, good = (jobs.create(here.db, "import", name, {"files": []}) for name in ("bad", "good"))
    for job in (bad, good):
        jobs.set_state(here.db, job.id, JobState.RUNNING)
    log(here, bad, ("conversation", {"row": {"nothing": "of what belongs here"}}))
    log(here, good, ("done", {"result": {"in": 0}}))
    recover(here.db, here.workspace)
    assert [jobs.get(here.db, job.id).status for job in (bad, good)] == [JobState.FAILED, JobState.COMPLETED]
    error = jobs.get(here.db, bad.id).error
    assert error is not None
    assert error.detail
    assert recover(here.db, here.workspace) == []
    assert jobs.claim_next(here.db, jobs.create(here.db, "import", "Next", {"files": []}).id) is not None
