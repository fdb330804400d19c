"""A block of code in an answer: its language, Copy, and its words coloured by Pygments."""

from __future__ import annotations

import html
import re
import time
from functools import lru_cache

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QFontMetricsF, QGuiApplication, QShowEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout

from ui.theme import theme
from ui.tokens import Tokens
from ui.widgets.basic import Button, label, row
from ui.widgets.markdown import Block

# Longer code is shown without colours: to find them would hold the window up.
MOST_COLOURED = 6_000
MOST_S = 0.03
# Where these languages' patterns meet many letters or blanks of one kind they take seconds, in one step.
SLOW = ("make", "makefile", "rst", "restructuredtext", "markdown", "md")
_REPEATED = re.compile(r"(\s)\1{99}|(.)\2{199}", re.DOTALL)


@lru_cache(maxsize=64)
def highlighted(code: str, language: str, colours: Tokens) -> str:
    """Code as escaped HTML with coloured words; "" where the language is not known or there is too much of it."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if not code or len(code) > MOST_COLOURED or language.lower() in SLOW or _REPEATED.search(code):
        return ""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return ""
    parts, until = [], time.monotonic() + MOST_S
    for kind, text in lexer.get_tokens(code):
        if time.monotonic() > until:
            return ""
        role, shown = token_role(str(kind)), html.escape(text)
        parts.append(f'<span style="color:{getattr(colours, role)}">{shown}</span>' if role else shown)
    return f'<pre style="margin:0">{"".join(parts)}</pre>'


def token_role(kind: str) -> str:
    """The token of the theme that a Pygments token such as `Token.Keyword.Constant` is drawn in; "" for plain text."""
    for part, role in (
        ("Comment", "muted"), ("String", "ok"), ("Number", "warn"), ("Keyword", "accent"), ("Operator.Word", "accent"),
        ("Name.Function", "info"), ("Name.Class", "info"), ("Name.Decorator", "muted"), ("Name.Tag", "accent"),
        ("Name.Attribute", "info"), ("Generic.Deleted", "bad"), ("Generic.Inserted", "ok"),
    ):  # fmt: skip
        if part in kind:
            return role
    return ""


class CodeBlock(QFrame):
    """Code with its language and Copy, its words coloured once it is whole; long lines scroll sideways."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.setProperty("role", "code")
        self.setObjectName("code_block")
        sizes = theme().sizes
        self.source, self._caret, self._height = "", "", 0
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
        self._area.horizontalScrollBar().rangeChanged.connect(self._fit)
        box = QVBoxLayout(self)
        box.setContentsMargins(sizes.grid + sizes.half, sizes.half, sizes.half, sizes.grid)
        box.setSpacing(0)
        box.addWidget(row(self._language, None, copy))
        box.addWidget(self._area)
        self.show_block(block)
        theme().changed.connect(self._restyle)

    def show_block(self, block: Block, caret: str = "") -> None:
        """Other code; `caret` while it is being written."""
        self.source, self._caret = block.text, caret
        self._language.setText(block.language or "code")
        self.setAccessibleName(f"Code, {block.language}" if block.language else "Code")
        self._restyle()

    @Slot()
    def _restyle(self) -> None:
        font = theme().mono()
        if self.code.font() != font:
            self.code.setFont(font)
        # While it grows it would be coloured anew with every word.
        rich = "" if self._caret else highlighted(self.source, self._language.text(), theme().tokens)
        self.code.setTextFormat(Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText)
        self.code.setText(rich or self.source + self._caret)
        lines = QFontMetricsF(font).lineSpacing() * (self.source.count("\n") + 1)
        self._height = round(lines) + theme().sizes.half
        self._fit()

    @Slot()
    def _fit(self) -> None:
        bar = self._area.horizontalScrollBar()
        extra = bar.sizeHint().height() if bar.maximum() > 0 else 0
        self._area.setFixedHeight(self._height + extra)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # A font set before the style sheet first looked at the label is lost when the block gets its place.
        self._restyle()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.source)
