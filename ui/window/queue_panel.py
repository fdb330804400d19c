"""The queued jobs, lane by lane, above the tray: reorder by drag or Alt+Up and Alt+Down, take one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtGui import QDropEvent, QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListWidget, QListWidgetItem, QVBoxLayout, QWidget
from sqlite_utils import Database

from app.services import Services
from core import jobs
from core.events import Changed
from core.jobs import Job
from core.lanes import Lane
from ui.theme import theme
from ui.widgets.basic import Button, label, plain_tip, row

LANE_WORDS = {
    Lane.GPU: "Training", Lane.DATA: "Data", Lane.NETWORK: "Network", Lane.QUESTION: "Questions", Lane.INDEX: "Index",
}  # fmt: skip
ID_ROLE = Qt.ItemDataRole.UserRole
ROWS_SHOWN = 6


def waiting_text(job: Job, titles: Mapping[str, str]) -> str:
    """The job's title, and what it waits for beside its turn."""
    waits = [f"“{titles[other]}”" for other in job.waits_for if other in titles]
    return f"{job.title} · waits for {' and '.join(waits)}" if waits else job.title


class LaneList(QListWidget):
    """The queued jobs of one lane. `moved(job_id, before | None)`, `removed(job_id)`, `entered()` with the focus."""

    moved = Signal(str, object)
    removed = Signal(str)
    entered = Signal()

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self.setObjectName(f"queue_{lane}")
        self.setAccessibleName(f"{LANE_WORDS[lane]}: waiting jobs, in order")
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)

    def show_jobs(self, found: Sequence[Job], titles: Mapping[str, str]) -> None:
        """Show these, keeping the current one."""
        shown = [(job.id, waiting_text(job, titles)) for job in found]
        if shown == [(str(item.data(ID_ROLE)), item.text()) for item in map(self.item, range(self.count()))]:
            # A row that is being dragged must not be taken away by news of other jobs.
            return
        current = self.current_id()
        self.clear()
        for job in found:
            item = QListWidgetItem(waiting_text(job, titles))
            item.setToolTip(plain_tip(item.text()))
            item.setData(ID_ROLE, job.id)
            self.addItem(item)
            if job.id == current:
                self.setCurrentItem(item)
        if self.currentItem() is None and self.count():
            self.setCurrentRow(0)
        height = self.sizeHintForRow(0) if self.count() else 0
        self.setFixedHeight(min(ROWS_SHOWN, self.count()) * height + 2 * self.frameWidth() + theme().sizes.half)

    def ids(self) -> list[str]:
        """The jobs in the order shown."""
        return [str(self.item(place).data(ID_ROLE)) for place in range(self.count())]

    def current_id(self) -> str:
        """The current job's id, empty if there is none."""
        item = self.currentItem()
        return str(item.data(ID_ROLE)) if item is not None else ""

    def move_current(self, by: int) -> None:
        """One place up (-1) or down (1)."""
        ids, job_id = self.ids(), self.current_id()
        target = ids.index(job_id) + by if job_id in ids else -1
        if not 0 <= target < len(ids):
            return
        ids.remove(job_id)
        ids.insert(target, job_id)
        self.moved.emit(job_id, ids[target + 1] if target + 1 < len(ids) else None)

    def dropEvent(self, event: QDropEvent) -> None:
        before = self.ids()
        super().dropEvent(event)
        self.report_move(before)

    def report_move(self, before: Sequence[str]) -> None:
        """Tell where the current row is now, if the order is not the one `before`."""
        job_id, after = self.current_id(), self.ids()
        if job_id in after and after != list(before):
            place = after.index(job_id) + 1
            self.moved.emit(job_id, after[place] if place < len(after) else None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.entered.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
        if alt and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.move_current(-1 if event.key() == Qt.Key.Key_Up else 1)
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self.current_id():
            self.removed.emit(self.current_id())
        else:
            super().keyPressEvent(event)


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
