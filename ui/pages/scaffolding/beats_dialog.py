"""The beats of an arc, edited: as a curve, as a list in order, and field by field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.scaffolding import beats as beats_of
from core.scaffolding import editing
from core.scaffolding.beats import BeatsEdit, text_of
from core.scaffolding.store import EmotionalArc
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.pages.scaffolding.beats_field import points_of
from ui.pages.scaffolding.edit_curve import EditCurve
from ui.pages.scaffolding.form import EntryFields
from ui.pages.scaffolding.kinds import put_value
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, column, label, row
from ui.widgets.forms import SliderSpin, text_area, text_field
from ui.widgets.order_list import OrderList
from ui.widgets.scroll import ScrollColumn

HINT = (
    "Drag a point up or down, or press Up and Down. Left and Right choose a beat; with Alt they move it. "
    "In the list, drag a row, or press Alt+Up and Alt+Down."
)


class BeatsDialog(Dialog):
    """Writes the beats of a stored arc; `chosen(arc)` once they are, or at once for an arc that is not stored yet."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None, services: Services, arc: EmotionalArc) -> None:
        super().__init__(parent, f"Beats of {arc.name or 'the new arc'}")
        self.setObjectName("beats_dialog")
        self._services, self._arc = services, arc
        self.edit = BeatsEdit(beats_of.to_edit(arc))
        self._showing, self._shown_at = False, -1
        self.banners = BannerArea()
        self.curve = EditCurve()
        self.list = OrderList("beats_list", "Beats, in order")
        self._build_form()
        self._build_actions()
        self._connect()
        sizes = theme().sizes
        self.body.addWidget(label(HINT, "caption", wrap=True))
        self.body.addWidget(self.banners)
        self.body.addWidget(self.curve)
        right = ScrollColumn(self.form, name="beat_scroll", accessible="Fields of the beat")
        both = QHBoxLayout()
        both.setSpacing(2 * sizes.grid)
        both.addWidget(column(self.list, self._tools, stretch=self.list), 1)
        both.addWidget(right, 2)
        self.body.addLayout(both, 1)
        self.ok = Button("Save beats" if arc.id else "Use these beats", "main", "ph.check", on_click=self._save,
                         name="save_beats")  # fmt: skip
        self.set_buttons(self.ok, self.undo, self.redo)
        self.resize(2 * sizes.inspector + sizes.icon_large, 2 * sizes.inspector - sizes.label)
        self._show()
        self.curve.setFocus()

    # Building

    def _build_form(self) -> None:
        self.form = EntryFields()
        self.form.add("emotion", "Emotion", text_field("", "confusion"), "What the client feels in this part.",
                      check=self._wrong_emotion)  # fmt: skip
        self.form.add("intensity", "Intensity", SliderSpin(0, 1, 0, step=beats_of.STEP, decimals=2),
                      "From 0, hardly felt, to 1, overwhelming.")  # fmt: skip
        self.form.add("goal", "Goal", text_area("", 2), "What this turn is for.")
        self.form.add("guidance", "Guidance", text_area("", 3), "What a good answer of the consultant looks like.")

    def _build_actions(self) -> None:
        self.undo = Button("", "ghost", "ph.arrow-u-up-left", on_click=self._act("undo"), name="undo_beats",
                           tip="Undo", accessible="Undo")  # fmt: skip
        self.redo = Button("", "ghost", "ph.arrow-u-up-right", on_click=self._act("redo"), name="redo_beats",
                           tip="Redo", accessible="Redo")  # fmt: skip
        self.copy = Button("", "ghost", "ph.copy", on_click=self._act("duplicate"), name="duplicate_beat",
                           tip="Duplicate this beat", accessible="Duplicate this beat")  # fmt: skip
        self.remove = Button("", "ghost", "ph.trash", on_click=self._act("remove"), name="remove_beat",
                             tip="Remove this beat", accessible="Remove this beat")  # fmt: skip
        self.add = Button("Add beat", "ghost", "ph.plus", on_click=self._add, name="add_beat")
        self._tools = row(self.add, None, self.copy, self.remove, gap=theme().sizes.half)

    def _connect(self) -> None:
        self.curve.chosen.connect(self._choose)
        self.curve.put.connect(self._on_put)
        self.curve.rested.connect(self.edit.rest)
        self.curve.moved.connect(lambda by: self._then(lambda: self.edit.move(self.edit.at + by)))
        self.curve.removed.connect(self._act("remove"))
        self.list.currentRowChanged.connect(self._choose)
        self.list.moved.connect(self._on_moved)
        self.list.removed.connect(self._act("remove"))
        self.form.changed.connect(self._on_form)

    def _act(self, name: str) -> Callable[..., None]:
        return lambda *_args: self._then(getattr(self.edit, name))

    def _then(self, change: Callable[[], object]) -> None:
        self.edit.rest()
        change()
        self._show()

    # What is shown

    def _show(self) -> None:
        """Everything as it is now in `edit`."""
        edit, self._showing = self.edit, True
        self.curve.show_points(points_of(edit.beats), edit.at)
        self.list.show_rows([(str(place), self._row(place)) for place in range(len(edit.beats))])
        self.list.setCurrentRow(edit.at)
        beat = edit.beats[edit.at] if edit.at >= 0 else {}
        wanted = {name: text_of(beat, name) for name in ("emotion", "goal", "guidance")}
        wanted["intensity"] = round(beats_of.intensity_of(beat), 2)  # type: ignore[assignment]
        for name, value in wanted.items():
            if self.form.values()[name] != value:
                put_value(self.form.field(name), value)
        if edit.at != self._shown_at:
            self._shown_at = edit.at
            self.form.settle()
        self.form.setEnabled(edit.at >= 0)
        for button, able in (
            (self.undo, edit.can_undo), (self.redo, edit.can_redo),
            (self.copy, edit.at >= 0), (self.remove, edit.at >= 0),
        ):  # fmt: skip
            button.setEnabled(able)
        self._showing = False

    def _row(self, place: int) -> str:
        beat = self.edit.beats[place]
        emotion = fmt.word(text_of(beat, "emotion")) or "No emotion yet"
        return f"{place + 1}. {emotion} · {fmt.decimal(beats_of.intensity_of(beat))}"

    # What the user does

    @Slot(int)
    def _choose(self, place: int) -> None:
        if not self._showing and place >= 0 and place != self.edit.at:
            self._then(lambda: self.edit.choose(place))

    @Slot(float)
    def _on_put(self, intensity: float) -> None:
        self.edit.put("intensity", intensity)
        self._show()

    @Slot(str, object)
    def _on_moved(self, ident: str, before: str | None) -> None:
        place, target = int(ident), len(self.edit.beats) if before is None else int(before)
        self.edit.choose(place)
        self._then(lambda: self.edit.move(target - (target > place)))

    @Slot()
    def _on_form(self) -> None:
        if not self._showing:
            for name, value in self.form.values().items():
                old = self.edit.beats[self.edit.at] if self.edit.at >= 0 else {}
                if name != "intensity" or value != round(beats_of.intensity_of(old), 2):
                    self.edit.put(name, value)
            self._show()

    def _add(self) -> None:
        self._then(self.edit.add)
        self.form.field("emotion").setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Fields of text undo their own typing.
        if event.matches(QKeySequence.StandardKey.Undo):
            self._then(self.edit.undo)
        elif event.matches(QKeySequence.StandardKey.Redo):
            self._then(self.edit.redo)
        else:
            super().keyPressEvent(event)

    @property
    def typed(self) -> bool:
        """Whether the beats are other than at the beginning."""
        return self.edit.changed

    # Saving

    def _wrong_emotion(self, value: str) -> str:
        return "" if value.strip() or self.edit.at < 0 else "The beat has no emotion."

    def _save(self) -> None:
        self.missing.hide()
        for problem in beats_of.problems(self.edit.beats):
            if problem.place < 0:
                self.missing.setText(problem.message)
                self.missing.show()
                self.add.setFocus()
            else:
                self._then(partial(self.edit.choose, problem.place))
                self.form.set_error(problem.field, f"{problem.message} {problem.hint}")
            return
        self._store()

    def _store(self) -> None:
        wanted, arc, services = self.edit.result, self._arc, self._services

        def work(db: Database) -> tuple[Changed, tuple[EmotionalArc, EmotionalArc]]:
            return editing.put_beats(db, arc.id, wanted)

        def done(stored: tuple[EmotionalArc, EmotionalArc]) -> None:
            before, after = stored

            def undo() -> None:
                services.write(services.root, lambda db: editing.put_beats(db, before.id, before.beats)[0])

            services.notifier.say(f"Beats of “{arc.name}” saved", undo)
            self._finish(after)

        if arc.id:
            self.hold("Still saving.")
            services.write(self, work, done, self.show_problem)
        else:
            self._finish(replace(arc, beats=wanted))

    def _finish(self, arc: EmotionalArc) -> None:
        self.chosen.emit(arc)
        self.accept()

    def show_problem(self, error: Exception) -> None:
        """An error of saving, above the curve."""
        self.hold("")
        if isinstance(error, AppError):
            self.banners.show_error(error)
        else:
            self._services.notifier.report(error, self)
