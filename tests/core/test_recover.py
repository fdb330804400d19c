"""What the next start makes of jobs that were under way: states, events, and one that can't be recovered."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
from typing import Any

import pytest

from app.opening import settle
from core import jobs
from core.cancel import CancelToken
from core.db.connection import explain, new_id
from core.errors import AppError
from core.jobs import Job, JobState
from core.workers import protocol
from core.workers.runner import run_to_end
from core.workers.session import JobSession, prepare_run, recover, run_folder, worker_environment
from core.workspace.files import read_json, write_json
from core.workspace.paths import source_root
from tests.core.factories import Place


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
    assert [found.status for found in recover(here.db, here.workspace).jobs] == [JobState.COMPLETED]
    assert jobs.get(here.db, job.id).result == {"in": 1, "rejected": 1}
    assert here.db.execute("select count(*) from import_items").fetchone()[0] == 1


def test_the_end_of_an_earlier_attempt_is_not_that_of_a_later_one(here: Place) -> None:
    job = under_way(here, "import", {"files": []})
    log(here, job, ("item", ITEM), ("stopped", {"reason": "user"}), ("item", ITEM))
    assert [found.status for found in recover(here.db, here.workspace).jobs] == [JobState.INTERRUPTED]


def test_a_resumed_worker_that_dies_at_once_is_not_taken_for_the_stop_before(here: Place) -> None:
    job = under_way(here, "import", {"files": []})
    events = log(here, job, ("item", ITEM), ("stopped", {"reason": "user"}))
    session = JobSession(here.workspace, job)
    session.apply(here.db, events)
    session.finish(here.db, "exit code 3")
    assert jobs.get(here.db, job.id).status == JobState.CANCELLED
    again = jobs.claim_next(here.db, jobs.requeue(here.db, job.id).id)
    assert again is not None
    session = JobSession(here.workspace, again)
    session.begin(here.db)
    session.finish(here.db, "signal 9")
    ended = jobs.get(here.db, job.id)
    assert ended.status == JobState.INTERRUPTED
    assert ended.error is not None
    assert ended.error.code == "worker_crashed"


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
    assert recover(here.db, here.workspace).jobs == []
    assert jobs.claim_next(here.db, jobs.create(here.db, "import", "Next", {"files": []}).id) is not None


def test_what_is_no_bug_is_said_without_a_traceback(
    here: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for patched, traced in ((full, False), (lambda *_: 1 // 0, True)):
        jobs.set_state(here.db, jobs.create(here.db, "import", "Import", {"files": []}).id, JobState.RUNNING)
        caplog.clear()
        with monkeypatch.context() as patch:
            patch.setattr(JobSession, "finish", patched)
            recover(here.db, here.workspace)
        (record,) = caplog.records
        assert bool(record.exc_info) is traced


def test_what_a_job_that_ended_had_logged_is_written_before_its_files_are_swept(here: Place) -> None:
    """The worker was killed between writing an event and sending it; the job was ended as interrupted."""
    job = jobs.create(here.db, "import", "Import", {"files": []})
    ident = new_id()
    folder = here.workspace.conversations / ident
    folder.mkdir(parents=True)
    (folder / "parsed.json").write_text("{}")
    row = {
        "id": ident, "title": "Logged", "status": "draft", "turn_count": 2, "content_hash": "h", "source_path": "a",
        "file_path": f"conversations/{ident}/parsed.json", "import_notes": [], "source_ids": {}, "persona_key": None,
        "emotional_arc_key": None, "training_topic_key": None,
    }  # fmt: skip
    log(here, job, ("conversation", {"row": row, "file": "a", "line": 0, "number": 1}))
    jobs.set_state(here.db, job.id, JobState.INTERRUPTED)
    settle(here.db, here.workspace)
    assert folder.exists()
    assert here.db.execute("select title from conversations").fetchone()[0] == "Logged"
    assert jobs.get(here.db, job.id).status == JobState.INTERRUPTED


def test_nothing_is_swept_while_a_log_can_not_be_applied(here: Place) -> None:
    job = jobs.create(here.db, "import", "Import", {"files": []})
    folder = here.workspace.conversations / new_id()
    folder.mkdir(parents=True)
    log(here, job, ("conversation", {"row": {"id": folder.name}}))
    jobs.set_state(here.db, job.id, JobState.FAILED)
    settle(here.db, here.workspace)
    assert folder.exists()


def test_finishing_writes_what_was_logged_and_never_reached_the_window(here: Place) -> None:
    job = under_way(here, "import", {"files": []})
    log(here, job, ("item", ITEM), ("done", {"result": {"in": 1}}))
    session = JobSession(here.workspace, job)
    session.finish(here.db, "signal 9")
    assert jobs.get(here.db, job.id).status == JobState.COMPLETED
    assert here.db.execute("select count(*) from import_items").fetchone()[0] == 1


def test_a_stop_that_had_to_be_forced_is_still_a_stop(here: Place) -> None:
    job = under_way(here, "import", {"files": []})
    log(here, job, ("item", ITEM))
    session = JobSession(here.workspace, job)
    session.final = {"type": "stopped", "reason": "user"}
    session.finish(here.db, "signal 9")
    assert jobs.get(here.db, job.id).status == JobState.CANCELLED


def test_a_worker_killed_right_behind_its_own_end_leaves_none_for_the_next_attempt(here: Place) -> None:
    job = under_way(here, "import", {"files": []})
    session = JobSession(here.workspace, job)
    session.apply(here.db, log(here, job, ("item", ITEM)))
    log(here, job, ("stopped", {"reason": "user"}))
    session.final = {"type": "stopped", "reason": "user"}
    session.finish(here.db, "signal 9")
    assert jobs.get(here.db, job.id).status == JobState.CANCELLED
    again = jobs.claim_next(here.db, jobs.requeue(here.db, job.id).id)
    assert again is not None
    session = JobSession(here.workspace, again)
    session.begin(here.db)
    session.finish(here.db, "signal 9")
    assert jobs.get(here.db, job.id).status == JobState.INTERRUPTED


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (sqlite3.OperationalError("database or disk is full"), "disk_full"),
        (sqlite3.DatabaseError("database disk image is malformed"), "database_error"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError(errno.EROFS, "Read-only file system"), "file_error"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "file_error"),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), "internal_error"),
        (sqlite3.OperationalError("no such column: x"), "internal_error"),
        (KeyError("x"), "internal_error"),
        (AppError("mine", "Mine"), "mine"),
    ],
)
def test_what_is_no_bug_is_not_called_one(exc: Exception, code: str) -> None:
    assert explain(exc).code == code


def test_a_worker_that_hears_nothing_is_ended_after_the_grace(here: Place, tiny_jobs: None) -> None:
    token = CancelToken()
    job = under_way(here, "tiny", {"mode": "deaf"})
    ended = run_to_end(
        here.db, here.workspace, job, token=token, grace_s=0.5,
        listen=lambda event: token.cancel() if event["type"] == "tick" else None,
    )  # fmt: skip
    assert ended.status == JobState.CANCELLED


def test_a_worker_without_its_parent_leaves_even_if_it_hears_nothing(here: Place, tiny_jobs: None) -> None:
    job = under_way(here, "tiny", {"mode": "deaf"})
    command = prepare_run(here.workspace, job)
    spec = run_folder(here.workspace, job.id) / "spec.json"
    write_json(spec, {**read_json(spec), "orphan_s": 0.5})
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=worker_environment(), cwd=source_root()
    )
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 3
