"""Banners on a page: what happened, what to do, a button that does it, "Copy details"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QAccessible, QAccessibleEvent, QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.errors import AppError
from ui.icons import icon
from ui.theme import theme
from ui.widgets.basic import Button, column, label
from ui.widgets.chip import ICONS

MAX_BANNERS = 3
Action = tuple[str, Callable[[], Any]]


def error_details(error: AppError) -> str:
    """What "Copy details" copies."""
    parts = [f"{error.code}: {error.message}", f"Where: {error.where}" if str(error.where) else "", error.hint]
    return "\n".join(part for part in (*parts, error.detail) if part)


class Banner(QFrame):
    """One message; `closed` when it was dismissed. Kinds: bad, warn, ok, info. A newer one of its topic replaces it."""

    closed = Signal()

    def __init__(
        self,
        kind: str,
        text: str,
        hint: str = "",
        *,
        action: Action | None = None,
        details: str = "",
        closable: bool = True,
        topic: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.kind, self.text, self.details, self.topic = kind, text, details, topic
        self.setProperty("role", "banner")
        self.setProperty("kind", kind)
        self.setObjectName("banner")
        self.setAccessibleName(f"{text} {hint}".strip())
        self._action = action
        self._icon = QLabel()
        words = column(label(text, "strong", wrap=True, selectable=True), gap=2)
        if hint:
            second = label(hint, wrap=True, selectable=True, name="banner_hint")
            layout = words.layout()
            assert isinstance(layout, QVBoxLayout)
            layout.addWidget(second)
        sizes = theme().sizes
        box = QHBoxLayout(self)
        box.setContentsMargins(sizes.grid + 4, sizes.grid, sizes.grid, sizes.grid)
        box.setSpacing(sizes.grid + 2)
        box.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop if hint else Qt.AlignmentFlag.AlignVCenter)
        box.addWidget(words, 1)
        if action is not None:
            box.addWidget(Button(action[0], on_click=self._act, name="banner_action"))
        if details:
            box.addWidget(Button("Copy details", "ghost", "ph.copy", on_click=self._copy, name="copy_details"))
        if closable:
            self._close = Button("", "ghost", "ph.x", on_click=self.dismiss, tip="Dismiss", name="banner_close")
            box.addWidget(self._close)
        self._tint()
        theme().changed.connect(self._tint)

    @Slot()
    def _tint(self) -> None:
        side = theme().sizes.icon + 2
        self._icon.setPixmap(icon(ICONS[self.kind], self.kind).pixmap(QSize(side, side)))

    def _act(self) -> None:
        if self._action is not None:
            self._action[1]()
        self.dismiss()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.details)

    def dismiss(self) -> None:
        """Take it away."""
        self.hide()
        self.closed.emit()
        self.deleteLater()


class BannerArea(QWidget):
    """The newest three banners, newest on top; the same message is shown once."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(theme().sizes.grid)
        self._banners: list[Banner] = []
        self.hide()

    @property
    def banners(self) -> list[Banner]:
        """Those shown, newest first."""
        return list(self._banners)

    def show_error(self, error: AppError, action: Action | None = None) -> Banner:
        """An expected failure."""
        place = str(error.where)
        text = f"{place}: {error.message}" if place and place not in error.message else error.message
        return self.add(Banner("bad", text, error.hint, action=action, details=error_details(error)))

    def add(self, banner: Banner) -> Banner:
        """Show a banner of your own."""
        for old in [b for b in self._banners if b.text == banner.text or (b.topic and b.topic == banner.topic)]:
            self._drop(old)
        for old in self._banners[MAX_BANNERS - 1 :]:
            self._drop(old)
        self._banners.insert(0, banner)
        self._box.insertWidget(0, banner)
        banner.closed.connect(self._on_closed)
        banner.show()
        self.show()
        QAccessible.updateAccessibility(QAccessibleEvent(banner, QAccessible.Event.Alert))
        return banner

    def drop(self, topic: str) -> None:
        """Take away what is said of a topic."""
        for banner in [banner for banner in self._banners if banner.topic == topic]:
            self._drop(banner)

    def clear(self) -> None:
        """Take all away."""
        for banner in self.banners:
            self._drop(banner)

    def _drop(self, banner: Banner) -> None:
        banner.closed.disconnect(self._on_closed)
        self._forget(banner)
        banner.hide()
        banner.deleteLater()

    @Slot()
    def _on_closed(self) -> None:
        banner = self.sender()
        if isinstance(banner, Banner):
            self._forget(banner)

    def _forget(self, banner: Banner) -> None:
        if banner in self._banners:
            self._banners.remove(banner)
            self._box.removeWidget(banner)
        self.setVisible(bool(self._banners))
