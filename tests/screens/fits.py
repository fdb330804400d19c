"""Finds words that have no room: what each widget's text needs in its font against what is painted of it."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFont, QFontMetricsF
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QCheckBox,
    QComboBox,
    QHeaderView,
    QLabel,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QTabBar,
    QWidget,
)

from ui.models.rows import KIND_ROLE
from ui.theme import theme
from ui.widgets.basic import ElidedLabel
from ui.widgets.chip import StatusPill, pill_width
from ui.widgets.table import TableView

# A pixel of rounding on either side cuts nothing.
SLACK = 1.5


def problems(window: QWidget) -> list[str]:
    """Every word of the visible widgets that is cut or elided, and every page that is wider than its place."""
    out: list[str] = []
    for widget in [window, *window.findChildren(QWidget)]:
        if widget.isVisible():
            out += [f"{_name(widget)}: {text}" for text in _of(widget, window)]
    return sorted(set(out))


def _of(widget: QWidget, window: QWidget) -> Iterator[str]:
    if isinstance(widget, QAbstractButton) and widget.text():
        yield from _short(widget.text(), _button_text(widget), _button_room(widget))
        yield from _clipped(widget, window)
    elif isinstance(widget, StatusPill):
        yield from _short(widget.status.word, pill_width(widget.status.word), widget.width())
        yield from _clipped(widget, window)
    elif isinstance(widget, QComboBox):
        yield from _combo(widget)
        yield from _clipped(widget, window)
    elif isinstance(widget, QHeaderView) and widget.orientation() == Qt.Orientation.Horizontal:
        yield from _header(widget)
    elif isinstance(widget, TableView):
        yield from _pills(widget)
    elif isinstance(widget, QTabBar):
        for i in range(widget.count()):
            yield from _short(widget.tabText(i), _advance(widget.font(), widget.tabText(i), bold=True),
                              widget.tabRect(i).width())  # fmt: skip
    elif isinstance(widget, QLabel) and not isinstance(widget, ElidedLabel) and widget.text() and not widget.wordWrap():
        yield from _short(widget.text(), widget.sizeHint().width(), widget.width())
        yield from _clipped(widget, window)
    elif (
        isinstance(widget, QScrollArea) and widget.horizontalScrollBarPolicy() != Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    ):
        inner = widget.widget()
        asked = max(inner.minimumSizeHint().width(), inner.minimumWidth()) if inner is not None else 0
        if asked > widget.viewport().width():
            yield f"its content is {asked} wide, its place {widget.viewport().width()}"


def _short(text: str, needed: float, room: float) -> Iterator[str]:
    if needed > room + SLACK:
        yield f"“{text}” needs {needed:.0f} and has {room:.0f}"


def _advance(font: QFont, text: str, *, bold: bool = False) -> float:
    drawn = QFont(font)
    if bold:
        drawn.setWeight(QFont.Weight.DemiBold)
    return QFontMetricsF(drawn).horizontalAdvance(text)


def _button_text(button: QAbstractButton) -> float:
    # What is checked is drawn in semi-bold by the style sheet, of which the widget's own font knows nothing.
    checked = button.isChecked() and button.property("role") in ("chip", "nav")
    # A legend paints its words itself.
    font = theme().font(theme().sizes.caption) if button.property("legend") else button.font()
    words = _advance(font, button.text().replace("&&", "&"), bold=checked)
    icon = 0 if button.icon().isNull() else button.iconSize().width()
    return words + icon


def _button_room(button: QAbstractButton) -> float:
    option = QStyleOptionButton()
    if isinstance(button, QPushButton):
        button.initStyleOption(option)
        element = QStyle.SubElement.SE_PushButtonContents
    elif isinstance(button, QCheckBox):
        button.initStyleOption(option)
        element = QStyle.SubElement.SE_CheckBoxContents
    elif isinstance(button, QRadioButton):
        button.initStyleOption(option)
        element = QStyle.SubElement.SE_RadioButtonContents
    else:
        return button.width()
    return button.style().subElementRect(element, option, button).width()


def _combo(combo: QComboBox) -> Iterator[str]:
    option = QStyleOptionComboBox()
    combo.initStyleOption(option)
    field = combo.style().subControlRect(
        QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, combo
    )
    yield from _short(combo.currentText(), _advance(combo.font(), combo.currentText()), field.width())


def _header(header: QHeaderView) -> Iterator[str]:
    model = header.model()
    for i in range(header.count()):
        if not header.isSectionHidden(i):
            title = str(model.headerData(i, Qt.Orientation.Horizontal) or "")
            yield from _short(title, header.sectionSizeHint(i), header.sectionSize(i))


def _pills(table: TableView) -> Iterator[str]:
    top = table.rowAt(0)
    bottom = table.rowAt(table.viewport().height() - 1)
    last = bottom if bottom >= 0 else table.rows.rowCount() - 1
    for place in range(max(0, top), last + 1):
        for column in range(table.rows.columnCount()):
            index = table.rows.index(place, column)
            if index.data(KIND_ROLE) and not table.isColumnHidden(column):
                room = table.visualRect(index).width() - 2 * theme().sizes.grid
                yield from _short(str(index.data()), pill_width(str(index.data())), room)
    if table.horizontalScrollBar().maximum() > 0:
        yield f"its columns are {table.horizontalHeader().length()} wide, its place {table.viewport().width()}"


def _clipped(widget: QWidget, window: QWidget) -> Iterator[str]:
    """What sticks out of a parent at a side, unless it can be scrolled to."""
    parent, child = widget.parentWidget(), widget
    while parent is not None and child is not window:
        left = widget.mapTo(parent, QPoint(0, 0)).x()
        over = max(-left, left + widget.width() - parent.width())
        if over > SLACK:
            area = parent.parentWidget()
            sideways = isinstance(area, QAbstractScrollArea) and area.viewport() is parent
            if not (sideways and area.horizontalScrollBar().maximum() > 0):
                yield f"“{_words(widget)}” sticks out of {_name(parent)} by {over}"
            return
        parent, child = parent.parentWidget(), parent


def _words(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QAbstractButton | QLabel) else widget.accessibleName()
    return text if len(text) < 60 else f"{text[:60]}…"


def _name(widget: QWidget) -> str:
    return widget.objectName() or widget.accessibleName() or type(widget).__name__
