"""What a workspace is for is asked when work in it begins: in one's own at the first start, or in a new one."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QComboBox, QWidget

from app.opening import create_workspace
from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.scaffolding.seeding import choose, key_of
from core.scaffolding.verticals import Vertical, default_key, offered
from core.workspace import settings
from core.workspace.paths import Workspace, workspaces_folder
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, text_field

_TITLE = "Vertical"
MOST_CHARACTERS = 80


def _named(value: str) -> str:
    name = str(value).strip()
    if not name:
        return "Enter a name."
    if name.startswith(".") or set(name) & set("/\\:"):
        return "A name can't begin with a period or contain / \\ or a colon."
    return "" if len(name) <= MOST_CHARACTERS else f"Use at most {MOST_CHARACTERS} characters."


MOST_TOLD = 3


class VerticalChoice(QComboBox):
    """The verticals by name, read in the background, first that of `wanted(db)`; its description is the form's help."""

    def __init__(self, form: Form, dialog: Dialog, services: Services, wanted: Callable[[Database], str]) -> None:
        super().__init__()
        self._form, self._dialog = form, dialog
        self._descriptions: dict[str, str] = {}
        self._problem = label("", "muted", wrap=True, name="vertical_problem")
        self._problem.hide()
        form.add("vertical", _TITLE, self, "Reading the verticals…")
        dialog.body.addWidget(self._problem)
        self.currentIndexChanged.connect(self._describe)
        services.read(dialog, lambda db: (*offered(), wanted(db)), self._show, self._failed)

    def _show(self, found: tuple[list[Vertical], list[AppError], str]) -> None:
        good, bad, wanted = found
        self._descriptions = {vertical.key: vertical.description for vertical in good}
        for vertical in good:
            self.addItem(vertical.name, vertical.key)
        self.setCurrentIndex(max(0, self.findData(wanted)))
        if bad:
            told = "\n".join(f"{error.where}: {error.message}" for error in bad[:MOST_TOLD])
            more = f"\nand {len(bad) - MOST_TOLD} more" if len(bad) > MOST_TOLD else ""
            self._problem.setText(f"Can't be used: {told}{more}")
            self._problem.show()
        # Both kinds of words came after the dialog had taken its size.
        QTimer.singleShot(0, self._dialog, self._dialog.adjustSize)
        self._dialog.hold("" if good else "There is no vertical that can be used.")

    def _failed(self, exc: Exception) -> None:
        self._form.set_error("vertical", str(exc))

    @Slot()
    def _describe(self) -> None:
        self._form.set_help("vertical", self._descriptions.get(str(self.currentData()), ""))


class StartDialog(Dialog):
    """Begins the workspace that is open: its vertical is set, and Home shows the line."""

    def __init__(self, parent: QWidget, services: Services) -> None:
        super().__init__(parent, "Start your own workspace")
        self.setObjectName("start_dialog")
        self._services = services
        self.body.addWidget(label(
            "What is this workspace for? The vertical decides which personas, emotional arcs, topics, and templates it "
            "starts with, and which words enrichment looks for. It can't be changed once there are conversations.",
            wrap=True,
        ))  # fmt: skip
        self.form = Form()
        self.body.addWidget(self.form)
        self.vertical = VerticalChoice(self.form, self, services, key_of)
        self.set_buttons(Button("Start", "main", "ph.arrow-right", on_click=self._start, name="start"))
        self.hold("The verticals are still being read.")
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.vertical.setFocus()

    def _start(self) -> None:
        key = str(self.form.values()["vertical"])
        self.hold("Still saving.")

        def work(db: Database) -> Changed:
            changed = choose(db, key)
            return changed | settings.put(db, "started", True)

        self._services.write(self, work, lambda _none: self.accept(), self._failed)

    def _failed(self, exc: Exception) -> None:
        self.hold("")
        self.form.set_error("vertical", str(exc))


class NewWorkspaceDialog(Dialog):
    """Makes a workspace and opens it; stays open while that fails."""

    def __init__(self, parent: QWidget, services: Services) -> None:
        super().__init__(parent, "New workspace")
        self.setObjectName("new_workspace_dialog")
        self._services = services
        self.form = Form()
        where = f"A folder of this name in {workspaces_folder()}."
        self.form.add("name", "Name", text_field(), where, check=_named)
        self.body.addWidget(self.form)
        self.vertical = VerticalChoice(self.form, self, services, lambda _db: default_key())
        self.set_buttons(Button("Create workspace", "main", "ph.folder-plus", on_click=self._create, name="create"))
        self.hold("The verticals are still being read.")
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.form.field("name").setFocus()

    def _create(self) -> None:
        if not self.form.submit():
            return
        values = self.form.values()
        made = Workspace(workspaces_folder() / str(values["name"]).strip())
        self.hold("The workspace is being created.")

        def done(_none: None) -> None:
            self.accept()
            self._services.navigator.open_workspace(made)

        self._services.run(self, lambda: create_workspace(made, str(values["vertical"])), done, self._failed)

    def _failed(self, exc: Exception) -> None:
        self.hold("")
        self.form.set_error("name", str(exc))
