"""The text of a template: placeholders marked, those that are wrong underlined, names completed while typing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QFont, QKeyEvent, QSyntaxHighlighter, QTextCharFormat, QTextDocument
from PySide6.QtWidgets import QCompleter, QListView, QMenu, QPlainTextEdit

from core.scaffolding.placeholders import Fault, Problem, problems, utf16
from core.scaffolding.render import KNOWN, PLACEHOLDER
from ui import format as fmt
from ui.theme import theme

# More than can be worked off at a sight are not looked for.
MOST = 200
_BEGUN = re.compile(r"\{\{\s*(\w*)$")
_REST = re.compile(r"\w*\s*(\}\})?")


class Highlighter(QSyntaxHighlighter):
    """Placeholders in the accent's colour; one that blocks is underlined in red, one without a value in amber."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._values: Mapping[str, str] | None = None
        self._make_styles()
        theme().changed.connect(self._again)

    def set_values(self, values: Mapping[str, str] | None) -> None:
        """What the placeholders stand for; None calls none of them unfilled."""
        if self._empty(values) != self._empty(self._values):
            self._values = values
            self.rehighlight()

    @staticmethod
    def _empty(values: Mapping[str, str] | None) -> set[str]:
        return {name for name in KNOWN if values is not None and not values.get(name)}

    def _make_styles(self) -> None:
        self._good = _style("accent", "tint")
        self._wrong = {True: _style("bad", "badbg", wave=True), False: _style("warn", "warnbg", wave=True)}

    @Slot()
    def _again(self) -> None:
        self._make_styles()
        self.rehighlight()

    def highlightBlock(self, text: str) -> None:
        if "{{" not in text:
            return
        at = utf16(text)
        marks = [(match.start(), match.end(), self._good) for match in PLACEHOLDER.finditer(text)]
        marks += [(found.start, found.end, self._wrong[found.blocks]) for found in problems(text, self._values, MOST)]
        for start, end, style in marks:
            self.setFormat(at(start), at(end) - at(start), style)


def _style(colour: str, behind: str, *, wave: bool = False) -> QTextCharFormat:
    style = QTextCharFormat()
    style.setForeground(theme().colour(colour))
    style.setBackground(theme().colour(behind))
    style.setFontWeight(QFont.Weight.DemiBold)
    if wave:
        style.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
        style.setUnderlineColor(theme().colour(colour))
    return style


def told(found: Sequence[Problem]) -> str:
    """The first problem in words, how many there are beside it, and what is known."""
    if not found:
        return ""
    more = f" ({fmt.plural(len(found) - 1, 'more problem')})" if len(found) > 1 else ""
    known = f" Known: {', '.join(KNOWN)}." if found[0].fault is Fault.UNKNOWN else ""
    return f"{found[0].message}{more}{known}"


def reader(name: str, accessible: str) -> QPlainTextEdit:
    """A text that is only read."""
    out = QPlainTextEdit()
    out.setObjectName(name)
    out.setReadOnly(True)
    out.setTabChangesFocus(True)
    out.setAccessibleName(accessible)
    return out


class TemplateText(QPlainTextEdit):
    """Editable. After {{ the known names are offered; Enter or Tab takes one, with its closing braces."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("field_text")
        self.setTabChangesFocus(True)
        self.setMinimumHeight(6 * theme().sizes.row)
        self.highlighter = Highlighter(self.document())
        self.names = QCompleter(sorted(KNOWN), self)
        self.names.setWidget(self)
        self.names.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.names.setFilterMode(Qt.MatchFlag.MatchContains)
        self.names.activated.connect(self.complete)
        self._list = QListView()
        self._list.setObjectName("placeholder_names")
        self._list.setAccessibleName("Placeholders")
        self.names.setPopup(self._list)
        self._list.installEventFilter(self)
        self.textChanged.connect(self._offer)

    def fill_menu(self, menu: QMenu, groups: Mapping[str, Iterable[str]]) -> None:
        """The known names by what they are taken from; a click inserts one."""
        for title, names in groups.items():
            part = menu.addMenu(title)
            for name in names:
                action = part.addAction(f"{{{{{name}}}}}")
                action.setObjectName(f"insert_{name}")
                action.triggered.connect(lambda _checked=False, chosen=name: self.insert(chosen))

    def insert(self, name: str) -> None:
        """A placeholder where the cursor is."""
        self.textCursor().insertText(f"{{{{{name}}}}}")
        self.setFocus()

    def _begun(self) -> str | None:
        """The part of a name before the cursor, None outside of braces."""
        cursor = self.textCursor()
        line = cursor.block().text()
        # The cursor counts as Qt does, the line's text is Python's.
        before = line.encode("utf-16-le")[: 2 * cursor.positionInBlock()].decode("utf-16-le", "ignore")
        match = _BEGUN.search(before)
        return match.group(1) if match else None

    @Slot()
    def _offer(self) -> None:
        prefix = self._begun() if self.hasFocus() and not self.isReadOnly() else None
        popup = self._list
        if prefix is None or prefix in KNOWN:
            popup.hide()
            return
        self.names.setCompletionPrefix(prefix)
        if not self.names.completionCount():
            popup.hide()
            return
        place = self.cursorRect()
        bar = popup.verticalScrollBar().sizeHint().width()
        place.setWidth(popup.sizeHintForColumn(0) + bar + 2 * theme().sizes.grid)
        self.names.complete(place)
        popup.setCurrentIndex(self.names.completionModel().index(0, 0))

    @Slot(str)
    def complete(self, name: str) -> None:
        """Put the name in the place of what was begun, and close its braces."""
        begun = self._begun()
        if begun is None:
            return
        cursor = self.textCursor()
        rest = cursor.block().text().encode("utf-16-le")[2 * cursor.positionInBlock() :].decode("utf-16-le", "ignore")
        match = _REST.match(rest)
        # What is left of another name behind the cursor goes, and its braces are not doubled.
        behind = len(match.group(0)) if match and match.group(1) else 0
        place = cursor.position()
        cursor.setPosition(place - len(begun))
        cursor.setPosition(place + behind, cursor.MoveMode.KeepAnchor)
        cursor.insertText(f"{name}}}}}")
        self.setTextCursor(cursor)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # Enter is the completer's own, Tab would leave the field.
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Tab:
            self._list.hide()
            self.complete(str(self._list.currentIndex().data()))
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._list.isVisible() and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            # Left to the list, which sends the key on to the field first.
            event.ignore()
            return
        super().keyPressEvent(event)
