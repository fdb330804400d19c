"""From a click on an adapter's chip to the adapter being the one that answers, in the window, with the real engine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.bootstrap import Application, Options
from benchmarks.stalls import pause
from core.events import Changed
from core.training.config import TrainingConfig
from core.workspace.paths import Workspace
from tests.support.chat import add_adapter
from tests.support.studio import add_practice_model
from tests.support.training import train_adapter

CLICKS = 60


def run(folder: Path) -> dict[str, Any]:
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    app.setQuitOnLastWindowClosed(False)
    application = Application(Options(Workspace(folder / "workspace")))
    assert application.start()
    assert application.session is not None
    services, window = application.session.services, application.session.window
    _until(lambda: not services.queue.busy)
    add_practice_model(services.connections.db)
    names = ("one", "two")
    for name in names:
        config = TrainingConfig(learning_rate=1e-3, batch_size=4, epochs=1, rank=16, alpha=32, dropout=0.0)
        published, _ = train_adapter(folder / name, config, limit=4)
        shutil.copytree(published.folder, services.workspace.adapters / name, dirs_exist_ok=True)
        add_adapter(services.connections.db, services.workspace, name, name.title(), base="practice",
                    path=f"adapters/{name}")  # fmt: skip
    services.hub.announce(Changed.everything())
    window.open_page("chat")
    page: Any = window.current_page
    _until(lambda: page.overview is not None and len(page.chips.keys) == 3)
    for name in names:
        _click(page, name)
        _until(lambda name=name: page.session.prepared.get("adapter") == name)
    pause(0.5)
    seconds = []
    for number in range(CLICKS):
        name = names[number % 2]
        begun = time.perf_counter()
        _click(page, name)
        while page.session.prepared.get("adapter") != name or page.chips.chip(name).property("state") != "active":
            app.processEvents()
        seconds.append(time.perf_counter() - begun)
        pause(0.05)
    seconds.sort()
    application.request_quit()
    _until(lambda: application.session is None)
    application.stop()
    return {
        f"click to active, ms (median of {CLICKS})": f"{seconds[len(seconds) // 2] * 1e3:.1f}",
        f"click to active, ms (95 % of {CLICKS})": f"{seconds[int(0.95 * len(seconds))] * 1e3:.1f}",
    }


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        pause(0.01)


def _click(page: Any, name: str) -> None:
    QTest.mouseClick(page.chips.chip(name), Qt.MouseButton.LeftButton)
