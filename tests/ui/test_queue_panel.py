"""The queued jobs above the tray: order by keyboard and drag, removal, what waits for what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs
from core.events import Changed
from core.jobs import JobState
from core.lanes import Lane
from tests.support.pages import find, settle
from ui.window.main_window import MainWindow
from ui.window.queue_panel import QueuePanel

SECOND, THIRD, FOURTH = "second", "third", "fourth"


@pytest.fixture
def panel(qtbot: QtBot, services: Services, window: MainWindow, tiny_jobs: None) -> Iterator[QueuePanel]:
    """One job runs, three wait in its lane, one waits for one of them in another."""
    services.queue.submit("tiny", "First", {"mode": "loop"}, "first")
    for name in (SECOND, THIRD, FOURTH):
        services.queue.submit("tiny", name.capitalize(), {}, name)
    services.queue.submit("tiny_gpu", "Train on it", {}, "train", [SECOND])
    button = window.tray.findChild(QPushButton, "tray_waiting")
    qtbot.waitUntil(lambda: "first" in window.tray.lines and button.text() == "4 waiting")
    qtbot.mouseClick(find(window.tray, QPushButton, "tray_waiting"), Qt.MouseButton.LeftButton)
    shown = window.tray.panel
    qtbot.waitUntil(shown.isVisible)
    yield shown
    shown.close()
    for name in ("train", FOURTH, THIRD, SECOND, "first"):
        services.queue.stop(name)
    qtbot.waitUntil(lambda: not jobs.queued(services.connections.db) and not services.queue.busy)


def order(services: Services) -> list[str]:
    return [job.id for job in jobs.queued(services.connections.db) if job.lane is Lane.DATA]


def test_every_lane_is_shown_in_order_with_what_it_waits_for(panel: QueuePanel) -> None:
    assert [panel.lists[Lane.DATA].item(n).text() for n in range(3)] == ["Second", "Third", "Fourth"]
    assert panel.lists[Lane.GPU].item(0).text() == "Train on it · waits for “Second”"
    assert not panel.lists[Lane.NETWORK].isVisible()


def test_alt_and_arrows_move_a_job(qtbot: QtBot, panel: QueuePanel, services: Services) -> None:
    listed = panel.lists[Lane.DATA]
    listed.setCurrentRow(2)
    qtbot.keyClick(listed, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: order(services) == [SECOND, FOURTH, THIRD])
    qtbot.waitUntil(lambda: listed.ids() == [SECOND, FOURTH, THIRD])
    assert listed.current_id() == FOURTH
    qtbot.keyClick(listed, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: listed.ids() == [FOURTH, SECOND, THIRD])
    qtbot.keyClick(listed, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: order(services) == [SECOND, FOURTH, THIRD])


def test_news_of_other_jobs_leaves_the_rows_alone(
    qtbot: QtBot, panel: QueuePanel, services: Services, window: MainWindow
) -> None:
    listed = panel.lists[Lane.DATA]
    listed.item(1).setData(Qt.ItemDataRole.WhatsThisRole, "held by the pointer")
    services.hub.announce(Changed.JOBS)
    settle(qtbot, window)
    assert listed.item(1).data(Qt.ItemDataRole.WhatsThisRole) == "held by the pointer"


def test_a_drag_moves_a_job(qtbot: QtBot, panel: QueuePanel, services: Services) -> None:
    listed = panel.lists[Lane.DATA]
    start, end = (listed.visualItemRect(listed.item(place)).center() for place in (0, 2))
    QTest.mousePress(listed.viewport(), Qt.MouseButton.LeftButton, pos=start)
    for place in (start + QPoint(0, 20), end):
        QTest.mouseMove(listed.viewport(), place)
    QTest.mouseRelease(listed.viewport(), Qt.MouseButton.LeftButton, pos=end)
    qtbot.waitUntil(lambda: order(services) == [THIRD, FOURTH, SECOND])


def test_a_job_is_taken_out_of_the_queue(qtbot: QtBot, panel: QueuePanel, services: Services) -> None:
    listed = panel.lists[Lane.DATA]
    listed.setCurrentRow(1)
    qtbot.keyClick(listed, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: order(services) == [SECOND, FOURTH])
    assert jobs.get(services.connections.db, THIRD).status is JobState.CANCELLED
    qtbot.waitUntil(lambda: listed.ids() == [SECOND, FOURTH])
    row = listed.visualItemRect(listed.item(0)).center()
    qtbot.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=row)
    qtbot.mouseClick(find(panel, QPushButton, "queue_remove"), Qt.MouseButton.LeftButton)
    # What waited for it can't wait any longer, and says so.
    qtbot.waitUntil(lambda: jobs.get(services.connections.db, "train").status is JobState.FAILED)
    error = jobs.get(services.connections.db, "train").error
    assert error is not None
    assert error.message == "“Second”, which this job was waiting for, was stopped."


def test_it_closes_when_nothing_waits_any_more(qtbot: QtBot, panel: QueuePanel, services: Services) -> None:
    services.queue.stop("first")
    qtbot.waitUntil(lambda: not panel.isVisible())
    assert not jobs.queued(services.connections.db)
