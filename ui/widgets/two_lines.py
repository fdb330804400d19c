"""Entries of a list in two lines: a title over a caption, with a mark at the right."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from ui.icons import icon
from ui.theme import theme

ID_ROLE = int(Qt.ItemDataRole.UserRole)
LINE_ROLE, MARK_ROLE = ID_ROLE + 1, ID_ROLE + 2


class TwoLines(QStyledItemDelegate):
    """The item's text over its `LINE_ROLE`; where `MARK_ROLE` is true the icon `mark` stands beside them."""

    def __init__(self, parent: object, mark: str = "") -> None:
        super().__init__(parent)  # type: ignore[arg-type]
        self._mark = mark

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        sizes = theme().sizes
        return QSize(sizes.sidebar // 2, sizes.row + 2 * sizes.grid)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        sizes = theme().sizes
        style = QStyleOptionViewItem(option)
        self.initStyleOption(style, index)
        style.text = ""
        view = option.widget
        if view is not None:
            view.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, style, painter, view)
        area = option.rect.adjusted(sizes.grid, sizes.half, -sizes.grid, -sizes.half)
        if self._mark and index.data(MARK_ROLE):
            mark = QRect(area.right() - sizes.icon, area.top() + sizes.half, sizes.icon, sizes.icon)
            icon(self._mark).paint(painter, mark)
            area.setRight(mark.left() - sizes.half)
        half = area.height() // 2
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        lines = (
            (str(index.data(Qt.ItemDataRole.DisplayRole)), theme().font(bold=chosen), "text", area.top()),
            (str(index.data(LINE_ROLE)), theme().font(sizes.caption), "muted", area.top() + half),
        )
        painter.save()
        for text, font, colour, top in lines:
            painter.setFont(font)
            painter.setPen(theme().colour(colour))
            shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, area.width())
            painter.drawText(QRect(area.left(), top, area.width(), half), int(Qt.AlignmentFlag.AlignVCenter), shown)
        painter.restore()
