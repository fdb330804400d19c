"""What the last answer was given from the code: each piece with what found it, whether it was sent, and its lines."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from core.projects.assistant import Given, Source
from ui import format as fmt
from ui.pages.chat.knowledge import age
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, plain_tip, row, scrolled
from ui.widgets.code_block import CodeBlock
from ui.widgets.flow import Flow
from ui.widgets.markdown import Block

LEGS = {"meaning": "meaning", "words": "words", "name": "name", "exact": "exact name"}
LEFT_OUT = "left out"
MOST_WORDS = 56
Place = tuple[str, str, int, bool]


def legs_text(source: Source) -> str:
    """What found it, with its rank in each: "meaning 1 · words 2"."""
    return " · ".join(f"{LEGS.get(leg, leg)} {int(found[0])}" for leg, found in source.legs.items())


def caption(given: Given) -> str:
    """ "6 of 41 found · 1,310 tokens · index 4 s old"."""
    parts = [f"{len(given.used)} of {len(given.sources)} found", fmt.plural(given.tokens, "token")]
    if given.indexed_at:
        parts.append(f"index {fmt.duration(age(given.indexed_at))} old")
    return " · ".join(parts)


class SourceRow(QFrame):
    """One piece of code; a click opens its lines below. `open_wanted(path, line)`."""

    open_wanted = Signal(str, int)

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.setObjectName("source_row")
        self._source = source
        self._code: QWidget | None = None
        sizes = theme().sizes
        self.place = Button(
            source.place.rpartition("/")[2], "link", on_click=self._toggle, name="source_place", tip=source.place,
            accessible=f"{source.place}, {source.symbol}, {'used' if source.used else LEFT_OUT}",
        )  # fmt: skip
        used = label("used" if source.used else LEFT_OUT, "caption", name="source_used")
        used.setToolTip(plain_tip(source.why))
        symbol = ElidedLabel(source.symbol or source.kind, "muted")
        found = label(legs_text(source), "caption", name="source_legs")
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, sizes.half)
        self._box.setSpacing(2)
        self._box.addWidget(row(self.place, None, used))
        self._box.addWidget(row(symbol, found, stretch=symbol))
        if source.stale:
            self._box.addWidget(label("changed since it was indexed; read again", "caption", wrap=True))
        if source.why and not source.used:
            self._box.addWidget(label(source.why, "caption", wrap=True))

    def show_code(self, on: bool = True) -> None:
        """Open or close the lines."""
        if on and self._code is None:
            code = CodeBlock(Block("code", self._source.text.rstrip("\n"), language=self._source.language))
            go = Button("Open in editor", "ghost", "ph.arrow-square-out", on_click=self._open, name="open_in_editor")
            self._code = column(row(None, go), code, gap=0)
            self._box.addWidget(self._code)
        if self._code is not None:
            self._code.setVisible(on)

    def _toggle(self) -> None:
        self.show_code(self._code is None or self._code.isHidden())

    def _open(self) -> None:
        self.open_wanted.emit(self._source.path, self._source.start_line)


class GivenPanel(QWidget):
    """Beside a project's chat. `open_wanted(path, line)`; hidden where an answer was given nothing to show."""

    open_wanted = Signal(str, int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("given_panel")
        self.setAccessibleName("What it was given")
        sizes = theme().sizes
        self.given: Given | None = None
        self.title = label("What it was given", "section")
        self.line = label("", "caption", wrap=True, name="given_line")
        self.notices = label("", "caption", wrap=True, name="given_notices")
        self.rows: list[SourceRow] = []
        self._inner = QWidget()
        self._list = QVBoxLayout(self._inner)
        self._list.setContentsMargins(0, 0, sizes.grid, 0)
        self._list.setSpacing(sizes.grid)
        self._list.addStretch(1)
        area = scrolled(self._inner)
        box = QVBoxLayout(self)
        box.setContentsMargins(sizes.grid, 0, 0, 0)
        box.setSpacing(sizes.grid)
        for item in (self.title, self.line, self.notices):
            box.addWidget(item)
        box.addWidget(area, 1)
        self.show_given(None)

    def show_given(self, given: Given | None) -> None:
        """Those of an answer; None before the first."""
        if given is not None and given == self.given:
            self.line.setText(caption(given))
            return
        self.given = given
        for old in self.rows:
            self._list.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.rows = [SourceRow(source) for source in given.sources] if given is not None else []
        for place, found in enumerate(self.rows):
            found.open_wanted.connect(self.open_wanted)
            self._list.insertWidget(place, found)
        self.line.setText(caption(given) if given is not None else "What is found in the code for a question.")
        notices = "\n".join(given.notices) if given is not None else ""
        self.notices.setText(notices)
        self.notices.setVisible(bool(notices))

    @Slot(str, int)
    def show_place(self, path: str, line: int) -> bool:
        """Open the lines of the piece that holds that place; False where none does."""
        for found, source in zip(self.rows, self.given.sources if self.given else (), strict=False):
            if source.path == path and source.start_line <= line <= source.end_line:
                found.show_code()
                found.place.setFocus()
                return True
        return False


class Places(QWidget):
    """The places that an answer names, as chips. `wanted(path, line)`."""

    wanted = Signal(str, int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("places")
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._shown: tuple[Place, ...] = ()
        self._flow: Flow | None = None
        self.hide()

    def show_places(self, places: tuple[Place, ...]) -> None:
        """Each as (words, path, line, whether the model was given it)."""
        if places == self._shown:
            return
        self._shown = places
        if self._flow is not None:
            self._box.removeWidget(self._flow)
            self._flow.hide()
            self._flow.deleteLater()
            self._flow = None
        self.setVisible(bool(places))
        if not places:
            return
        chips = [
            Button(
                words if len(words) <= MOST_WORDS else f"…{words[-MOST_WORDS:]}", "chip", "ph.file-text",
                on_click=partial(self.wanted.emit, path, line), name="place",
                tip=words if given else f"{words}\nThe model was not given these lines: check them.",
                accessible=f"Open {words}",
            )
            for words, path, line, given in places
        ]  # fmt: skip
        self._flow = Flow(*chips, gap=theme().sizes.half)
        self._flow.align(right=False)
        self._box.addWidget(self._flow)
