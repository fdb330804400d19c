"""Summarises a chat's older messages while nothing else is to be done; and the dialog that shows and edits it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.models.store import BaseModel
from core.projects import summary
from core.projects.chats import Chat, Message
from ui.dialogs.base import confirm
from ui.dialogs.writing import WritingDialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import text_area
from ui.widgets.page import Page

log = logging.getLogger(__name__)
# Of what a model reads, before its tokens were counted: a third for the piece, the rest for the summary and the answer.
CHARACTERS_A_TOKEN, SHARE = 2, 3
LEAST_CHARACTERS, MOST_CHARACTERS = 400, 12_000
LINES = 10


class Summarizer(QObject):
    """One at a time, after an answer, with the base that has just answered. `moved()`, `made(chat id, summary, upto)`.

    A question stops it; what is not done then is done after its answer.
    """

    moved = Signal()
    made = Signal(str, str, int)

    def __init__(self, services: Services, parent: QObject) -> None:
        super().__init__(parent)
        self._services = services
        self.chat: Chat | None = None
        self._ident = ""
        self._text = ""
        self._turn = 0
        self._failed: set[str] = set()

    def consider(self, chat: Chat, base: BaseModel, messages: Sequence[Message], left_out: int) -> None:
        """Begin if a summary is due."""
        if self.chat is not None or chat.id in self._failed:
            return
        room = base.context_length * CHARACTERS_A_TOKEN // SHARE or MOST_CHARACTERS
        most = max(LEAST_CHARACTERS, min(MOST_CHARACTERS, room))
        turn = self._turn

        def find() -> list[tuple[str, int]]:
            upto = summary.due(chat, messages, left_out)
            return summary.pieces(chat, messages, upto, most) if upto else []

        def begin(parts: list[tuple[str, int]]) -> None:
            if parts and turn == self._turn and self.chat is None:
                self.chat = chat
                self.moved.emit()
                self._next(chat, parts)

        self._services.run(self, find, begin)

    def stop(self) -> None:
        """Something else is asked."""
        self._turn += 1
        chat, self.chat = self.chat, None
        if chat is not None:
            self._services.engine.stop(self._ident)
            self.moved.emit()

    def _next(self, chat: Chat, parts: list[tuple[str, int]]) -> None:
        """One piece after the other; each is kept, so that a question costs one piece at most."""
        if chat is not self.chat:
            return
        if not parts:
            self.chat = None
            self.moved.emit()
            return
        self._text = ""
        piece, upto = parts[0]

        def heard(text: str) -> None:
            self._text += text

        def done(_result: Mapping[str, Any]) -> None:
            if chat is self.chat:
                self._keep(chat, self._text.strip() or chat.summary, upto, parts[1:])

        def failed(error: AppError) -> None:
            log.warning("the chat %s could not be summarised: %s", chat.id, error)
            if error.code != "engine_closed":
                self._failed.add(chat.id)
            if chat is self.chat:
                self.chat = None
                self.moved.emit()

        self._ident = self._services.engine.generate(
            self, summary.request(chat.summary, piece), text=heard, done=done, stopped=_nothing, failed=failed
        )

    def _keep(self, chat: Chat, text: str, upto: int, rest: list[tuple[str, int]]) -> None:
        instead_of = (chat.summary, chat.summary_upto)

        def put(db: Database) -> tuple[Changed, bool]:
            changed = summary.put(db, chat.id, text, upto, instead_of)
            return changed, bool(changed)

        def kept(done: bool) -> None:
            if done:
                self.made.emit(chat.id, text, upto)
            if chat is not self.chat:
                return
            # Where somebody else wrote it meanwhile, that one stays.
            self.chat = replace(chat, summary=text, summary_upto=upto) if done else None
            if self.chat is None:
                self.moved.emit()
            else:
                self._next(self.chat, rest)

        if text:
            self._services.write(self, put, kept)
        else:
            self._next(chat, [])


def _nothing() -> None:
    """A question came first."""


class SummaryDialog(WritingDialog):
    """`changed(summary, upto)`: in other words, or gone, so that the messages themselves are read again."""

    changed = Signal(str, int)

    def __init__(self, page: Page, chat: Chat, count: int) -> None:
        super().__init__(page, page.services, "Summary of older messages")
        self.setObjectName("summary_dialog")
        self._chat = chat
        words = f"The model reads this instead of the first {count:,} messages. They stay in the chat as they are."
        self.text = text_area(chat.summary, LINES)
        self.text.setObjectName("summary_text")
        self.text.setAccessibleName("Summary")
        self.text.document().setModified(False)
        self.text.textChanged.connect(self._judge)
        for widget in (label(words, "muted", wrap=True), self.banners, self.text):
            self.body.addWidget(widget)
        forget = Button("Use the messages again", "ghost", on_click=self._forget, name="forget_summary")
        self.set_buttons(
            Button("Save", "main", "ph.check", on_click=lambda: self._save(self.text.toPlainText()),
                   name="save_summary"), forget
        )  # fmt: skip
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.text.setFocus()

    def _judge(self) -> None:
        self.hold("" if self.text.toPlainText().strip() else "Write a summary, or use the messages again.")

    def _forget(self) -> None:
        """The messages themselves are read again; what was typed is asked for first."""
        if self.typed:
            confirm(self, self.windowTitle(), "Discard your changes to the summary?", "Discard",
                    lambda: self._save(""), cancel="Keep editing")  # fmt: skip
        else:
            self._save("")

    def _save(self, text: str) -> None:
        chat, upto = self._chat, self._chat.summary_upto if text.strip() else summary.NEVER

        def done(_nothing: object) -> None:
            self.accept()
            self.changed.emit(text.strip(), upto)

        self.write(lambda db: summary.put(db, chat.id, text, upto), done)
