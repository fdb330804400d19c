"""Adding to the plan: one combination picked by hand, or a matrix of personas, arcs and topics."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from core.generation.plan import MAX_ITEMS, MAX_TURNS, MIN_TURNS, Library, turns_of
from core.generation.sampling import Matrix
from core.scaffolding.store import EmotionalArc, Entry, Persona, PromptTemplate, TrainingTopic
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, column, label, row
from ui.widgets.forms import Form, choice, number
from ui.widgets.segments import Segments

SPREAD, EACH = "spread", "each"
MOST_AT_ONCE = 10_000


def named(entry: Entry) -> str:
    """What an entry is called."""
    return str(getattr(entry, "name", entry.key))


class AddOneDialog(Dialog):
    """`chosen(Matrix)`: so many of one persona, arc and topic."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget, library: Library) -> None:
        super().__init__(parent, "Add conversations")
        self.setObjectName("add_one_dialog")
        self._library = library
        self.form = Form()
        self.persona = choice([(named(entry), entry) for entry in library.personas])
        self.arc = choice([(named(arc), arc) for arc in library.arcs if library.templates_for(arc)])
        self.topic = choice([(named(entry), entry) for entry in library.topics])
        self.template, self.turns = choice([]), number(MIN_TURNS, MAX_TURNS, 8)
        self.turns.setSingleStep(2)
        self.count = number(1, MOST_AT_ONCE, 1)
        self.form.add("persona", "Persona", self.persona)
        self.form.add("arc", "Emotional arc", self.arc)
        self.form.add("topic", "Topic", self.topic)
        self.form.add("template", "Template", self.template)
        self.form.add("turns", "Turns", self.turns, "Of client and consultant together; an even number.",
                      check=lambda turns: "Enter an even number." if turns % 2 else "")  # fmt: skip
        self.form.add("count", "Conversations", self.count, "Each gets its own opening, length, and ending.")
        self.body.addWidget(self.form)
        self.set_buttons(Button("Add to plan", "main", on_click=self._add, name="add_to_plan"))
        self.arc.currentIndexChanged.connect(self._on_arc)
        self.form.changed.connect(self._judge)
        self._on_arc()
        self.setMinimumWidth(theme().sizes.field + theme().sizes.label)

    @Slot()
    def _on_arc(self) -> None:
        arc: EmotionalArc | None = self.arc.currentData()
        self.template.clear()
        if arc is not None:
            self.template.addItem("Any that fits", None)
            for template in self._library.templates_for(arc):
                self.template.addItem(template.name, template)
            self.turns.setValue(turns_of(arc))
        self._judge()

    @Slot()
    def _judge(self) -> None:
        lacking = next((noun for noun, box in (("persona", self.persona), ("emotional arc", self.arc),
                                               ("topic", self.topic)) if box.currentData() is None), "")  # fmt: skip
        self.hold(f"There is no active {lacking}." if lacking else "" if self.form.valid else "The turns are not even.")

    def _add(self) -> None:
        template: PromptTemplate | None = self.template.currentData()
        matrix = Matrix(
            [self.persona.currentData()], [self.arc.currentData()], [self.topic.currentData()],
            total=self.count.value(), turns=self.turns.value(), templates=[template] if template is not None else (),
        )  # fmt: skip
        self.accept()
        self.chosen.emit(matrix)


class _Pick(QListWidget):
    """A list of which several are ticked; `picked()` gives them."""

    changed = Signal()

    def __init__(self, entries: Sequence[Entry], noun: str) -> None:
        super().__init__()
        self.setObjectName(f"pick_{noun}")
        self.setAccessibleName(f"{noun.capitalize()}s")
        for entry in entries:
            item = QListWidgetItem(named(entry))
            item.setData(Qt.ItemDataRole.UserRole, entry.key)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            item.setSizeHint(QSize(0, theme().sizes.row))
            self.addItem(item)
        self._entries = list(entries)
        self.setTabKeyNavigation(False)
        self.itemChanged.connect(lambda _item: self.changed.emit())
        self.setFixedHeight(theme().sizes.row * 8)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Enter belongs to the dialog; Space ticks.
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def picked(self) -> list[Entry]:
        """The entries that are ticked."""
        ticked = [self.item(i).checkState() is Qt.CheckState.Checked for i in range(self.count())]
        return [entry for entry, on in zip(self._entries, ticked, strict=True) if on]

    def tick(self, on: bool) -> None:
        """All or none."""
        self.blockSignals(True)
        for i in range(self.count()):
            self.item(i).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.blockSignals(False)
        self.changed.emit()


class MatrixDialog(Dialog):
    """`chosen(Matrix)`: a number spread over everything that is ticked, or so many of every combination."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget, library: Library) -> None:
        super().__init__(parent, "Add by matrix")
        self.setObjectName("matrix_dialog")
        arcs = [arc for arc in library.arcs if library.templates_for(arc)]
        self.personas, self.arcs, self.topics = (
            _Pick(library.personas, "persona"), _Pick(arcs, "arc"), _Pick(library.topics, "topic"),
        )  # fmt: skip
        picks = (("Personas", self.personas), ("Emotional arcs", self.arcs), ("Topics", self.topics))
        self.body.addWidget(row(*(self._titled(title, pick) for title, pick in picks), gap=2 * theme().sizes.grid))
        self.way = Segments(
            {SPREAD: "Spread evenly", EACH: "Every combination"}, "How the number is meant", "matrix_way"
        )
        self.way.chosen.connect(lambda _key: self._judge())
        self.number = number(1, MOST_AT_ONCE, 20)
        self.number.setAccessibleName("Conversations")
        self.number.valueChanged.connect(lambda _value: self._judge())
        self.sum = label("", "caption", wrap=True, name="matrix_sum")
        self.body.addWidget(row(self.way, label("Conversations"), self.number, None))
        self.body.addWidget(self.sum)
        for _, pick in picks:
            pick.changed.connect(self._judge)
        self.set_buttons(Button("Add to plan", "main", on_click=self._add, name="add_to_plan"))
        self._judge()
        self.number.setFocus()

    @staticmethod
    def _titled(title: str, pick: _Pick) -> QWidget:
        everything = Button("All", "link", on_click=lambda: pick.tick(True), accessible=f"All {title.lower()}")
        nothing = Button("None", "link", on_click=lambda: pick.tick(False), accessible=f"No {title.lower()}")
        return column(row(label(title, "strong"), None, everything, nothing), pick)

    @Slot()
    def _judge(self) -> None:
        counts = [len(pick.picked()) for pick in (self.personas, self.arcs, self.topics)]
        combinations = counts[0] * counts[1] * counts[2]
        each = self.way.current == EACH
        total = combinations * self.number.value() if each else self.number.value()
        words = " × ".join(fmt.plural(n, noun) for n, noun in zip(counts, ("persona", "arc", "topic"), strict=True))
        self.sum.setText(f"{words} = {fmt.plural(combinations, 'combination')}; {fmt.plural(total, 'conversation')}")
        lacking = next((n for n, count in zip(("persona", "arc", "topic"), counts, strict=True) if not count), "")
        too_many = f"That is more than the {MAX_ITEMS:,} conversations a batch holds." if total > MAX_ITEMS else ""
        self.hold(f"Tick at least one {lacking}." if lacking else too_many)

    def _add(self) -> None:
        each = self.way.current == EACH
        personas = [entry for entry in self.personas.picked() if isinstance(entry, Persona)]
        arcs = [entry for entry in self.arcs.picked() if isinstance(entry, EmotionalArc)]
        topics = [entry for entry in self.topics.picked() if isinstance(entry, TrainingTopic)]
        count = self.number.value()
        self.accept()
        self.chosen.emit(Matrix(personas, arcs, topics, total=0 if each else count, each=count if each else 0))
