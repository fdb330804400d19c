"""The queue with real worker processes: done, failed, stopped, killed, frozen, paused, silent."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.changes import ChangeHub
from app.jobs import process
from app.jobs.queue import JobQueue
from app.jobs.tasks import TaskRunner
from core import jobs
from core.db.connection import Connections, connect
from core.events import Changed
from core.jobs import UNDER_WAY, Job, JobState
from core.workers.session import JobSession
from core.workspace.paths import Workspace

pytestmark = pytest.mark.usefixtures("tiny_jobs")


class House:
    """A queue with what it needs, and what it said."""

    def __init__(self, workspace: Workspace, grace_ms: int, silence_s: float) -> None:
        self.workspace = workspace
        self.connections = Connections(workspace.db_path)
        self.tasks = TaskRunner(on_thread_exit=self.connections.close_current)
        self.hub = ChangeHub()
        self.queue = JobQueue(workspace, self.connections, self.tasks, self.hub, grace_ms=grace_ms, silence_s=silence_s)
        self.finished: dict[str, Job] = {}
        self.states: list[tuple[str, str]] = []
        self.progress: list[tuple[Any, ...]] = []
        self.changes: list[Changed] = []
        self.queue.finished.connect(lambda job: self.finished.__setitem__(job.id, job))
        self.queue.job_changed.connect(lambda job: self.states.append((job.id, str(job.status))))
        self.queue.progress.connect(lambda *args: self.progress.append(args))
        self.hub.changed.connect(self.changes.append)

    def rows(self, job_id: str) -> int:
        db = connect(self.workspace.db_path, read_only=True)
        try:
            sql = "select count(*) from settings where key like ?"
            return int(db.execute(sql, [f"tick/{job_id}/%"]).fetchone()[0])
        finally:
            db.close()

    def job(self, job_id: str) -> Job:
        db = connect(self.workspace.db_path, read_only=True)
        try:
            return jobs.get(db, job_id)
        finally:
            db.close()


Make = Callable[..., House]


@pytest.fixture
def make(qtbot: QtBot, workspace: Workspace) -> Iterator[Make]:
    made: list[House] = []

    def build(grace_ms: int = 4000, silence_s: float = 60.0) -> House:
        house = House(workspace, grace_ms, silence_s)
        house.queue.start()
        made.append(house)
        return house

    yield build
    for house in made:
        if house.queue.busy:
            with qtbot.waitSignal(house.queue.idle):
                house.queue.shutdown()
        house.tasks.shutdown()
        house.connections.close_current()


def wait_finished(qtbot: QtBot, house: House, *ids: str) -> None:
    qtbot.waitUntil(lambda: all(i in house.finished for i in ids))


def wait_running(qtbot: QtBot, house: House, ident: str) -> int:
    qtbot.waitUntil(lambda: any(args[0] == ident for args in house.progress))
    return house.queue.pid(ident)


def test_a_job_runs_to_its_end_and_its_rows_are_there(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Tiny", {"n": 40}, "a")
    wait_finished(qtbot, house, "a")
    job = house.finished["a"]
    assert job.status == JobState.COMPLETED
    assert job.result == {"in": 40, "used": 40, "rejected": 0, "cut": 0}
    assert house.rows("a") == 40
    assert house.progress[-1][:4] == ("a", 40, 40, "tick 40")
    assert any(Changed.SETTINGS in what for what in house.changes)
    assert [state for ident, state in house.states] == ["queued", "initializing", "completed"]
    qtbot.waitUntil(lambda: not house.queue.busy)


def test_a_worker_that_has_reported_its_end_leaves_whatever_threads_there_are(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Tiny", {"mode": "linger"}, "a")
    wait_finished(qtbot, house, "a")
    assert house.finished["a"].status == JobState.COMPLETED
    qtbot.waitUntil(lambda: not house.queue.busy)


@pytest.mark.parametrize(("mode", "code"), [("fail", "tiny_failed"), ("bug", "internal_error")])
def test_a_failure_keeps_what_was_reported(qtbot: QtBot, make: Make, mode: str, code: str) -> None:
    house = make()
    house.queue.submit("tiny", "Tiny", {"mode": mode}, "a")
    wait_finished(qtbot, house, "a")
    job = house.finished["a"]
    assert job.status == JobState.FAILED
    assert job.error is not None
    assert job.error.code == code
    assert house.rows("a") == 3


def test_stop_is_cancelled_and_never_failed(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Tiny", {"mode": "loop"}, "a")
    wait_running(qtbot, house, "a")
    house.queue.stop("a")
    wait_finished(qtbot, house, "a")
    assert house.finished["a"].status == JobState.CANCELLED
    assert house.finished["a"].error is None
    assert house.rows("a") == 3


def test_stop_after_pause_is_a_stop_and_said_once(qtbot: QtBot, make: Make) -> None:
    house = make()
    ends: list[str] = []
    house.queue.finished.connect(lambda job: ends.append(job.id))
    house.queue.submit("tiny", "Tiny", {"mode": "loop"}, "a")
    house.queue.submit("tiny", "Waits", {}, "b")
    wait_running(qtbot, house, "a")
    for _ in range(2):
        house.queue.stop("b")
    wait_finished(qtbot, house, "b")
    house.queue.pause("a")
    house.queue.stop("a")
    wait_finished(qtbot, house, "a")
    assert house.finished["a"].status == JobState.CANCELLED
    assert ends == ["b", "a"]


def test_stop_before_the_worker_runs(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Tiny", {"mode": "loop"}, "a")
    qtbot.waitUntil(lambda: bool(house.queue.running()))
    house.queue.stop("a")
    wait_finished(qtbot, house, "a")
    assert house.finished["a"].status == JobState.CANCELLED


def test_stop_between_queued_and_claimed(qtbot: QtBot, make: Make) -> None:
    house = make()
    qtbot.waitUntil(lambda: not house.queue.busy)
    db = connect(house.workspace.db_path)
    job = jobs.create(db, "tiny", "Tiny", {"mode": "loop"})
    db.close()
    house.queue.kick()
    house.queue.stop(job.id)
    qtbot.waitUntil(lambda: job.id in house.finished)
    assert house.job(job.id).status == JobState.CANCELLED


def test_a_killed_worker_is_failed_with_the_reason(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Tiny", {"mode": "loop"}, "a")
    os.kill(wait_running(qtbot, house, "a"), signal.SIGKILL)
    wait_finished(qtbot, house, "a")
    job = house.finished["a"]
    assert job.status == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "worker_crashed"
    assert "signal 9" in job.error.message
    assert house.rows("a") == 3


def test_a_killed_resumable_worker_is_interrupted_and_resumes(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny_gpu", "Tiny", {"mode": "loop"}, "a")
    os.kill(wait_running(qtbot, house, "a"), signal.SIGKILL)
    wait_finished(qtbot, house, "a")
    assert house.finished.pop("a").status == JobState.INTERRUPTED
    house.progress.clear()
    house.queue.resume("a")
    wait_running(qtbot, house, "a")
    house.queue.pause("a")
    wait_finished(qtbot, house, "a")
    assert house.finished["a"].status == JobState.PAUSED


def test_a_frozen_worker_is_forced_after_the_grace(qtbot: QtBot, make: Make) -> None:
    house = make(grace_ms=400)
    house.queue.submit("tiny", "Tiny", {"mode": "loop"}, "a")
    os.kill(wait_running(qtbot, house, "a"), signal.SIGSTOP)
    house.queue.stop("a")
    wait_finished(qtbot, house, "a")
    assert house.finished["a"].status == JobState.CANCELLED


def test_a_deaf_worker_is_forced_too(qtbot: QtBot, make: Make) -> None:
    house = make(grace_ms=400)
    house.queue.submit("tiny", "Tiny", {"mode": "deaf"}, "a")
    wait_running(qtbot, house, "a")
    house.queue.stop("a")
    wait_finished(qtbot, house, "a")
    assert house.finished["a"].status == JobState.CANCELLED


def test_a_silent_worker_is_ended_with_a_clear_error(qtbot: QtBot, make: Make) -> None:
    house = make(silence_s=1.0)
    house.queue.submit("tiny", "Tiny", {"mode": "loop"}, "a")
    os.kill(wait_running(qtbot, house, "a"), signal.SIGSTOP)
    wait_finished(qtbot, house, "a")
    job = house.finished["a"]
    assert job.status == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "worker_silent"


def test_one_gpu_job_and_one_other_at_a_time(qtbot: QtBot, make: Make) -> None:
    house = make()
    for ident, kind in (("g1", "tiny_gpu"), ("g2", "tiny_gpu"), ("d1", "tiny"), ("d2", "tiny")):
        house.queue.submit(kind, ident, {"mode": "loop"}, ident)
    wait_running(qtbot, house, "g1")
    wait_running(qtbot, house, "d1")
    assert {job.id for job in house.queue.running()} == {"g1", "d1"}
    house.queue.stop("g1")
    wait_running(qtbot, house, "g2")
    assert {job.id for job in house.queue.running()} == {"g2", "d1"}
    house.queue.stop("d2")
    wait_finished(qtbot, house, "d2")
    assert house.job("d2").status == JobState.CANCELLED


def test_shutdown_interrupts_in_order_and_leaves_the_queue_alone(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny_gpu", "Running", {"mode": "loop"}, "a")
    house.queue.submit("tiny_gpu", "Waiting", {"mode": "done"}, "b")
    wait_running(qtbot, house, "a")
    with qtbot.waitSignal(house.queue.idle):
        house.queue.shutdown()
    assert house.job("a").status == JobState.INTERRUPTED
    assert house.job("a").can_resume
    assert house.job("b").status == JobState.QUEUED


def test_a_bug_in_apply_ends_the_job_and_the_queue_goes_on(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Poison", {"mode": "poison"}, "a")
    house.queue.submit("tiny", "Next", {}, "b")
    wait_finished(qtbot, house, "a", "b")
    job = house.finished["a"]
    assert job.status == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "internal_error"
    assert house.finished["b"].status == JobState.COMPLETED


def test_a_full_disk_at_the_end_is_said_and_the_queue_goes_on_when_there_is_room(
    qtbot: QtBot, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "RETRY_MS", 50)
    house = make()
    said: list[Any] = []
    house.queue.failed.connect(lambda exc: said.append(exc))
    finish, room, tries = JobSession.finish, [False], [0]

    def full(self: JobSession, *args: Any) -> Changed:
        tries[0] += 1
        if not room[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return finish(self, *args)

    monkeypatch.setattr(JobSession, "finish", full)
    house.queue.submit("tiny", "Tiny", {"ticks": 3}, "a")
    house.queue.submit("tiny", "Tiny", {"ticks": 3}, "b")
    qtbot.waitUntil(lambda: bool(said))
    assert [error.code for error in said] == ["disk_full"]
    qtbot.waitUntil(lambda: tries[0] >= 4)
    assert "a" not in house.finished
    room[0] = True
    wait_finished(qtbot, house, "b")
    assert [house.job(ident).status for ident in "ab"] == [JobState.COMPLETED] * 2
    assert len(said) == 1


def test_closing_does_not_wait_for_room_on_the_disk(qtbot: QtBot, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    house = make()

    def full(self: JobSession, *args: Any) -> Changed:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(JobSession, "finish", full)
    house.queue.submit("tiny", "Tiny", {"ticks": 3}, "a")
    qtbot.waitSignal(house.queue.failed).wait()
    with qtbot.waitSignal(house.queue.idle):
        house.queue.shutdown()
    assert house.job("a").status in UNDER_WAY


def test_an_unknown_kind_is_said_not_swallowed(qtbot: QtBot, make: Make) -> None:
    house = make()
    with qtbot.waitSignal(house.queue.failed) as heard:
        house.queue.submit("no_such", "What", {}, "a")
    assert heard.args[0].code == "unknown_job_kind"


def test_many_reports_are_gathered_for_the_window(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Many", {"n": 3000}, "a")
    wait_finished(qtbot, house, "a")
    assert house.rows("a") == 3000
    assert len(house.progress) < 3000 / 2


def test_the_log_of_the_worker_is_kept_beside_the_run(qtbot: QtBot, make: Make) -> None:
    house = make()
    house.queue.submit("tiny", "Tiny", {"mode": "bug"}, "a")
    wait_finished(qtbot, house, "a")
    log: Path = house.workspace.runs / "a" / "worker.log"
    assert "ValueError" in log.read_text()
