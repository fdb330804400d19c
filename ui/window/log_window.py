"""Help > Log window: the records in memory, by level and text, following."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication, QShowEvent, QTextCursor
from PySide6.QtWidgets import QComboBox, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from app.logs import RING_SIZE, RingHandler
from ui.theme import theme
from ui.widgets.basic import Button, label, row

LEVELS = (("All", logging.INFO), ("Warnings and errors", logging.WARNING), ("Errors", logging.ERROR))
FOLLOW_MS = 500


class LogWindow(QWidget):
    """A window of its own beside the main one; at most one."""

    def __init__(self, parent: QWidget, ring: RingHandler, folder: Path) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Log")
        self._ring, self._folder, self._seen = ring, folder, 0
        sizes = theme().sizes
        self.level = QComboBox()
        self.level.setAccessibleName("Level")
        self.level.addItems([name for name, _ in LEVELS])
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Find in log")
        self.filter.setAccessibleName("Find in log")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(theme().mono())
        self.text.setMaximumBlockCount(RING_SIZE)
        self.text.setAccessibleName("Log records")
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        copy = Button("Copy", "", "ph.copy", on_click=self._copy)
        folder_button = Button("Open folder", "", "ph.folder-open", on_click=self._open_folder)
        box = QVBoxLayout(self)
        box.setContentsMargins(sizes.margin, sizes.grid * 2, sizes.margin, sizes.grid * 2)
        box.addWidget(row(self.level, self.filter, copy, folder_button, stretch=self.filter))
        box.addWidget(self.text, 1)
        box.addWidget(label("IDs and counts only. The content of conversations is never logged.", "caption"))
        self.resize(3 * sizes.field, 2 * sizes.field)
        self.level.currentIndexChanged.connect(self._refill)
        self.filter.textChanged.connect(self._refill)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._follow)
        self._timer.start(FOLLOW_MS)

    @classmethod
    def show_for(cls, parent: QWidget, ring: RingHandler, folder: Path) -> LogWindow:
        """Open it, or bring the open one to the front."""
        found = parent.findChild(cls)
        window = found if isinstance(found, cls) else cls(parent, ring, folder)
        window.show()
        window.raise_()
        return window

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refill()

    def _wanted(self, records: list[tuple[int, str]]) -> list[str]:
        level, words = LEVELS[self.level.currentIndex()][1], self.filter.text().lower()
        return [text for number, text in records if number >= level and words in text.lower()]

    @Slot()
    def _refill(self) -> None:
        self._seen = self._ring.count
        self.text.setPlainText("\n".join(self._wanted(self._ring.snapshot())))
        self.text.moveCursor(QTextCursor.MoveOperation.End)

    @Slot()
    def _follow(self) -> None:
        if self._ring.count == self._seen:
            return
        fresh = self._wanted(self._ring.snapshot(self._seen))
        self._seen = self._ring.count
        for text in fresh:
            self.text.appendPlainText(text)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))
