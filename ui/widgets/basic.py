"""The small parts: labels by role, buttons with tinted icons, rows and columns."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from math import ceil
from typing import Any

from PySide6.QtCore import QEvent, QMargins, QSize, Qt, Slot
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.theme import theme

Item = QWidget | None
_LONG_WORD = re.compile(r"\S{40,}")
LONG_TIP = 100
_PIECE = re.compile(".{1,20}")


def breakable(text: str) -> str:
    """Room to break a line inside words too long for any column."""
    return _LONG_WORD.sub(lambda found: "\u200b".join(_PIECE.findall(found[0])), text)


def plain_tip(text: str) -> str:
    """A tooltip that shows users' text as it is: Qt takes tags for markup, and never breaks a line of plain text."""
    if "<" not in text and len(text) < LONG_TIP:
        return text
    return f'<div style="white-space:pre-wrap">{html.escape(breakable(text))}</div>'


class WrapLabel(QLabel):
    """Plain text in several lines; an endless word can't widen the window. `text()` is what was set.

    One pass of a layout asks for the same sizes many times, and Qt would lay the whole text out for each.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = ""
        self._heights: dict[int, int] = {}
        self._hints: dict[str, QSize] = {}
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setText(text)

    def setText(self, text: str) -> None:
        self._text = text
        self._forget_sizes()
        super().setText(breakable(text) if self.textFormat() == Qt.TextFormat.PlainText else text)

    def text(self) -> str:
        return self._text

    def _forget_sizes(self) -> None:
        self._heights.clear()
        self._hints.clear()

    def changeEvent(self, event: QEvent) -> None:
        self._forget_sizes()
        super().changeEvent(event)

    def heightForWidth(self, width: int) -> int:
        if width not in self._heights:
            self._heights[width] = super().heightForWidth(width)
        return self._heights[width]

    def sizeHint(self) -> QSize:
        if "size" not in self._hints:
            self._hints["size"] = super().sizeHint()
        return self._hints["size"]

    def minimumSizeHint(self) -> QSize:
        if "least" not in self._hints:
            self._hints["least"] = super().minimumSizeHint()
        return self._hints["least"]


def label(text: str = "", role: str = "", *, wrap: bool = False, name: str = "", selectable: bool = False) -> QLabel:
    """Plain text, never HTML. Roles: caption, muted, title, section, strong, big, error, group."""
    out = WrapLabel(text) if wrap else QLabel(text)
    out.setTextFormat(Qt.TextFormat.PlainText)
    out.setProperty("role", role)
    if role == "big":
        out.setFont(theme().font(tabular=True))
    if name:
        out.setObjectName(name)
    if selectable:
        out.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    return out


class ElidedLabel(QLabel):
    """One line that ends in an ellipsis when it has no room; the whole text is its tooltip."""

    def __init__(self, text: str = "", role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setText(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(theme().sizes.icon_large, super().minimumSizeHint().height())

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(plain_tip(text))

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setPen(self.palette().color(self.foregroundRole()))
            text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), text)


class Button(QPushButton):
    """A push button. Roles: "" (plain), main, ghost, link, chip, nav; the icon follows the theme."""

    def __init__(
        self,
        text: str = "",
        role: str = "",
        icon_name: str = "",
        *,
        on_click: Callable[[], Any] | None = None,
        name: str = "",
        tip: str = "",
        accessible: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon_name = icon_name
        self._accessible = accessible
        self.setText(text)
        self.setProperty("role", role)
        self.setObjectName(name)
        self.setToolTip(plain_tip(tip))
        self.setAccessibleName(accessible or text or tip)
        # The style of macOS gives focus to text fields only; here every control is reached by Tab.
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor if role == "link" else Qt.CursorShape.ArrowCursor)
        if on_click is not None:
            self._on_click = on_click
            self.clicked.connect(self._clicked)
        self._tint()
        theme().changed.connect(self._tint)

    @Slot()
    def _clicked(self) -> None:
        self._on_click()

    def setText(self, text: str) -> None:
        # Names of users are shown as they are: nothing here has a mnemonic.
        super().setText(text.replace("&", "&&"))
        if text and not self._accessible:
            self.setAccessibleName(text)

    def text(self) -> str:
        return super().text().replace("&&", "&")

    @property
    def icon_name(self) -> str:
        """The icon, "" without one."""
        return self._icon_name

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        # The style sheet draws what is checked in semi-bold, and Qt asks for room for the plain letters only.
        return hint.grownBy(QMargins(0, 0, self._extra_when_checked(), 0)) if self.isCheckable() else hint

    def _extra_when_checked(self) -> int:
        plain = self.font()
        bold = QFont(plain)
        bold.setWeight(QFont.Weight.DemiBold)
        wide, narrow = (QFontMetricsF(font).horizontalAdvance(self.text()) for font in (bold, plain))
        return max(0, ceil(wide - narrow))

    def set_icon(self, icon_name: str) -> None:
        """Another icon."""
        self._icon_name = icon_name
        self._tint()

    @Slot()
    def _tint(self) -> None:
        side = theme().sizes.icon
        self.setIconSize(QSize(side + (theme().sizes.half if self.text() else 0), side))
        if self._icon_name:
            role = self.property("role")
            colour = {"main": "on", "link": "accent"}.get(role, "muted")
            self.setIcon(icon(self._icon_name, colour, {"nav": "accent", "chip": "on"}.get(role, "")))


def _fill(box: QBoxLayout, items: tuple[Item, ...], gap: int, stretch: Item) -> None:
    box.setSpacing(gap)
    for item in items:
        if item is None:
            box.addStretch(1)
        else:
            box.addWidget(item, 1 if item is stretch else 0)


def row(*items: Item, gap: int = 8, margins: tuple[int, int, int, int] = (0, 0, 0, 0), stretch: Item = None) -> QWidget:
    """Widgets side by side; None is a spring, `stretch` takes the room that is left."""
    out = QWidget()
    box = QHBoxLayout(out)
    box.setContentsMargins(*margins)
    _fill(box, items, gap, stretch)
    return out


def column(
    *items: Item, gap: int = 8, margins: tuple[int, int, int, int] = (0, 0, 0, 0), stretch: Item = None
) -> QWidget:
    """Widgets one below the other; None is a spring, `stretch` takes the room that is left."""
    out = QWidget()
    box = QVBoxLayout(out)
    box.setContentsMargins(*margins)
    _fill(box, items, gap, stretch)
    return out


def scrolled(widget: QWidget, *, sideways: bool = False) -> QScrollArea:
    """The widget in a scroll area without a frame, which takes its height but never its focus.

    `sideways` lets it scroll to the side too where it has no room.
    """
    widget.setObjectName(widget.objectName() or "scrolled")
    out = QScrollArea()
    out.setWidget(widget)
    out.setWidgetResizable(True)
    out.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    if not sideways:
        out.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    out.setFrameShape(QFrame.Shape.NoFrame)
    return out


def rule() -> QFrame:
    """A thin line."""
    out = QFrame()
    out.setProperty("role", "rule")
    out.setFixedHeight(1)
    return out


def restyle(widget: QWidget) -> None:
    """Let the style sheet look again at a widget whose property changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()
