"""The main window: sidebar, pages made when first opened, tray, messages, menus, the close flow; no logic."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QStyle, QVBoxLayout, QWidget

from app.logs import RingHandler
from app.services import Services
from core.errors import AppError
from core.registry import resolve
from ui.registry import PAGES, PageSpec
from ui.theme import MODES, theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import scrolled
from ui.widgets.page import Page
from ui.widgets.tab_order import focus_by_tab, next_in_order
from ui.window.actions import Actions
from ui.window.commands import WindowCommands, WindowParts
from ui.window.messages import FatalWindow, Messages
from ui.window.placement import brought_back, first_place, least_size
from ui.window.sidebar import Sidebar
from ui.window.toast import Toast
from ui.window.tray import Tray

# The composition root builds the window and knows no other module of `ui`.
__all__ = ["MODES", "FatalWindow", "MainWindow", "theme"]

log = logging.getLogger(__name__)
MIN_SIZE = (1100, 700)
START_SIZE = (1440, 900)


class MainWindow(QMainWindow):
    """One window a workspace. `painted` after the first paint; `closed` once it may go; `close_wanted` asks for it."""

    painted = Signal()
    closed = Signal()
    files_dropped = Signal(object)
    page_shown = Signal(str)

    def __init__(self, services: Services, ring: RingHandler, crash_report: str = "") -> None:
        super().__init__()
        self.services, self.ring, self.crash_report = services, ring, crash_report
        self._pages: dict[str, Page] = {}
        self._frames: dict[str, QWidget] = {}
        self._current = ""
        self._painted = False
        self._closing = False
        self._may_close = False
        self.setWindowTitle("Bright Run")
        self.setAcceptDrops(True)
        self.actions_ = Actions(self)
        self._build()
        parts = WindowParts(self.sidebar, self.tray, self.banners, ring, crash_report)
        self.commands = WindowCommands(self, self, services, self.actions_, parts)
        self._connect()
        self._restore()

    # Building

    def _build(self) -> None:
        self.sidebar = Sidebar(PAGES.entries())
        self.banners = BannerArea()
        self.stack = QStackedWidget()
        self.tray = Tray(self.services)
        self._centre = centre = QWidget()
        centre.setObjectName("centre")
        self._banner_frame = QWidget()
        frame = QVBoxLayout(self._banner_frame)
        margin = theme().sizes.margin
        frame.setContentsMargins(margin, theme().sizes.grid, margin, 0)
        frame.addWidget(self.banners)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.banners_frame)
        right.addWidget(self.stack, 1)
        body = QHBoxLayout()
        body.setSpacing(0)
        body.addWidget(self.sidebar)
        body.addLayout(right, 1)
        outer = QVBoxLayout(centre)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addLayout(body, 1)
        outer.addWidget(self.tray)
        self.setCentralWidget(centre)
        self.toast = Toast(self.stack)
        self.messages = Messages(self.services.notifier, self.services.navigator, self, self.banners, self._pages.get)
        self.page_shown.connect(self.messages.on_page_shown)

    @property
    def banners_frame(self) -> QWidget:
        """The banners' place above the page; it takes no room while there are none."""
        return self._banner_frame

    def _connect(self) -> None:
        services, navigator = self.services, self.services.navigator
        self.sidebar.page_requested.connect(self.open_page)
        self.tray.page_requested.connect(self.open_page)
        navigator.page_requested.connect(self._on_page_requested)
        navigator.command_requested.connect(self._on_command)
        navigator.import_requested.connect(self._on_import)
        self.files_dropped.connect(self._on_import)
        services.notifier.toast.connect(self.toast.say)
        self.toast.undo_requested.connect(services.notifier.take_back)
        services.queue.idle.connect(self._on_idle)

    def _restore(self) -> None:
        self._place()
        self.commands.restore()
        self.open_page("home" if PAGES.get("home") else PAGES.specs()[0].name)

    def _place(self) -> None:
        bar = self.style().pixelMetric(QStyle.PixelMetric.PM_TitleBarHeight)
        # The title bar is above what the geometry counts.
        screens = [self.screen(), *QGuiApplication.screens()]
        rooms = [screen.availableGeometry().adjusted(0, bar, 0, 0) for screen in screens]
        self.setMinimumSize(least_size(QSize(*MIN_SIZE), rooms[0]))
        saved = self.services.state.bytes("window/geometry")
        if saved.isEmpty() or not self.restoreGeometry(saved):
            self.setGeometry(first_place(QSize(*START_SIZE), rooms[0]))
        elif not self.isMaximized() and not self.isFullScreen():
            self.setGeometry(brought_back(self.geometry(), rooms))

    # Pages

    def page(self, name: str) -> Page | None:
        """The page of that name, made on first use; None if it is not registered or could not be made."""
        if name in self._pages:
            return self._pages[name]
        spec = PAGES.get(name)
        if spec is None:
            return None
        try:
            page = self._make(spec)
        except AppError as error:
            self.services.notifier.report(error)
            return None
        self._pages[name] = page
        # With large text a page may need more room than the window has.
        self._frames[name] = scrolled(page, sideways=True)
        self.stack.addWidget(self._frames[name])
        return page

    def _make(self, spec: PageSpec) -> Page:
        factory = resolve(spec.widget)
        page: Page = factory(self.services, self.stack)
        if not page.accessibleName():
            page.set_header(spec.title)
        return page

    @property
    def current_name(self) -> str:
        """The name of the page that is shown."""
        return self._current

    @property
    def current_page(self) -> Page | None:
        """The page that is shown."""
        return self._pages.get(self._current)

    @Slot(str)
    def open_page(self, name: str) -> bool:
        """Show a page; False if there is none of that name."""
        page = self.page(name)
        if page is None:
            log.warning("there is no page %s", name)
            self.sidebar.set_current(self._current)
            return False
        self._current = name
        self.stack.setCurrentWidget(self._frames[name])
        spec = PAGES.get(name)
        self.sidebar.set_current(spec.within or name if spec is not None else name)
        page.focus_first()
        self.page_shown.emit(name)
        return True

    @Slot(str, object)
    def _on_page_requested(self, name: str, argument: object) -> None:
        if self.open_page(name) and argument is not None:
            self._pages[name].open_item(argument)

    @Slot(str)
    def _on_command(self, name: str) -> None:
        if name in self.actions_:
            self.actions_[name].trigger()

    # Keyboard

    def focusNextPrevChild(self, forward: bool) -> bool:
        wanted = next_in_order(self._centre, self.focusWidget(), forward=forward)
        if wanted is None:
            return super().focusNextPrevChild(forward)
        focus_by_tab(wanted, forward=forward)
        return True

    # Files

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if files:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            page = self.current_page
            if page is None or not page.dropped(files):
                self.files_dropped.emit(files)

    @Slot(object)
    def _on_import(self, files: list[Path]) -> None:
        self.commands.start_import(files)

    # First paint

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.commands.on_shown()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            QTimer.singleShot(0, self.painted.emit)

    def come_to_front(self) -> None:
        """A second start asked for this window."""
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()

    # The end

    def closeEvent(self, event: QCloseEvent) -> None:
        for page in self._pages.values():
            page.flush()
        if self._may_close or not self.services.queue.busy:
            self._leave(event)
            return
        event.ignore()
        if not self._closing:
            self._closing = True
            self.toast.say("Stopping running jobs", None)
            self.services.queue.shutdown()

    def _leave(self, event: QCloseEvent) -> None:
        if not self._may_close:
            self._may_close = True
            self.services.state.put_bytes("window/geometry", self.saveGeometry())
            if not self._closing:
                self.services.queue.shutdown()
            self.closed.emit()
        event.accept()

    @Slot()
    def _on_idle(self) -> None:
        if self._closing and not self._may_close:
            # It may come from inside of closeEvent, where Qt ignores a second one.
            QTimer.singleShot(0, self, self.close)
