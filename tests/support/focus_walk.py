"""The focus chain as Tab walks it: what is reached, in which order, and what is wrong with that order."""

from __future__ import annotations

import itertools

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget


def reached(window: QWidget, within: QWidget) -> list[QWidget]:
    """What the Tab key itself reaches inside `within`, in order; the whole round is walked."""
    start = QApplication.focusWidget() or window
    rounds: list[QWidget] = []
    while True:
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        focus = QApplication.focusWidget()
        assert focus is not None, f"Tab leads nowhere from {told(rounds[-1] if rounds else start)}"
        if focus in rounds:
            break
        rounds.append(focus)
        assert len(rounds) < 1000
    # From the first on that lies inside, as one comes in from what stands before.
    first = next((place for place, w in enumerate(rounds) if not within.isAncestorOf(w)), 0)
    return [w for w in [*rounds[first:], *rounds[:first]] if within.isAncestorOf(w)]


def area(widget: QWidget, within: QWidget) -> QRect:
    """Where it stands in `within`."""
    return QRect(widget.mapTo(within, QPoint(0, 0)), widget.size())


def backward(first: QRect, second: QRect) -> bool:
    """Whether going from one to the other goes against the way one reads.

    Up is only right into a column further right; on one line the way is from left to right.
    """
    if second.bottom() < first.top():
        return second.left() < first.right()
    one_line = second.top() <= first.center().y() <= second.bottom() or (
        first.top() <= second.center().y() <= first.bottom()
    )
    return one_line and second.right() < first.left()


def out_of_order(chain: list[QWidget], parent: QWidget) -> list[str]:
    """Pairs that Tab visits against the way one reads; one inside the other is no order."""
    out = []
    for first, second in itertools.pairwise(chain):
        if first.isAncestorOf(second) or second.isAncestorOf(first):
            continue
        if backward(area(first, parent), area(second, parent)):
            out.append(f"{told(first)} -> {told(second)}")
    return out


def told(widget: QWidget) -> str:
    return f"{type(widget).__name__} {widget.objectName() or widget.accessibleName()!r}"


def nameless(chain: list[QWidget], _parent: QWidget) -> list[str]:
    """What a screen reader can't name."""
    return [told(w) for w in chain if not (w.accessibleName() or getattr(w, "text", lambda: "")())]


def unmarked(chain: list[QWidget], parent: QWidget) -> list[str]:
    """What looks the same with the focus as without it."""
    out = []
    for widget in chain:
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        focused = _picture(widget)
        widget.clearFocus()
        if _picture(widget) == focused:
            out.append(told(widget))
    return out


def _picture(widget: QWidget) -> object:
    # The frame of a scroll area is its own, not its viewport's.
    if isinstance(widget, QAbstractScrollArea):
        widget.viewport().update()
    return widget.grab().toImage()
