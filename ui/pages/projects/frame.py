"""The page's widgets and what they show of the project that is open; `ui.pages.projects.page` says what they do."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QSplitter, QWidget

from app.services import Services
from ui.pages.projects.answers import Answers
from ui.pages.projects.data import Entry, Overview
from ui.pages.projects.left_out import LeftOutCard
from ui.pages.projects.project_list import Line, ProjectList
from ui.pages.projects.search_box import SearchBox
from ui.pages.projects.source import SourcePanel
from ui.pages.projects.summary import LanguageBar, Tiles
from ui.pages.projects.words import folder_words, plain, state_words
from ui.theme import theme
from ui.widgets.basic import Button, column, plain_tip
from ui.widgets.page import Page

SPLITTER = "splitter/project_list"
PURPOSE = "Folders of code that an assistant knows: searched by meaning, words and names, and trained on."


class _Split(QSplitter):
    """`resized()` once its own width is another."""

    resized = Signal()

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()


class _Switch(Button):
    """By the second click of a double click it would say the opposite: the two are one."""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()


class ProjectsFrame(Page):
    """List at the left; tiles, languages, search and results; source and what is left out beside them."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.overview: Overview | None = None
        self.current = ""
        self.set_header("Projects", PURPOSE)
        self.pause = _Switch("Pause indexing", "", "ph.pause", on_click=self.pause_or_resume, name="pause_indexing")
        self.add_header_widget(self.pause)
        self.train = self.add_action("Train an adapter from it", "ph.chart-line", self.train_adapter,
                                     name="train_from_project")  # fmt: skip
        self.list = ProjectList()
        self.tiles, self.languages = Tiles(), LanguageBar()
        self.box, self.answers = SearchBox(), Answers()
        self.source, self.left_out = SourcePanel(services), LeftOutCard()
        self.search, self.primary = self.box.field, self.box.ask
        self._build_content()
        for button in (self.pause, self.train):
            button.hide()

    def _build_content(self) -> None:
        sizes = theme().sizes
        gap = sizes.grid + sizes.half
        middle = column(self.tiles, self.languages, self.box, self.answers, gap=gap, stretch=self.answers)
        self._split = _Split()
        self._split.setHandleWidth(2 * sizes.grid)
        self._split.setChildrenCollapsible(False)
        self._split.addWidget(self.list)
        self._split.addWidget(middle)
        self._split.setStretchFactor(1, 1)
        self.list.setMinimumWidth(sizes.label * 3 // 4)
        self._split.setSizes([sizes.sidebar, 4 * sizes.sidebar])
        saved = self.services.state.bytes(SPLITTER)
        if not saved.isEmpty():
            self._split.restoreState(saved)
        self._split.splitterMoved.connect(self._on_split)
        self._split.resized.connect(self._fit_list)
        self.set_content(self._split)
        beside = column(self.source, self.left_out, gap=gap, stretch=self.source)
        self.set_inspector(beside, sizes.field, scroll=False)

    @Slot()
    def _on_split(self) -> None:
        self.services.state.put_bytes(SPLITTER, self._split.saveState())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        sizes = theme().sizes
        self.left_out.make_low(self.height() < 3 * (sizes.sidebar + sizes.row))

    @Slot()
    def _fit_list(self) -> None:
        wide = self._split.width()
        if self.services.state.bytes(SPLITTER).isEmpty():
            # Until the user says how wide it is to be.
            own = max(self.list.minimumWidth(), min(theme().sizes.sidebar * 6 // 7, wide // 4))
        else:
            own = min(self._split.sizes()[0], wide // 3)
        self._split.setSizes([own, wide - own])

    @property
    def entry(self) -> Entry | None:
        """The project that is open."""
        return self.overview.entry(self.current) if self.overview is not None else None

    # What is shown

    def show_entry(self, entry: Entry, progress: str) -> None:
        """Everything but the search of that project."""
        self.set_header(plain(entry.project.name), folder_words(entry))
        self._line.setToolTip(plain_tip(str(entry.project.root)))
        found = entry.summary
        self.tiles.show_entry(entry, progress)
        self.languages.show_languages(dict(found.languages))
        self.left_out.show_counts(found.left_out, found.errors, known=found.known)
        self.box.filters.offer_languages(list(found.languages))
        self.show_buttons(entry)

    def show_buttons(self, entry: Entry) -> None:
        """What can be done to its index."""
        running, halted = entry.running, entry.halted
        self.pause.setVisible(running is not None or halted is not None)
        self.pause.setText("Pause indexing" if running is not None else "Resume indexing")
        self.pause.set_icon("ph.pause" if running is not None else "ph.play")
        self.train.show()
        why = "" if entry.summary.chunks else "Known once the project is indexed"
        self.train.setEnabled(not why)
        self.train.setToolTip(why)

    def line_of(self, entry: Entry, progress: str) -> Line:
        """The project in the list."""
        return Line(entry.id, entry.project.name, state_words(entry, progress))

    # Keyboard

    def focus_first(self) -> None:
        (self.box.field if self.shown_state == "content" else self).setFocus(Qt.FocusReason.OtherFocusReason)

    def focus_inspector(self) -> None:
        """Space on a result: into its source, where the arrows scroll and Esc leads back."""
        if self.source.text.isVisible():
            self.source.text.setFocus(Qt.FocusReason.OtherFocusReason)

    def leave_inspector(self) -> bool:
        focus = QApplication.focusWidget()
        beside = self._beside
        if beside is None or focus is None or not beside.isAncestorOf(focus):
            return False
        wanted = self.answers.list if self.answers.list.isVisible() else self.box.field
        wanted.setFocus(Qt.FocusReason.OtherFocusReason)
        return True

    # What the page does

    def pause_or_resume(self) -> None:
        raise NotImplementedError

    def train_adapter(self) -> None:
        raise NotImplementedError
