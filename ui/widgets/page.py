"""The base of every page: header, toolbar, banners, content with an inspector, empty and busy states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from PySide6.QtCore import QElapsedTimer, QRectF, Qt, QTimer, Slot
from PySide6.QtGui import QAction, QKeySequence, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.jobs import Job
from ui.deleting import delete_rows
from ui.icons import icon
from ui.theme import theme
from ui.tokens import Sizes
from ui.widgets.banner import Action, BannerArea
from ui.widgets.basic import Button, ElidedLabel, scrolled
from ui.widgets.keys import Keys
from ui.widgets.page_commands import PageCommand, of_button
from ui.widgets.scroll import ScrollColumn, Tall
from ui.widgets.table import TableView

T = TypeVar("T")
RELOAD_MS, BUSY_MS = 80, 300
CALM_RELOADS = 5
PRIMARY_KEYS = ("Ctrl+Return",)


class Skeleton(QWidget):
    """Grey bars where rows will be."""

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().colour("line"))
            step, bar = theme().sizes.row, theme().sizes.base
            for number in range(min(12, self.height() // step)):
                share = (0.62, 0.48, 0.7, 0.55)[number % 4]
                painter.setOpacity(1 - number / 14)
                painter.drawRoundedRect(QRectF(0, number * step + bar, self.width() * share, bar), bar / 2, bar / 2)


class Page(QWidget):
    """Subclass it, set `watches`, call `set_header` and `set_content` in `__init__`, and write `reload`.

    `reload()` is called when the page is first shown, and whenever data it watches changed: at once while it is
    visible, else when it is shown next. `open_item(argument)` is called by `navigator.open_page(name, argument)`.
    """

    watches: ClassVar[Changed] = Changed.NOTHING

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.services = services
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.primary: Button | None = None
        self.search: QLineEdit | None = None
        self._stale = True
        self._handles: dict[str, int] = {}
        self._commands: list[PageCommand] = []
        self._reloaded, self._in_a_row = QElapsedTimer(), 0
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(RELOAD_MS)
        self._soon.timeout.connect(self._reload_now)
        self._build()
        services.hub.changed.connect(self._on_changed)

    # Building

    def _build(self) -> None:
        sizes = theme().sizes
        self._title, self._line = ElidedLabel("", "title"), ElidedLabel("", "muted")
        self._title.setObjectName("page_title")
        self._right = QHBoxLayout()
        self._right.setSpacing(sizes.grid)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._title)
        words.addWidget(self._line)
        header = QHBoxLayout()
        header.setSpacing(2 * sizes.grid)
        header.addLayout(words, 1)
        header.addLayout(self._right)
        self._toolbar = QWidget()
        self._toolbar_box = QHBoxLayout(self._toolbar)
        self._toolbar_box.setContentsMargins(0, 0, 0, 0)
        self._toolbar_box.setSpacing(sizes.grid)
        self._toolbar.hide()
        self.banners = BannerArea()
        self._states = QStackedWidget()
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._splitter.setHandleWidth(2 * sizes.grid)
        self._splitter.setChildrenCollapsible(False)
        self._skeleton = Skeleton()
        self._states.addWidget(self._splitter)
        self._states.addWidget(self._skeleton)
        self._empty: QWidget | None = None
        self._beside: QWidget | None = None
        self._came_from: TableView | None = None
        outer = QVBoxLayout(self)
        outer.setContentsMargins(sizes.margin, sizes.margin - 4, sizes.margin, 2 * sizes.grid)
        outer.setSpacing(sizes.grid + 6)
        outer.addLayout(header)
        outer.addWidget(self.banners)
        outer.addWidget(self._toolbar)
        outer.addWidget(self._states, 1)

    def show_end_of(self, job: Job) -> bool:
        """Show how a job ended, where that belongs on this page, which is in front; False leaves it to the window."""
        return False

    def flush(self) -> None:
        """Hand out what was typed and is kept only after a pause; called before the window closes."""

    def set_header(self, title: str, line: str = "") -> None:
        """Title and the one line that says what the page is for; may be called again."""
        self._title.setText(title)
        self._line.setText(line)
        self.setAccessibleName(title)

    def add_action(
        self, text: str, icon_name: str, on_click: Callable[[], Any], *, primary: bool = False, name: str = ""
    ) -> Button:
        """A button at the right of the header; at most one is primary, which Cmd+Return triggers."""
        name = name or text.lower().replace(" ", "_")
        button = Button(text, "main" if primary else "", icon_name, on_click=on_click, name=name)
        self._right.addWidget(button)
        if primary:
            self.primary = button
        return button

    def dropped(self, files: Sequence[Path]) -> bool:
        """Files were dropped on the window while this page is in front; whether it takes them."""
        return False

    def add_header_widget(self, widget: QWidget) -> None:
        """Anything else at the right of the header, such as a status pill."""
        self._right.addWidget(widget)

    def add_search(self, placeholder: str, on_text: Callable[[str], Any]) -> QLineEdit:
        """The search field of the toolbar; Cmd+F goes there."""
        field = QLineEdit()
        field.setObjectName("search")
        field.setPlaceholderText(placeholder)
        field.setAccessibleName(placeholder)
        field.setClearButtonEnabled(True)
        # Files dropped here are meant for the window.
        field.setAcceptDrops(False)
        field.addAction(icon("ph.magnifying-glass"), QLineEdit.ActionPosition.LeadingPosition)
        field.setFixedWidth(theme().sizes.search)
        field.textChanged.connect(on_text)
        self.search = field
        self.add_tool(field)
        return field

    def add_tool(self, widget: QWidget | None) -> None:
        """A widget of the toolbar; None is a spring."""
        if widget is None:
            self._toolbar_box.addStretch(1)
        else:
            self._toolbar_box.addWidget(widget)
        self._toolbar.show()

    def set_content(self, widget: QWidget) -> None:
        """The main part; once."""
        self._splitter.insertWidget(0, widget)
        self._splitter.setStretchFactor(0, 1)

    def set_inspector(self, widget: QWidget, width: int = 0, *, scroll: bool = True) -> None:
        """Detail beside the content, in a splitter whose place is kept; once, after `set_content`."""
        wide = width or theme().sizes.inspector
        # Also one that scrolls in a part of itself: in a low window or with large text its parts would overlap.
        holder = scrolled(widget, sideways=True) if scroll else Tall(widget)
        holder.setMinimumWidth(min(wide, max(Sizes().field, theme().sizes.sidebar)))
        self._beside = holder
        self._splitter.addWidget(holder)
        self._splitter.setStretchFactor(self._splitter.count() - 1, 0)
        self._splitter.setSizes([3 * wide, wide])
        name = f"splitter/{type(self).__name__}"
        saved = self.services.state.bytes(name)
        if not saved.isEmpty():
            self._splitter.restoreState(saved)
        self._splitter.splitterMoved.connect(self._on_splitter)

    @Slot()
    def _on_splitter(self) -> None:
        self.services.state.put_bytes(f"splitter/{type(self).__name__}", self._splitter.saveState())

    def set_empty(self, widget: QWidget) -> None:
        """What `show_empty` shows; usually an `EmptyState`. A later one replaces it."""
        if self._empty is not None:
            self._states.removeWidget(self._empty)
            self._empty.deleteLater()
        self._empty = widget
        self._states.addWidget(widget)

    # States

    def show_content(self) -> None:
        """The content, with its toolbar."""
        # A page that was opened while it read has the focus itself.
        waiting = self.hasFocus() and self.shown_state != "content"
        self._states.setCurrentWidget(self._splitter)
        self._toolbar.setVisible(self._toolbar_box.count() > 0)
        if waiting:
            self.focus_first()

    def show_empty(self) -> None:
        """The empty state; the toolbar has nothing to work on then."""
        if self._empty is not None:
            self._states.setCurrentWidget(self._empty)
            self._toolbar.hide()

    def show_busy(self) -> None:
        """A skeleton, until the first answer is there."""
        self._states.setCurrentWidget(self._skeleton)

    @property
    def shown_state(self) -> str:
        """ "content", "empty" or "busy"."""
        current = self._states.currentWidget()
        return "busy" if current is self._skeleton else "empty" if current is self._empty else "content"

    # Data

    def reload(self) -> None:
        """Read again what is shown."""

    def open_item(self, argument: object) -> None:
        """Show one thing: an id, or whatever this page documents."""

    def read(self, fn: Callable[[Database], T], done: Callable[[T], None], key: str = "page") -> None:
        """`services.read` whose earlier question of the same `key` is forgotten: old answers never win."""
        self.services.forget(self._handles.get(key))
        self._handles[key] = self.services.read(self, fn, done)

    def write(
        self, fn: Callable[[Database], Changed | tuple[Changed, T]], done: Callable[[Any], None] | None = None
    ) -> None:
        """`services.write` with errors as this page's banner."""
        self.services.write(self, fn, done)

    def delete(self, table: str, ids: Sequence[str], text: str) -> None:
        """Put rows into the trash at once; `text` ("Deleted 3 conversations") is shown with Undo."""
        delete_rows(self.services, self, table, ids, text)

    def show_error(self, error: AppError) -> None:
        """A banner on this page; the action the error names gets a button."""
        self.banners.show_error(error, self.action_of(error))

    def action_of(self, error: AppError) -> Action | None:
        """The button for an error's action, if it names one."""
        if not error.action:
            return None
        kind, _, name = error.action.partition(":")
        text = (
            f"Open {name.partition('/')[0].replace('_', ' ')}"
            if kind == "page"
            else name.replace("_", " ").capitalize()
        )
        navigator = self.services.navigator
        action = error.action
        return text, lambda: navigator.follow(action)

    @Slot(object)
    def _on_changed(self, what: Changed) -> None:
        if not what & self.watches:
            return
        self._stale = True
        # A running import reports ten times a second; the reads are gathered, not queued up.
        if self.isVisible() and not self._soon.isActive():
            self._soon.start(RELOAD_MS if self._in_a_row < CALM_RELOADS else BUSY_MS)

    @Slot()
    def _reload_now(self) -> None:
        if self._stale and self.isVisible():
            self._stale = False
            # What a user does is shown at once; a job that reports on and on is followed more slowly.
            quick = self._reloaded.isValid() and not self._reloaded.hasExpired(2 * BUSY_MS)
            self._in_a_row = self._in_a_row + 1 if quick else 0
            self._reloaded.start()
            self.reload()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._reload_now()

    # Commands

    def add_command(self, command: PageCommand, *on: QWidget) -> None:
        """A command of this page, in palette and cheat sheet while it is shown.

        Its keys work in the widgets `on`, where single letters are free, else anywhere on the page.
        """
        self._commands.append(command)
        if on:
            for widget in on:
                Keys(widget, command)
        elif command.keys:
            action = QAction(command.text, self)
            action.setShortcuts([QKeySequence(key) for key in command.keys])
            action.setAutoRepeat(False)
            action.triggered.connect(lambda _checked=False: command.run())
            self.addAction(action)

    def commands(self) -> list[PageCommand]:
        """The buttons of the header that are shown, then what was added: what can be done here."""
        shown = [b for b in self.findChildren(Button) if self._right.indexOf(b) >= 0 and b.isVisibleTo(self)]
        buttons = sorted(shown, key=self._right.indexOf)
        if self.primary is not None and self.primary.isVisible() and self.primary not in buttons:
            buttons.append(self.primary)
        made = [of_button(b, PRIMARY_KEYS if b is self.primary else ()) for b in buttons]
        return [*made, *self._commands]

    def table_in_use(self) -> TableView | None:
        """The table that has the focus, else the first one that is shown; None without one."""
        shown = [table for table in self.findChildren(TableView) if table.isVisible() and table.columns.offered]
        return next((table for table in shown if table.hasFocus()), shown[0] if shown else None)

    # Keyboard

    def focus_search(self) -> None:
        """Cmd+F."""
        if self.search is not None:
            self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.search.selectAll()

    def focus_first(self) -> None:
        """Where the keyboard goes when the page is opened; a list page gives its table the focus."""
        table = next((table for table in self.findChildren(TableView) if table.isVisible()), None)
        (table if table is not None else self).setFocus(Qt.FocusReason.OtherFocusReason)

    def focus_inspector(self) -> None:
        """Space on a row: into its detail, where the arrows scroll and Esc leads back."""
        beside = self._beside
        if beside is None:
            return
        self._came_from = self.table_in_use()
        areas = [area for area in beside.findChildren(ScrollColumn) if area.isVisible()]
        fields = [w for w in beside.findChildren(QWidget) if w.isVisible() and w.isEnabled()]
        wanted = [*areas, *(w for w in fields if w.focusPolicy() & Qt.FocusPolicy.TabFocus)]
        if wanted:
            wanted[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def leave_inspector(self) -> bool:
        """Esc in the detail of a row: back to its table; False if the focus is elsewhere."""
        focus, table = QApplication.focusWidget(), self._came_from or self.table_in_use()
        inside = self._beside is not None and focus is not None and self._beside.isAncestorOf(focus)
        if not inside or table is None or not table.isVisible():
            return False
        self._came_from = None
        table.setFocus(Qt.FocusReason.OtherFocusReason)
        return True

    def trigger_primary(self) -> None:
        """Cmd+Return."""
        if self.primary is not None and self.primary.isEnabled():
            self.primary.click()

    def stop(self) -> bool:
        """Cmd+.: stop what this page does; False lets the window stop the newest job."""
        return False

    def back(self) -> bool:
        """Esc: close a detail, clear the search; False if there was nothing to go back from."""
        if self.search is not None and self.search.text():
            self.search.clear()
            return True
        return False
