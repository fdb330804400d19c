"""The dialog that says who a conversation is with: persona, arc and topic for a file that did not name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Slot

from core.conversations import store
from core.conversations.store import Conversation
from core.db import Database
from core.scaffolding import store as scaffolding
from core.scaffolding.store import EmotionalArc, Persona, TrainingTopic
from ui.dialogs.writing import WritingDialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, choice
from ui.widgets.page import Page

FIELDS: dict[str, tuple[str, Any]] = {
    "persona_key": ("Persona", Persona),
    "emotional_arc_key": ("Arc", EmotionalArc),
    "training_topic_key": ("Topic", TrainingTopic),
}
Choices = dict[str, list[tuple[str, str]]]


def read_choices(db: Database) -> Choices:
    """(name, key) of every entry in use, by field."""
    return {
        name: [(entry.name, entry.key) for entry in scaffolding.listing(db, kind, active_only=True)]
        for name, (_, kind) in FIELDS.items()
    }


class ScaffoldingDialog(WritingDialog):
    """Saves the choice, then calls `on_saved(conversation_id)`."""

    def __init__(self, page: Page, found: Conversation, on_saved: Callable[[str], Any]) -> None:
        super().__init__(page, page.services, "Choose scaffolding")
        self.setObjectName("scaffolding_dialog")
        self._found, self._on_saved = found, on_saved
        self.body.addWidget(label(found.title, "section", wrap=True))
        hint = "Enrichment needs to know who the client is, how their feelings move, and what the topic is."
        self.body.addWidget(label(hint, "muted", wrap=True))
        self.body.addWidget(self.banners)
        self.form = Form()
        for name, (title, _) in FIELDS.items():
            self.form.add(name, title, choice([]), check=lambda v: "" if v else "Choose one.")
        self.body.addWidget(self.form)
        self.ok = Button("Save and enrich", "main", "ph.magic-wand", on_click=self._save, name="save_scaffolding")
        self.set_buttons(self.ok)
        self.hold("Scaffolding is still loading.")
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.services.read(self, read_choices, self._fill, self.failed)

    def _fill(self, choices: Choices) -> None:
        for name, entries in choices.items():
            _offer(self.form.field(name), entries, getattr(self._found, name) or "")
        self.hold("")
        self.form.field("persona_key").setFocus()

    @Slot()
    def _save(self) -> None:
        if not self.form.submit():
            return
        ident, keys, workspace = self._found.id, self.form.values(), self.services.workspace
        self.write(lambda db: store.set_scaffolding(db, workspace, ident, **keys), self._saved)

    def _saved(self, _nothing: object) -> None:
        self.accept()
        self._on_saved(self._found.id)


def _offer(combo: Any, entries: Sequence[tuple[str, str]], chosen: str) -> None:
    # Nothing was edited yet, so nothing is found fault with.
    combo.blockSignals(True)
    combo.setPlaceholderText("Choose one")
    for name, key in entries:
        combo.addItem(name, key)
    # Nothing is chosen for the user: a wrong persona would be worse than none.
    combo.setCurrentIndex(combo.findData(chosen))
    combo.blockSignals(False)
