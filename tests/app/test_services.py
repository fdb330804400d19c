"""Reads, writes, jobs and what is announced of them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence

import pytest
import shiboken6
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.gc_guard import GuiThreadCollector
from app.job_watch import JobWatch
from app.logs import Logs
from app.navigator import Navigator
from app.notify import Notifier
from app.services import Services
from app.system import MacSystem, QuietSystem, this_system
from app.window_state import WindowState
from core.errors import AppError, Cancelled
from core.events import Changed
from core.jobs import Job, JobState
from core.lanes import Lane
from core.workspace import settings


def test_a_write_announces_what_changed_then_answers(qtbot: QtBot, services: Services) -> None:
    seen: list[object] = []
    services.hub.changed.connect(lambda what: seen.append(what))
    owner = QObject()
    services.write(owner, lambda db: (settings.put(db, "x", 1), "made"), seen.append)
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == [Changed.SETTINGS, "made"]
    services.read(owner, lambda db: settings.get(db, "x"), seen.append)
    qtbot.waitUntil(lambda: len(seen) == 3)
    assert seen[2] == 1


def test_a_write_is_announced_even_when_its_page_is_gone(qtbot: QtBot, services: Services) -> None:
    owner, seen = QObject(), []
    gate = threading.Event()
    services.write(services.root, lambda _db: (Changed.NOTHING, gate.wait(5)))
    services.write(owner, lambda db: settings.put(db, "x", 1), lambda _r: seen.append("called"))
    shiboken6.delete(owner)
    with qtbot.waitSignal(services.hub.changed, timeout=3000) as heard:
        gate.set()
    assert heard.args == [Changed.SETTINGS]
    assert seen == []


def test_a_failed_write_goes_to_the_door_with_its_owner(qtbot: QtBot, services: Services) -> None:
    owner = QObject()

    def fail(_db: object) -> Changed:
        raise AppError("x", "It failed.")

    with qtbot.waitSignal(services.notifier.error, timeout=3000) as heard:
        services.write(owner, fail)
    assert heard.args[0].code == "x"
    assert heard.args[1] is owner


@pytest.mark.usefixtures("tiny_jobs")
def test_a_job_started_here_calls_back_with_its_result(qtbot: QtBot, services: Services) -> None:
    seen: list[Job] = []
    job_id = services.start_job("tiny", "Tiny", {"n": 2}, seen.append)
    qtbot.waitUntil(lambda: bool(seen), timeout=20_000)
    assert seen[0].id == job_id
    assert seen[0].status == JobState.COMPLETED


def test_the_notifier_says_kindly_or_as_a_bug_or_nothing(qtbot: QtBot) -> None:
    notifier, errors, bugs = Notifier(), [], []
    notifier.error.connect(lambda error, owner: errors.append((error.code, owner)))
    notifier.bug.connect(bugs.append)
    notifier.report(Cancelled())
    notifier.report(AppError("x", "It failed."), "home")
    notifier.report(KeyError("oops"))
    assert errors == [("x", "home")]
    assert "KeyError" in bugs[0].detail


def test_undo_takes_back_the_newest_once(qtbot: QtBot) -> None:
    notifier, undone, toasts = Notifier(), [], []
    notifier.toast.connect(lambda text, entry: toasts.append(entry))
    notifier.say("one", lambda: undone.append(1))
    notifier.say("two", lambda: undone.append(2))
    notifier.say("no undo")
    assert toasts[2] is None
    assert notifier.take_back(toasts[0])
    assert not notifier.take_back(toasts[0])
    assert notifier.take_back()
    assert not notifier.take_back()
    assert undone == [1, 2]


def test_actions_of_errors_are_followed(qtbot: QtBot) -> None:
    navigator, seen = Navigator(), []
    navigator.page_requested.connect(lambda name, argument: seen.append((name, argument)))
    navigator.command_requested.connect(seen.append)
    assert navigator.follow("page:training/abc")
    assert navigator.follow("page:home")
    assert navigator.follow("command:trash")
    assert not navigator.follow("")
    assert seen == [("training", "abc"), ("home", None), "trash"]


def test_the_mac_is_told_of_what_ended_while_nobody_looks(qtbot: QtBot, services: Services) -> None:
    started: list[Sequence[str]] = []
    mac = MacSystem(started.append)
    watch = JobWatch(services.queue, mac, lambda: False, services.root)
    services.queue.job_changed.emit(_job(JobState.RUNNING))
    assert started == []
    services.queue.finished.emit(_job(JobState.COMPLETED))
    assert started[0][-2:] == ["Bright Run", "Job “x”: done."]
    assert watch.parent() is services.root


def test_a_mac_without_the_tools_goes_on(qtbot: QtBot) -> None:
    def launch(_command: Sequence[str]) -> None:
        raise FileNotFoundError("no osascript")

    MacSystem(launch).notify("a", "b")
    assert isinstance(this_system(), MacSystem | QuietSystem)


def _job(state: JobState) -> Job:
    return Job(
        id="j", kind="tiny", title="Job “x”", status=state, lane=Lane.DATA, waits_for=(), resumable=False,
        page="", params={},
        progress=0, done=0, total=0, current_stage="", message="", result={}, error=None, last_seq=0, queued_at="",
        started_at=None, finished_at=None,
    )  # fmt: skip


def test_garbage_is_collected_here_only(qtbot: QtBot) -> None:
    before = gc.isenabled()
    collector = GuiThreadCollector(interval_ms=10)
    assert not gc.isenabled()
    died: list[int] = []

    class Node:
        def __del__(self) -> None:
            died.append(threading.get_ident())

    for _ in range(2000):
        one, two = Node(), Node()
        one.other, two.other = two, one  # type: ignore[attr-defined]
    del one, two
    qtbot.waitUntil(lambda: len(died) >= 3000, timeout=3000)
    assert set(died) == {threading.get_ident()}
    collector.stop()
    assert gc.isenabled() == before


def test_window_state_survives_a_restart_with_its_types(qtbot: QtBot, tmp_path: object) -> None:
    import subprocess
    import sys

    from core.workspace.paths import source_root

    path = f"{tmp_path}/state.ini"
    code = (
        "import sys; from pathlib import Path; from app.window_state import WindowState; from PySide6.QtCore import"
        " QByteArray; s = WindowState(Path(sys.argv[1])); s.put_flag('f', True); s.put_flag('g', False);"
        " s.put_number('n', 1.5); s.put_bytes('b', QByteArray(b'abc'))"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True, cwd=source_root())
    from pathlib import Path

    state = WindowState(Path(path))
    assert (state.flag("f"), state.flag("g"), state.flag("h", True)) == (True, False, True)
    assert state.number("n", 0) == 1.5
    assert bytes(state.bytes("b").data()) == b"abc"
    assert state.bytes("none").isEmpty()


def test_the_ring_keeps_the_newest_and_the_file_the_rest(tmp_path: object) -> None:
    import logging
    from pathlib import Path

    folder = Path(str(tmp_path))
    logs = Logs()
    logs.install()
    try:
        logs.open_file(folder)
        logger = logging.getLogger("tests.ring")
        for number in range(2100):
            logger.info("record %d", number)
        assert len(logs.ring.lines) == 2000
        assert logs.ring.snapshot()[-1][1].endswith("record 2099")
        assert len(logs.ring.snapshot(logs.ring.count - 3)) == 3
        assert logs.ring.snapshot(logs.ring.count) == []
    finally:
        logs.remove()
    assert "record 0\n" in (folder / "brightrun.log").read_text()
