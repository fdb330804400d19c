"""Text a model wrote, shown as text: running text, lists, tables and code with Copy; never its HTML."""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QContextMenuEvent, QFontMetricsF, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLabel, QMenu, QSizePolicy, QVBoxLayout, QWidget

from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, WrapLabel
from ui.widgets.code_block import CodeBlock
from ui.widgets.markdown import CODE, TEXT, Block, Growing, breakable, visible

COLUMN_CHARACTERS = 76
SHOWN_CHARACTERS = 20_000
CARET = "▍"
MOST_GROWING = 1_200
_SAMPLE = "The reviewer is picked by workload, and the limit itself comes from settings, so"
_CLOSED = re.compile(r"(?:</[a-z]+>)+$")


def column_width() -> int:
    """The width of at most 76 characters of running text."""
    metrics = QFontMetricsF(theme().font())
    return round(metrics.horizontalAdvance(_SAMPLE[:COLUMN_CHARACTERS]))


def with_caret(rich: str, caret: str) -> str:
    """The caret behind the last word, inside of what is open there."""
    closed = _CLOSED.search(rich)
    return f"{rich[: closed.start()]}{caret}{closed[0]}" if closed and caret else rich + caret


class _Running(WrapLabel):
    """Copies what is selected without the places where a long word may be broken."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and self.hasSelectedText():
            self._copy()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.addAction("Copy", self._copy).setEnabled(self.hasSelectedText())
        menu.popup(event.globalPos())
        menu.aboutToHide.connect(menu.deleteLater)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.selectedText().replace("\u200b", "").replace("\u2029", "\n"))


def running_text() -> QLabel:
    """A label for running text: wrapped, selectable, no wider than its place, no links and no pictures."""
    out = _Running("")
    out.setTextFormat(Qt.TextFormat.PlainText)
    out.setProperty("role", "")
    out.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    out.setOpenExternalLinks(False)
    policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    out.setSizePolicy(policy)
    out.setMinimumWidth(1)
    return out


class MessageText(QWidget):
    """A message's text; `set_text` touches only the blocks that changed, so that streaming stays cheap."""

    def __init__(self, text: str = "", *, markdown: bool = True, at_once: int = SHOWN_CHARACTERS) -> None:
        super().__init__()
        self.setObjectName("message_text")
        self._markdown = markdown
        self._text, self._caret = "", False
        self._growing = Growing(theme().mono().family())
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
        plain = [Block(TEXT, visible(shown))] if shown else []
        found = self._growing.blocks(shown) if self._markdown else plain
        if self._caret and not found:
            found = [Block(TEXT, "")]
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
        if old is None or isinstance(old, CodeBlock) != (block.kind == CODE):
            new: QLabel | CodeBlock = CodeBlock(block) if block.kind == CODE else running_text()
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
        if caret and len(block.text) > MOST_GROWING:
            # Laid out anew with every word: long tables and lists get their form when they are through.
            block = Block(block.kind, block.text, language=block.language)
        if isinstance(old, CodeBlock):
            old.show_block(block, mark)
            return
        old.setTextFormat(Qt.TextFormat.RichText if block.html else Qt.TextFormat.PlainText)
        old.setText(with_caret(block.html, mark) if block.html else breakable(block.text) + mark)

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
            self._shown, self._growing = [], Growing(theme().mono().family())
            self._render()
