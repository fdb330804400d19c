"""Which model embeds the code of one project."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.services import Services
from core.projects import projects
from core.projects.projects import Project
from ui.dialogs.writing import WritingDialog
from ui.pages.projects.words import plain
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.embedder_choice import EmbedderChoice
from ui.widgets.forms import Form

WHAT_HAPPENS = (
    "Search by meaning needs one. Another model makes the vectors again, beside those there are; search answers from "
    "the old ones until the new ones are done."
)


class EmbedderDialog(WritingDialog):
    """`chosen()` once it is kept and is another than before; `workspace` is the workspace's setting."""

    chosen = Signal()

    def __init__(self, parent: QWidget, services: Services, project: Project, workspace: str) -> None:
        super().__init__(parent, services, f"Embedding model of {plain(project.name)}")
        self.setObjectName("embedder_dialog")
        self._project = project
        self.body.addWidget(label(WHAT_HAPPENS, "muted", wrap=True))
        self.body.addWidget(self.banners)
        self.choice = EmbedderChoice(services, project.embedder, workspace)
        form = Form()
        form.add("embedder", "Embedding model", self.choice)
        self.body.addWidget(form)
        self.set_buttons(Button("Use it", "main", "ph.check", on_click=self._keep, name="use_embedder"))
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.choice.setFocus()
        for changed in (self.choice.value_changed, self.choice.filled):
            changed.connect(self.fit_soon)

    def _keep(self) -> None:
        wanted, ident = self.choice.value(), self._project.id
        if wanted == self._project.embedder:
            self.accept()
            return

        def done(_nothing: object) -> None:
            self.accept()
            self.chosen.emit()

        self.write(lambda db: projects.update(db, ident, embedder=wanted), done)
