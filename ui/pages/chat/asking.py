"""What the chat page does with a question: asked, compared, asked another way; and what comes back of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.projects import attachments, chats, compared, corrections
from core.projects.attachments import Attachment
from core.projects.chats import Chat, Message
from core.projects.corrections import Correction
from core.training.store import Adapter
from ui import format as fmt
from ui.pages.chat.attach import MOST_FILES, MOST_TOGETHER, choose_files
from ui.pages.chat.branch import EditQuestionDialog
from ui.pages.chat.compare import CompareDialog
from ui.pages.chat.data import base_gone, base_name
from ui.pages.chat.frame import ChatFrame
from ui.pages.chat.keep import CorrectDialog
from ui.pages.chat.running import Comparison, Running
from ui.pages.chat.summary import SummaryDialog
from ui.pages.chat.turns import short_title, turn_of
from ui.widgets.banner import Banner, error_details

FRAME_MS = 40
NEW = "New chat"


class ChatAsking(ChatFrame):
    """`open_chat` and `new_chat` are the page's."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._asked_text = ""
        self._asked_files: tuple[Attachment, ...] = ()
        self._branching = False
        self._put_back: Message | None = None
        # A chat that is being opened may have been read before its answer was written.
        self.last_ended: Message | None = None
        self._frame = QTimer(self)
        self._frame.setInterval(FRAME_MS)
        self._frame.timeout.connect(self._on_frame)
        self.composer.asked.connect(self.ask)
        self.composer.attach_wanted.connect(lambda: choose_files(self, self.attach))
        self.composer.stop_requested.connect(self.session.stop)
        self.compare.clicked.connect(self.compare_now)
        self.compare_more.clicked.connect(self.ask_compare)
        self.transcript.again_requested.connect(self.ask_again)
        self.transcript.variant_wanted.connect(self._choose_answer)
        self.transcript.side_wanted.connect(self._choose_side)
        self.transcript.edit_wanted.connect(self._edit)
        self.transcript.keep_wanted.connect(self._keep)
        self.transcript.correct_wanted.connect(self._correct)
        self.session.asked.connect(self._on_asked)
        self.session.ended.connect(self._on_ended)
        self.session.fell_back.connect(self._on_fell_back)
        self.session.failed.connect(self._on_failed)
        self.session.not_stored.connect(self._on_not_stored)
        self.session.summarizer.made.connect(self._on_summary)
        self.notes.summary_wanted.connect(self._show_summary)
        self.notes.origin_wanted.connect(lambda chat_id: self.open_chat(chat_id))

    def open_chat(self, chat_id: str) -> None:
        """Show that chat; empty for the one used last."""
        raise NotImplementedError

    @Slot()
    def new_chat(self) -> None:
        """An empty chat with whoever answers now."""
        raise NotImplementedError

    @Slot(str)
    def ask(self, text: str, compare: Comparison | None = None) -> None:
        """Store the question with the files that go with it, then send it."""
        self.settings.flush()
        chat, base = self.chat, self.base
        if chat is None or self.session.busy:
            return
        files = self.composer.attached.files
        self._asked_text, self._asked_files = text, files
        if base is None:
            self._on_not_stored()
            self.show_error(base_gone())
            return
        self.banners.clear()
        if compare is None and self.to_compare:
            compare = Comparison(list(self.to_compare), 0)
        self.to_compare = ()
        new = partial(
            chats.create, base_model_id=chat.base_model_id, artifact_id=chat.artifact_id,
            system_prompt=chat.system_prompt, sampling=chat.sampling, prompt_pinned=chat.prompt_pinned,
            project_id=chat.project_id,
        )  # fmt: skip
        self.composer.attached.put(())
        self.session.ask(chat if chat.id else new, base, self.adapter, text, compare=compare, attachments=files)

    @Slot()
    def ask_again(self, compare: Comparison | None = None) -> None:
        """Answer the last question again; the earlier answer can be restored."""
        self.settings.flush()
        chat, base = self.chat, self.base
        if chat is None or base is None or not chat.id or self.session.busy:
            return
        old = self.messages[-1] if self.messages else None
        self.banners.clear()
        self.session.ask_again(chat, base, self.adapter, compare=compare)
        if old is not None and old.role == "assistant" and old.has_words:
            self.services.notifier.say("Writing a new answer", partial(self._take_back, old))

    @Slot(str, int)
    def _choose_answer(self, message_id: str, place: int) -> None:
        self._change_message(message_id, lambda db: chats.choose_answer(db, message_id, place))

    @Slot(str, int)
    def _choose_side(self, message_id: str, place: int) -> None:
        self._change_message(message_id, lambda db: compared.choose(db, message_id, place))

    def _change_message(self, message_id: str, change: Callable[[Database], Changed]) -> None:
        if self.chat is None or self._is_busy():
            return
        chat_id = self.chat.id

        def done(found: Message) -> None:
            number = next((n for n, m in enumerate(self.messages) if m.id == found.id), None)
            if number is not None and self.chat is not None and self.chat.id == chat_id:
                self.messages[number] = found
                self.transcript.change_turn(turn_of(found, self.names, None, last=number == len(self.messages) - 1))

        self.write(lambda db: (change(db), chats.message(db, message_id)), done)

    def _take_back(self, old: Message) -> None:
        running = self.session.running
        if self.session.storing or (running is not None and running.message.id == old.id):
            self._put_back = old
            self.session.stop()
            return
        self._restore(old)

    def _restore(self, old: Message) -> None:
        def done(_result: object) -> None:
            if self.chat is not None and self.chat.id == old.chat_id:
                self.open_chat(old.chat_id)

        def restore(db: Database) -> Changed:
            # What was written meanwhile stays beside it.
            if chats.message(db, old.id).has_words:
                return chats.choose_answer(db, old.id, old.place)
            return chats.write_answer(db, old)

        self.write(restore, done)

    def _is_busy(self) -> bool:
        """Whether an answer is under way; then that is said."""
        if self.session.busy:
            self.services.notifier.say("Wait until the current answer is done, or stop it")
        return self.session.busy

    # Side by side

    def expect_comparison(self, adapters: Sequence[Adapter]) -> None:
        """These answer the next question of this chat side by side."""
        self.to_compare = tuple(adapters)
        self.show_state()

    @Slot()
    def compare_now(self) -> None:
        """Ask base and adapter the question that is written, or the last one again."""
        if self.adapter is not None:
            self._compare(Comparison([None, self.adapter], 1))

    @Slot()
    def ask_compare(self) -> None:
        """Ask who is to answer side by side."""
        if self.overview is None or self.chat is None or self.session.busy:
            return
        last = next((m.content for m in reversed(self.messages) if m.role == "user"), "")
        if self.composer.written:
            last = self.composer.text or ", ".join(file.name for file in self.composer.attached.files)
        adapters = self.overview.adapters_of(self.chat.base_model_id)
        dialog = CompareDialog(self, base_name(self.base), adapters, self.adapter, last)
        dialog.chosen.connect(self._compare)
        dialog.open()

    @Slot(object)
    def _compare(self, wanted: Comparison) -> None:
        if self.composer.text or self.composer.attached.files:
            text = self.composer.text
            self.composer.set_text("")
            self.ask(text, compare=wanted)
        else:
            self.ask_again(compare=wanted)

    # Worth training on

    def _message(self, message_id: str) -> Message | None:
        return next((message for message in self.messages if message.id == message_id), None)

    def _kept(self, message: Message) -> Correction | None:
        return self.names.kept.get((message.id, message.content.strip()))

    @Slot(str)
    def _keep(self, message_id: str) -> None:
        message = self._message(message_id)
        if message is None:
            return
        there = self._kept(message)
        if there is not None:
            self.delete("corrections", [there.id], "This answer is no longer kept")
        else:
            self.write(lambda db: corrections.keep(db, message_id))

    @Slot(str)
    def _correct(self, message_id: str) -> None:
        message = self._message(message_id)
        if message is not None:
            CorrectDialog(self, message, self._kept(message)).open()

    def show_kept(self, kept: Mapping[tuple[str, str], Correction]) -> None:
        """Which answers of this chat are kept, as it is now."""
        before, self.names.kept = self.names.kept, dict(kept)
        keys = before.keys() | kept.keys()
        changed = {key[0] for key in keys if before.get(key) != kept.get(key)}
        for number, message in enumerate(self.messages):
            if message.id in changed:
                last = number == len(self.messages) - 1
                self.transcript.change_turn(turn_of(message, self.names, self.session.running, last=last))

    # Another way

    @Slot(str)
    def _edit(self, message_id: str) -> None:
        message = self._message(message_id)
        if message is None or self._is_busy():
            return
        dialog = EditQuestionDialog(self, message)
        dialog.sent.connect(partial(self._branch, message))
        dialog.open()

    def _branch(self, message: Message, text: str) -> None:
        base = self.base
        if self.session.busy or base is None:
            return
        self.settings.flush()
        self._asked_text, self._asked_files, self._branching = text, tuple(message.attachments), True
        self.banners.clear()
        self.session.ask(
            partial(chats.branch, chat_id=message.chat_id, before=message.position), base, self.adapter, text,
            attachments=message.attachments,
        )  # fmt: skip

    # What is read as a summary

    @Slot(str, str, int)
    def _on_summary(self, chat_id: str, text: str, upto: int) -> None:
        if self.chat is not None and self.chat.id == chat_id:
            self.chat = replace(self.chat, summary=text, summary_upto=upto)
            self.show_state()

    @Slot()
    def _show_summary(self) -> None:
        chat = self.chat
        if chat is not None:
            count = sum(1 for message in self.messages if message.position <= chat.summary_upto)
            # What is being made would come after what is written here.
            self.session.summarizer.stop()
            dialog = SummaryDialog(self, chat, count)
            dialog.changed.connect(partial(self._on_summary, chat.id))
            dialog.open()

    # Files

    def dropped(self, files: Sequence[Path]) -> bool:
        # Folders and datasets are for the import, as everywhere.
        if self.chat is None or any(path.is_dir() or path.suffix.lower() == ".jsonl" for path in files):
            return False
        self.attach(files)
        return True

    def attach(self, paths: Sequence[Path]) -> None:
        """Read text files and let them go with the next question; those that can't be attached are named."""

        def read() -> tuple[list[Attachment], list[AppError]]:
            found, wrong = [], []
            for path in paths:
                try:
                    found.append(attachments.read(path))
                except AppError as error:
                    wrong.append(error)
            return found, wrong

        self.composer.set_reading(True)
        self.services.run(self, read, self._on_attached, self._on_not_attached)

    def _on_not_attached(self, exc: Exception) -> None:
        self.composer.set_reading(False)
        self.services.notifier.report(exc, self)

    def _on_attached(self, result: tuple[list[Attachment], list[AppError]]) -> None:
        found, wrong = result
        self.composer.set_reading(False)
        if len(found) + len(self.composer.attached.files) > MOST_FILES:
            found = []
            words = f"At most {MOST_FILES} files can go with a question."
            wrong.append(AppError("not_attachable", words, hint="Attach those that matter."))
        together = self.composer.attached.characters + sum(len(file.text) for file in found)
        if together > MOST_TOGETHER:
            found = []
            words = f"The files have {fmt.count(together)} characters together; {fmt.count(MOST_TOGETHER)} can go"
            wrong.append(AppError("not_attachable", f"{words} with a question.", hint="Attach fewer of them."))
        self.composer.attached.add(found)
        for error in wrong:
            self.banners.show_error(error)
        self.composer.field.setFocus()

    # What comes back

    @Slot(object, object, object)
    def _on_asked(self, chat: Chat, question: Message | None, answer: Message) -> None:
        self._frame.start()
        if self._branching:
            self._branching = False
            self.open_chat(chat.id)
            return
        # A chat without an id is the one that was asked in, unless an old question is asked again.
        mine = (chat.id,) if question is None else ("", chat.id)
        if self.chat is None or self.chat.id not in mine:
            return
        self.chat = replace(self.chat, id=chat.id, title=chat.title, updated_at=chat.updated_at)
        running = self.session.running
        if question is None and self.messages and self.messages[-1].id == answer.id:
            self.messages[-1] = answer
            self.transcript.change_turn(turn_of(answer, self.names, running, last=True))
            self.transcript.follow()
        else:
            if self.messages:
                self.transcript.change_turn(turn_of(self.messages[-1], self.names, running, last=False))
            new = [m for m in (question, answer) if m is not None]
            self.messages += new
            self.transcript.add_turns([turn_of(m, self.names, running, last=m is new[-1]) for m in new])

    @Slot()
    def _on_not_stored(self) -> None:
        self._branching = False
        if not self.composer.text:
            self.composer.set_text(self._asked_text)
            self.composer.attached.put(self._asked_files)

    @Slot()
    def _on_frame(self) -> None:
        running = self.session.running
        if running is None:
            self._frame.stop()
        elif self.messages and self.messages[-1].id == running.message.id:
            message = running.as_message()
            if message != self.messages[-1]:
                began = time.monotonic()
                first = not self.messages[-1].content
                self.messages[-1] = message
                self.transcript.change_turn(turn_of(message, self.names, running, last=True))
                if first:
                    self.show_state()
                # Text that takes long to lay out is drawn less often: the window stays at hand.
                self._frame.setInterval(max(FRAME_MS, round(3_000 * (time.monotonic() - began))))

    @Slot(object)
    def _on_ended(self, message: Message) -> None:
        self._frame.stop()
        self.last_ended = message
        if self.messages and self.messages[-1].id == message.id:
            self.messages[-1] = message
            self.transcript.change_turn(turn_of(message, self.names, None, last=True))
        old, self._put_back = self._put_back, None
        if old is not None:
            self._restore(old)

    @Slot(object, object, object)
    def _on_fell_back(self, running: Running, error: AppError, adapter: Adapter) -> None:
        here = self.chat is not None and self.chat.id == running.chat.id
        place = "" if here else f" in “{short_title(running.chat.title)}”"
        if running.blind:
            hidden = AppError(error.code, "One of the adapters can't be used.", detail=error.detail)
            self._warn(hidden, "The base answers in its place; who it was is shown once the best answer was chosen.")
        else:
            self._warn(error, f"The base answers instead of {adapter.name}{place}; later questions try it again.")

    @Slot(object, object)
    def _on_failed(self, running: Running, error: AppError) -> None:
        chat = running.chat
        here = self.chat is not None and self.chat.id == chat.id
        if error.action:
            self.show_error(error)
        elif not here:
            self.banners.show_error(error, ("Open chat", partial(self.open_chat, chat.id)))
        elif error.code == "context_full":
            self.banners.show_error(error, (NEW, self.new_chat))
        else:
            self.banners.show_error(error, ("Ask again", self.ask_again))

    def _warn(self, error: AppError, then: str) -> None:
        hint = f"{error.hint} {then}".strip()
        self.banners.add(Banner("bad", error.message, hint, details=error_details(error)))
