"""What a file would do to the library, row by row; each conflict is decided here, and nothing is written before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from core.scaffolding.exchange import Decision, Outcome, Plan, Row
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.models.local import LocalRows
from ui.models.rows import Column, RowModel, Status
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.segments import Segments
from ui.widgets.table import TableView

OUTCOMES = {
    Outcome.NEW: Status("info", "New"), Outcome.SAME: Status("neutral", "Same"),
    Outcome.CONFLICT: Status("warn", "Conflict"), Outcome.REJECTED: Status("bad", "Rejected"),
}  # fmt: skip
DECISIONS = {Decision.MINE: "Keep mine", Decision.THEIRS: "Take theirs", Decision.BOTH: "Keep both"}
ONE_PROFILE = "A workspace has one profile: keep yours, or take theirs."
RESULTS = {Outcome.NEW: "Added", Outcome.SAME: "Nothing to do", Outcome.REJECTED: "Not imported"}


@dataclass(frozen=True)
class Line:
    """A row of the file with what was decided."""

    row: Row
    decision: Decision

    @property
    def id(self) -> str:
        """The place in the file."""
        return self.row.place

    @property
    def result(self) -> str:
        """What importing does with it."""
        return RESULTS.get(self.row.outcome) or DECISIONS[self.decision]


COLUMNS = (
    Column("name", "Name", sort="name", value=lambda line: line.row.name or line.row.place),
    Column("key", "Key", "overwhelm_to_empowerment", role="muted", sort="key", value=lambda line: line.row.key),
    Column("kind", "Kind", "Prompt template", sort="kind", value=lambda line: line.row.kind.NOUN.capitalize()),
    Column("outcome", "In this library", tuple(OUTCOMES.values()), sort="outcome",
           value=lambda line: OUTCOMES[line.row.outcome], formatter=lambda status: status),
    Column("result", "Import", "Nothing to do", sort="result"),
)  # fmt: skip


class ImportDialog(Dialog):
    """`chosen(decisions by place)` when the import is confirmed."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None, plan: Plan) -> None:
        super().__init__(parent, "Import scaffolding")
        self.setObjectName("import_scaffolding")
        self.plan = plan
        self.decisions = {row.place: Decision.MINE for row in plan.rows if row.outcome is Outcome.CONFLICT}
        counts = plan.counts()
        words = [f"{fmt.count(counts[outcome])} {status.word.lower()}" for outcome, status in OUTCOMES.items()]
        self.counts = label(f"{fmt.plural(len(plan.rows), 'entry', 'entries')}: {', '.join(words)}", "muted", wrap=True,
                            name="import_counts")  # fmt: skip
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "import_rows", "Entries of the file")
        self.lines = LocalRows(self.model, self)
        self.table.sort_requested.connect(self.lines.set_order)
        self.table.selection_changed.connect(self._on_selected)
        self.detail = label("", "muted", wrap=True, name="import_detail")
        self.choice = Segments({str(d): words for d, words in DECISIONS.items()}, "Decide the conflict", "decision")
        self.choice.chosen.connect(self._on_decided)
        self.body.addWidget(label(plan.file, "section", wrap=True))
        self.body.addWidget(self.counts)
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self.detail)
        self.body.addWidget(row(self.choice, None))
        self.ok = Button("Import", "main", "ph.download-simple", on_click=self._done, name="import_entries")
        self.set_buttons(self.ok)
        sizes = theme().sizes
        self.resize(2 * sizes.inspector + sizes.label, sizes.inspector + sizes.label)
        self._show()
        first = next(iter(self.decisions), plan.rows[0].place if plan.rows else "")
        self.table.select_id(first)
        self.table.selectRow(max(0, self.table.currentIndex().row()))
        self.ok.setFocus()

    def _show(self) -> None:
        rows = self.plan.rows
        self.lines.show([Line(found, self.decisions.get(found.place, Decision.MINE)) for found in rows])
        written = self.plan.counts()[Outcome.NEW] + sum(d is not Decision.MINE for d in self.decisions.values())
        self.ok.setText(f"Import {fmt.plural(written, 'entry', 'entries')}" if written else "Import")
        self.hold("" if written else "There is nothing to import: nothing is new, and every conflict keeps yours.")
        self._on_selected(self.table.selected())

    def _conflicts(self, lines: Sequence[Line]) -> list[Line]:
        return [line for line in lines if line.row.outcome is Outcome.CONFLICT]

    @Slot(object)
    def _on_selected(self, lines: Sequence[Line]) -> None:
        conflicts = self._conflicts(lines)
        self.choice.setEnabled(bool(conflicts))
        if conflicts:
            self.choice.set_current(str(conflicts[0].decision))
            both = any(Decision.BOTH in line.row.decisions for line in conflicts)
            self.choice.buttons[str(Decision.BOTH)].setEnabled(both)
        self.detail.setText(_detail(lines[0].row) if len(lines) == 1 else _several(conflicts))

    @Slot(str)
    def _on_decided(self, key: str) -> None:
        for line in self._conflicts(self.table.selected()):
            if Decision(key) in line.row.decisions:
                self.decisions[line.row.place] = Decision(key)
        self._show()

    @Slot()
    def _done(self) -> None:
        self.accept()
        self.chosen.emit(dict(self.decisions))


def _several(conflicts: Sequence[Line]) -> str:
    return f"Decides {fmt.plural(len(conflicts), 'conflict')} at once." if conflicts else ""


def _detail(found: Row) -> str:
    """What is to be known about a row."""
    if found.problem is not None:
        return f"{found.problem} {found.problem.hint}"
    if found.outcome is Outcome.CONFLICT:
        parts = ", ".join(fmt.word(name) for name in found.differs)
        both = "“Keep both” adds theirs under a new key." if Decision.BOTH in found.decisions else ONE_PROFILE
        return f"Differs in: {parts}. {both}"
    return "The same entry is already in this library." if found.outcome is Outcome.SAME else "Its key is not used yet."
