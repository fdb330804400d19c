"""What a turn of the chosen line is asked: the arc as a curve with the turn on it, and the very text that is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPlainTextEdit

from core.errors import AppError
from core.generation.beats import beat_of_turn
from core.generation.draft import Line
from core.generation.plan import Library, PlanItem
from core.generation.prompts import Cast, Prompts
from core.generation.settings import TURNS, RunSettings
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.beat_curve import BeatCurve
from ui.widgets.card import Card

LINES = 9


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
        self.curve = BeatCurve("Exchange", "Arc of the conversation")
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
        self.curve.show_points([(beat.emotion, beat.intensity) for beat in beats], self._exchange)
        goal = f" {beat.goal.strip().rstrip('.')}." if beat.goal.strip() else ""
        self.beat.setText(f"{fmt.word(beat.emotion)}, intensity {fmt.decimal(beat.intensity)}.{goal}")
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
