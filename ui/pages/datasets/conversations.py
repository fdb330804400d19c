"""Reading a dataset's conversations: turns in order, marked where they train."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.services import Services
from core.datasets import store
from core.datasets.store import Dataset
from ui import format as fmt
from ui.models.rows import Status
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.message_text import MessageText
from ui.widgets.scroll import ScrollColumn
from ui.widgets.segments import Segments

CHARACTERS_AT_ONCE = 3000
WHO = {"system": "System prompt", "user": "Client", "assistant": "Assistant"}


class TurnCard(Card):
    """One message; an answer says whether it trains."""

    def __init__(self, message: dict[str, Any]) -> None:
        role = str(message["role"])
        super().__init__("", gap=theme().sizes.half, role={"user": "tint", "system": "code"}.get(role, "card"))
        sizes = theme().sizes
        self.body.setContentsMargins(sizes.grid + 4, sizes.grid, sizes.grid + 4, sizes.grid)
        self.trains = role == "assistant" and message.get("weight", 1) == 1
        who = WHO.get(role, fmt.word(role))
        head: list[QWidget | None] = [label(who, "strong"), None]
        if role == "assistant":
            head.append(StatusPill(Status("ok", "Trains") if self.trains else Status("neutral", "Context only")))
        text = str(message["content"]) or "(no answer)"
        self.add(row(*head))
        self.add(MessageText(text, markdown=False, at_once=CHARACTERS_AT_ONCE))
        self.setAccessibleName(f"{who}: {text}" + (", trains" if self.trains else ""))


class ConversationReader(QWidget):
    """One conversation at a time, read from the dataset's file off the GUI thread."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._dataset: Dataset | None = None
        self._handle: int | None = None
        self._at = 0
        self.split = Segments(
            {"": "All", "train": "Training", "validation": "Validation"}, "Conversations shown", "split"
        )
        self.split.chosen.connect(self._on_split)
        self.previous = Button(
            "", "ghost", "ph.caret-left", on_click=lambda: self.step(-1), tip="Previous conversation"
        )
        self.next = Button("", "ghost", "ph.caret-right", on_click=lambda: self.step(1), tip="Next conversation")
        self.previous.setObjectName("previous_conversation")
        self.next.setObjectName("next_conversation")
        self.place = label("", "caption", name="conversation_place")
        self.turns = ScrollColumn(name="conversation_turns", accessible="Turns of the conversation")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(row(self.split, None, self.place, self.previous, self.next, gap=theme().sizes.half))
        box.addWidget(self.turns, 1)

    def show_dataset(self, dataset: Dataset | None) -> None:
        """Begin at its first conversation; the same one again stays where it is."""
        same = dataset is not None and self._dataset is not None and dataset.id == self._dataset.id
        self._dataset = dataset
        if dataset is None:
            self.turns.set_items()
        elif not same:
            self._at = 0
            self._read()

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._read()

    @property
    def total(self) -> int:
        """How many there are in the chosen split."""
        if self._dataset is None:
            return 0
        validation = self._dataset.total_validation_conversations
        counts = {"train": self._dataset.total_conversations - validation, "validation": validation}
        return counts.get(self.split.current, self._dataset.total_conversations)

    def step(self, by: int) -> None:
        """To another conversation."""
        self._at = max(0, min(self.total - 1, self._at + by))
        self._read()

    def _on_split(self, _key: str) -> None:
        self._at = 0
        self._read()

    def _read(self) -> None:
        dataset, at, split = self._dataset, self._at, self.split.current
        if dataset is None or not self.isVisible():
            return
        self._show_place()
        if not self.total:
            self.turns.set_items(label("No conversations in this set.", "muted"))
            return
        workspace = self._services.workspace
        self._services.forget(self._handle)
        self._handle = self._services.run(
            self, lambda: store.rows(workspace, dataset, split=split, offset=at, limit=1), self._show
        )

    def _show_place(self) -> None:
        total = self.total
        self.place.setText(f"{fmt.count(self._at + 1)} of {fmt.count(total)}" if total else "")
        self.previous.setEnabled(self._at > 0)
        self.next.setEnabled(self._at + 1 < total)

    def _show(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            self.turns.set_items(label("No conversations here.", "muted"))
            return
        told = {"train": Status("info", "Training set"), "validation": Status("neutral", "Validation set")}
        items: list[QWidget] = [row(StatusPill(told[rows[0]["split"]]), None)]
        self.turns.set_items(*items, *[TurnCard(message) for message in rows[0]["messages"]])
