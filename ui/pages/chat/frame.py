"""The chat page's widgets and what they show of the chat that is open; `ui.pages.chat.page` says what they do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QWidget

from app.services import Services
from core.loopback import is_loopback
from core.models.store import BaseModel
from core.projects.assistant import given_of
from core.projects.chats import Chat, Message
from core.projects.projects import Project
from core.training.store import Adapter
from ui import format as fmt
from ui.models.rows import Status
from ui.pages.chat.adapter_menu import AdapterChips
from ui.pages.chat.base_menu import BaseChooser
from ui.pages.chat.chat_list import ChatList
from ui.pages.chat.composer import Composer
from ui.pages.chat.data import ENGINES, Overview, base_choices, base_name, prompt_of, sampling_of
from ui.pages.chat.given_panel import GivenPanel
from ui.pages.chat.notes import ChatNotes
from ui.pages.chat.session import ChatSession
from ui.pages.chat.settings import ChatSettings
from ui.pages.chat.transcript import Transcript
from ui.pages.chat.turns import Names, choices_of, loaded, state_line
from ui.practice import add_practice
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, plain_tip
from ui.widgets.chip import StatusPill
from ui.widgets.empty import EmptyState
from ui.widgets.page import Page

SPLITTER = "splitter/chat_list"
SEVERAL = "Compare several, or without names"
LOCKED = "The adapter can be changed when this answer is done"


class ChatFrame(Page):
    """Header with chips, list at the left, transcript, folded settings, composer."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.overview: Overview | None = None
        self.chat: Chat | None = None
        self.messages: list[Message] = []
        self.origin: Chat | None = None
        # Who answers the next question side by side.
        self.to_compare: Sequence[Adapter] = ()
        self.names = Names()
        self.session = ChatSession(services, self)
        self.set_header("Chat", "Chat with a base model and its adapters.")
        self._build_header()
        self._build_content()
        self.set_empty(
            EmptyState(
                "ph.chat-teardrop-text",
                "Chat needs a base model. Add one on the Adapters page.",
                ("Open Adapters", partial(services.navigator.open_page, "adapters")),
                ("Try the practice model", self._add_practice),
                button_icon="ph.swap",
            )
        )
        self.session.moved.connect(self.show_state)
        self.composer.edited.connect(self._judge_compare)

    def show_no_base(self) -> None:
        """Nothing to talk to."""
        self.set_header("Chat")
        for widget in (self.base_pill, self.choose_base, self.chips, self.compare, self.compare_more):
            widget.hide()
        self.show_empty()

    def _add_practice(self) -> None:
        add_practice(self.services)

    def _build_header(self) -> None:
        self.base_pill = StatusPill(Status("neutral", "Base"))
        self.base_pill.setObjectName("base_chip")
        self.choose_base = BaseChooser()
        self.chips = AdapterChips()
        self.compare = Button("Compare", "", "ph.columns", name="compare")
        self.compare_more = Button(
            "", "", "ph.caret-down", name="compare_more", tip=SEVERAL, accessible="Compare several",
        )  # fmt: skip
        self.compare_more.setFixedWidth(theme().sizes.control)
        for widget in (self.base_pill, self.choose_base, self.chips, self.compare, self.compare_more):
            self.add_header_widget(widget)
            widget.hide()

    def _build_content(self) -> None:
        sizes = theme().sizes
        self.list = ChatList()
        self.search = self.list.search
        self.transcript = Transcript()
        self.notes = ChatNotes()
        self.settings = ChatSettings()
        self.composer = Composer()
        self.primary = self.composer.send
        talk = column(
            self.notes, self.transcript, self.settings, self.composer, gap=sizes.half, stretch=self.transcript
        )
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.setHandleWidth(2 * sizes.grid)
        self._split.setChildrenCollapsible(False)
        self._split.addWidget(self.list)
        self.given = GivenPanel()
        self.given.setMinimumWidth(sizes.label)
        self._split.addWidget(talk)
        self._split.addWidget(self.given)
        self._split.setStretchFactor(1, 1)
        self.list.setMinimumWidth(sizes.label // 2)
        self._split.setSizes([sizes.sidebar + sizes.grid, 4 * sizes.sidebar, sizes.sidebar])
        saved = self.services.state.bytes(SPLITTER)
        if not saved.isEmpty():
            self._split.restoreState(saved)
        self._split.splitterMoved.connect(self._on_split)
        self.state = ElidedLabel("", "muted")
        self.state.setObjectName("chat_state")
        self._line.hide()
        self._chip_holder = QWidget()
        self._chip_line = QHBoxLayout(self._chip_holder)
        self._chip_line.setContentsMargins(0, 0, 0, 0)
        self._chip_holder.hide()
        gap = sizes.grid + sizes.half
        self.set_content(column(self._chip_holder, self.state, self._split, gap=gap, stretch=self._split))

    @Slot()
    def _on_split(self) -> None:
        self.services.state.put_bytes(SPLITTER, self._split.saveState())

    # Who answers

    @property
    def base(self) -> BaseModel | None:
        """The base of this chat."""
        return self.overview.base(self.chat.base_model_id) if self.overview and self.chat else None

    @property
    def adapter(self) -> Adapter | None:
        """The adapter that answers next, None for the base alone."""
        return self.overview.adapter(self.chat.artifact_id) if self.overview and self.chat else None

    @property
    def project(self) -> Project | None:
        """The project that this chat is about."""
        return self.overview.project(self.chat.project_id) if self.overview and self.chat else None

    def adapter_prompt(self) -> str:
        """The system prompt that the adapter in use was trained with, or the project's assistant's."""
        return prompt_of(self.adapter, self.project)

    # What is shown

    @Slot()
    def show_state(self) -> None:
        """Everything but the turns, as it is now."""
        overview, chat, engine = self.overview, self.chat, self.services.engine
        if overview is None or chat is None:
            return
        base = self.base
        self.state.setText(state_line(overview, chat, self.session, engine, self.messages))
        there = loaded(overview, chat, engine)
        kind = {"off": "neutral", "ready": "ok" if there else "neutral", "answering": "ok"}.get(engine.state, "busy")
        self.base_pill.set_status(Status(kind, base_name(base)))
        for widget in (self.base_pill, self.chips, self.compare, self.compare_more):
            widget.setVisible(base is not None)
        self.base_pill.setToolTip(
            _base_tip(base, self.services.ollama.address, self.session.bytes_used, self.session.ahead.words)
        )
        self.choose_base.show_bases(base_choices(overview.bases), chat.base_model_id)
        self.choose_base.setEnabled(not self.session.busy)
        self.chips.show_choices(
            choices_of(overview, chat, self.session, there and engine.state in ("ready", "answering"))
        )
        self.chips.lock(LOCKED if self.session.busy else "")
        self.settings.show_values(
            chat.system_prompt, chat.prompt_pinned, sampling_of(chat.sampling), self.adapter_prompt()
        )
        running = self.session.running
        elsewhere = running is not None and running.chat.id != chat.id
        self.composer.set_busy(self.session.busy, "Stop the answer in the other chat" if elsewhere else "")
        who = " and ".join(adapter.name for adapter in self.to_compare)
        who = f"{who} side by side" if who else self.adapter.name if self.adapter else base_name(base)
        project = self.project
        self.composer.set_hint(f"Ask {who} about {project.name}" if project is not None else f"Ask {who}")
        self._show_given()
        self._judge_compare()
        self._fit_title()
        summarised = sum(1 for message in self.messages if message.position <= chat.summary_upto)
        self.notes.show_chat(chat, summarised, self.origin)

    def _show_given(self) -> None:
        """What the last answer was given, beside a chat that is about a project."""
        about = self.project is not None
        self.given.setVisible(about)
        if about:
            code = self.session.running.code if self.session.running is not None else None
            last = next((given_of(m.stats) for m in reversed(self.messages) if m.role == "assistant"), None)
            self.given.show_given(code.given if code is not None and code.given is not None else last)

    @Slot()
    def _fit_title(self) -> None:
        """The title gets what the chips leave; where that is too little, they get a line of their own."""
        if self.chat is None:
            return
        sizes = theme().sizes
        buttons = (self.base_pill, self.choose_base, self.compare, self.compare_more)
        shown = [w for w in buttons if not w.isHidden()]
        room = self.width() - 2 * sizes.margin - 2 * sizes.grid
        room -= sum(w.sizeHint().width() + sizes.grid for w in shown)
        beside = room - self.chips.sizeHint().width() - sizes.grid
        self._place_chips(beside >= sizes.sidebar)
        room = beside if beside >= sizes.sidebar else max(room, sizes.label // 2)
        text = self._title.fontMetrics().elidedText(self.chat.title, Qt.TextElideMode.ElideRight, room)
        if text != self._title.text():
            self.set_header(text)
            self.setAccessibleName("Chat")
        self._title.setToolTip(plain_tip(self.chat.title))

    def _place_chips(self, beside: bool) -> None:
        if beside == (self.chips.parentWidget() is self):
            return
        if beside:
            self._chip_line.removeWidget(self.chips)
            self._right.insertWidget(self._right.indexOf(self.compare), self.chips)
        else:
            self._right.removeWidget(self.chips)
            self._chip_line.addWidget(self.chips)
        self.chips.align(right=beside)
        self._chip_holder.setVisible(not beside)
        self.chips.show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_title()
        third = self._split.width() // 3
        if self._split.sizes()[0] > third > 0:
            self._split.setSizes([third, 2 * third, *self._split.sizes()[2:]])

    @Slot()
    def _judge_compare(self) -> None:
        adapters = self.overview.adapters_of(self.chat.base_model_id) if self.overview and self.chat else []
        why = ""
        if not (self.composer.written or any(m.role == "user" for m in self.messages)):
            why = "Write a question first"
        elif self.session.busy:
            why = "Wait until the current answer is done"
        several = why if adapters else "This base has no adapter to compare it with"
        self.compare_more.setEnabled(not several)
        self.compare_more.setToolTip(plain_tip(several or SEVERAL))
        if self.adapter is None:
            why = "Choose an adapter to compare it with the base"
        self.compare.setEnabled(not why)
        name = self.adapter.name if self.adapter else "the adapter"
        self.compare.setToolTip(plain_tip(why or f"Ask the base and {name} the same question, side by side"))


def _base_tip(base: BaseModel | None, address: str, bytes_used: int, ahead: str) -> str:
    lines = [f"Answers with {ENGINES.get(base.engine, base.engine)}", *base.notes] if base is not None else []
    if base is not None and base.served and not is_loopback(address):
        lines.append(f"Asked at {address}, which gets what is said here")
    if bytes_used:
        lines.append(f"{fmt.size(bytes_used)} of memory used by the model and its adapters")
    if ahead:
        lines.append(ahead)
    return "\n".join(lines)
