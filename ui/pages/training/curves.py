"""The curves of a run: loss with its smoothing, learning rate, gradient norm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QGridLayout, QWidget

from app.services import Services
from core.training.config import TrainingConfig
from ui import format as fmt
from ui.theme import theme
from ui.widgets.line_chart import Chart, Line, load

SMOOTHING, SMOOTHED_SHARE = (0.5, 0.9), 25
WAITING = "The curve appears after the first step."


class Smoother:
    """Exponential mean without the bias of its start, fed point by point."""

    def __init__(self, total_steps: int = 0) -> None:
        least, most = SMOOTHING
        # A short run would be all lag with the smoothing of a long one.
        self._keep = min(most, max(least, 1 - SMOOTHED_SHARE / max(1, total_steps)))
        self._sum = self._weight = 0.0

    def feed(self, value: float) -> float:
        """The mean up to and with `value`."""
        self._sum = self._keep * self._sum + (1 - self._keep) * value
        self._weight = self._keep * self._weight + (1 - self._keep)
        return self._sum / self._weight


class Curves(QWidget):
    """Fed with the metric points of one run, only the new ones each time."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._loading = False
        self._rate_unit = 1.0
        self._smoother = Smoother()
        self.last_step = -1
        loss = (
            Line("train", "train, each step", "muted", 1.0), Line("smooth", "train, smoothed", "accent"),
            Line("validation", "validation", "c2", dots=True),
        )  # fmt: skip
        self.loss = Chart("loss_chart", "Loss", loss, x_title="step")
        self.rate = Chart("rate_chart", "Learning rate", [Line("rate", "rate", "c3")])
        self.norm = Chart("norm_chart", "Gradient norm", [Line("norm", "norm", "c2", 1.5)])
        self.charts = (self.loss, self.rate, self.norm)
        sizes = theme().sizes
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(sizes.grid + 4)
        grid.addWidget(self.loss, 0, 0, 1, 2)
        grid.addWidget(self.rate, 1, 0)
        grid.addWidget(self.norm, 1, 1)
        grid.setRowStretch(0, 7)
        grid.setRowStretch(1, 3)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        for chart in (self.rate, self.norm):
            chart.setMinimumHeight(sizes.label * 3 // 4)

    def prepare(self) -> None:
        """Load pyqtgraph off the GUI thread, then build one chart a turn of the event loop."""
        if self._loading or self.loss.built:
            return
        self._loading = True
        self._services.run(self, load, self._on_loaded)

    def _on_loaded(self, _nothing: object) -> None:
        self._build_next()

    def _build_next(self) -> None:
        missing = next((chart for chart in self.charts if not chart.built), None)
        if missing is not None:
            missing.build()
            QTimer.singleShot(0, self, self._build_next)

    def begin(self, config: TrainingConfig, total_steps: int) -> None:
        """Forget what was drawn: another run."""
        self.last_step = -1
        self._smoother = Smoother(total_steps)
        exponent = math.floor(math.log10(config.learning_rate))
        self._rate_unit = 10.0**exponent
        self.rate.set_remark(f"× 1e{exponent}")
        self.norm.set_remark(f"clip {fmt.decimal(config.grad_clip, 1)}" if config.grad_clip else "no clip")
        for chart in self.charts:
            chart.clear()
            chart.set_message(WAITING)

    def add(self, points: Sequence[Mapping[str, Any]]) -> None:
        """New points, in order of step; steps that are there already are passed over."""
        fresh = [p for p in points if p["step"] > self.last_step]
        if not fresh:
            return
        self.last_step = fresh[-1]["step"]
        trained = [(p["step"], p["train_loss"]) for p in fresh if p["train_loss"] is not None]
        steps = [step for step, _ in trained]
        self.loss.add_points("train", steps, [loss for _, loss in trained])
        self.loss.add_points("smooth", steps, [self._smoother.feed(loss) for _, loss in trained])
        self._line(self.loss, "validation", fresh, "validation_loss")
        self._line(self.rate, "rate", fresh, "learning_rate", 1 / self._rate_unit)
        self._line(self.norm, "norm", fresh, "grad_norm")

    @staticmethod
    def _line(chart: Chart, key: str, points: Sequence[Mapping[str, Any]], column: str, factor: float = 1.0) -> None:
        here = [(p["step"], p[column] * factor) for p in points if p[column] is not None]
        chart.add_points(key, [x for x, _ in here], [y for _, y in here])
