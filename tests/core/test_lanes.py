"""Lanes: one job a lane, order within it, jobs that wait for jobs, what a worker may use."""

from __future__ import annotations

import psutil
import pytest
from sqlite_utils import Database

from core import jobs
from core.db.connection import connect
from core.errors import AppError
from core.jobs import JobKind, JobState
from core.lanes import ALLOWANCES, THREAD_VARIABLES, Lane
from core.registries import JOB_KINDS
from core.workers.runner import run_to_end
from core.workspace import settings
from core.workspace.paths import Workspace

KINDS = {lane: JobKind(f"tiny_{lane}", "tests.plugins.tiny_job:run", (), lambda *_: None, lane=lane) for lane in Lane}  # type: ignore[arg-type, return-value]


@pytest.fixture
def db(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(jobs, "job_kind", lambda name: next(k for k in KINDS.values() if k.name == name))
    return connect(workspace.db_path)


def add(db: Database, ident: str, lane: Lane = Lane.DATA, *waits_for: str) -> str:
    return jobs.create(db, f"tiny_{lane}", ident, {}, job_id=ident, waits_for=waits_for).id


def claimed(db: Database) -> list[str]:
    """Everything that can be claimed now."""
    out = []
    while job := jobs.claim_next(db):
        out.append(job.id)
    return out


def end(db: Database, ident: str, state: JobState = JobState.COMPLETED) -> None:
    jobs.set_state(db, ident, state)


def test_lanes_run_beside_each_other_and_each_runs_one_job(db: Database) -> None:
    for lane in Lane:
        add(db, f"first {lane}", lane)
        add(db, f"second {lane}", lane)
    assert claimed(db) == [f"first {lane}" for lane in Lane]
    end(db, "first gpu")
    assert claimed(db) == ["second gpu"]


def test_how_many_network_jobs_run_is_a_setting(db: Database) -> None:
    settings.put(db, "network_jobs", 3)
    for number in range(5):
        add(db, str(number), Lane.NETWORK)
    assert claimed(db) == ["0", "1", "2"]


def test_the_order_of_a_lane_is_changed_and_kept(db: Database) -> None:
    for ident in ("a", "b", "c", "d"):
        add(db, ident)
    add(db, "other", Lane.GPU)
    jobs.move(db, "d", "b")
    jobs.move(db, "a", None)
    assert [job.id for job in jobs.queued(db) if job.lane is Lane.DATA] == ["d", "b", "c", "a"]
    with pytest.raises(AppError) as caught:
        jobs.move(db, "a", "other")
    assert caught.value.code == "other_lane"
    assert jobs.claim_next(db).id == "d"  # type: ignore[union-attr]
    # What began meanwhile is no longer in the queue; moving it, or in front of it, changes nothing for the others.
    jobs.move(db, "d", "b")
    jobs.move(db, "c", "d")
    assert [job.id for job in jobs.queued(db) if job.lane is Lane.DATA] == ["b", "a", "c"]


def test_a_new_job_is_the_last_of_its_lane_and_so_is_a_resumed_one(db: Database) -> None:
    add(db, "a")
    add(db, "b")
    jobs.set_state(db, "a", JobState.PAUSED)
    with db.conn:
        db.execute("update jobs set resumable = 1")
    jobs.requeue(db, "a")
    add(db, "c")
    assert [job.id for job in jobs.queued(db)] == ["b", "a", "c"]


def test_a_job_waits_for_others_whatever_their_lane(db: Database) -> None:
    add(db, "import")
    add(db, "train", Lane.GPU)
    add(db, "report", Lane.INDEX, "import", "train")
    assert claimed(db) == ["import", "train"]
    end(db, "import")
    assert jobs.fail_waiting(db) == []
    assert claimed(db) == []
    end(db, "train", JobState.INTERRUPTED)
    assert jobs.fail_waiting(db) == []
    assert claimed(db) == []
    end(db, "train")
    assert claimed(db) == ["report"]


@pytest.mark.parametrize(
    ("state", "words"),
    [(JobState.FAILED, "“one”, which this job was waiting for, failed."), (JobState.CANCELLED, "stopped")],
)
def test_a_wait_that_can_not_end_is_named_down_the_chain(db: Database, state: JobState, words: str) -> None:
    add(db, "one")
    add(db, "two", Lane.GPU, "one")
    add(db, "three", Lane.DATA, "two")
    assert claimed(db) == ["one"]
    end(db, "one", state)
    assert {job.id for job in jobs.fail_waiting(db)} == {"two", "three"}
    two = jobs.get(db, "two")
    assert two.status is JobState.FAILED
    assert two.error is not None
    assert words in two.error.message
    assert two.error.hint
    assert two.can_resume
    end(db, "one")
    jobs.requeue(db, "two")
    jobs.requeue(db, "three")
    assert jobs.get(db, "two").error is None
    assert claimed(db) == ["two"]
    end(db, "two")
    assert claimed(db) == ["three"]


def test_a_deleted_job_is_not_waited_for_for_ever(db: Database) -> None:
    add(db, "one")
    add(db, "two", Lane.GPU, "one")
    with db.conn:
        db.execute("update jobs set deleted_at = 'now' where id = 'one'")
    assert {job.id for job in jobs.fail_waiting(db)} == {"two"}


def test_jobs_can_not_wait_for_each_other(db: Database) -> None:
    for waited in ("one", "two"):
        with pytest.raises(AppError, match="no job"):
            add(db, "one", Lane.DATA, waited)
    assert jobs.queued(db) == []


def test_a_worker_gets_what_its_lane_allows(workspace: Workspace) -> None:
    JOB_KINDS.register("probe", "tests.plugins.probe_job:PROBE")
    db = connect(workspace.db_path)
    job = jobs.claim_next(db, jobs.create(db, "probe", "Probe", {}).id)
    assert job is not None
    found = run_to_end(db, workspace, job).result
    allowance = ALLOWANCES[Lane.INDEX]
    assert found["threads"] == dict.fromkeys(THREAD_VARIABLES, str(allowance.threads))
    assert found["nice"] == psutil.Process().nice() + allowance.nice


def test_a_job_over_its_memory_is_ended_and_says_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.workers import session

    monkeypatch.setitem(session.ALLOWANCES, Lane.INDEX, _Small())
    JOB_KINDS.register("probe", "tests.plugins.probe_job:PROBE")
    db = connect(workspace.db_path)
    job = jobs.claim_next(db, jobs.create(db, "probe", "Probe", {"until_stopped": True}).id)
    assert job is not None
    ended = run_to_end(db, workspace, job)
    assert ended.status is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "too_much_memory"
    assert "GB" in ended.error.message


class _Small:
    nice, memory_bytes = 0, 1

    def environment(self) -> dict[str, str]:
        return {}


def test_the_table_fits_this_machine() -> None:
    for allowance in ALLOWANCES.values():
        assert 0 <= allowance.threads <= (psutil.cpu_count() or 1)
        assert 0 <= allowance.memory_bytes <= max(1 << 30, psutil.virtual_memory().total)
