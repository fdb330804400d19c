"""What is to be known above the messages: that older ones are summarised, and which chat this one branched from."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.projects.chats import Chat
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, row


class ChatNotes(QWidget):
    """`summary_wanted()`, `origin_wanted(chat id)`. Hidden while there is nothing to say."""

    summary_wanted = Signal()
    origin_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._origin = ""
        self.summary = ElidedLabel("", "caption")
        self.summary.setObjectName("summary_note")
        self.origin = ElidedLabel("", "caption")
        self.origin.setObjectName("origin_note")
        show = Button("Show summary", "link", on_click=self.summary_wanted.emit, name="show_summary")
        go = Button("Open", "link", on_click=lambda: self.origin_wanted.emit(self._origin), name="open_origin",
                    accessible="Open the chat that this one branched from")  # fmt: skip
        self._summary_line, self._origin_line = row(self.summary, show, None), row(self.origin, go, None)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        for line in (self._origin_line, self._summary_line):
            box.addWidget(line)

    def show_chat(self, chat: Chat, summarised: int, origin: Chat | None) -> None:
        """The notes of that chat; `summarised` messages are read as a summary."""
        self._origin = origin.id if origin is not None else ""
        self.origin.setText(f"Branched from “{origin.title}”" if origin is not None else "")
        self.summary.setText(f"The model reads the first {fmt.plural(summarised, 'message')} as a summary")
        self._origin_line.setVisible(origin is not None)
        self._summary_line.setVisible(bool(chat.summary and summarised))
        self.setVisible(origin is not None or bool(chat.summary and summarised))
