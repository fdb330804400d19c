"""What a template reads like with a persona, an arc and a topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from core.scaffolding.render import SOURCES, fill, template_values
from core.scaffolding.store import Entry
from ui.pages.scaffolding.template_text import Highlighter, reader
from ui.theme import theme
from ui.widgets.basic import label
from ui.widgets.forms import Form, choice

PARTS = {"persona": "Persona", "arc": "Arc", "topic": "Topic"}
# What generation fills in by itself; the preview needs some number.
EXTRA = dict.fromkeys(SOURCES["run"], "8")
PAUSE_MS = 120


def narrow(box: QComboBox) -> None:
    """A long name in it must not widen the inspector."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)


class Preview(QWidget):
    """Follows `set_text` after a short pause. `values_changed()` when another persona, arc or topic is chosen."""

    values_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._template = ""
        self._keys: dict[str, str] = {}
        self.values: dict[str, str] | None = None
        self.boxes = {name: choice([]) for name in PARTS}
        choose = Form(narrow=True)
        for name, box in self.boxes.items():
            narrow(box)
            box.currentIndexChanged.connect(self._on_chosen)
            box.setObjectName(f"preview_{name}")
            choose.add(name, PARTS[name], box)
        self.missing = label(
            "The library has no persona, arc, or topic to fill the placeholders with.", "error", wrap=True
        )
        self.text = reader("template_preview", "Preview with placeholders filled in")
        # What could not be filled is still a placeholder, and marked as one.
        self._highlighter = Highlighter(self.text.document())
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(PAUSE_MS)
        self._soon.timeout.connect(self.render_now)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(theme().sizes.grid)
        for item in (choose, self.missing, self.text):
            outer.addWidget(item)
        outer.setStretchFactor(self.text, 1)

    def set_library(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """What can be chosen, by the kind's name."""
        for name, box in self.boxes.items():
            kept = box.currentData()
            box.blockSignals(True)
            box.clear()
            for entry in entries[name]:
                box.addItem(str(getattr(entry, "name", entry.key)), entry)
            self.choose(name, kept.key if kept is not None else "")
            box.blockSignals(False)
        self._on_chosen()

    def choose(self, name: str, key: str) -> None:
        """The entry with that key, if there is one."""
        box = self.boxes[name]
        found = [place for place in range(box.count()) if box.itemData(place).key == key]
        if found:
            box.setCurrentIndex(found[0])

    def set_text(self, template: str) -> None:
        """Another text; shown after a pause in the typing."""
        if template != self._template:
            self._template = template
            self._soon.start()

    @Slot()
    def _on_chosen(self) -> None:
        persona, arc, topic = (box.currentData() for box in self.boxes.values())
        self.values = None if None in (persona, arc, topic) else template_values(persona, arc, topic, EXTRA)
        self.missing.setVisible(self.values is None)
        self._highlighter.set_values(self.values)
        self.values_changed.emit()
        self.render_now()

    @Slot()
    def render_now(self) -> None:
        """Show the text as it is now, and stay where it was scrolled to."""
        self._soon.stop()
        shown = fill(self._template, self.values or {})
        if shown != self.text.toPlainText():
            bar = self.text.verticalScrollBar()
            place = bar.value()
            self.text.setPlainText(shown)
            bar.setValue(place)
