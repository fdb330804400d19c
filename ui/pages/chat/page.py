"""Chat: talk to a base model and its adapters, switch between them, compare them on one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.inference.faults import CODES as FAULT_CODES
from core.models.store import BaseModel
from core.projects import chats, corrections, projects
from core.projects.assistant import given_of
from core.projects.chats import Chat, Message
from core.projects.jobs import spec_of, workspace_embedder
from core.projects.projects import Project
from core.training.store import Adapter
from core.workspace import settings
from ui.open_in_editor import open_in_editor
from ui.pages.chat.asking import NEW, ChatAsking
from ui.pages.chat.base_menu import BASE_TOPIC, left_behind
from ui.pages.chat.composer import MOST_CHARACTERS
from ui.pages.chat.data import (
    PINNED_ADAPTERS,
    SAVED_PROMPTS,
    Opened,
    Overview,
    base_name,
    prompt_of,
    read_chat,
    read_examples,
    read_overview,
)
from ui.pages.chat.list_commands import ListCommands
from ui.pages.chat.message import intro
from ui.pages.chat.project_chooser import ALL, Left, left_with
from ui.pages.chat.turns import entries_of, turns_of
from ui.widgets.page_commands import PageCommand


class ChatPage(ChatAsking):
    """`open_item("<chat id>")` opens a chat, `open_item({"adapter": id})` and `({"base": id})` start one.

    A new chat is stored with its first question.
    """

    watches: ClassVar[Changed] = (
        Changed.CHATS | Changed.ADAPTERS | Changed.MODELS | Changed.SETTINGS | Changed.PROJECTS
    )  # fmt: skip

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._pending: object = None
        # As they are here, which the rows may not have yet; and what is being gone back to until its chat is shown.
        self._left: dict[str, Left] = {}
        self._coming: Left | None = None
        self.of_project = ALL
        self._connect()
        self.show_busy()

    def _connect(self) -> None:
        self.add_command(PageCommand("new", "New chat", self.new_chat))
        self.add_command(PageCommand("pin_adapter", "Keep the adapter in memory, or no longer", self._toggle_pin))
        commands = ListCommands(self)
        commands.renamed.connect(self._on_renamed)
        commands.restored.connect(self.open_chat)
        self.list.opened.connect(self.open_chat)
        self.list.new_requested.connect(self.new_chat)
        self.list.searched.connect(self.reload)
        self.list.projects.chosen.connect(self.choose_project)
        self.transcript.place_wanted.connect(self._on_place)
        self.given.open_wanted.connect(self._open_in_editor)
        self.chips.chosen.connect(self._choose)
        self.chips.pin_wanted.connect(self._pin)
        self.composer.field.refused.connect(self._on_too_long)
        self.choose_base.chosen.connect(self._choose_base)
        self.settings.prompt_changed.connect(self._on_prompt)
        self.settings.sampling_changed.connect(self._on_sampling)
        self.settings.presets.changed.connect(self._keep_prompts)

    # Reading

    @Slot()
    def reload(self) -> None:
        search, project = self.list.search.text(), self.of_project
        self.read(lambda db: read_overview(db, search, project), self._on_overview)

    def _on_overview(self, overview: Overview) -> None:
        first, self.overview = self.overview is None or self.chat is None, overview
        if overview.default_base is None:
            self.chat = None
            self.show_no_base()
            return
        self.services.engine.keep_resident(overview.max_resident)
        self.services.engine.pin([ident for ident in overview.pinned if overview.adapter(ident) is not None])
        self.settings.presets.show_prompts(overview.saved_prompts)
        self.session.ahead.adapters_of = overview.adapters_of
        self.names.learn({adapter.id: adapter.name for adapter in overview.adapters})
        if self.of_project and overview.project(self.of_project) is None:
            # Its project was deleted; its chats are not.
            self.of_project = ALL
            self.reload()
            return
        self.list.projects.show_projects(overview.projects, self.of_project)
        self.show_content()
        argument, self._pending = self._pending, None
        if argument is not None:
            self._take(argument)
        elif first:
            self.open_chat("")
        else:
            self._refresh_chat(overview)
        self._show_list()

    def _refresh_chat(self, overview: Overview) -> None:
        chat = self.chat
        assert chat is not None
        found = next((c for c in overview.chats if c.id == chat.id), None)
        if found is not None:
            # What is chosen here may be ahead of the row: its write is still on the way.
            self.chat = replace(chat, title=found.title, updated_at=found.updated_at)
        elif chat.id:
            self.read(lambda db: chats.exists(db, chat.id), self._on_exists, "exists")
        if chat.id:
            self.read(lambda db: corrections.of_chat(db, chat.id), self.show_kept, "kept")
        self.show_state()

    def _on_exists(self, there: bool) -> None:
        if not there:
            self.open_chat("")

    # Which chat

    def open_item(self, argument: object) -> None:
        # The adapter asked for may be newer than what was read.
        self._pending = argument
        self.reload()

    def _take(self, argument: object) -> None:
        assert self.overview is not None
        if not isinstance(argument, Mapping):
            self.open_chat(str(argument))
            return
        project = self.overview.project(argument.get("project"))
        if argument.get("project"):
            self._take_project(project, str(argument.get("question") or ""))
            return
        adapter = self.overview.adapter(argument.get("adapter"))
        base = self.overview.base_of(adapter) if adapter else self.overview.base(str(argument.get("base", "")))
        if argument.get("adapter") and adapter is None:
            error = AppError("no_such_adapter", "That adapter no longer exists.", hint="Look in the trash.")
            self.show_error(error)
        self._start(base or self.overview.default_base, adapter)
        several = [self.overview.adapter(ident) for ident in argument.get("compare", ())]
        self.expect_comparison([found for found in several if found is not None])

    @Slot(str)
    def open_chat(self, chat_id: str) -> None:
        self.settings.flush()
        project = self.of_project
        self.read(lambda db: read_chat(db, chat_id, project), partial(self._on_opened, chat_id), "chat")

    def _on_opened(self, wanted: str, opened: Opened) -> None:
        self.names.learn(opened.names)
        self.names.kept = dict(opened.kept)
        if opened.chat is None:
            if wanted:
                error = AppError("no_such_chat", "That chat no longer exists.", hint="Look in the trash.")
                self.show_error(error)
            self.new_chat()
            return
        messages = list(opened.messages)
        ended, running = self.last_ended, self.session.running
        messages = [ended if ended is not None and m.id == ended.id and m.content == "" else m for m in messages]
        if running is not None:
            messages = [running.as_message() if m.id == running.message.id else m for m in messages]
        self._show_chat(opened.chat, messages, opened.origin)

    @Slot()
    def new_chat(self) -> None:
        """An empty chat with whoever answers now."""
        if self.overview is None:
            return
        project = self.overview.project(self.of_project)
        if project is None:
            self._start(self.base or self.overview.default_base, self.adapter)
            return
        adapter = self.overview.adapter(project.artifact_id)
        base = self.overview.base_of(adapter) if adapter else self.overview.base(project.base_model_id or "")
        self._start(base or self.overview.default_base, adapter, project)

    def _start(self, base: BaseModel | None, adapter: Adapter | None, project: Project | None = None) -> None:
        if base is None:
            return
        self.settings.flush()
        self.services.forget(self._handles.get("chat"))
        ident, about = adapter.id if adapter else None, project.id if project else None
        prompt = prompt_of(adapter, project)
        self._show_chat(Chat("", NEW, base.id, ident, prompt, False, {}, "", "", project_id=about), [])
        self.composer.field.setFocus()

    def _show_chat(self, chat: Chat, messages: list[Message], origin: Chat | None = None) -> None:
        self.to_compare = ()
        if self.chat is not None and self.chat.id != chat.id:
            self.banners.drop(BASE_TOPIC)
        self.chat, self.messages, self.origin = chat, messages, origin
        self.names.base = base_name(self.base)
        self.transcript.show_turns(turns_of(messages, self.names, self.session.running))
        coming, self._coming = self._coming, None
        self.composer.set_reading(False)
        self.transcript.go_back(coming.from_end if coming is not None and coming.chat == chat.id else 0)
        self.list.set_current(chat.id)
        self._watch_code()
        self.show_state()
        if not messages:
            adapter = self.adapter
            self.read(lambda db: read_examples(db, adapter), partial(self._show_intro, chat.id), "examples")

    def _show_intro(self, chat_id: str, questions: list[str]) -> None:
        if self.messages or self.chat is None or self.chat.id != chat_id or self.session.storing:
            return
        who = self.adapter.name if self.adapter else base_name(self.base)
        practice = self.base is not None and self.base.is_practice
        truth = "The practice model is for trying things out; it knows almost nothing. " if practice else ""
        text = f"{truth}Everything stays on this machine. Ask a question below, or start with one of these."
        self.transcript.show_intro(intro(f"Ask {who}", text, questions, self.ask))

    # Projects

    @Slot(str)
    def choose_project(self, project_id: str) -> None:
        """Show the chats of a project, or of all, where they were left."""
        if self.overview is None or project_id == self.of_project:
            return
        self._keep_place()
        self.of_project = project_id
        project = self.overview.project(project_id)
        coming = self._left.get(project_id) or left_with(project.state if project is not None else {})
        self._coming = coming
        # A question would go to the chat that was open.
        self.composer.set_reading(True)
        self.composer.set_text(coming.draft)
        self.reload()
        self.open_chat(coming.chat)

    def _keep_place(self) -> None:
        """What the project is left with; until its chat is shown, the one of the project before still stands here."""
        shown = self._coming or Left(self.chat.id if self.chat else "", "", self.transcript.from_end)
        left, project = shown._replace(draft=self.composer.text), self.of_project
        self._left[project] = left
        if project:
            self.write(lambda db: projects.keep_state(db, project, left.to_state()))

    def _take_project(self, project: Project | None, question: str) -> None:
        if project is None:
            self.show_error(AppError("no_such_project", "That project no longer exists.", hint="Look in the trash."))
            self.open_chat("")
            return
        if self.of_project != project.id:
            self._keep_place()
            self.of_project = project.id
            self.reload()
        self.new_chat()
        if question and not self.session.busy:
            self.composer.set_text("")
            self.ask(question)
        else:
            self.composer.set_text(question)

    def _watch_code(self) -> None:
        project = self.project
        if project is not None:
            workspace = self.services.workspace
            self.read(
                lambda db: spec_of(workspace, project, workspace_embedder(db)), self.services.indexes.watch, "spec"
            )

    @Slot(str, str, int)
    def _on_place(self, message_id: str, path: str, line: int) -> None:
        """A place that an answer names: its lines beside the chat, where they were given, else in the editor."""
        message = next((m for m in self.messages if m.id == message_id), None)
        if message is not None:
            self.given.show_given(given_of(message.stats))
        if not self.given.show_place(path, line):
            self._open_in_editor(path, line)

    @Slot(str, int)
    def _open_in_editor(self, path: str, line: int) -> None:
        project = self.project
        if project is not None:
            open_in_editor(self, project.root / path, line)

    # Who answers

    @Slot(str)
    def _choose(self, key: str) -> None:
        if self.overview is None or self.session.busy:
            return
        adapter, base = self.overview.adapter(key), self.base
        self._set_adapter(adapter)
        # A hint only: while a training has the memory, the model is loaded when a question is asked, not before.
        if adapter is None or base is None:
            return
        if self.services.engine.state != "off" or self.services.arbiter.has_room(base.path):
            self.session.prepare(base, adapter, partial(self._on_refused, adapter, self.chat.id if self.chat else ""))

    def _toggle_pin(self) -> None:
        adapter = self.adapter
        if adapter is None or self.overview is None:
            self.services.notifier.say("Choose the adapter first")
            return
        on = adapter.id not in self.overview.pinned
        self._pin(adapter.id, on)
        self.services.notifier.say(f"{adapter.name} {'stays' if on else 'no longer stays'} in memory")

    @Slot(str, bool)
    def _pin(self, adapter_id: str, on: bool) -> None:
        def put(db: Database) -> Changed:
            kept = [ident for ident in settings.get(db, PINNED_ADAPTERS, []) if ident != adapter_id]
            return settings.put(db, PINNED_ADAPTERS, [*kept, adapter_id] if on else kept)

        self.write(put)

    def _set_adapter(self, adapter: Adapter | None) -> None:
        if self.chat is None:
            return
        self.settings.flush()
        # An adapter answers in the form it was trained in, unless the user wants it otherwise.
        prompt = self.chat.system_prompt if self.chat.prompt_pinned else prompt_of(adapter, self.project)
        self.session.prepared = {}
        self._change(artifact_id=adapter.id if adapter else None, system_prompt=prompt)
        if not self.messages:
            self.read(lambda db: read_examples(db, adapter), partial(self._show_intro, self.chat.id), "examples")

    def _change(self, **values: object) -> None:
        assert self.chat is not None
        self.chat = replace(self.chat, **values)  # type: ignore[arg-type]
        chat_id = self.chat.id
        if chat_id:
            self.write(lambda db: chats.update(db, chat_id, **values))
        self.show_state()

    def _on_refused(self, adapter: Adapter, chat_id: str, error: AppError) -> None:
        # A process that ended, or a base that can't be read, says nothing about the adapter.
        if error.code not in FAULT_CODES:
            self.show_error(error)
            return
        here = self.chat is not None and self.chat.id == chat_id
        if here and self.adapter is not None and self.adapter.id == adapter.id:
            self._set_adapter(None)
        self._warn(error, "The base answers instead; nothing else changed.")

    @Slot(int)
    def _on_too_long(self, characters: int) -> None:
        self.services.notifier.say(
            f"The text has {characters:,} characters; a question takes at most {MOST_CHARACTERS:,}. Nothing was put in."
        )

    @Slot(str)
    def _choose_base(self, base_id: str) -> None:
        if self.chat is not None and self.overview is not None and not self.session.busy:
            self.banners.drop(BASE_TOPIC)
            before, adapter = self.base, self.adapter
            # On the same model in another format the same adapter goes on.
            stays = adapter is None or adapter in self.overview.adapters_of(base_id)
            if not stays:
                self._set_adapter(None)
            self._change(base_model_id=base_id)
            self.names.base = base_name(self.base)
            if adapter is not None and before is not None and self.base is not None and not stays:
                self._tell_left(adapter, before, self.base)

    def _tell_left(self, adapter: Adapter, before: BaseModel, base: BaseModel) -> None:
        def back() -> None:
            if self.session.busy:
                self.services.notifier.say("Wait until the current answer is done")
                self._tell_left(adapter, before, base)
                return
            self._choose_base(before.id)
            self._choose(adapter.id)

        self.banners.add(left_behind(adapter, base, (f"Back to {base_name(before)}", back)))

    @Slot(str, bool)
    def _on_prompt(self, text: str, pinned: bool) -> None:
        self._change(system_prompt=text, prompt_pinned=pinned)

    @Slot(object)
    def _keep_prompts(self, prompts: list[str]) -> None:
        self.write(lambda db: settings.put(db, SAVED_PROMPTS, prompts))

    @Slot(object)
    def _on_sampling(self, values: Mapping[str, object]) -> None:
        if self.chat is not None:
            self._change(sampling={**self.chat.sampling, **values})

    def flush(self) -> None:
        self.settings.flush()
        self._keep_place()

    @Slot(str, str)
    def _on_renamed(self, chat_id: str, title: str) -> None:
        if not title:
            self._show_list()
        elif self.chat is not None and self.chat.id == chat_id:
            self.chat = replace(self.chat, title=title)

    def _show_list(self) -> None:
        if self.overview is not None:
            self.list.show_entries(entries_of(self.overview), self.chat.id if self.chat else "")

    # Keyboard

    def stop(self) -> bool:
        return self.session.stop()

    def back(self) -> bool:
        return super().back() or self.settings.fold()
