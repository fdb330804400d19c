"""The search over a project's code: its field, plain text or not, filters, and the question to the assistant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from core.code_index.query import plain_text
from ui.icons import icon
from ui.pages.projects.filters import SearchFilters
from ui.theme import theme
from ui.widgets.basic import Button
from ui.widgets.flow import WholeFlow

HINT = "Search by meaning, words or names"
PLAIN_HINT = "Search for this text in the files"
MOST_CHARACTERS = 10_000


@dataclass(frozen=True)
class Asked:
    """What is searched for. `plain` looks for the text as it is written, the other switches are about that."""

    text: str = ""
    plain: bool = False
    word: bool = False
    case: bool = False
    regex: bool = False
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> str:
        """The text without the prefix that asks for plain text."""
        behind = plain_text(self.text)
        return self.text.strip() if behind is None else behind

    @property
    def is_plain(self) -> bool:
        """Whether the text is looked for as it is written."""
        return self.plain or plain_text(self.text) is not None

    @property
    def filter_text(self) -> str:
        """The filters as they are written in a query."""
        return " ".join(f"{key}:{value}" for key, value in self.filters.items())

    @property
    def query(self) -> str:
        """Text and filters."""
        return f"{self.wanted} {self.filter_text}".strip()

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the project."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Asked:
        """The reverse; whatever can't be read is left out."""
        if not isinstance(data, Mapping):
            return cls()
        filters = data.get("filters")
        switches = {key: bool(data.get(key)) for key in ("plain", "word", "case", "regex")}
        return cls(str(data.get("text", "")), filters=dict(filters) if isinstance(filters, Mapping) else {}, **switches)


class _Field(QLineEdit):
    """`down()` for the arrow that leads into the results, `entered()` for Enter."""

    down = Signal()
    entered = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if plain and event.key() == Qt.Key.Key_Down:
            self.down.emit()
        elif plain and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        else:
            super().keyPressEvent(event)


class SearchBox(QWidget):
    """`edited()` when something else is asked; `entered()`, `down()` and `ask_wanted()` by key or button."""

    edited = Signal()
    entered = Signal()
    down = Signal()
    ask_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._filling = False
        self.field = _Field()
        self.field.setObjectName("code_search")
        self.field.setMaxLength(MOST_CHARACTERS)
        self.field.setClearButtonEnabled(True)
        self.field.setAcceptDrops(False)
        self.field.addAction(icon("ph.magnifying-glass"), QLineEdit.ActionPosition.LeadingPosition)
        self.ask = Button("Ask the assistant", "main", "ph.chat-teardrop-text", on_click=self.ask_wanted.emit,
                          name="ask_assistant")  # fmt: skip
        self.plain = self._switch(
            "Plain text", "plain", "Look for the text as it is written, as “text:” before it does"
        )
        self.case = self._switch("Aa", "case", "Match upper and lower case")
        self.word = self._switch("Word", "word", "Whole words only")
        self.regex = self._switch(".*", "regex", "Regular expression")
        self.filters = SearchFilters(self)
        self._switches = switches = WholeFlow(
            self.plain, self.case, self.word, self.regex, self.filters.button, gap=theme().sizes.half + 2
        )
        switches.align(right=False)
        self._first, self._second = QHBoxLayout(), QHBoxLayout()
        for line, item in ((self._first, self.field), (self._second, switches)):
            line.setSpacing(theme().sizes.grid)
            line.addWidget(item, 1)
        self._first.addWidget(self.ask)
        self._below = False
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half + 2)
        box.addLayout(self._first)
        box.addLayout(self._second)
        box.addWidget(self.filters.chips)
        self.filters.chips.hide()
        self.field.textChanged.connect(self._on_edited)
        self.field.entered.connect(self.entered)
        self.field.down.connect(self.down)
        self.filters.changed.connect(self._on_edited)
        self._judge()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # A question needs the whole line where that is short.
        below = self.width() < theme().sizes.field + self.ask.sizeHint().width()
        if below != self._below:
            self._below = below
            old, new = (self._first, self._second) if below else (self._second, self._first)
            old.removeWidget(self.ask)
            new.addWidget(self.ask, 0, Qt.AlignmentFlag.AlignTop)

    def _switch(self, text: str, name: str, tip: str) -> Button:
        out = Button(text, "chip", name=f"switch_{name}", tip=tip, accessible=text if len(text) > 4 else tip)
        out.setCheckable(True)
        out.toggled.connect(self._on_edited)
        return out

    @property
    def asked(self) -> Asked:
        """What the fields say."""
        return Asked(
            self.field.text(), self.plain.isChecked(), self.word.isChecked(), self.case.isChecked(),
            self.regex.isChecked(), dict(self.filters.values),
        )  # fmt: skip

    def show_asked(self, asked: Asked) -> None:
        """Fill the fields without a signal."""
        self._filling = True
        try:
            self.field.setText(asked.text)
            for button, on in ((self.plain, asked.plain), (self.case, asked.case), (self.word, asked.word),
                               (self.regex, asked.regex)):  # fmt: skip
                button.setChecked(on)
            self.filters.put(asked.filters)
        finally:
            self._filling = False
        self._judge()

    def _judge(self) -> None:
        plain = self.asked.is_plain
        for button in (self.case, self.word, self.regex):
            button.setVisible(plain)
        self._switches.claim()
        hint = PLAIN_HINT if plain else HINT
        self.field.setPlaceholderText(hint)
        self.field.setAccessibleName(hint)

    @Slot()
    def _on_edited(self) -> None:
        self._judge()
        if not self._filling:
            self.edited.emit()
