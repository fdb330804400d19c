"""What a turn of the chosen line is asked: the arc as a curve with the turn on it, and the very text that is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QWidget

from core.errors import AppError
from core.generation.beats import Beat, beat_of_turn
from core.generation.draft import Line
from core.generation.plan import Library, PlanItem
from core.generation.prompts import Cast, Prompts
from core.generation.settings import TURNS, RunSettings
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card

LINES = 9


class BeatCurve(QWidget):
    """The beats' intensities along a conversation's exchanges; `chosen(exchange)` by click or the arrow keys."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("beat_curve")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Arc of the conversation")
        self.beats: list[Beat] = []
        self.at = 0
        theme().changed.connect(self.update)

    def show_beats(self, beats: Sequence[Beat], at: int) -> None:
        """One beat an exchange, and the one that is marked."""
        self.beats, self.at = list(beats), at
        if beats:
            beat = beats[at]
            words = f"Exchange {at + 1} of {len(beats)}: {fmt.word(beat.emotion)}, strength {beat.intensity:.1f}"
            self.setAccessibleDescription(words)
            self.setToolTip(words)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(theme().sizes.label, 2 * theme().sizes.row + theme().sizes.grid)

    def _point(self, place: int) -> QPointF:
        room, edge = self.width() - 2 * theme().sizes.grid, theme().sizes.grid
        x = edge + room * place / max(1, len(self.beats) - 1)
        return QPointF(x, edge + (self.height() - 2 * edge) * (1 - self.beats[place].intensity))

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(theme().colour("line"))
            edge = theme().sizes.grid
            for share in (0.0, 0.5, 1.0):
                y = edge + (self.height() - 2 * edge) * share
                painter.drawLine(QPointF(0, y), QPointF(self.width(), y))
            points = [self._point(i) for i in range(len(self.beats))]
            painter.setPen(QPen(theme().colour("accent"), 2))
            painter.drawPolyline(points)
            for place, point in enumerate(points):
                here = place == self.at
                painter.setBrush(theme().colour("warn" if here else "card"))
                painter.setPen(QPen(theme().colour("warn" if here else "accent"), 2))
                painter.drawEllipse(point, theme().sizes.half, theme().sizes.half)
            if self.hasFocus():
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(theme().colour("accent"), 1))
                painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), theme().sizes.half, theme().sizes.half)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.beats:
            x = event.position().x()
            self.chosen.emit(min(range(len(self.beats)), key=lambda i: abs(self._point(i).x() - x)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
        if step and self.beats:
            self.chosen.emit(max(0, min(len(self.beats) - 1, self.at + step)))
        else:
            super().keyPressEvent(event)


class Asked(Card):
    """Follows the chosen line of the plan. `template_wanted(key)` opens its template."""

    template_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__("", gap=theme().sizes.half)
        self.setObjectName("asked")
        self._line: Line | None = None
        self._library: Library | None = None
        self._settings: RunSettings | None = None
        self._exchange = 0
        self.title = label("What is asked", "section", name="asked_title")
        template = Button("Template", "link", on_click=self._open_template, name="open_template")
        self.curve = BeatCurve()
        self.curve.chosen.connect(self._on_exchange)
        self.beat = label("", "caption", wrap=True, name="asked_beat")
        self.text = QPlainTextEdit()
        self.text.setObjectName("asked_text")
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("What is asked")
        self.text.setFixedHeight(LINES * theme().sizes.row * 3 // 4)
        for item in (row(self.title, None, template), self.curve, self.beat, self.text):
            self.add(item)
        self.hide()

    def show_line(self, line: Line | None, library: Library | None, settings: RunSettings | None) -> None:
        """Another line of the plan, or other settings."""
        if line is None or self._line is None or line.id != self._line.id:
            self._exchange = 0
        self._line, self._library, self._settings = line, library, settings
        self.setVisible(line is not None and library is not None and settings is not None)
        self._render()

    def _on_exchange(self, exchange: int) -> None:
        self._exchange = exchange
        self._render()

    def _render(self) -> None:
        line, library, settings = self._line, self._library, self._settings
        if line is None or library is None or settings is None:
            return
        item = line.items[0]
        try:
            cast = Cast.of(item, library)
            prompts = Prompts(settings.profile, library.vertical, settings.example)
            exchanges = max(1, item.turns // 2)
            self._exchange = min(self._exchange, exchanges - 1)
            beats = [beat_of_turn(cast.beats, 2 * n + 1, item.turns) for n in range(exchanges)]
            turn = 2 * self._exchange + 1
            steered = settings.mode == TURNS
            before = [{"role": "assistant" if n % 2 else "user", "content": "…"} for n in range(turn - 1)]
            text = _text(prompts, settings, item, cast, before)
        except AppError as error:
            self.text.setPlainText(f"{error.message} {error.hint}")
            return
        beat = beats[self._exchange]
        self.title.setText(f"What turn {turn} is asked" if steered else "What is asked")
        self.curve.show_beats(beats, self._exchange)
        goal = f" {beat.goal.strip().rstrip('.')}." if beat.goal.strip() else ""
        self.beat.setText(f"{fmt.word(beat.emotion)}, strength {beat.intensity:.1f}.{goal}")
        if self.text.toPlainText() != text:
            self.text.setPlainText(text)

    def _open_template(self) -> None:
        if self._line is not None:
            self.template_wanted.emit(self._line.items[0].template_key)


def _text(
    prompts: Prompts, settings: RunSettings, item: PlanItem, cast: Cast, before: Sequence[Mapping[str, str]]
) -> str:
    """The user message; for a local model its system text and the newest message, which are all it gets."""
    if not settings.structured:
        system, messages = prompts.plain_turn(item, cast, before, settings.practice)
        return "\n\n".join(part for part in (system, str(messages[-1]["content"]) if messages else "") if part)
    return prompts.turn(item, cast, before) if settings.mode == TURNS else prompts.whole(item, cast)
