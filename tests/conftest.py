"""Every test has its own data folder; Qt runs offscreen; widgets and threads must not be left behind."""

from __future__ import annotations

import os
from pathlib import Path

# A screen of a usual size: the one that Qt makes up is smaller than the window.
os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={Path(__file__).parent / 'support' / 'screen.json'}"
os.environ["QT_SCALE_FACTOR"] = "1"

import gc
import threading
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
from pytestqt.qtbot import QtBot

from core import memory, registries
from core.db.connection import Connections, open_database
from core.memory import Memory, Pressure
from core.registries import JOB_KINDS
from core.workspace.paths import Workspace
from tests.support import late
from tests.support.patience import PATIENCE_S

PATIENCE_MS = round(1000 * PATIENCE_S)


class PatientBot(QtBot):  # type: ignore[misc]
    """A limit is there to end a test that hangs, never to measure: every wait gets the same long one."""

    def waitUntil(self, callback: Any, *, timeout: int = 0) -> None:
        super().waitUntil(callback, timeout=max(timeout, PATIENCE_MS))

    def waitSignal(self, signal: Any, *, timeout: int = 0, **rest: Any) -> Any:
        return super().waitSignal(signal, timeout=max(timeout, PATIENCE_MS), **rest)

    def mouseClick(self, widget: Any, *args: Any, **rest: Any) -> None:
        # What was shown just now has no place yet, and Qt's click on what is 0 px high does nothing.
        self.waitUntil(lambda: not widget.size().isEmpty())
        super().mouseClick(widget, *args, **rest)

    def waitActive(self, widget: Any, *, timeout: int = 0) -> Any:
        return super().waitActive(widget, timeout=max(timeout, PATIENCE_MS))


def pytest_configure() -> None:
    """What `LATE_MS` asks for."""
    late.install()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A short name for what is long: whole files as names make a report of gigabytes."""
    return (
        f"{argname}-{len(val)}-{crc32(repr(val).encode()):08x}"
        if isinstance(val, (bytes, str)) and len(val) > 60
        else None
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that no worker is left with one of them when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def qtbot(qapp: Any, request: pytest.FixtureRequest) -> PatientBot:
    return PatientBot(request)


@pytest.fixture(autouse=True)
def own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own data is read or written."""
    monkeypatch.setenv("BRIGHTRUN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BRIGHTRUN_MODELS", str(tmp_path / "models"))


@pytest.fixture(autouse=True)
def memory_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing depends on what else this machine has in memory."""
    monkeypatch.setattr(memory, "read", lambda: Memory(1 << 34, 1 << 33, Pressure.NORMAL))


@pytest.fixture(autouse=True)
def same_registries() -> Iterator[None]:
    """What a test registers is gone after it."""
    before = registries.snapshot()
    yield
    registries.restore(before)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a Qt test: no visible window, no thread of ours."""
    if not {"qapp", "qtbot", "services", "window"} & set(request.fixturenames):
        yield
        return
    qapp = request.getfixturevalue("qapp")
    from app.gc_guard import GuiThreadCollector
    from ui.theme import theme

    theme().set_scale(1.0)
    theme().set_mode("light")
    # As in the window: a widget that the collector destroys on another thread takes the process with it.
    collector = GuiThreadCollector()
    yield
    left = [w for w in qapp.topLevelWidgets() if w.isVisible() and w.windowType().name != "ToolTip"]
    for widget in left:
        widget.close()
    threads = [t.name for t in threading.enumerate() if t.name.startswith(("read-", "write-"))]
    gc.collect()
    collector.stop()
    assert not left, f"left open: {left}"
    assert not threads, f"left running: {threads}"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace with its database."""
    made = Workspace(tmp_path / "workspace")
    made.create()
    open_database(made.db_path, made.backups).close()
    return made


@pytest.fixture
def tiny_jobs() -> None:
    """The kinds "tiny" and "tiny_gpu"."""
    JOB_KINDS.register("tiny", "tests.plugins.tiny_job:TINY")
    JOB_KINDS.register("tiny_gpu", "tests.plugins.tiny_job:TINY_GPU")


@pytest.fixture
def services(qtbot: Any, workspace: Workspace, tmp_path: Path) -> Iterator[Any]:
    """Real services over an empty workspace; the queue is started."""
    from app.services import build_services
    from app.window_state import WindowState

    made = build_services(workspace, Connections(workspace.db_path), WindowState(tmp_path / "window.ini"))
    # Until its first look into the table is over, or it would claim what the test queues for itself.
    with qtbot.waitSignal(made.queue.idle, timeout=15_000):
        made.queue.start()
    yield made
    if made.queue.busy:
        with qtbot.waitSignal(made.queue.idle, timeout=15_000):
            made.queue.shutdown()
    made.close()


@pytest.fixture
def window(qtbot: Any, services: Any) -> Iterator[Any]:
    """The main window over `services`, shown."""
    from app.logs import RingHandler
    from ui.window.main_window import MainWindow

    made = MainWindow(services, RingHandler())
    made.show()
    with qtbot.waitActive(made):
        made.activateWindow()
    yield made
    # A dialog whose rows were written while the test looked into the database closes when it hears of it.
    qtbot.waitUntil(lambda: not services.tasks.busy)
    made.hide()
    made.deleteLater()
