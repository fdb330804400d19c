"""Add a folder of code as a project: what is found in it, what is left out and why, how long it takes, and Start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QFileDialog, QProgressBar, QWidget

from app.services import Services
from core.cancel import CancelToken
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.projects import projects
from core.projects.projects import LONGEST_NAME, Project
from core.projects.rates import Rates, measured
from ui.dialogs.writing import WritingDialog
from ui.pages.projects.looking import Far, Looked, estimate_words, look_at
from ui.pages.projects.summary import LanguageBar
from ui.theme import theme
from ui.widgets.basic import Button, column, label, row
from ui.widgets.card import Card
from ui.widgets.embedder_choice import EmbedderChoice
from ui.widgets.forms import Form, text_field

TRAIN = "train_adapter"
TICK_MS, TYPING_MS = 120, 350


def _named(value: str) -> str:
    name = " ".join(str(value).split())
    if not name:
        return "Enter a name."
    return "" if len(name) <= LONGEST_NAME else f"Use at most {LONGEST_NAME} characters."


class AddDialog(WritingDialog):
    """`started(Project)` once its row is there; `is_there(id)` for a folder that is a project already.

    `known` are the folders of all projects with their ids, `embedder` the workspace's setting.
    """

    started = Signal(object)
    is_there = Signal(str)

    def __init__(
        self,
        parent: QWidget,
        services: Services,
        known: Mapping[Path, str],
        folder: Path | None = None,
        embedder: str = "",
    ) -> None:
        super().__init__(parent, services, "Add project")
        self.setObjectName("add_project_dialog")
        self._known = dict(known)
        self._token, self._far, self._handle = CancelToken(), Far(), 0
        self._looked: Looked | None = None
        self._rates = Rates()
        self._tick, self._soon = self._timer(TICK_MS, self._show_far), self._timer(TYPING_MS, self._look)
        self._soon.setSingleShot(True)
        self._build(folder, embedder)
        self.finished.connect(self._forget)
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        if folder is not None:
            self._look()
        else:
            self._show_nothing("")
        (self.path if folder is None else self.name).setFocus()
        services.read(self, measured, self._on_measured)

    def _on_measured(self, rates: Rates) -> None:
        self._rates = rates
        self._show_estimate()

    def _timer(self, ms: int, slot: object) -> QTimer:
        out = QTimer(self)
        out.setInterval(ms)
        out.timeout.connect(slot)
        return out

    def _build(self, folder: Path | None, embedder: str) -> None:
        self.path = text_field(str(folder) if folder is not None else "", "A folder of code")
        self.path.setObjectName("project_folder")
        self.path.setAccessibleName("Folder")
        self.choose = Button("Choose…", "", "ph.folder-open", on_click=self.choose_folder, name="choose_folder",
                             accessible="Choose the folder")  # fmt: skip
        self.form = Form()
        folder_row = row(self.path, self.choose, stretch=self.path)
        self.form.add(
            "folder", "Folder", folder_row, "It is read, and watched from then on; nothing in it is ever run."
        )
        self.form.add("name", "Name", text_field(), "As it is called here and in Chat.", check=_named)
        self.name = self.form.field("name")
        self.embedder = EmbedderChoice(self.services, "", embedder)
        self.form.add("embedder", "Embedding model", self.embedder)
        self.train = QCheckBox("Train an adapter from it")
        self.train.setObjectName("train_from_it")
        self.train.setChecked(True)
        self.form.add("train", "Adapter", self.train, "Examples are made from its code once it is indexed; all on "
                      "this machine.")  # fmt: skip
        self.body.addWidget(self.form)
        self.body.addWidget(self.banners)
        self.body.addWidget(self._findings())
        self.set_buttons(Button("Start", "main", "ph.arrow-right", on_click=self._start, name="start_project"))
        self.path.textEdited.connect(self._on_typed)
        self.embedder.value_changed.connect(self._show_estimate)
        self.embedder.filled.connect(self._show_estimate)

    def _findings(self) -> Card:
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 0)
        self.bar.setAccessibleName("Looking at the folder")
        self.far = label("", "muted", wrap=True, name="look_progress")
        self.found = label("", "section", wrap=True, name="look_found")
        self.languages = LanguageBar()
        self.left = label("", "muted", wrap=True, name="look_left_out")
        self.warnings = label("", wrap=True, name="look_warnings")
        self.time = label("", wrap=True, name="look_estimate")
        self._parts = (self.found, self.languages, self.time, self.left, self.warnings)
        return Card("", column(self.bar, self.far, gap=theme().sizes.half), *self._parts)

    # Looking

    @Slot()
    def choose_folder(self) -> None:
        """Ask for the folder; without blocking."""
        dialog = QFileDialog(self, "Folder of the project")
        dialog.setObjectName("project_folder_dialog")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self.look_at)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def look_at(self, folder: str) -> None:
        """Look at that folder."""
        self.path.setText(folder)
        self._look()

    @Slot()
    def _on_typed(self) -> None:
        self._drop()
        self._show_nothing("Still looking at the folder." if self.path.text().strip() else "")
        self._soon.start()

    def _drop(self) -> None:
        self._soon.stop()
        self._tick.stop()
        self._token.cancel()
        self.services.forget(self._handle)
        self._looked = None

    @Slot()
    def _forget(self) -> None:
        self._drop()

    @Slot()
    def _look(self) -> None:
        self._drop()
        text = self.path.text().strip()
        if not text:
            self._show_nothing("")
            return
        self.banners.clear()
        self._show_nothing("Still looking at the folder.")
        self._token, self._far = CancelToken(), Far()
        token, far, known, workspace = self._token, self._far, self._known, self.services.workspace.root
        self.bar.show()
        self._show_far()
        self._tick.start()
        self._handle = self.services.run(
            self, lambda: look_at(Path(text), workspace, known, token, far), self._show, self._on_failed
        )

    @Slot()
    def _show_far(self) -> None:
        self.far.setText(self._far.words)
        self.far.show()

    def _on_failed(self, exc: Exception) -> None:
        self._tick.stop()
        self._show_nothing("Choose another folder.")
        if isinstance(exc, AppError):
            self.banners.show_error(exc)
        else:
            self.services.notifier.report(exc)
        self.fit_soon()

    def _show_nothing(self, reason: str) -> None:
        for part in (*self._parts, self.bar):
            part.hide()
        self.far.setText("" if reason else "Choose a folder, or drop one onto the page Projects.")
        self.far.setVisible(not reason)
        self.hold(reason or "Choose a folder.")

    def _show(self, looked: Looked) -> None:
        self._tick.stop()
        self.bar.hide()
        self.far.hide()
        if looked.project:
            self.accept()
            self.is_there.emit(looked.project)
            return
        self._looked = looked
        field = self.name
        if not field.isModified():  # type: ignore[attr-defined]
            field.setText(looked.root.name)  # type: ignore[attr-defined]
            field.setModified(False)  # type: ignore[attr-defined]
        self.found.setText(looked.found_words)
        self.found.show()
        self.languages.show_languages(dict(looked.languages))
        left = looked.left_words()
        total = len(looked.scan.left_out) if looked.scan is not None else 0
        self.left.setText(f"Left out: {total:,}\n" + "\n".join(left) if left else "Nothing is left out.")
        self.left.show()
        self.warnings.setText("\n".join(looked.warnings))
        self.warnings.setVisible(bool(looked.warnings))
        self._show_estimate()
        self.hold("" if looked.files else "There is nothing to index in this folder.")
        self.fit_soon()

    @Slot()
    def _show_estimate(self) -> None:
        option = self.embedder.option
        self.fit_soon()
        if self._looked is None:
            return
        speed = option.speed if option is not None and option.there else 0.0
        words = estimate_words(self._looked.estimate(speed, self._rates.reading))
        if option is not None and not option.there:
            words += " By meaning once the model is here."
        self.time.setText(words)
        self.time.show()

    # Starting

    def _start(self) -> None:
        looked = self._looked
        if looked is None or not self.form.submit():
            return
        field = self.name
        # A name that was only proposed is made free by the store.
        name = field.text() if field.isModified() else ""  # type: ignore[attr-defined]
        embedder, train = self.embedder.value(), self.train.isChecked()

        def put(db: Database) -> tuple[Changed, Project]:
            made = projects.add(db, looked.root, name, embedder=embedder)
            projects.update(db, made.id, settings={TRAIN: train})
            return Changed.PROJECTS, projects.get(db, made.id)

        def done(project: Project) -> None:
            self.accept()
            self.started.emit(project)

        self.write(put, done)

    def failed(self, exc: Exception) -> None:
        super().failed(exc)
        if isinstance(exc, AppError) and exc.where.field == "name":
            self.banners.clear()
            self.form.set_error("name", exc.message)
