"""Settings of projects: the editor that places open in, and the model that code is embedded with."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QComboBox

from app import editors
from core.db import Database
from core.projects.jobs import EMBEDDER, workspace_embedder
from core.workspace import settings
from ui.widgets.card import Card
from ui.widgets.embedder_choice import EmbedderChoice
from ui.widgets.forms import Form, choice, text_field
from ui.widgets.page import Page

EXAMPLE = "myeditor --line {line} {file}"
EDITOR_HELP = "Results, sources and places in answers open there."


@dataclass(frozen=True)
class CodeSettings:
    """What is stored, and which editors are here, as (name, key)."""

    editor: str
    embedder: str
    installed: tuple[tuple[str, str], ...]


def _check(command: object) -> str:
    text = str(command)
    return "" if not text.strip() or editors.FILE in text else f"Write {editors.FILE} where the file's path goes."


class CodeCard(Card):
    """Each choice takes effect at once."""

    def __init__(self, page: Page) -> None:
        super().__init__("Projects")
        self.setObjectName("code_card")
        self._page = page
        self._loading = True
        self.form = Form()
        self.editor = choice([("The first that is installed", editors.SYSTEM), ("Own command", editors.CUSTOM)])
        self.form.add("editor", "Editor", self.editor, EDITOR_HELP)
        self.command = text_field("", EXAMPLE)
        self.form.add(
            "command", "Command", self.command,
            f"{editors.FILE} and {editors.LINE} stand for the place. It is started as it is, without a shell.",
            check=_check,
        )  # fmt: skip
        self.form.set_shown("command", False)
        self.embedder = EmbedderChoice(page.services)
        self.form.add("embedder", "Embedding model", self.embedder,
                      "For projects that name none of their own. Search by words and names needs none.")  # fmt: skip
        self.add(self.form)
        self.editor.currentIndexChanged.connect(self._on_editor)
        self.command.editingFinished.connect(self._on_command)
        self.embedder.value_changed.connect(self._on_embedder)

    def read(self) -> None:
        """Look what is stored and installed, off the GUI thread."""

        def ask(db: Database) -> CodeSettings:
            found = tuple((editor.name, editor.key) for editor in editors.installed())
            return CodeSettings(str(settings.get(db, editors.SETTING, "")), workspace_embedder(db), found)

        self._page.read(ask, self._show, key="code")

    def _show(self, found: CodeSettings) -> None:
        self._loading = True
        own = editors.FILE in found.editor
        options = [("The first that is installed", editors.SYSTEM), *found.installed]
        if found.editor and not own and found.editor not in {key for _, key in options}:
            name = next((editor.name for editor in editors.EDITORS if editor.key == found.editor), found.editor)
            options.append((f"{name} (not installed)", found.editor))
        _fill(self.editor, [*options, ("Own command", editors.CUSTOM)])
        wanted = editors.CUSTOM if own else found.editor or editors.SYSTEM
        # A command that is being written is not stored yet.
        if own or not (self._own and self.command.hasFocus()):
            self.editor.setCurrentIndex(self.editor.findData(wanted))
        if own and not self.command.hasFocus():
            self.command.setText(found.editor)
        self.form.set_shown("command", self._own)
        self.embedder.set_value(found.embedder)
        self._loading = False

    @property
    def _own(self) -> bool:
        return bool(self.editor.currentData() == editors.CUSTOM)

    @Slot(int)
    def _on_editor(self, _place: int) -> None:
        if self._loading:
            return
        self.form.set_shown("command", self._own)
        if self._own:
            self.command.setFocus()
            self._on_command()
        else:
            self._put(editors.SETTING, str(self.editor.currentData()))

    @Slot()
    def _on_command(self) -> None:
        text = self.command.text().strip()
        if self._own and text and not _check(text):
            self._put(editors.SETTING, text)

    @Slot()
    def _on_embedder(self) -> None:
        self._put(EMBEDDER, self.embedder.value())

    def _put(self, key: str, value: str) -> None:
        self._page.write(lambda db: settings.put(db, key, value))


def _fill(combo: QComboBox, options: list[tuple[str, str]]) -> None:
    """Other options; the one that was chosen stays, if it is among them."""
    if [(combo.itemText(i), combo.itemData(i)) for i in range(combo.count())] == options:
        return
    before = combo.currentData()
    combo.clear()
    for words, data in options:
        combo.addItem(words, data)
    combo.setCurrentIndex(max(0, combo.findData(before)))
