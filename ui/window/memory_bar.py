"""The memory of the machine as one stacked bar in the tray, and the panel that says it in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, QTimer, Slot
from PySide6.QtGui import (
    QEnterEvent,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from app.services import Services
from core.inference.arbiter import ADAPTERS, BASE, CACHES, CHAT, EMBEDDER, OLLAMA, SEARCH, Share
from core.memory import Memory, Pressure
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, label, row

LOOK_MS = 2_000
DECISIONS = 5
PARTS = {
    BASE: ("Chat model", "c1"), ADAPTERS: ("Adapters", "c3"), CACHES: ("Conversations read", "c4"),
    EMBEDDER: ("Code search", "c5"), OLLAMA: ("Ollama, for others", "muted"),
}  # fmt: skip
JOB_COLOUR, OTHER_COLOUR = "c2", "edge"
OTHER, FREE = "Other programs", "Free"
PRESSURES = {
    Pressure.NORMAL: "", Pressure.SHORT: "Memory is short: adapters that do not answer give way.",
    Pressure.CRITICAL: "Memory is very short: an idle chat model leaves soon.",
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """One piece of the bar; the colour is a token's name, "" for what is free."""

    words: str
    size_bytes: int
    colour: str


def pieces(found: Memory, shares: Sequence[Share], titles: Mapping[str, str]) -> list[Piece]:
    """The whole memory in order: ours by part, others, free. `titles` are those of jobs by id."""
    out = []
    for share in shares:
        words, colour = PARTS.get(share.part, ("", "")) if share.who in (CHAT, SEARCH, OLLAMA) else ("", "")
        words = words or titles.get(share.who, "A job")
        out.append(Piece(words, share.size_bytes, colour or JOB_COLOUR))
    used = max(0, found.total - found.available)
    ours = min(used, sum(piece.size_bytes for piece in out))
    out.append(Piece(OTHER, used - ours, OTHER_COLOUR))
    out.append(Piece(FREE, found.available, ""))
    return out


class MemoryBar(QWidget):
    """Reads the numbers every two seconds while it is shown; a click, Space or Enter opens the panel."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("memory_bar")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("Memory")
        self._services = services
        self.memory: Memory | None = None
        self.pieces: list[Piece] = []
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.look)
        services.arbiter.changed.connect(self.look)
        theme().changed.connect(self.update)
        self.panel = MemoryPanel(services, self)

    @Slot()
    def look(self) -> None:
        """Read the numbers."""
        if not self.isVisible():
            return
        titles = {job.id: job.title for job in self._services.queue.running()}
        book = self._services.arbiter.book
        self.memory = book.read()
        self.pieces = pieces(self.memory, book.shares(), titles)
        self.setAccessibleDescription("; ".join(f"{p.words}: {fmt.size(p.size_bytes)}" for p in self.pieces))
        self.panel.show_memory(self.memory, self.pieces)
        self.update()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self.look()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def sizeHint(self) -> QSize:
        sizes = theme().sizes
        return QSize(sizes.icon_large * 3, sizes.icon)

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        found = self.memory
        self.setToolTip(f"Memory: {fmt.size(found.available)} of {fmt.size(found.total)} free" if found else "Memory")

    def paintEvent(self, event: QPaintEvent) -> None:
        sizes = theme().sizes
        area = QRectF(0, (self.height() - sizes.grid) / 2, self.width(), sizes.grid)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            shape = QPainterPath()
            shape.addRoundedRect(area, sizes.half, sizes.half)
            painter.setClipPath(shape)
            painter.fillRect(area, theme().colour("line"))
            left, whole = area.left(), max(1, sum(piece.size_bytes for piece in self.pieces))
            for piece in self.pieces:
                wide = area.width() * piece.size_bytes / whole
                if piece.colour:
                    painter.fillRect(QRectF(left, area.top(), wide, area.height()), theme().colour(piece.colour))
                left += wide
            if self.hasFocus():
                painter.setClipping(False)
                painter.setPen(theme().colour("accent"))
                painter.drawRoundedRect(area.adjusted(-1, -3, 1, 3), sizes.half, sizes.half)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self.open_panel()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.open_panel()
        else:
            super().keyPressEvent(event)

    def open_panel(self) -> None:
        """Say it in words."""
        self.look()
        self.panel.open()


class Swatch(QWidget):
    """The colour of a piece."""

    def __init__(self, colour: str) -> None:
        super().__init__()
        self._colour = colour
        size = theme().sizes.grid + 2
        self.setFixedSize(size, size)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(theme().colour("edge"))
            painter.setBrush(theme().colour(self._colour or "line"))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)


class MemoryPanel(QFrame):
    """A popup above the bar: who holds how much, and what was decided last."""

    def __init__(self, services: Services, anchor: QWidget) -> None:
        super().__init__(anchor, Qt.WindowType.Popup)
        self.setObjectName("memory_panel")
        self.setProperty("role", "card")
        self.setAccessibleName("Memory")
        self._services, self._anchor = services, anchor
        self._shown: tuple[object, ...] = ()
        sizes = theme().sizes
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(2 * sizes.grid, sizes.grid + sizes.half, 2 * sizes.grid, sizes.grid + sizes.half)
        self._box.setSpacing(sizes.half + 2)
        self._inner = QWidget()
        self._box.addWidget(self._inner)
        self.close_button = Button("Close", "ghost", on_click=self.close, name="memory_close")
        self._box.addWidget(row(None, self.close_button))
        self.setFixedWidth(sizes.inspector)

    def show_memory(self, memory: Memory, found: Sequence[Piece]) -> None:
        """Other numbers; they are built only while they can be seen."""
        if not self.isVisible():
            return
        decisions = list(self._services.arbiter.decisions)[-DECISIONS:]
        words = tuple((p.words, fmt.size(p.size_bytes), p.colour) for p in found if p.size_bytes)
        shown = (words, memory.pressure, tuple(decisions))
        if shown == self._shown:
            return
        self._shown = shown
        inner = QWidget()
        inner.setObjectName("memory_words")
        box = QVBoxLayout(inner)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half + 2)
        box.addWidget(label("Memory", "section"))
        for name, size, colour in words:
            box.addWidget(row(Swatch(colour), ElidedLabel(name), None, label(size, "muted")))
        limit = f", of which models may use {fmt.size(memory.limit)}" if memory.limit else ""
        box.addWidget(label(f"{fmt.size(memory.total)} in all{limit}.", "caption", wrap=True))
        if PRESSURES[memory.pressure]:
            box.addWidget(label(PRESSURES[memory.pressure], "caption", wrap=True, name="memory_pressure"))
        if decisions:
            box.addWidget(label("Decided last", "strong"))
        for decision in reversed(decisions):
            words_ = decision.words[:1].upper() + decision.words[1:]
            at = fmt.moment(decision.at.isoformat())
            box.addWidget(label(f"{at}: {words_}.", "caption", wrap=True))
        self._box.replaceWidget(self._inner, inner)
        self._inner.deleteLater()
        self._inner = inner
        # Fonts, and with them heights, are known once it was polished.
        QTimer.singleShot(0, self, self._place)

    def open(self) -> None:
        """Above its anchor."""
        self._shown = ()
        self.show()
        if isinstance(self._anchor, MemoryBar):
            self._anchor.look()
        self._place()
        self.close_button.setFocus()

    def _place(self) -> None:
        self.resize(self.width(), self._box.totalHeightForWidth(self.width()))
        self.move(self._anchor.mapToGlobal(QPoint(self._anchor.width() - self.width(), -self.height())))
