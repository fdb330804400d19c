"""Files that go with a question: the chips above the field, and the dialog that shows one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from core.projects.attachments import MOST_CHARACTERS, Attachment
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.flow import Flow
from ui.widgets.forms import text_area

LINES = 16
# Together with the question; far more than a model reads at once.
MOST_TOGETHER = 2 * MOST_CHARACTERS
NAME_CHARACTERS = 32
MOST_FILES = 20


class AttachedFiles(Flow):
    """One chip a file; a click takes it off again. `changed()`."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__(gap=theme().sizes.half)
        self.setObjectName("attached_files")
        self.setAccessibleName("Attached files")
        self.files: tuple[Attachment, ...] = ()
        self._chips: list[Button] = []
        self.align(right=False)
        self.hide()

    def add(self, files: Sequence[Attachment]) -> None:
        """More of them; one of the same name and text is not attached twice."""
        self.put((*self.files, *(file for file in files if file not in self.files)))

    def put(self, files: Sequence[Attachment]) -> None:
        """These instead."""
        self.files = tuple(files)
        for chip in self._chips:
            self.flow.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self._chips = [self._chip(file) for file in self.files]
        for chip in self._chips:
            self.flow.addWidget(chip)
        self.setVisible(bool(self.files))
        self.updateGeometry()
        self.changed.emit()

    @property
    def characters(self) -> int:
        """Of all of them."""
        return sum(len(file.text) for file in self.files)

    def _chip(self, file: Attachment) -> Button:
        name = file.name if len(file.name) <= NAME_CHARACTERS else f"{file.name[: NAME_CHARACTERS - 1]}…"
        chip = Button(
            f"{name} · {fmt.count(len(file.text))}", "chip", "ph.x", on_click=partial(self._remove, file),
            name="detach", accessible=f"Remove {file.name}, {fmt.plural(len(file.text), 'character')}",
        )  # fmt: skip
        chip.setToolTip("Remove this file")
        return chip

    def _remove(self, file: Attachment) -> None:
        self.put([other for other in self.files if other is not file])


def choose_files(parent: QWidget, chosen: Callable[[list[Path]], object]) -> None:
    """Ask which files; `chosen([Path])`."""
    dialog = QFileDialog(parent, "Attach text files")
    dialog.setObjectName("attach_dialog")
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
    dialog.filesSelected.connect(lambda names: chosen([Path(name) for name in names]))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()


def show_file(parent: QWidget, name: str, text: str) -> None:
    """What was attached, to read."""
    dialog = Dialog(parent, "Attached file")
    dialog.setObjectName("attached_file")
    shown = text_area(text, LINES)
    shown.setReadOnly(True)
    shown.setAccessibleName(name)
    dialog.body.addWidget(label(name, "section", wrap=True))
    dialog.body.addWidget(shown, 1)
    dialog.set_buttons(Button("Close", "main", on_click=dialog.accept, name="close_file"), cancel="")
    dialog.resize(2 * theme().sizes.inspector, theme().sizes.inspector)
    dialog.open()
