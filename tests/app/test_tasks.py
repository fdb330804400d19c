"""Short work: where it runs, who is called back, and who is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import shiboken6
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.jobs.tasks import TaskRunner
from app.jobs.time_left import TimeLeft
from core.errors import AppError, Cancelled


@pytest.fixture
def tasks(qtbot: QtBot) -> Iterator[TaskRunner]:
    runner = TaskRunner()
    yield runner
    runner.shutdown()


def test_work_runs_elsewhere_and_answers_here(qtbot: QtBot, tasks: TaskRunner) -> None:
    owner, seen = QObject(), []
    tasks.run(owner, threading.get_ident, lambda ident: seen.append((ident, threading.get_ident())))
    qtbot.waitUntil(lambda: bool(seen))
    assert seen[0][0] != threading.get_ident()
    assert seen[0][1] == threading.get_ident()


def test_the_serial_lane_is_one_thread_in_order(qtbot: QtBot, tasks: TaskRunner) -> None:
    owner, threads, order, done = QObject(), set(), [], []

    def work(number: int) -> None:
        threads.add(threading.get_ident())
        order.append(number)

    for number in range(200):
        tasks.run(owner, lambda n=number: work(n), lambda _r: done.append(1), serial=True)
    qtbot.waitUntil(lambda: len(done) == 200)
    assert len(threads) == 1
    assert order == list(range(200))


def test_a_deleted_owner_is_not_called_back(qtbot: QtBot, tasks: TaskRunner) -> None:
    gate, owner, other, seen = threading.Event(), QObject(), QObject(), []
    tasks.run(owner, gate.wait, lambda _r: seen.append("gone"), serial=True)
    tasks.run(other, lambda: None, lambda _r: seen.append("there"), serial=True)
    shiboken6.delete(owner)
    gate.set()
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == ["there"]


def test_a_forgotten_question_is_not_answered(qtbot: QtBot, tasks: TaskRunner) -> None:
    gate, owner, seen = threading.Event(), QObject(), []
    handle = tasks.run(owner, gate.wait, lambda _r: seen.append("old"), serial=True)
    tasks.forget(handle)
    tasks.run(owner, lambda: None, lambda _r: seen.append("new"), serial=True)
    gate.set()
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == ["new"]


def test_failures_reach_the_handler_or_the_one_door(qtbot: QtBot, tasks: TaskRunner) -> None:
    owner, seen = QObject(), []

    def fail() -> None:
        raise AppError("x", "It failed.")

    tasks.run(owner, fail, failed=seen.append)
    qtbot.waitUntil(lambda: bool(seen))
    assert seen[0].code == "x"
    with qtbot.waitSignal(tasks.error) as heard:
        tasks.run(owner, fail)
    assert heard.args[0].code == "x"
    assert heard.args[1] is owner


def test_cancelled_work_says_nothing(qtbot: QtBot, tasks: TaskRunner) -> None:
    owner, seen = QObject(), []

    def stop() -> None:
        raise Cancelled

    tasks.error.connect(seen.append)
    tasks.run(owner, stop, seen.append, seen.append, serial=True)
    tasks.run(owner, lambda: 1, lambda _r: seen.append("next"), serial=True)
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == ["next"]


def test_shutdown_lets_queued_writes_end_and_closes_each_thread(qtbot: QtBot) -> None:
    closed, done = [], []
    runner = TaskRunner(on_thread_exit=lambda: closed.append(threading.current_thread().name))
    owner = QObject()
    for number in range(20):
        runner.run(owner, lambda n=number: done.append(n), serial=True)
    assert runner.shutdown()
    assert done == list(range(20))
    assert len(closed) == 4
    assert runner.run(owner, lambda: done.append("late")) > 0
    assert "late" not in done


def test_the_last_reference_to_what_work_caught_dies_here(qtbot: QtBot, tasks: TaskRunner) -> None:
    died: list[int] = []

    class Caught:
        def __del__(self) -> None:
            died.append(threading.get_ident())

    def make() -> None:
        caught = Caught()
        tasks.run(QObject(tasks), lambda: str(caught))

    for _ in range(50):
        make()
    qtbot.waitUntil(lambda: len(died) == 50)
    assert set(died) == {threading.get_ident()}


def test_time_left_follows_the_rate_of_the_stage() -> None:
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    assert left.update(0, 100) is None
    now[0] = 10.0
    assert left.update(20, 100) == pytest.approx(40.0)
    now[0] = 11.0
    assert left.update(1, 10, "second") is None
    now[0] = 13.0
    assert left.update(5, 10, "second") == pytest.approx(2.5)
    assert left.update(5, 0, "second") is None
