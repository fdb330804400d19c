"""Tab order is reading order: by the layouts, not by when a widget was made.

Qt walks widgets in the order of their making, so that a banner that came later would be reached last; and on a Mac it
passes over all buttons unless the system's keyboard navigation is on.
"""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QLayout,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QWidget,
)


def next_in_order(parent: QWidget, current: QWidget | None, *, forward: bool) -> QWidget | None:
    """Where Tab leads inside `parent` from `current`, round and round; None if nothing can be reached."""
    everything = list(_inside(parent))
    # What is not read itself, such as a window of its own over the parent, counts as the part it belongs to.
    while current is not None and current not in everything:
        current = current.parentWidget()
    place = everything.index(current) if current is not None else -1 if forward else len(everything)
    behind, before = everything[place + 1 :], everything[: max(place, 0)]
    ways = (*behind, *before) if forward else (*reversed(before), *reversed(behind))
    return next((widget for widget in ways if _reachable(widget)), None)


def focus_by_tab(widget: QWidget, *, forward: bool) -> None:
    """Give it the focus and scroll it into view."""
    widget.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
    above = widget.parentWidget()
    while above is not None:
        if isinstance(above, QScrollArea):
            above.ensureWidgetVisible(widget)
        above = above.parentWidget()


def _reachable(widget: QWidget) -> bool:
    takes = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    if isinstance(widget, QAbstractButton) and group is not None and group.exclusive():
        # One of a few is one stop, the one that is down; the arrows lead to the others. Qt keeps it at the last that
        # had the focus.
        down = group.checkedButton()
        takes = widget is down if down is not None else takes
    return takes and widget.isVisible() and widget.isEnabled() and widget.focusProxy() is None


def _inside(parent: QWidget) -> Iterator[QWidget]:
    for child in _children(parent):
        yield child
        yield from _inside(child)


def _children(parent: QWidget) -> list[QWidget]:
    """In the order in which they are read; those in no layout, such as a button over a header, come last."""
    if isinstance(parent, QStackedWidget):
        shown = parent.currentWidget()
        return [shown] if shown is not None else []
    mine = [w for w in parent.children() if isinstance(w, QWidget) and not w.isWindow()]
    if isinstance(parent, QSplitter):
        return sorted((w for w in mine if parent.indexOf(w) >= 0), key=parent.indexOf)
    if isinstance(parent, QAbstractScrollArea):
        # The bars and their holders are Qt's own.
        viewport = parent.viewport()
        return [viewport, *(w for w in mine if w is not viewport and not w.objectName().startswith("qt_"))]
    layout = parent.layout()
    ordered = list(_laid_out(layout, mine)) if layout is not None else []
    return [*ordered, *(w for w in mine if w not in ordered)]


def _laid_out(layout: QLayout, widgets: list[QWidget]) -> Iterator[QWidget]:
    # Asked by `indexOf`: after `itemAt`, PySide takes what lies in a layout of Qt's own for deleted.
    parts: list[tuple[int, QWidget | QLayout]] = [(layout.indexOf(w), w) for w in widgets]
    parts += [(layout.indexOf(inner), inner) for inner in layout.children() if isinstance(inner, QLayout)]
    for _place, part in sorted((part for part in parts if part[0] >= 0), key=lambda part: part[0]):
        if isinstance(part, QLayout):
            yield from _laid_out(part, widgets)
        else:
            yield part
