"""Training an adapter on a project's code: what was decided before, what would be made of the code, then the start."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app import adapter_training
from app.services import Services
from core.code_index import active as actives
from core.code_index.health import Places
from core.code_index.state import Stage, reading
from core.db import Database
from core.db.connection import explain
from core.events import Changed
from core.projects import adapter_state, adapters, moved, projects
from core.projects.adapter_state import AdapterState
from core.projects.examples.plan import Plan
from core.projects.examples.trained import Drift
from core.projects.projects import Project
from ui import format as fmt
from ui.dialogs.writing import WritingDialog
from ui.pages.projects.words import plain
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card
from ui.widgets.facts import Fact, Facts

KINDS = {
    "completion": "Completions", "body": "Bodies", "docstring": "Docstrings", "explanation": "Explanations",
    "where is": "Places", "convention": "Conventions",
}  # fmt: skip
HOW = (
    "Examples are made from what the authors wrote: symbols, docstrings, places. Files are held out, and an adapter is "
    "used only if it is better on them than the base."
)


class TrainDialog(WritingDialog):
    """`started()` once examples and training are queued; `decided()` when the choice of the adapter changed."""

    started = Signal()
    decided = Signal()

    def __init__(self, parent: QWidget, services: Services, project: Project) -> None:
        super().__init__(parent, services, f"Adapter of {plain(project.name)}")
        self.setObjectName("train_dialog")
        self._project = project
        self._plan: Plan | None = None
        self.words = label("", "", wrap=True, name="adapter_words")
        self.hint = label("", "caption", wrap=True, name="adapter_hint")
        self.drift = label("", "caption", wrap=True, name="adapter_drift")
        self.use = Button("Use it all the same", "", "ph.check", on_click=self._use, name="use_all_the_same")
        self.none = Button("Use the base alone", "", "ph.x", on_click=self._use_none, name="use_none")
        self.body.addWidget(self.banners)
        self.body.addWidget(Card("Now", self.words, self.hint, self.drift, row(self.use, self.none, None)))
        self.state = label("Looking at the code…", "muted", wrap=True, name="plan_state")
        self.facts = Facts()
        how = label(HOW, "muted", wrap=True)
        self.body.addWidget(Card("Training on the code as it is now", how, self.state, self.facts))
        self.go = Button("Train", "main", "ph.chart-line", on_click=self._start, name="start_training")
        self.set_buttons(self.go, cancel="Close")
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        self.hold("The code is being looked at.")
        for widget in (self.facts, self.use, self.none, self.drift):
            widget.hide()
        self._read()
        looking = adapter_training.look(services, self, project.id, self._show_plan, self._not_planned)
        self.finished.connect(looking.stop)

    # What was decided before

    def _read(self) -> None:
        ident = self._project.id

        def read(db: Database) -> AdapterState:
            return adapter_state.state(db, projects.get(db, ident))

        self.services.read(self, read, self._show_state)
        self.services.run(self, self._drift, self._show_drift, lambda _exc: None)

    def _show_state(self, found: AdapterState) -> None:
        self.words.setText(found.words)
        self.hint.setText(found.hint)
        self.hint.setVisible(bool(found.hint))
        self.use.setVisible(found.can_use_all_the_same)
        self.none.setVisible(found.adapter_id is not None)

    def _drift(self) -> Drift | None:
        folder = self._project.folder(self.services.workspace)
        slug = actives.active(folder)
        if not slug:
            return None
        with reading(Places(folder, slug).state) as state:
            files = {
                path: file.hash for path, file in state.files().items()
                if file.language != "text" and file.state in (Stage.LEXICAL, Stage.EMBEDDED)
            }  # fmt: skip
        return moved.drift(self._project, folder, files)

    def _show_drift(self, found: Drift | None) -> None:
        self.drift.setVisible(found is not None)
        if found is not None:
            self.drift.setText(found.words)

    def _use(self) -> None:
        self._decide(lambda db: adapters.use_all_the_same(db, self._project.id))

    def _use_none(self) -> None:
        self._decide(lambda db: adapters.use_none(db, self._project.id))

    def _decide(self, change: Callable[[Database], Changed]) -> None:
        def done(_nothing: object) -> None:
            self.hold("" if self._plan is not None and self._plan.problem is None else "The code is being looked at.")
            self._read()
            self.decided.emit()

        self.write(change, done)

    # What would be made of the code

    def _show_plan(self, plan: Plan) -> None:
        self._plan = plan
        if plan.problem is not None:
            self.state.setText(plan.problem.message)
            self.banners.show_error(plan.problem)
            self.hold(plan.problem.message)
        else:
            self.state.setText(plan.words)
            self.hold("")
        kinds = [
            Fact(KINDS.get(kind, kind.capitalize()), f"{fmt.count(sum(counts.values()))}")
            for kind, counts in plan.kinds.items() if sum(counts.values())
        ]  # fmt: skip
        seconds = plan.estimate.seconds
        takes = fmt.duration(seconds) if seconds is not None else "known after the first run on this machine"
        held = ", ".join(plain(path) for path in plan.held_out[:20])
        self.facts.set_facts(
            [*kinds, Fact("Held-out files", fmt.count(len(plan.held_out)), held),
             Fact("Steps", fmt.count(plan.estimate.steps)), Fact("Time", takes)]
        )  # fmt: skip
        self.facts.show()
        # It has more to show than when it was opened.
        self.fit_soon()

    def _not_planned(self, exc: Exception) -> None:
        error = explain(exc)
        self.state.setText("The code could not be looked at.")
        self.banners.show_error(error)
        self.hold(error.message)

    def _start(self) -> None:
        plan = self._plan
        if plan is None:
            return
        self.hold("It is being queued.")

        def done(_chain: object) -> None:
            self.started.emit()
            self.accept()

        adapter_training.train(self.services, self, self._project.id, plan.counts, None, done, self._not_started)

    def _not_started(self, exc: Exception) -> None:
        self.hold("")
        self.banners.show_error(explain(exc))
