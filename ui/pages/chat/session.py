"""One conversation with the engine: what is asked, which model answers, what is stored when. No widgets."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.services import Services
from core.db import Database
from core.db.connection import explain, transaction
from core.errors import AppError
from core.events import Changed
from core.inference.engine import GenerateRequest, Sampling
from core.models import store as models
from core.models.store import BaseModel
from core.projects import chats
from core.projects.analyses import Analysis
from core.projects.assistant import GIVEN, fewer
from core.projects.attachments import Attachment
from core.projects.chats import ANSWERED_BY, PROMPT, Chat, Message
from core.training.store import Adapter
from ui.pages.chat.ahead import Ahead
from ui.pages.chat.data import base_name, reference, sampling_of
from ui.pages.chat.knowledge import CodeQuestion, Knowledge, question_of, recalled_stats, with_code
from ui.pages.chat.running import Comparison, Running, Side, placeholder
from ui.pages.chat.summary import Summarizer

SAVE_MS = 1_000


class ChatSession(QObject):
    """Lives in the GUI thread. One answer at a time, in whichever chat it was asked for.

    `asked(chat, question | None, answer)` once it is stored and before it is sent, None when it is asked again;
    `moved()` whenever the answer under way, or who is loaded, changed; `ended(Message)`;
    `fell_back(Running, AppError, adapter)` when the base answers because that adapter can't be used;
    `failed(Running, AppError)`; `not_stored()` when a question could not even be written down.
    """

    asked = Signal(object, object, object)
    moved = Signal()
    ended = Signal(object)
    fell_back = Signal(object, object, object)
    failed = Signal(object, object)
    not_stored = Signal()

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.running: Running | None = None
        self.storing = False
        self._stop_asked = False
        self.loading_adapter = ""
        self.resident: frozenset[str] = frozenset()
        self.bytes_used = 0
        self.prepared: Mapping[str, Any] = {}
        self.ahead = Ahead(services, self)
        self.knowledge = Knowledge(services, self)
        self.summarizer = Summarizer(services, self)
        self.summarizer.moved.connect(self.moved)
        self._save = QTimer(self)
        self._save.setInterval(SAVE_MS)
        self._save.timeout.connect(self._save_partial)
        services.engine.state_changed.connect(self._on_state)

    @property
    def busy(self) -> bool:
        """Whether an answer is under way anywhere."""
        return self.running is not None or self.storing

    # Asking

    def ask(
        self, chat: Chat | Callable[[Database], Chat], base: BaseModel, adapter: Adapter | None, question: str,
        *, compare: Comparison | None = None, attachments: Sequence[Attachment] = (),
    ) -> None:  # fmt: skip
        """Store the question and the place of the answer, then send it. A chat that is not there yet is made."""
        if self.busy:
            return
        artifact = adapter.id if adapter else None

        def store(db: Database) -> tuple[Changed, tuple[Chat, list[Message], Message]]:
            with transaction(db):
                made = chat if isinstance(chat, Chat) else chat(db)
                asked, answer = chats.ask(db, made.id, question, artifact, placeholder(compare), attachments)
            history = [m for m in chats.messages(db, made.id) if m.position <= asked.position]
            return Changed.CHATS, (chats.get(db, made.id), history, answer)

        self._store(store, base, adapter, compare, again=False)

    def ask_again(
        self, chat: Chat, base: BaseModel, adapter: Adapter | None, *, compare: Comparison | None = None
    ) -> None:  # fmt: skip
        """Answer the last question again, in the place of its answer."""
        if self.busy:
            return
        artifact = adapter.id if adapter else None

        def store(db: Database) -> tuple[Changed, tuple[Chat, list[Message], Message]]:
            rows = chats.messages(db, chat.id)
            last = next((m for m in reversed(rows) if m.role == "user"), None)
            if last is None:
                raise AppError("no_question", "There is no question to ask again.", hint="Write one below.")
            old = next((m for m in rows if m.position > last.position and m.role == "assistant"), None)
            stats = placeholder(compare)
            answer = (
                chats.ask_again(db, old.id, artifact, stats) if old is not None
                else chats.add_message(
                    db, chat.id, "assistant", "", status=chats.INTERRUPTED, artifact_id=artifact, stats=stats)
            )  # fmt: skip
            return Changed.CHATS, (chats.get(db, chat.id), [m for m in rows if m.position <= last.position], answer)

        self._store(store, base, adapter, compare, again=True)

    def _store(
        self, store: Callable[[Database], Any], base: BaseModel, adapter: Adapter | None, compare: Comparison | None,
        *, again: bool,
    ) -> None:  # fmt: skip
        self.summarizer.stop()
        self.storing, self._stop_asked = True, False
        self.moved.emit()

        def with_prompt(db: Database) -> tuple[Changed, tuple[Any, ...]]:
            # Here, off the window's thread: a long chat takes its time.
            changed, (chat, history, answer) = store(db)
            code = question_of(db, self._services, chat, history, again)
            return changed, (chat, history, answer, chats.prompt_messages(chat, history), code)

        def stored(result: tuple[Any, ...]) -> None:
            chat, history, answer, prompt, code = result
            asked = compare or Comparison([adapter], 0)
            self.storing, self.prepared = False, {}
            self.running = Running(
                chat, base, answer, history, prompt, [Side(who) for who in asked.adapters], asked.place, asked.blind,
                code=code,
            )  # fmt: skip
            self.asked.emit(chat, None if again else history[-1], self.running.as_message())
            self.moved.emit()
            if self._stop_asked:
                self._finish(self.running, chats.STOPPED)
            elif code is not None:
                self._look_up(self.running, code)
            else:
                self._load()

        def not_stored(exc: Exception) -> None:
            self.storing = False
            self.not_stored.emit()
            self.moved.emit()
            self._services.notifier.report(exc, self)

        self._services.write(self, with_prompt, stored, not_stored)

    # What it is given from the code of its project

    def _look_up(self, running: Running, code: CodeQuestion) -> None:
        def looked_up() -> None:
            if running is not self.running:
                return
            if len(running.sides) > 1:
                recalled(None)
            else:
                who = running.side.adapter.id if running.side.adapter else None
                self.knowledge.recall(code, running.chat, running.base, who, recalled)

        def recalled(found: Analysis | None) -> None:
            if running is not self.running:
                return
            if found is not None and code.given is not None:
                running.side.text, running.side.stats = found.answer, recalled_stats(found, code.given)
                self._finish(running, chats.COMPLETE)
                return
            running.plain, running.prompt = running.prompt, with_code(running.prompt, code)
            self._load()

        self.knowledge.look_up(code, running.base, running.prompt, looked_up)

    def _load(self) -> None:
        running = self.running
        assert running is not None
        base, services = running.base, self._services
        # Before each answer only what takes no time; a server may be asked at another address than before.
        loaded = services.engine.has(base.path, base.engine) and not base.served
        ready = models.require_folder if loaded else services.ollama.make_ready
        services.run(
            self, lambda: ready(base), lambda _folder: self._folder_there(running),
            lambda exc: self._fail(running, exc),
        )  # fmt: skip

    def _folder_there(self, running: Running) -> None:
        if running is self.running:
            self._services.engine.load(
                self, running.base.path, lambda _facts: self._next(running), lambda error: self._fail(running, error),
                engine=running.base.engine,
            )  # fmt: skip

    def _next(self, running: Running) -> None:
        if running is not self.running:
            return
        if running.stopping:
            self._finish(running, chats.STOPPED)
            return
        sampling = sampling_of(running.chat.sampling)
        if sampling.temperature > 0:
            # The engine seeds each answer: with one seed for all, asking again would say the same.
            sampling = replace(sampling, seed=secrets.randbelow(2**31))
        request = GenerateRequest(
            running.prompt,
            reference(self._services.workspace, running.side.adapter), sampling, keep=running.chat.id, fall_back=True,
            fit=True,
        )  # fmt: skip
        running.ident = self._services.engine.generate(
            self, request,
            text=lambda text: self._on_text(running, text),
            done=lambda result: self._on_done(running, result, sampling),
            stopped=lambda: self._finish(running, chats.STOPPED),
            failed=lambda error: self._fail(running, error),
            noticed=lambda error: self._on_notice(running, error),
        )  # fmt: skip
        self._save.start()
        self.moved.emit()

    def stop(self) -> bool:
        """Stop the answer under way; the text so far is kept. False if there is none."""
        running = self.running
        if running is None:
            self._stop_asked = True
            return self.storing
        running.stopping = True
        if running.ident:
            self._services.engine.stop(running.ident)
        elif running.looking:
            self.knowledge.drop()
            self._finish(running, chats.STOPPED)
        else:
            self._finish(running, chats.STOPPED)
            self._services.engine.withdraw(self)
        return True

    # What comes back

    def _on_text(self, running: Running, text: str) -> None:
        if running is self.running:
            running.side.text += text

    def _on_notice(self, running: Running, error: AppError) -> None:
        if running is self.running:
            adapter, running.side.adapter = running.side.adapter, None
            self.fell_back.emit(running, error, adapter)
            self.moved.emit()

    def _on_done(self, running: Running, result: Mapping[str, Any], sampling: Sampling) -> None:
        if running is not self.running:
            return
        stats = {
            **result.get("stats", {}), "finish_reason": result.get("finish_reason", ""),
            PROMPT: running.chat.system_prompt,
        }  # fmt: skip
        if sampling.temperature > 0:
            stats["seed"] = sampling.seed
        running.side.stats, running.side.status = stats, chats.COMPLETE
        if running.side.adapter is not None:
            self.ahead.answered(resident=bool(stats.get("was_resident", True)))
        if not self._next_side(running):
            self._finish(running, chats.COMPLETE)

    def _next_side(self, running: Running) -> bool:
        """Ask who answers beside them, if anybody is left."""
        if running.place + 1 == len(running.sides):
            return False
        running.place, running.ident = running.place + 1, ""
        self._next(running)
        return True

    def _fail(self, running: Running, exc: Exception) -> None:
        if running is not self.running:
            return
        error = explain(exc)
        if error.code == "context_full" and running.code is not None and not running.side.text:
            less = fewer(running.code.given) if running.code.given is not None else None
            if less is not None:
                running.code.given, running.ident = less, ""
                running.prompt = with_code(running.plain, running.code)
                self._next(running)
                return
        if error.code == "engine_closed":
            self._finish(running, chats.INTERRUPTED)
            return
        running.side.status = chats.FAILED
        # One that can't answer does not keep the others from it, while there is an engine.
        if not (running.ident and self._services.engine.has_base and self._next_side(running)):
            self._finish(running, chats.FAILED)
        self.failed.emit(running, error)

    def _finish(self, running: Running, status: str) -> None:
        if running is not self.running:
            return
        self._save.stop()
        for side in running.sides[running.place :]:
            side.status = status
        for side in running.sides:
            side.stats = {**side.stats, ANSWERED_BY: base_name(running.base)}
        self._keep_given(running, status)
        message = running.as_message()
        self.running = None
        if status == chats.COMPLETE:
            self.ahead.saw(running.base, message.artifact_id)
        self._services.write(self, lambda db: chats.write_answer(db, message))
        self.ended.emit(message)
        self.moved.emit()
        self.ask_status()
        if status == chats.COMPLETE:
            left_out = int(message.stats.get("left_out") or 0)
            self.summarizer.consider(running.chat, running.base, [*running.history, message], left_out)

    def _keep_given(self, running: Running, status: str) -> None:
        """What it was given is kept with the answer that counts; a whole answer is there for the next time."""
        code, side = running.code, running.sides[running.main]
        if code is None or code.given is None:
            return
        fresh = GIVEN not in side.stats
        side.stats = {**side.stats, GIVEN: code.given.to_json()}
        if fresh and status == chats.COMPLETE and len(running.sides) == 1:
            self.knowledge.keep(code, side.text, side.stats, side.adapter.id if side.adapter else None)

    @Slot()
    def _save_partial(self) -> None:
        if self.running is None:
            self._save.stop()
            return
        message = self.running.as_message()

        def save(db: Database) -> Changed:
            chats.write_answer(db, message)
            return Changed.NOTHING

        self._services.write(self, save)

    # Who is resident

    def prepare(self, base: BaseModel, adapter: Adapter, refused: Callable[[AppError], None]) -> None:
        """Make an adapter resident before it is asked; `refused` if it can't be used."""
        ref = reference(self._services.workspace, adapter)
        assert ref is not None
        self.loading_adapter, self.prepared = adapter.id, {}
        self.moved.emit()

        def ended(facts: Mapping[str, Any]) -> None:
            if self.loading_adapter == adapter.id:
                self.loading_adapter, self.prepared = "", facts
            self.moved.emit()
            self.ask_status()

        def failed(error: AppError) -> None:
            ended({})
            if error.code != "engine_closed":
                refused(error)

        self._services.engine.load(
            self, base.path, lambda _facts: self._services.engine.prepare(self, ref, failed, ended), failed,
            engine=base.engine,
        )  # fmt: skip

    def ask_status(self) -> None:
        """Ask the worker what is resident."""
        self._services.engine.status(self, self._on_status)

    def _on_status(self, facts: Mapping[str, Any]) -> None:
        self.resident = frozenset(facts.get("resident", {}))
        self.bytes_used = int(facts.get("bytes", 0))
        self.moved.emit()
        if not self.busy and not self.loading_adapter:
            self.ahead.load(self.resident, self.ask_status)

    @Slot(str)
    def _on_state(self, state: str) -> None:
        if state == "off":
            self.resident, self.bytes_used, self.prepared = frozenset(), 0, {}
        self.moved.emit()
