"""The small dialogs of the Training files page: a dataset's name, another name for the file."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from core.errors import AppError
from core.training_files.store import TrainingFile
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, text_field


def _named(value: str) -> str:
    return "" if str(value).strip() else "Enter a name."


class DatasetDialog(Dialog):
    """`chosen(name)`."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget, file: TrainingFile) -> None:
        super().__init__(parent, "Build dataset")
        self.setObjectName("dataset_dialog")
        pairs = fmt.plural(file.total_training_pairs, "pair")
        told = f"From “{file.name}”, version {file.version}: {pairs} in {file.conversation_count:,} conversations."
        self.body.addWidget(label(told, wrap=True))
        self.form = Form()
        self.form.add(
            "name", "Name", text_field(f"{file.name} v{file.version}"),
            "The dataset is split and counted in the base model's tokens.", check=_named,
        )  # fmt: skip
        self.body.addWidget(self.form)
        self.ok = Button("Build dataset", "main", "ph.table", on_click=self._submit, name="make")
        self.set_buttons(self.ok)
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.form.field("name").setFocus()

    def _submit(self) -> None:
        if self.form.submit():
            name = str(self.form.values()["name"]).strip()
            self.accept()
            self.chosen.emit(name)


class RenameDialog(Dialog):
    """`chosen(name, description)`; stays open until `accept`, so that a name that is taken can be changed."""

    chosen = Signal(str, str)

    def __init__(self, parent: QWidget, file: TrainingFile) -> None:
        super().__init__(parent, "Rename training file")
        self.setObjectName("rename_dialog")
        self.form = Form()
        self.form.add(
            "name", "Name", text_field(file.name), "Versions already built keep their old name inside.", check=_named
        )
        self.form.add("description", "Description", text_field(file.description), "Optional.")
        self.body.addWidget(self.form)
        self.ok = Button("Rename", "main", on_click=self._submit, name="rename_ok")
        self.set_buttons(self.ok)
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.form.field("name").setFocus()

    def _submit(self) -> None:
        if self.form.submit():
            values = self.form.values()
            self.hold("Still saving.")
            self.chosen.emit(str(values["name"]), str(values["description"]))

    def show_problem(self, error: AppError) -> None:
        """What the store refused."""
        self.form.set_error("name", error.message)
