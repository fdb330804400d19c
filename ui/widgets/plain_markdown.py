"""Text a model wrote, shown as text: paragraphs, bold and code spans, code blocks with Copy; never its HTML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QFontMetricsF, QGuiApplication, QShowEvent
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, label, row

COLUMN_CHARACTERS = 76
SHOWN_CHARACTERS = 20_000
LONGEST_WORD = 40
CARET = "▍"
_SAMPLE = "The reviewer is picked by workload, and the limit itself comes from settings, so"
_FENCE = re.compile(r"^ {0,3}```([^`]*)$")
# What would draw over, reorder or hide other text: C0 and C1 controls, directional overrides and isolates.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LONG = re.compile(rf"\S{{{LONGEST_WORD},}}")
_SPANS = re.compile(r"`([^`\n]+)`|\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*")
_HEADING = re.compile(r"^#{1,6} +(?=\S)(.*)$", re.MULTILINE)


def column_width() -> int:
    """The width of at most 76 characters of running text."""
    metrics = QFontMetricsF(theme().font())
    return round(metrics.horizontalAdvance(_SAMPLE[:COLUMN_CHARACTERS]))


def visible(text: str) -> str:
    """Control characters as the replacement mark, line ends as one character."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def breakable(text: str) -> str:
    """Room to break a line inside words longer than one."""
    return _LONG.sub(lambda found: "\u200b".join(re.findall(".{1,20}", found[0])), text)


@dataclass(frozen=True)
class Block:
    """A paragraph, or code with the language its fence names."""

    kind: str
    text: str
    language: str = ""


def blocks(text: str) -> list[Block]:
    """Cut text at code fences; one that is not closed yet runs to the end."""
    out: list[Block] = []
    lines: list[str] = []
    language: str | None = None

    def close() -> None:
        body = "\n".join(lines)
        if language is not None:
            out.append(Block("code", body, language))
        elif body.strip():
            out.append(Block("text", body.strip("\n")))
        lines.clear()

    for line in visible(text).split("\n"):
        fence = _FENCE.match(line)
        if fence is None or (language is not None and fence[1].strip()):
            lines.append(line)
            continue
        close()
        words = fence[1].split()
        language = (words[0][:20] if words else "") if language is None else None
    close()
    return out


def marked_up(text: str) -> str:
    """Escaped HTML for text with bold, headings or code spans; "" when plain text says the same."""
    if not (_SPANS.search(text) or _HEADING.search(text)):
        return ""
    mono = html.escape(theme().mono().family(), quote=True)
    spans = _SPANS.sub(
        lambda m: f"\x01{m[1]}\x02" if m[1] is not None else f"\x03{m[2]}\x04",
        _HEADING.sub(lambda m: f"\x03{m[1].replace('**', '')}\x04", breakable(text)),
    )
    out = html.escape(spans)
    for mark, tag in (
        ("\x01", f'<span style="font-family:\'{mono}\'">'), ("\x02", "</span>"), ("\x03", "<b>"), ("\x04", "</b>"),
    ):  # fmt: skip
        out = out.replace(mark, tag)
    return f'<div style="white-space:pre-wrap">{out}</div>'


def running_text() -> QLabel:
    """A label for running text: wrapped, selectable, no wider than its place, no links and no pictures."""
    out = label("", wrap=True)
    out.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    out.setOpenExternalLinks(False)
    policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    out.setSizePolicy(policy)
    out.setMinimumWidth(1)
    return out


class CodeBlock(QFrame):
    """Code with its language and Copy; long lines scroll sideways."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.setProperty("role", "code")
        self.setObjectName("code_block")
        sizes = theme().sizes
        self._source = ""
        self._language = label("", "caption", name="code_language")
        copy = Button("Copy", "ghost", "ph.copy", on_click=self._copy, name="copy_code", accessible="Copy the code")
        self.code = label("", name="code_text")
        self.code.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.code.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(self.code)
        self._area.horizontalScrollBar().rangeChanged.connect(self._restyle)
        box = QVBoxLayout(self)
        box.setContentsMargins(sizes.grid + sizes.half, sizes.half, sizes.half, sizes.grid)
        box.setSpacing(0)
        box.addWidget(row(self._language, None, copy))
        box.addWidget(self._area)
        self.show_block(block)
        theme().changed.connect(self._restyle)

    def show_block(self, block: Block, caret: str = "") -> None:
        """Other code; `caret` while it is being written."""
        self._source = block.text
        self._language.setText(block.language or "code")
        self.code.setText(block.text + caret)
        self.setAccessibleName(f"Code, {block.language}" if block.language else "Code")
        self._restyle()

    @Slot()
    def _restyle(self) -> None:
        font = theme().mono()
        if self.code.font() != font:
            self.code.setFont(font)
        lines = QFontMetricsF(font).lineSpacing() * (self.code.text().count("\n") + 1)
        bar = self._area.horizontalScrollBar()
        extra = bar.sizeHint().height() if bar.maximum() > 0 else 0
        self._area.setFixedHeight(round(lines) + theme().sizes.half + extra)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # A font set before the style sheet first looked at the label is lost when the block gets its place.
        self._restyle()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._source)


class MessageText(QWidget):
    """A message's text; `set_text` touches only the blocks that changed, so that streaming stays cheap."""

    def __init__(self, text: str = "", *, markdown: bool = True, at_once: int = SHOWN_CHARACTERS) -> None:
        super().__init__()
        self.setObjectName("message_text")
        self._markdown = markdown
        self._text, self._caret = "", False
        self._at_once = self._limit = at_once
        self._shown: list[tuple[Block, bool]] = []
        self._widgets: list[QLabel | CodeBlock] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(theme().sizes.grid + 2)
        self._rest: Button | None = None
        self.set_text(text)

    def plain_text(self) -> str:
        """All of the message, as it was written."""
        return self._text

    def start_text(self, text: str) -> None:
        """Show another message, as much of it as at first."""
        self._limit = self._at_once
        self.set_text(text)

    def set_text(self, text: str, *, caret: bool = False) -> None:
        """Show another text; with `caret` while more is to come."""
        self._text, self._caret = text, caret
        self._render()

    def _render(self) -> None:
        shown = self._text[: self._limit]
        found = blocks(shown) if self._markdown else [Block("text", visible(shown))] if shown else []
        if self._caret and not found:
            found = [Block("text", "")]
        wanted = [(block, self._caret and place == len(found) - 1) for place, block in enumerate(found)]
        while len(self._widgets) > len(wanted):
            gone = self._widgets.pop()
            self._box.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for place, (block, caret) in enumerate(wanted):
            if place >= len(self._shown) or place >= len(self._widgets) or self._shown[place] != (block, caret):
                self._place(place, block, caret)
        self._shown = wanted
        self._show_rest(len(self._text) - len(shown))

    def _place(self, place: int, block: Block, caret: bool) -> None:
        old = self._widgets[place] if place < len(self._widgets) else None
        if old is None or isinstance(old, CodeBlock) != (block.kind == "code"):
            new: QLabel | CodeBlock = CodeBlock(block) if block.kind == "code" else running_text()
            if old is not None:
                self._box.removeWidget(old)
                old.hide()
                old.deleteLater()
                self._widgets[place] = new
            else:
                self._widgets.append(new)
            self._box.insertWidget(place, new)
            old = new
        mark = CARET if caret else ""
        if isinstance(old, CodeBlock):
            old.show_block(block, mark)
            return
        rich = marked_up(block.text + mark) if self._markdown else ""
        old.setTextFormat(Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText)
        old.setText(rich or breakable(block.text) + mark)

    def _show_rest(self, left: int) -> None:
        if left > 0 and self._rest is None:
            self._rest = Button("", "link", on_click=self._more, name="show_more")
            self._box.addWidget(self._rest, 0, Qt.AlignmentFlag.AlignLeft)
        if self._rest is not None:
            self._rest.setVisible(left > 0)
            self._rest.setText(f"Show more: {fmt.count(left)} characters left")

    def _more(self) -> None:
        self._limit += self._at_once
        self._render()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        # Code spans carry the family of the fixed font, which may change with the theme.
        if event.type() == QEvent.Type.FontChange:
            self._shown = []
            self._render()
