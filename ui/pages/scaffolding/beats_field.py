"""The beats of an arc in its form: the curve, the emotions in order, and the way to the editor."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.scaffolding.beats import Beats, intensity_of, text_of
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, row
from ui.widgets.beat_curve import BeatCurve, Point


def points_of(beats: Beats) -> list[Point]:
    """Emotion and intensity of each."""
    return [(text_of(beat, "emotion"), intensity_of(beat)) for beat in beats]


class BeatsField(QWidget):
    """`value()` is the beats as they are stored; `edit_wanted()` by its button."""

    value_changed = Signal()
    edit_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._beats: Beats = ()
        self.curve = BeatCurve("Beat", "Beats as a curve", names=True)
        self.curve.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.told = ElidedLabel("", "caption")
        self.told.setObjectName("beats_told")
        self.edit = Button("Edit beats…", "", "ph.pencil-simple", on_click=self._edit, name="edit_beats")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self.curve)
        box.addWidget(row(self.edit, self.told, stretch=self.told))
        self.set_value(())

    def value(self) -> Beats:
        """The beats."""
        return self._beats

    def set_value(self, beats: Beats) -> None:
        """Other beats."""
        self._beats = tuple(beats)
        self.curve.show_points(points_of(self._beats))
        self.curve.setVisible(bool(self._beats))
        self.told.setText(fmt.plural(len(self._beats), "beat"))
        self.value_changed.emit()

    def setFocus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        # A focus proxy would take the button out of the tab order.
        self.edit.setFocus(reason)

    def setAccessibleDescription(self, text: str) -> None:
        super().setAccessibleDescription(text)
        self.edit.setAccessibleDescription(text)

    def _edit(self, *_args: Any) -> None:
        self.edit_wanted.emit()
