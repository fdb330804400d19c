"""The queued jobs, lane by lane, above the tray: reorder by drag or Alt+Up and Alt+Down, take one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from app.services import Services
from core import jobs
from core.db import Database
from core.events import Changed
from core.jobs import Job
from core.lanes import Lane
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.order_list import OrderList

LANE_WORDS = {
    Lane.GPU: "Training", Lane.DATA: "Data", Lane.NETWORK: "Network", Lane.QUESTION: "Questions", Lane.INDEX: "Index",
}  # fmt: skip
ROWS_SHOWN = 6


def waiting_text(job: Job, titles: Mapping[str, str]) -> str:
    """The job's title, and what it waits for beside its turn."""
    waits = [f"“{titles[other]}”" for other in job.waits_for if other in titles]
    return f"{job.title} · waits for {' and '.join(waits)}" if waits else job.title


class LaneList(OrderList):
    """The queued jobs of one lane, by their ids. `entered()` with the focus."""

    entered = Signal()

    def __init__(self, lane: Lane) -> None:
        super().__init__(f"queue_{lane}", f"{LANE_WORDS[lane]}: waiting jobs, in order")

    def show_jobs(self, found: Sequence[Job], titles: Mapping[str, str]) -> None:
        """Show these, keeping the current one."""
        self.show_rows([(job.id, waiting_text(job, titles)) for job in found])
        height = self.sizeHintForRow(0) if self.count() else 0
        self.setFixedHeight(min(ROWS_SHOWN, self.count()) * height + 2 * self.frameWidth() + theme().sizes.half)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.entered.emit()


class QueuePanel(QFrame):
    """A popup; it reads the queue when it opens and whenever jobs change while it is open."""

    def __init__(self, services: Services, anchor: QWidget) -> None:
        super().__init__(anchor, Qt.WindowType.Popup)
        self.setObjectName("queue_panel")
        self.setProperty("role", "card")
        self.setAccessibleName("Waiting jobs")
        self._services, self._anchor = services, anchor
        self._handle: int | None = None
        self._lane = Lane.DATA
        sizes = theme().sizes
        box = QVBoxLayout(self)
        box.setContentsMargins(sizes.grid, sizes.grid, sizes.grid, sizes.grid)
        box.setSpacing(sizes.half)
        self.lists: dict[Lane, LaneList] = {}
        self._sections: dict[Lane, QWidget] = {}
        for lane in Lane:
            box.addWidget(self._section(lane))
        hint = label("Drag to reorder, or press Alt+Up and Alt+Down.", "caption")
        remove = Button("Remove from queue", "ghost", "ph.x", on_click=self._remove, name="queue_remove")
        box.addWidget(row(hint, None, remove))
        self.setFixedWidth(sizes.inspector + sizes.sidebar)
        services.hub.changed.connect(self._on_changed)

    def _section(self, lane: Lane) -> QWidget:
        found = self.lists[lane] = LaneList(lane)
        found.moved.connect(self._services.queue.move)
        found.removed.connect(self._services.queue.stop)
        found.entered.connect(partial(self._enter, lane))
        section = self._sections[lane] = QWidget()
        inside = QVBoxLayout(section)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(2)
        inside.addWidget(label(LANE_WORDS[lane], "group"))
        inside.addWidget(found)
        return section

    def open(self) -> None:
        """Show it above its anchor once the queue was read."""
        self._read(show=True)

    def _read(self, *, show: bool = False) -> None:
        def ask(db: Database) -> tuple[list[Job], dict[str, str]]:
            found = jobs.queued(db)
            return found, jobs.titles(db, {other for job in found for other in job.waits_for})

        def done(answer: tuple[list[Job], dict[str, str]]) -> None:
            self._show(*answer, show)

        self._services.forget(self._handle)
        self._handle = self._services.read(self, ask, done)

    def _show(self, found: Sequence[Job], titles: Mapping[str, str], show: bool) -> None:
        for lane, shown in self.lists.items():
            mine = [job for job in found if job.lane is lane]
            self._sections[lane].setVisible(bool(mine))
            shown.show_jobs(mine, titles)
        if not found:
            self.close()
            return
        self.adjustSize()
        self.move(self._anchor.mapToGlobal(QPoint(self._anchor.width() - self.width(), -self.height())))
        if show and not self.isVisible():
            self.show()
            next(shown for shown in self.lists.values() if shown.count()).setFocus()

    @Slot(object)
    def _on_changed(self, what: Changed) -> None:
        if self.isVisible() and what & Changed.JOBS:
            self._read()

    def _enter(self, lane: Lane) -> None:
        self._lane = lane

    def _remove(self) -> None:
        # The button has the focus by now; meant is the list that had it last.
        if job_id := self.lists[self._lane].current_id():
            self._services.queue.stop(job_id)
