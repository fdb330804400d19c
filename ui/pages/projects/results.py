"""What a search found, a card a result: place, symbol, the line that says most, and how it was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from ui.pages.projects.words import legs_words, place_words, plain, telling_line
from ui.theme import theme
from ui.widgets.basic import plain_tip

Index = QModelIndex | QPersistentModelIndex
HIT_ROLE = int(Qt.ItemDataRole.UserRole)
LONGEST = 400


@dataclass(frozen=True)
class Hit:
    """A place that was found, in words; `lines` are first and last."""

    path: str
    lines: tuple[int, int]
    place: str
    symbol: str
    line: str
    legs: tuple[str, ...] = ()
    stale: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """The same place in another answer."""
        return self.path, self.lines[0]

    @property
    def spoken(self) -> str:
        """For a screen reader."""
        parts = [self.place, self.symbol, self.line, *self.legs, "changed since" if self.stale else ""]
        return ", ".join(part for part in parts if part)


def hit_of(found: Mapping[str, Any], words: Sequence[str] = ()) -> Hit:
    """A result of a search."""
    start, end = int(found["start_line"]), int(found.get("end_line") or found["start_line"])
    return Hit(
        str(found["path"]), (start, max(start, end)), place_words(found), plain(str(found.get("qualified", ""))),
        telling_line(found, words)[:LONGEST], tuple(legs_words(found.get("legs") or {})), bool(found.get("stale")),
    )  # fmt: skip


def hit_of_line(line: Mapping[str, Any]) -> Hit:
    """A line that holds a text."""
    number = int(line["line"])
    place = f"{plain(str(line['path']))}:{number}"
    return Hit(str(line["path"]), (number, number), place, "", plain(str(line.get("text", "")).strip())[:LONGEST])


class HitModel(QAbstractListModel):
    """The results, best first."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.hits: tuple[Hit, ...] = ()

    def show(self, hits: Sequence[Hit]) -> None:
        """These instead."""
        self.beginResetModel()
        self.hits = tuple(hits)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self.hits)

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if not index.isValid() or index.row() >= len(self.hits):
            return None
        hit = self.hits[index.row()]
        if role == HIT_ROLE:
            return hit
        if role == int(Qt.ItemDataRole.DisplayRole):
            return hit.place
        if role == int(Qt.ItemDataRole.AccessibleTextRole):
            return hit.spoken
        if role == int(Qt.ItemDataRole.ToolTipRole):
            stale = "\nThe file has changed since it was indexed; this is how it is now." if hit.stale else ""
            return plain_tip(f"{hit.place}\n{hit.symbol}\n{hit.line}{stale}")
        return None


class _Cards(QStyledItemDelegate):
    """Paints a result; the fonts are made once a theme."""

    def __init__(self, view: QListView) -> None:
        super().__init__(view)
        self.restyle()

    def restyle(self) -> None:
        """Take the fonts of the theme."""
        self._strong, self._plain = theme().font(bold=True, tabular=True), theme().font()
        self._small = theme().font(theme().sizes.caption, tabular=True)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        sizes = theme().sizes
        high = QFontMetrics(self._strong).height() + QFontMetrics(self._small).height()
        return QSize(sizes.sidebar, high + 2 * sizes.grid + sizes.half + sizes.half)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        hit = index.data(HIT_ROLE)
        if not isinstance(hit, Hit):
            return
        sizes = theme().sizes
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        box = QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -sizes.half - 0.5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focused = chosen and bool(option.state & QStyle.StateFlag.State_HasFocus)
        edge = "accent" if focused else "tint" if chosen else "line"
        over = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.setPen(QPen(theme().colour(edge), 1))
        painter.setBrush(theme().colour("tint" if chosen else "hover" if over else "card"))
        painter.drawRoundedRect(box, sizes.radius_control, sizes.radius_control)
        side = sizes.grid + sizes.half
        inner = box.toRect().adjusted(side, sizes.half + 1, -side, -sizes.half - 1)
        self._words(painter, inner, hit)
        painter.restore()

    def _words(self, painter: QPainter, area: QRect, hit: Hit) -> None:
        gap = theme().sizes.grid + theme().sizes.half
        first = QRect(area.left(), area.top(), area.width(), area.height() * 6 // 11)
        second = QRect(area.left(), first.bottom() + 1, area.width(), area.bottom() - first.bottom())
        legs = "   ".join([*hit.legs, "changed since"] if hit.stale else hit.legs)
        strong, small = QFontMetrics(self._strong), QFontMetrics(self._small)
        legs_wide, place_wide = small.horizontalAdvance(legs), strong.horizontalAdvance(hit.place)
        symbol_wide = QFontMetrics(self._plain).horizontalAdvance(hit.symbol)
        # Beside place and symbol where there is room, else beside the line below.
        above = place_wide + (symbol_wide + gap if hit.symbol else 0) + gap + legs_wide <= area.width()
        self._draw(painter, first if above else second, legs, self._small, "accent", right=True)
        room = first.width() - (legs_wide + gap if above and legs else 0)
        # A symbol says more than the folders of a long path.
        most = room if not hit.symbol else max(room - symbol_wide - gap, room * 3 // 5)
        shown = strong.elidedText(hit.place, Qt.TextElideMode.ElideMiddle, most)
        self._draw(painter, first, shown, self._strong, "text")
        used = strong.horizontalAdvance(shown) + gap
        if hit.symbol and room > used:
            area_of = first.adjusted(used, 0, room - first.width(), 0)
            text = QFontMetrics(self._plain).elidedText(hit.symbol, Qt.TextElideMode.ElideRight, area_of.width())
            self._draw(painter, area_of, text, self._plain, "muted")
        rest = second.width() - (0 if above or not legs else legs_wide + gap)
        line = small.elidedText(hit.line, Qt.TextElideMode.ElideRight, rest)
        self._draw(painter, second, line, self._small, "muted")

    @staticmethod
    def _draw(painter: QPainter, area: QRect, text: str, font: Any, colour: str, *, right: bool = False) -> None:
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        painter.setFont(font)
        painter.setPen(theme().colour(colour))
        painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine), text)


class ResultList(QListView):
    """`chosen(Hit)` when another is current, `opened(Hit)` by Enter or double click, `previewed()` by Space.

    `left()` for the arrow that leads up out of it.
    """

    chosen = Signal(object)
    opened = Signal(object)
    previewed = Signal()
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("results")
        self.setAccessibleName("Results")
        self.setProperty("role", "cards")
        self.hit_model = HitModel(self)
        self.setModel(self.hit_model)
        self._cards = _Cards(self)
        self.setItemDelegate(self._cards)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.selectionModel().currentChanged.connect(self._on_current)
        self.doubleClicked.connect(self._on_double)
        theme().changed.connect(self._restyle)

    @Slot()
    def _restyle(self) -> None:
        self._cards.restyle()
        self.scheduleDelayedItemsLayout()

    def show_hits(self, hits: Sequence[Hit], wanted: tuple[str, int] | None = None, *, keep: bool = False) -> None:
        """These instead; the one at `wanted` is chosen, and with `keep` the list stays where it was scrolled to."""
        if tuple(hits) == self.hit_model.hits and wanted is None:
            return
        place = self.verticalScrollBar().value()
        self.hit_model.show(hits)
        row = next((row for row, hit in enumerate(hits) if hit.key == wanted), -1)
        if row >= 0:
            self.setCurrentIndex(self.hit_model.index(row))
        if keep:
            self.doItemsLayout()
            self.verticalScrollBar().setValue(place)
        else:
            self.scrollToTop()

    def current(self) -> Hit | None:
        """The chosen one."""
        hit = self.currentIndex().data(HIT_ROLE)
        return hit if isinstance(hit, Hit) else None

    def choose_first(self) -> None:
        """The best one, unless one is chosen."""
        if self.hit_model.hits and self.current() is None:
            self.setCurrentIndex(self.hit_model.index(0))

    @Slot(QModelIndex)
    def _on_current(self, index: QModelIndex) -> None:
        hit = index.data(HIT_ROLE)
        if isinstance(hit, Hit):
            self.chosen.emit(hit)

    @Slot(QModelIndex)
    def _on_double(self, index: QModelIndex) -> None:
        hit = index.data(HIT_ROLE)
        if isinstance(hit, Hit):
            self.opened.emit(hit)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, plain_key = event.key(), not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        hit = self.current()
        if plain_key and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and hit is not None:
            if not event.isAutoRepeat():
                self.opened.emit(hit)
        elif plain_key and key == Qt.Key.Key_Space and hit is not None:
            self.previewed.emit()
        elif plain_key and key == Qt.Key.Key_Up and self.currentIndex().row() <= 0:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:
        """Letters are not for jumping about: the search has its field."""
