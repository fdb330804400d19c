"""One door for messages: banners for what is expected, one dialog for bugs; never a nested event loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.navigator import Navigator
from app.notify import Notifier
from core.errors import AppError
from ui.dialogs.base import DetailsDialog
from ui.theme import theme
from ui.widgets.banner import Banner, BannerArea, error_details
from ui.widgets.basic import Button, column, label, row
from ui.widgets.page import Page

PageOf = Callable[[str], Page | None]


class Messages(QObject):
    """Shows what the notifier says. Lives in the GUI thread, belongs to the window."""

    def __init__(
        self, notifier: Notifier, navigator: Navigator, window: QWidget, banners: BannerArea, page_of: PageOf
    ) -> None:
        super().__init__(window)
        self._window, self._banners, self._page_of, self._navigator = window, banners, page_of, navigator
        self._dialog: DetailsDialog | None = None
        self._elsewhere: list[tuple[str, AppError, Banner]] = []
        notifier.error.connect(self._on_error)
        notifier.bug.connect(self._on_bug)

    @Slot(object, object)
    def _on_error(self, error: AppError, owner: QObject | str | None) -> None:
        page = self._find_page(owner)
        if page is not None:
            page.show_error(error)
            return
        name = owner if isinstance(owner, str) else ""
        action = self._action(error) or ((f"Open {_page_words(name)}", partial(self._open, name)) if name else None)
        banner = self._banners.show_error(error, action)
        if name:
            self._elsewhere.append((name, error, banner))

    def _open(self, name: str) -> None:
        self._navigator.open_page(name)

    @Slot(str)
    def on_page_shown(self, name: str) -> None:
        """What failed for a page while another was shown is shown on the page from now on."""
        page = self._page_of(name)
        shown = self._banners.banners
        for _, error, banner in [entry for entry in self._elsewhere if entry[0] == name]:
            if banner in shown and page is not None:
                banner.dismiss()
                page.show_error(error)
        self._elsewhere = [entry for entry in self._elsewhere if entry[0] != name and entry[2] in shown]

    def _find_page(self, owner: QObject | str | None) -> Page | None:
        if isinstance(owner, str):
            page = self._page_of(owner)
            return page if page is not None and page.isVisible() else None
        while owner is not None and not isinstance(owner, Page):
            owner = owner.parent()
        return owner if isinstance(owner, Page) and owner.isVisible() else None

    def _action(self, error: AppError) -> tuple[str, Callable[[], Any]] | None:
        kind, _, name = error.action.partition(":")
        if not name:
            return None
        verb = "Open " if kind == "page" else ""
        return (verb + _page_words(name)).capitalize(), lambda: self._navigator.follow(error.action)

    @Slot(object)
    def _on_bug(self, error: AppError) -> None:
        if self._dialog is not None:
            # Never two at once: the one that is open gathers the others.
            self._dialog.details.appendPlainText("\n" + error_details(error))
            return
        self._dialog = DetailsDialog(self._window, "Internal error", error.message, error.hint, error_details(error))
        self._dialog.destroyed.connect(self._on_dialog_gone)
        self._dialog.open()

    @Slot()
    def _on_dialog_gone(self) -> None:
        self._dialog = None


def _page_words(name: str) -> str:
    return name.partition("/")[0].replace("_", " ")


class FatalWindow(QWidget):
    """A small window for what keeps the main one from opening."""

    def __init__(self, error: AppError) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setWindowTitle("Bright Run")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        sizes = theme().sizes
        self._details = error_details(error)
        box = QVBoxLayout(self)
        box.setContentsMargins(sizes.margin, sizes.margin, sizes.margin, sizes.margin)
        text = label(error.message, "section", wrap=True, selectable=True, name="fatal_text")
        hint = label(error.hint, "muted", wrap=True, selectable=True)
        box.addWidget(column(label("Bright Run can't open", "title"), text, hint, gap=sizes.grid))
        box.addStretch(1)
        copy = Button("Copy details", "", "ph.copy", on_click=self._copy)
        box.addWidget(row(None, copy, Button("Quit", "main", on_click=self.close)))
        self.resize(sizes.inspector + sizes.sidebar, sizes.field - sizes.icon_large)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)
