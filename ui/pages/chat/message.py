"""One turn of a chat: the user's tinted at the right, an answer plain at the left with who gave it and how fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.projects import chats
from ui import format as fmt
from ui.models.rows import Status
from ui.pages.chat.answer_tools import KeepTools, Variants
from ui.pages.chat.attach import show_file
from ui.pages.chat.given_panel import Place, Places
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, plain_tip, row
from ui.widgets.chip import StatusPill
from ui.widgets.flow import Flow
from ui.widgets.message_text import MessageText, column_width

STREAMING, WAITING = "streaming", "waiting"
NAME_CHARACTERS = 40
FILES_SHOWN = 6
UNDER_WAY = (STREAMING, WAITING)
_PILLS = {
    chats.STOPPED: Status("neutral", "Stopped"),
    chats.FAILED: Status("bad", "Failed"),
    chats.INTERRUPTED: Status("warn", "Interrupted"),
}


@dataclass(frozen=True)
class Said:
    """What one side answered."""

    who: str
    text: str
    status: str
    stats: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Turn:
    """One row of the transcript; a comparison has several answers. `last` may be asked again.

    `variant` is (place from 0, how many) of the answers given there. `counts` is the answer of a comparison that
    counts, -1 while nobody knows who is who. `files` are (name, text) of what goes with a question. `kept` says how the
    answer is kept to train on, "" if it is not.
    """

    id: str
    role: str
    said: tuple[Said, ...]
    last: bool = False
    variant: tuple[int, int] = (0, 1)
    counts: int = -1
    files: tuple[tuple[str, str], ...] = ()
    position: int = 0
    kept: str = ""


def speed_text(stats: Mapping[str, Any]) -> str:
    """ "34 tokens/s · first token 0.18 s"; empty while nothing is known."""
    parts = []
    if stats.get("cached"):
        return f"the same answer as {fmt.moment(str(stats['cached']))}"
    if stats.get("tokens_per_second"):
        rate = float(stats["tokens_per_second"])
        parts.append(f"{fmt.count(round(rate)) if rate >= 9.5 else fmt.decimal(rate, 1)} tokens/s")
    if stats.get("first_token_s") is not None:
        parts.append(f"first token {fmt.duration(float(stats['first_token_s']))}")
    if stats.get("finish_reason") == "length":
        parts.append(f"cut off at {fmt.plural(int(stats.get('tokens', 0)), 'token')}")
    return " · ".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


class _Speed(ElidedLabel):
    """A caption at the right edge that gives way before the buttons do."""

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setPen(self.palette().color(self.foregroundRole()))
            text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text)


class AnswerPart(QWidget):
    """Who answers, the text, how it ended."""

    def __init__(self, said: Said) -> None:
        super().__init__()
        sizes = theme().sizes
        self.who = ElidedLabel("", "caption")
        self.who.setObjectName("answered_by")
        self.text = MessageText()
        self.places = Places()
        self.speed = _Speed("", "caption")
        self.speed.setObjectName("answer_speed")
        self.pill: StatusPill | None = None
        self._choose: Button | None = None
        copy = Button("", "ghost", "ph.copy", on_click=self._copy, tip="Copy", name="copy", accessible="Copy answer")
        self._foot = QHBoxLayout()
        self._foot.setContentsMargins(0, 0, 0, 0)
        self._foot.setSpacing(sizes.half)
        copy.setFixedWidth(sizes.control)
        self._foot.addWidget(copy)
        self._foot.addWidget(self.speed, 1)
        self._tools = QWidget()
        self._tools.setLayout(self._foot)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(sizes.half)
        for item in (self.who, self.text, self.places, self._tools):
            box.addWidget(item)
        box.addStretch(1)
        self.show_said(said)

    def add_tool(self, tool: QWidget) -> None:
        """Something after Copy."""
        self._foot.insertWidget(1, tool)

    def show_choice(self, words: str, counts: bool, choose: Callable[[], object]) -> None:
        """Of several answers: the one that counts says so, the others can be chosen with a button of these words."""
        if self._choose is None:
            self._choose = Button("", "ghost", "ph.check", on_click=choose, name="use_answer")
            self._counts = StatusPill(Status("ok", "Used"))
            self._counts.setObjectName("answer_counts")
            self.add_tool(self._choose)
            self.add_tool(self._counts)
        self._choose.setText(words)
        self._choose.setVisible(bool(words) and not counts)
        self._counts.setVisible(counts)

    def show_said(self, said: Said) -> None:
        """All of it, as it is now."""
        self.who.setText(said.who)
        self.text.set_text(said.text, caret=said.status == STREAMING)
        self.speed.setText(speed_text(said.stats))
        self.places.show_places(said.places)
        self._tools.setVisible(said.status not in UNDER_WAY)
        self._show_pill(_PILLS.get(said.status))
        self.setAccessibleName(f"{said.who}: {said.text[:200]}")

    def _show_pill(self, status: Status | None) -> None:
        if status is not None and self.pill is None:
            self.pill = StatusPill(status)
            self.pill.setObjectName("answer_status")
            self._foot.addWidget(self.pill)
        if self.pill is not None:
            self.pill.setVisible(status is not None)
            if status is not None:
                self.pill.set_status(status)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.plain_text())


class TurnView(QWidget):
    """One turn, centred in the transcript. `again_requested` from the last answer; `variant_wanted(id, place)`.

    `side_wanted(id, place)`: of several answers that one is to count; `edit_wanted(id)` from a question;
    `keep_wanted(id)` and `correct_wanted(id)` from an answer that is worth training on; `place_wanted(id, path, line)`
    from one that names a place in the code.
    """

    again_requested = Signal()
    variant_wanted = Signal(str, int)
    side_wanted = Signal(str, int)
    edit_wanted = Signal(str)
    keep_wanted = Signal(str)
    correct_wanted = Signal(str)
    place_wanted = Signal(str, str, int)

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.turn = turn
        self.setObjectName(f"turn_{turn.id}")
        self.parts: list[AnswerPart] = []
        self.again: Button | None = None
        self.variants: Variants | None = None
        self.keep: KeepTools | None = None
        self._foot: QHBoxLayout | None = None
        self._body = QWidget()
        self._own: QLabel | MessageText | None = None
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addStretch(0)
        box.addWidget(self._body, 1)
        box.addStretch(0)
        self._inner = QVBoxLayout(self._body)
        self._inner.setContentsMargins(0, 0, 0, 0)
        self._build()
        self._fit()
        self.show_turn(turn)
        theme().changed.connect(self._fit)

    def _build(self) -> None:
        sizes = theme().sizes
        if self.turn.role == "user":
            self._own = MessageText(self.turn.said[0].text, markdown=False)
            frame = QFrame()
            frame.setProperty("role", "tint")
            frame.setObjectName("question")
            box = QVBoxLayout(frame)
            box.setContentsMargins(sizes.grid + 6, sizes.grid + 2, sizes.grid + 6, sizes.grid + 2)
            box.addWidget(self._own)
            self._frame = frame
            holder = QHBoxLayout()
            holder.addStretch(1)
            holder.addWidget(frame)
            self._inner.addLayout(holder)
            self._inner.addWidget(self._question_tools())
            return
        self.parts = [AnswerPart(said) for said in self.turn.said]
        for part in self.parts:
            part.places.wanted.connect(lambda path, line: self.place_wanted.emit(self.turn.id, path, line))
        if len(self.parts) == 1:
            self._inner.addWidget(self.parts[0])
        else:
            cards = [self._side(part) for part in self.parts]
            pairs = QGridLayout()
            pairs.setSpacing(2 * sizes.grid)
            for number, card in enumerate(cards):
                pairs.addWidget(card, number // 2, number % 2)
            for number in range(2):
                pairs.setColumnStretch(number, 1)
            self._inner.addLayout(pairs)

    @staticmethod
    def _side(part: AnswerPart) -> QWidget:
        grid = theme().sizes.grid
        out = QFrame()
        out.setProperty("role", "card")
        out.setObjectName("compared")
        box = QVBoxLayout(out)
        box.setContentsMargins(2 * grid - 2, grid + 2, 2 * grid - 2, grid)
        box.addWidget(part)
        return out

    def _question_tools(self) -> QWidget:
        shown, more = self.turn.files[:FILES_SHOWN], len(self.turn.files) - FILES_SHOWN
        files: list[QWidget] = [self._file(name, text) for name, text in shown]
        if more > 0:
            files.append(label(f"and {more} more", "caption"))
        edit = Button(
            "Edit", "ghost", "ph.pencil-simple", on_click=lambda: self.edit_wanted.emit(self.turn.id),
            name="edit_question", tip="Ask this another way, in a branch of the chat",
        )  # fmt: skip
        return Flow(*files, edit, gap=theme().sizes.half) if files else row(None, edit)

    def _file(self, name: str, text: str) -> Button:
        return Button(
            _short(name), "chip", "ph.paperclip", on_click=partial(show_file, self, name, text), name="attached",
            accessible=f"Attached file {name}",
        )  # fmt: skip

    @Slot()
    def _fit(self) -> None:
        wide = column_width()
        pair = len(self.parts) > 1
        self._body.setMaximumWidth(2 * wide if pair else wide)
        if isinstance(self._own, MessageText):
            self._frame.setMaximumWidth(wide * 3 // 4)
            self._fit_question(self._own.plain_text(), wide)

    def _fit_question(self, text: str, wide: int) -> None:
        # A wrapped label asks for an odd width of its own; a bubble hugs its longest line instead.
        metrics = self.fontMetrics()
        lines = text[:2000].split("\n")[:40]
        longest = max((metrics.horizontalAdvance(line) for line in lines), default=0)
        margins = 2 * (theme().sizes.grid + 6) + theme().sizes.half
        self._frame.setMinimumWidth(min(longest + margins, wide * 3 // 4, theme().sizes.field))
        self._frame.setMaximumWidth(max(min(longest + margins, wide * 3 // 4), self._frame.minimumWidth()))

    def show_turn(self, turn: Turn) -> None:
        """The same turn as it is now."""
        self.turn = turn
        for part, said in zip(self.parts, turn.said, strict=False):
            part.show_said(said)
        ended = all(said.status not in UNDER_WAY for said in turn.said)
        if len(self.parts) > 1:
            words = "" if not ended else "Use this answer" if turn.counts >= 0 else "This is the best one"
            for place, part in enumerate(self.parts):
                part.show_choice(words, ended and place == turn.counts, partial(self.side_wanted.emit, turn.id, place))
        if turn.last and ended and self.again is None:
            self._add_again()
        if self.again is not None:
            self.again.setVisible(turn.last and ended)
        self._show_keep(turn, ended)
        if turn.variant[1] > 1 and self.variants is None and self.parts:
            self.variants = Variants(lambda place: self.variant_wanted.emit(self.turn.id, place))
            self._add_tool(self.variants)
        if self.variants is not None:
            self.variants.setVisible(turn.variant[1] > 1 and ended)
            self.variants.show_place(*turn.variant)

    def _show_keep(self, turn: Turn, ended: bool) -> None:
        own = turn.said[max(turn.counts, 0) if len(turn.said) > 1 else 0]
        offered = bool(self.parts) and ended and bool(own.text.strip()) and (len(turn.said) == 1 or turn.counts >= 0)
        if offered and self.keep is None:
            self.keep = KeepTools(partial(self.keep_wanted.emit, turn.id), partial(self.correct_wanted.emit, turn.id))
            self._add_tool(self.keep)
        if self.keep is not None:
            self.keep.setVisible(offered)
            self.keep.show_kept(turn.kept)

    def _add_tool(self, tool: QWidget) -> None:
        """Beside Copy of the one answer, or below several."""
        if len(self.parts) == 1:
            self.parts[0].add_tool(tool)
            return
        if self._foot is None:
            self._foot = QHBoxLayout()
            self._foot.addStretch(1)
            self._inner.addLayout(self._foot)
        self._foot.insertWidget(self._foot.count() - 1, tool)

    def _add_again(self) -> None:
        self.again = Button(
            "Ask again", "ghost", "ph.arrows-clockwise", on_click=self.again_requested.emit, name="ask_again",
            tip="Answer this question again with the model chosen above",
        )  # fmt: skip
        if self.parts:
            self._add_tool(self.again)
        else:
            self._inner.addWidget(row(None, self.again))

    def fits(self, turn: Turn) -> bool:
        """Whether `show_turn` can show it, or another view is needed."""
        return turn.id == self.turn.id and (turn.role == "user" or len(turn.said) == len(self.parts))


def intro(title: str, text: str, questions: list[str], ask: Any) -> QWidget:
    """What a chat without messages shows: what it is, and questions to click."""
    sizes = theme().sizes
    buttons: list[QWidget] = []
    for number, question in enumerate(questions, start=1):
        short = question if len(question) <= 64 else f"{question[:63].rstrip()}…"
        button = Button(short, "", "ph.chat-teardrop-text", name=f"example_{number}", accessible=f"Ask: {question}")
        button.setToolTip(plain_tip(question))
        button.clicked.connect(lambda _checked=False, q=question: ask(q))
        buttons.append(row(None, button, None))
    words = label(text, "muted", wrap=True)
    words.setAlignment(Qt.AlignmentFlag.AlignCenter)
    words.setFixedWidth(sizes.field + sizes.sidebar - sizes.icon_large)
    heading = label(title, "section")
    heading.setAlignment(Qt.AlignmentFlag.AlignCenter)
    out = column(heading, row(None, words, None), *buttons, gap=sizes.grid + 2)
    out.setObjectName("intro")
    return out
