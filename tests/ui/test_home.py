"""Home: what can be resumed is there, and a long name widens no page."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.overview import RECENT, read_overview
from app.services import Services
from core import jobs
from core.jobs import JobState
from ui.widgets.page import Page
from ui.window.main_window import MainWindow


def test_what_can_be_resumed_stays_however_many_come_after_it(services: Services) -> None:
    db = services.connections.db
    paused = jobs.create(db, "import", "Importing a big one", {"files": []})
    jobs.set_state(db, paused.id, JobState.PAUSED)
    for number in range(2 * RECENT):
        later = jobs.create(db, "import", f"Importing {number}", {"files": []})
        jobs.set_state(db, later.id, JobState.COMPLETED)
    shown = read_overview(db).jobs
    assert [job.id for job in shown].count(paused.id) == 1
    assert len(shown) == RECENT + 1


def test_a_long_name_in_the_header_makes_no_page_wider(qtbot: QtBot, services: Services, window: MainWindow) -> None:
    page = Page(services)
    qtbot.addWidget(page)
    page.set_content(QWidget())
    page.set_header("Short", "Line")
    narrow = page.minimumSizeHint().width()
    page.set_header("Anamewithoutanyspace" * 12, "Line")
    assert page.minimumSizeHint().width() == narrow
