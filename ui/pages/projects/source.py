"""The source of a result, opened in place: its lines marked, what it calls, what calls it, the file's symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QComboBox

from app.services import Services
from core.code_index.spec import ProjectSpec
from core.errors import AppError
from ui import format as fmt
from ui.pages.projects.chips import NameChips, Target
from ui.pages.projects.highlight import LONGEST_LINE, Spans, spans
from ui.pages.projects.source_text import SourceText
from ui.pages.projects.words import ago, plain
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, label, row
from ui.widgets.card import Card

REST_MS = 60
MOST_BACK = 50
NOTHING = "Choose a result to read it here."
# In the place of a call's id, before there is one and after it was answered.
_ASKING, _PREPARING = "asking", "preparing"


@dataclass(frozen=True)
class Place:
    """Lines of a file, first and last; no file where `path` is empty."""

    path: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class _Shown:
    """A file's text as it can be shown quickly, prepared off the GUI thread."""

    text: str
    lines: Sequence[str]


def _prepare(text: str) -> _Shown:
    lines = text.removesuffix("\n").split("\n")
    # A line of a megabyte takes a second to lay out; what is cut is said by the ellipsis.
    lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines]
    return _Shown("\n".join(lines), lines)


class SourcePanel(Card):
    """`open_wanted(Place)` for the editor, `search_wanted(str)` for a name that is in no known file."""

    open_wanted = Signal(object)
    search_wanted = Signal(str)
    moved = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__("", gap=theme().sizes.grid)
        self.setObjectName("source_panel")
        self._services = services
        self._spec: ProjectSpec | None = None
        self.place = Place()
        self._back: list[Place] = []
        self._answer: Mapping[str, Any] = {}
        self._raw, self._ident, self._round, self._scroll = "", "", 0, 0
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(REST_MS)
        self._soon.timeout.connect(self._ask)
        self._build()
        self._show_nothing(NOTHING)

    def _build(self) -> None:
        self.title, self.line = ElidedLabel("", "section"), ElidedLabel("", "caption")
        self.title.setObjectName("source_title")
        self.back = Button("", "ghost", "ph.arrow-left", on_click=self.go_back, name="source_back", tip="Back")
        self.open = Button("Open in editor", "ghost", "ph.arrow-square-out", on_click=self._open, name="open_in_editor")
        self.text = SourceText()
        self.nothing = label(NOTHING, "muted", wrap=True, name="source_nothing")
        self.symbols = QComboBox()
        self.symbols.setObjectName("source_symbols")
        self.symbols.setAccessibleName("Symbols of this file")
        self.symbols.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.symbols.setMinimumContentsLength(16)
        self.symbols.setMaxVisibleItems(20)
        self.symbols.activated.connect(self._on_symbol)
        self.calls = NameChips("calls", "source_calls", self._go)
        self.called_by = NameChips("called by", "source_called_by", self._go)
        self.add(row(self.back, self.title, self.open, gap=theme().sizes.half, stretch=self.title))
        self.add(self.line)
        self.add(self.nothing)
        self.body.addWidget(self.text, 1)
        for item in (self.symbols, self.calls, self.called_by):
            self.add(item)
        self._spring = self.body.count()
        self.body.addStretch(0)

    # What is shown

    def use(self, spec: ProjectSpec | None) -> None:
        """Read in that project from now on; another one begins with nothing."""
        if self._spec is None or spec is None or spec.id != self._spec.id:
            self.clear()
        self._spec = spec

    def clear(self, words: str = NOTHING) -> None:
        """Show no file."""
        self._drop()
        self.place, self._back = Place(), []
        self._show_nothing(words)

    def show_place(self, place: Place, scroll: int = 0) -> None:
        """Show these lines when the choosing rests; `scroll` is where the text was, 0 for the lines themselves."""
        self._back.clear()
        self._turn_to(place, scroll)

    def refresh(self) -> None:
        """Read again: the file may have changed."""
        if self.place.path:
            self._turn_to(self.place, self.text.verticalScrollBar().value())

    def _turn_to(self, place: Place, scroll: int = 0) -> None:
        self._drop()
        self.place, self._scroll = place, scroll
        self._soon.start()
        self.moved.emit()

    @property
    def under_way(self) -> bool:
        """Whether a file is about to be shown."""
        return bool(self._ident) or self._soon.isActive()

    def _drop(self) -> None:
        self._soon.stop()
        self._round += 1
        ident, self._ident = self._ident, ""
        if ident:
            self._services.code.drop(ident)

    @Slot()
    def _ask(self) -> None:
        self._drop()
        spec, place, number = self._spec, self.place, self._round
        if spec is None or not place.path:
            return

        def done(answer: Mapping[str, Any]) -> None:
            if number == self._round:
                self._take(answer, number)

        def failed(error: AppError) -> None:
            if number == self._round:
                self._ident = ""
                self._show_nothing(f"{plain(error.message)} {error.hint}".strip(), plain(place.path))

        self._ident = _ASKING
        ident = self._services.code.read(self, spec, place.path, done, failed, (place.start, place.end))
        if self._ident == _ASKING:
            self._ident = ident

    def _take(self, answer: Mapping[str, Any], number: int) -> None:
        text = str(answer.get("text", ""))
        self._ident, self._answer = _PREPARING, answer
        if text == self._raw and self.text.isVisibleTo(self):
            self._finish(None, number)
            return
        self._services.run(self, lambda: _prepare(text), lambda shown: self._finish(shown, number, text))

    def _finish(self, shown: _Shown | None, number: int, text: str = "") -> None:
        if number != self._round:
            return
        self._ident = ""
        self._show_words()
        if shown is not None:
            self._raw = text
            self.text.show_text(shown.text)
            self._colour(shown, number)
        start, end = self.place.start, self.place.end
        self.text.mark(start, end)
        if self._scroll:
            self.text.verticalScrollBar().setValue(self._scroll)

    def _colour(self, shown: _Shown, number: int) -> None:
        path, language, around = self.place.path, str(self._answer.get("language", "text")), self.place.start - 1
        raw = self._raw

        def done(found: Spans) -> None:
            if self._raw == raw:
                self.text.show_spans(found)

        self._services.run(self, lambda: spans(path, language, shown.lines, around), done, lambda _exc: None)

    def _show_words(self) -> None:
        answer, path = self._answer, PurePosixPath(self.place.path)
        folder = plain(str(path.parent)) if str(path.parent) != "." else ""
        changed = float(answer.get("changed_at") or 0)
        parts = [folder, f"changed {ago(changed)}" if changed else ""]
        if answer.get("cut"):
            parts.append(f"the first part of {fmt.plural(int(answer.get('lines_total', 0)), 'line')}")
        self.title.setText(plain(path.name))
        self.line.setText(" · ".join(part for part in parts if part))
        self.text.setAccessibleName(f"Source of {plain(self.place.path)}")
        self._fill_symbols(answer.get("symbols") or [])
        own = [Target(str(c["name"]), str(c.get("path") or ""), int(c.get("start_line") or 0))
               for c in answer.get("calls") or []]  # fmt: skip
        callers = [(Target(str(c["qualified"]), str(c["path"]), int(c["start_line"])), bool(c.get("is_test")))
                   for c in answer.get("called_by") or []]  # fmt: skip
        self.calls.show_targets(own)
        self.called_by.show_targets([t for t, test in callers if not test], [t for t, test in callers if test], "tests")
        self._show_parts(there=True)

    def _fill_symbols(self, symbols: Sequence[Mapping[str, Any]]) -> None:
        self.symbols.clear()
        for symbol in symbols:
            above, _, name = plain(str(symbol["qualified"])).rpartition(".")
            depth = above.count(".") + 1 if above else 0
            self.symbols.addItem("    " * min(depth, 4) + name, symbol)
            self.symbols.setItemData(self.symbols.count() - 1, f"{symbol['kind']}, line {symbol['start_line']}",
                                     int(Qt.ItemDataRole.AccessibleDescriptionRole))  # fmt: skip
        self.symbols.setPlaceholderText(fmt.plural(len(symbols), "symbol"))
        self.symbols.setCurrentIndex(-1)

    def _show_parts(self, *, there: bool) -> None:
        self.nothing.setVisible(not there)
        for part in (self.text, self.line):
            part.setVisible(there)
        self.open.setVisible(there)
        self.symbols.setVisible(there and self.symbols.count() > 0)
        self.back.setVisible(bool(self._back))
        self.body.setStretch(self._spring, 0 if there else 1)

    def _show_nothing(self, words: str, title: str = "Source") -> None:
        self._raw, self._answer = "", {}
        self.text.show_text("")
        self.title.setText(title)
        self.nothing.setText(words)
        self.calls.show_targets([])
        self.called_by.show_targets([])
        self._show_parts(there=False)

    # What the user does

    @Slot()
    def go_back(self) -> None:
        """To the lines from which a name led here."""
        if self._back:
            self._turn_to(self._back.pop())

    def _go(self, target: Target) -> None:
        if not target.path:
            self.search_wanted.emit(target.name)
            return
        self._jump(Place(target.path, target.line, target.line))

    def _jump(self, place: Place) -> None:
        self._back = [*self._back, self.place][-MOST_BACK:]
        self._turn_to(place)

    @Slot(int)
    def _on_symbol(self, number: int) -> None:
        symbol = self.symbols.itemData(number)
        self.symbols.setCurrentIndex(-1)
        if isinstance(symbol, Mapping):
            start = int(symbol["start_line"])
            self._jump(Place(self.place.path, start, max(start, int(symbol.get("end_line") or start))))

    @Slot()
    def _open(self) -> None:
        if self.place.path:
            self.open_wanted.emit(self.place)
