"""The dialog that puts conversations into a training file, new or existing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QCheckBox, QWidget

from app.services import Services
from core.conversations import store as conversations
from core.conversations.store import Filter, ReviewStatus
from core.db import Database
from core.training_files import store
from core.training_files.store import TrainingFile
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, choice, text_field

NEW = ""


@dataclass(frozen=True)
class Choice:
    """What could go in: the eligible ones of the selection (or of all), minus members, and who was rejected."""

    files: tuple[TrainingFile, ...]
    fit: tuple[str, ...]
    rejected: frozenset[str]


def read_choice(db: Database, chosen: Sequence[str], training_file_id: str) -> Choice:
    """`chosen` empty means every conversation."""
    wanted = set(chosen)
    fit = [c.conversation_id for c in store.eligible(db, training_file_id)]
    if wanted:
        fit = [ident for ident in fit if ident in wanted]
    rejected = frozenset(conversations.ids(db, Filter(status=ReviewStatus.REJECTED)))
    return Choice(tuple(store.listing(db)), tuple(fit), rejected)


class AddDialog(Dialog):
    """`chosen(params)` with the parameters of the job "build_training_file"."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget, services: Services, chosen: Sequence[str]) -> None:
        super().__init__(parent, "Add to training file")
        self.setObjectName("add_dialog")
        self._services, self._chosen = services, tuple(chosen)
        self._choice: Choice | None = None
        self._handle: int | None = None
        self.target = choice([])
        self.target.setObjectName("target_file")
        self.target.addItem("New training file", NEW)
        self.form = Form()
        self.form.add("target", "Add to", self.target)
        self.name = text_field("", "Spring consultations")
        self.form.add("name", "Name", self.name, "Shown in lists and written into the file.", check=self._check_name)
        self.description = text_field()
        self.form.add("description", "Description", self.description, "Optional.")
        self.body.addWidget(self.form)
        self.leave_out = QCheckBox("Leave out conversations rejected in review")
        self.leave_out.setObjectName("leave_out_rejected")
        self.leave_out.setChecked(True)
        self.leave_out.hide()
        self.body.addWidget(self.leave_out)
        self.told = label("Counting conversations", "muted", wrap=True, name="add_told")
        self.body.addWidget(self.told)
        self.ok = Button("Build", "main", "ph.stack", on_click=self._submit, name="build")
        self.set_buttons(self.ok)
        self.hold("Conversations are still being counted.")
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.target.currentIndexChanged.connect(self._on_target)
        self.leave_out.toggled.connect(self._show)
        self.form.changed.connect(self._show)
        self.name.setFocus()
        self._read()

    @property
    def _target_id(self) -> str:
        return str(self.target.currentData() or NEW)

    def _check_name(self, value: str) -> str:
        if self._target_id:
            return ""
        if not value.strip():
            return "Enter a name."
        names = {file.name for file in self._choice.files} if self._choice else set()
        return "A training file with this name already exists." if value.strip() in names else ""

    def _read(self) -> None:
        chosen, target = self._chosen, self._target_id
        self._services.forget(self._handle)
        self._handle = self._services.read(self, lambda db: read_choice(db, chosen, target), self._on_choice)

    def _on_choice(self, choice: Choice) -> None:
        self._choice = choice
        if self.target.count() == 1 and choice.files:
            self.target.blockSignals(True)
            for file in choice.files:
                self.target.addItem(f"{file.name} (version {file.version})", file.id)
            self.target.blockSignals(False)
        self._show()

    @Slot()
    def _on_target(self) -> None:
        new = not self._target_id
        self.name.setEnabled(new)
        self.description.setEnabled(new)
        self.form.set_help("name", "Shown in lists and written into the file." if new else "The file keeps its name.")
        self._read()

    def _ids(self) -> list[str]:
        if self._choice is None:
            return []
        out = self._choice.rejected if self.leave_out.isChecked() else frozenset()
        return [ident for ident in self._choice.fit if ident not in out]

    @Slot()
    def _show(self) -> None:
        choice = self._choice
        if choice is None:
            return
        ids = self._ids()
        rejected = sum(1 for ident in choice.fit if ident in choice.rejected)
        self.leave_out.setVisible(rejected > 0)
        if self._chosen:
            told = f"{fmt.count(len(ids))} of {fmt.count(len(self._chosen))} selected will be added."
            unfit = len(self._chosen) - len(choice.fit)
            if unfit:
                why = "not enriched, or already in the file" if self._target_id else "not enriched"
                told += f" {fmt.count(unfit)} can't be added: {why}."
        else:
            where = " not yet in this file" if self._target_id else ""
            told = f"All {fmt.plural(len(ids), 'enriched conversation')}{where} will be added."
        if rejected and self.leave_out.isChecked():
            told += f" {fmt.count(rejected)} rejected in review will be left out."
        if not ids and self._chosen:
            why = "not enriched, or already in the file"
            told = f"None of the {fmt.count(len(self._chosen))} selected can be added: {why}."
        elif not ids:
            told = (
                "Every enriched conversation is already in this file."
                if self._target_id
                else "No conversations are enriched yet."
            )
        self.told.setText(told)
        self.ok.setText(f"Build version {self._version()}" if self._target_id else "Build")
        self.hold("" if ids else "There are no conversations to add.")

    def _version(self) -> int:
        files = self._choice.files if self._choice else ()
        return next((file.version + 1 for file in files if file.id == self._target_id), 1)

    def _submit(self) -> None:
        if not self.form.submit():
            return
        values = self.form.values()
        params = {"conversation_ids": self._ids(), "name": values["name"].strip(), "description": values["description"]}
        if self._target_id:
            file = next(file for file in self._choice.files if file.id == self._target_id) if self._choice else None
            params |= {"training_file_id": self._target_id, "name": file.name if file else ""}
        self.accept()
        self.chosen.emit(params)
