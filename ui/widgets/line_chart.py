"""Line charts on pyqtgraph, which is imported for the first one that is shown, never at start-up.

Call `load` on a worker thread, then `build` on the GUI thread; points given before are drawn then.
"""

from __future__ import annotations

import csv
import io
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QSize, Qt, QTimer, Slot
from PySide6.QtGui import QColor, QFontMetrics, QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QWidget

from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, label
from ui.widgets.card import Card

DRAW_MS = 100


@dataclass(frozen=True)
class Line:
    """One line: its key, its name in the legend, the token of its colour; `dots` marks every point."""

    key: str
    name: str
    colour: str
    width: float = 2.0
    dots: bool = False


def load() -> None:
    """Import pyqtgraph; takes a third of a second, so not on the GUI thread."""
    import numpy  # noqa: F401 - its own import is most of the time
    import pyqtgraph

    # Its clean-up at exit walks all objects of the process, windows under destruction included.
    pyqtgraph.setConfigOptions(antialias=True, exitCleanup=False)


class LegendButton(Button):
    """A line's name with its colour; a click hides or shows the line."""

    def __init__(self, line: Line) -> None:
        super().__init__(line.name, "ghost", name=f"legend_{line.key}", tip=f"Show or hide: {line.name}")
        self.line = line
        self.setCheckable(True)
        self.setChecked(True)
        self.setProperty("legend", True)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            sizes = theme().sizes
            middle, shown = self.rect().center().y(), self.isChecked()
            colour = theme().colour(self.line.colour if shown else "faint")
            painter.fillRect(0, middle - 1, sizes.grid + 2, 3, colour)
            painter.setFont(theme().font(sizes.caption))
            painter.setPen(theme().colour("muted" if shown else "faint"))
            area = self.rect().adjusted(sizes.grid + sizes.half + 3, 0, 0, 0)
            painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), self.text())
            if self.hasFocus():
                painter.setPen(theme().colour("accent"))
                painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        metrics = theme().font(theme().sizes.caption)
        words = QFontMetrics(metrics).horizontalAdvance(self.text())
        hint.setWidth(words + theme().sizes.grid * 2 + theme().sizes.half)
        hint.setHeight(theme().sizes.pill)
        return hint


class Chart(Card):
    """A card with a chart: title, legend that toggles, values under the pointer, zoom, copy as picture or CSV."""

    def __init__(self, name: str, title: str, lines: Sequence[Line], *, x_title: str = "", remark: str = "") -> None:
        super().__init__("", gap=theme().sizes.half)
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.lines = {line.key: line for line in lines}
        self._x_title, self._title = x_title, title
        self._xs: dict[str, array[float]] = {line.key: array("d") for line in lines}
        self._ys: dict[str, array[float]] = {line.key: array("d") for line in lines}
        self._curves: dict[str, Any] = {}
        self._dirty: set[str] = set()
        self._plot: Any = None
        self._cross: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAW_MS)
        self._timer.timeout.connect(self._draw)
        self._build_header(title, remark)
        self._place = QWidget()
        self._place.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._box = QHBoxLayout(self._place)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._message = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._message.setProperty("role", "muted")
        self._message.setWordWrap(True)
        self._box.addWidget(self._message)
        self.add(self._place, 1)
        theme().changed.connect(self._recolour)

    def _build_header(self, title: str, remark: str) -> None:
        sizes = theme().sizes
        self.values = ElidedLabel("", "caption")
        self.values.setFont(theme().font(tabular=True))
        # They come with the pointer, and must not widen the page then.
        self.values.setMinimumWidth(1)
        self._remark = label(remark, "caption")
        self._menu = QMenu(self)
        for text, slot in (
            ("Reset zoom", self.reset), ("Copy as image", self.copy_picture),
            ("Copy values as CSV", self.copy_csv),
        ):  # fmt: skip
            self._menu.addAction(text).triggered.connect(slot)
        more = Button(
            "", "ghost", "ph.dots-three", on_click=self._open_menu, tip="Zoom and copy",
            name=f"{self.objectName()}_menu", accessible=f"{title}: zoom and copy",
        )  # fmt: skip
        self._more = more
        box = QHBoxLayout()
        box.setSpacing(sizes.half)
        box.addWidget(label(title, "strong"))
        box.addWidget(self.values, 1)
        box.addWidget(self._remark)
        # Shown before it has its place, it would be a window of its own for a moment.
        if not remark:
            self._remark.hide()
        self.legend = {key: LegendButton(line) for key, line in self.lines.items()} if len(self.lines) > 1 else {}
        for button in self.legend.values():
            button.toggled.connect(self._on_legend)
            box.addWidget(button)
        box.addWidget(more)
        self.body.addLayout(box)

    # Points

    def set_remark(self, text: str) -> None:
        """The unit or whatever is beside the title."""
        self._remark.setText(text)
        self._remark.setVisible(bool(text))

    def set_message(self, text: str) -> None:
        """Words in the place of the lines, until the chart is built and has points."""
        self._message.setText(text)
        self._show_message()

    def clear(self) -> None:
        """Forget all points and the zoom."""
        for key in self.lines:
            self._xs[key], self._ys[key] = array("d"), array("d")
        self._dirty = set(self.lines)
        self._draw()
        self.reset()

    def add_points(self, key: str, xs: Iterable[float], ys: Iterable[float]) -> None:
        """Append to a line; drawn within a tenth of a second."""
        self._xs[key].extend(xs)
        self._ys[key].extend(ys)
        self._dirty.add(key)
        if not self._timer.isActive():
            self._timer.start()

    def points(self, key: str) -> tuple[list[float], list[float]]:
        """The data of a line."""
        return list(self._xs[key]), list(self._ys[key])

    @Slot()
    def _draw(self) -> None:
        self._timer.stop()
        self._show_message()
        if self._plot is None:
            return
        import numpy as np

        for key in self._dirty:
            self._curves[key].setData(np.array(self._xs[key]), np.array(self._ys[key]))
        self._dirty.clear()

    def _show_message(self) -> None:
        empty = self._plot is None or not any(self._xs.values())
        self._message.setVisible(empty)
        if self._plot is not None:
            self._plot.setVisible(not empty)

    # The plot

    @property
    def built(self) -> bool:
        """Whether there is a plot to draw on."""
        return self._plot is not None

    def build(self) -> None:
        """Make the plot, once pyqtgraph is there."""
        if self._plot is not None:
            return
        import pyqtgraph as pg

        plot = self._plot = pg.PlotWidget()
        plot.setObjectName(f"{self.objectName()}_plot")
        plot.setAccessibleName(self._title)
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMinimumHeight(theme().sizes.icon_large)
        plot.getPlotItem().getViewBox().setDefaultPadding(0.02)
        plot.getPlotItem().getViewBox().enableAutoRange(x=True, y=True)
        for key, line in self.lines.items():
            self._curves[key] = plot.plot(clipToView=True, autoDownsample=True, downsampleMethod="peak", name=line.name)
        self._cross = pg.InfiniteLine(angle=90, movable=False)
        self._cross.hide()
        plot.addItem(self._cross, ignoreBounds=True)
        plot.scene().sigMouseMoved.connect(self._on_mouse)
        plot.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        plot.customContextMenuRequested.connect(self._on_context)
        plot.viewport().installEventFilter(self)
        self._box.addWidget(plot)
        self._dirty = set(self.lines)
        self._recolour()
        self._draw()

    @Slot()
    def _recolour(self) -> None:
        if self._plot is None:
            return
        import pyqtgraph as pg

        sizes, plot = theme().sizes, self._plot
        plot.setBackground(theme().colour("card"))
        for side in ("left", "bottom"):
            axis = plot.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setPen(pg.mkPen(theme().colour("edge")))
            axis.setTextPen(pg.mkPen(theme().colour("muted")))
            axis.setStyle(tickFont=theme().font(sizes.caption, tabular=True), tickLength=-sizes.half)
        plot.getAxis("left").setWidth(sizes.icon_large)
        if self._x_title:
            colour = theme().colour("muted").name()
            plot.setLabel("bottom", self._x_title, color=colour, **{"font-size": f"{sizes.caption}px"})
        plot.showGrid(y=True, alpha=0.12)
        self._cross.setPen(pg.mkPen(theme().colour("edge")))
        for key, line in self.lines.items():
            ink = theme().colour(line.colour)
            self._curves[key].setPen(pg.mkPen(_faded(ink) if line.width < 1.5 else ink, width=line.width))
            if line.dots:
                self._curves[key].setSymbol("o")
                self._curves[key].setSymbolSize(sizes.half + 1)
                self._curves[key].setSymbolBrush(ink)
                self._curves[key].setSymbolPen(None)

    @Slot(bool)
    def _on_legend(self, _shown: bool) -> None:
        for key, button in self.legend.items():
            if key in self._curves:
                self._curves[key].setVisible(button.isChecked())

    # Under the pointer

    @Slot(object)
    def _on_mouse(self, place: QPointF) -> None:
        view = self._plot.getPlotItem().getViewBox()
        if not view.sceneBoundingRect().contains(place):
            self._leave()
            return
        x = view.mapSceneToView(place).x()
        near = [found for key in self._shown() if (found := self._nearest(key, x)) is not None]
        if not near:
            return
        at = min((step for _, step, _ in near), key=lambda step: abs(step - x))
        self._cross.setValue(at)
        self._cross.show()
        told = [f"{self.lines[key].name} {value:.4g}" for key, step, value in near if step == at]
        self.values.setText(" · ".join([f"{self._x_title or 'at'} {at:g}", *told]))
        self._remark.hide()

    def _shown(self) -> list[str]:
        return [key for key in self.lines if key not in self.legend or self.legend[key].isChecked()]

    def _nearest(self, key: str, x: float) -> tuple[str, float, float] | None:
        xs = self._xs[key]
        if not xs:
            return None
        at = bisect_left(xs, x)
        at = min((i for i in (at - 1, at) if 0 <= i < len(xs)), key=lambda i: abs(xs[i] - x))
        return key, xs[at], self._ys[key][at]

    def _leave(self) -> None:
        self.values.setText("")
        self._remark.setVisible(bool(self._remark.text()))
        if self._cross is not None:
            self._cross.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._leave()
        elif event.type() == QEvent.Type.MouseButtonDblClick:
            self.reset()
        return False

    # The menu

    def _open_menu(self) -> None:
        self._menu.popup(self._more.mapToGlobal(QPoint(0, self._more.height())))

    @Slot(QPoint)
    def _on_context(self, place: QPoint) -> None:
        self._menu.popup(self._plot.mapToGlobal(place))

    @Slot()
    def reset(self) -> None:
        """Show everything again after a zoom."""
        if self._plot is not None:
            self._plot.getPlotItem().getViewBox().enableAutoRange(x=True, y=True)

    @Slot()
    def copy_picture(self) -> None:
        """The card as it is, onto the clipboard."""
        QGuiApplication.clipboard().setPixmap(self.grab())

    @Slot()
    def copy_csv(self) -> None:
        """All lines as one table onto the clipboard."""
        QGuiApplication.clipboard().setText(self.csv())

    def csv(self) -> str:
        """One row an x, one column a line; empty where a line has no point."""
        columns = {key: dict(zip(self._xs[key], self._ys[key], strict=True)) for key in self.lines}
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow([self._x_title or "x", *(line.name for line in self.lines.values())])
        for x in sorted({x for column in columns.values() for x in column}):
            table.writerow([f"{x:g}", *(repr(column[x]) if x in column else "" for column in columns.values())])
        return out.getvalue()


def _faded(colour: QColor) -> QColor:
    out = QColor(colour)
    out.setAlphaF(0.6)
    return out
