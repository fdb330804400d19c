"""The plan: what there is as a heat map, and the conversations that are to be written."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from app.services import Services
from core.generation.draft import Draft, Line
from ui import format as fmt
from ui.models.local import LocalRows
from ui.models.rows import RowModel
from ui.pages.generate.coverage import LOW_QUALITY, Coverage, CoverageGrid
from ui.pages.generate.data import GAP_AT_LEAST, PLAN_COLUMNS, PLAN_FOLDS
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, row, scrolled
from ui.widgets.bulk_bar import delete_several, table_foot
from ui.widgets.card import Card
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.segments import Segments
from ui.widgets.table import TableView

BY_ARC, BY_TOPIC = "arc", "topic"


class PlanView(QWidget):
    """Coverage above, plan below. What the user wants goes out by signals; `page` answers with another draft.

    `cell_wanted(row key, column key)` plans one more there; `count_wanted(line)` asks for another number of a line.
    """

    fill_wanted = Signal()
    cell_wanted = Signal(str, str)
    one_wanted = Signal()
    matrix_wanted = Signal()
    file_wanted = Signal()
    remove_wanted = Signal(object)
    count_wanted = Signal(object)
    line_chosen = Signal(object)
    view_changed = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.setObjectName("plan_view")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid + 4)
        box.addWidget(self._coverage())
        box.addWidget(self._plan_header())
        box.addWidget(self._table(services), 1)

    def _coverage(self) -> Card:
        self.fill = Button("Fill the gaps", "", "ph.magic-wand", on_click=self.fill_wanted.emit, name="fill_gaps")
        self.view = Segments({BY_ARC: "By arc", BY_TOPIC: "By topic"}, "Coverage", "coverage_view")
        self.view.chosen.connect(lambda _key: self.view_changed.emit())
        self.grid = CoverageGrid()
        self.grid.chosen.connect(self.cell_wanted)
        self.grid.turned.connect(self._fit)
        self._scroll = scrolled(column(self.grid))
        about = ElidedLabel(f"conversations you have; a ring where mean quality is under {LOW_QUALITY}", "caption")
        return Card("", row(label("Coverage", "section"), about, self.view, self.fill, stretch=about), self._scroll)

    def _plan_header(self) -> QWidget:
        matrix = Button("Add by matrix…", "ghost", "ph.grid-four", on_click=self.matrix_wanted.emit, name="add_matrix")
        one = Button("Add one…", "ghost", "ph.plus", on_click=self.one_wanted.emit, name="add_one")
        file = Button("Open plan…", "ghost", "ph.folder-open", on_click=self.file_wanted.emit, name="open_plan")
        return row(label("Plan", "section"), None, file, matrix, one)

    def _table(self, services: Services) -> QWidget:
        self.model = RowModel(PLAN_COLUMNS, self)
        self.rows = LocalRows(self.model, self)
        self.table = TableView(self.model, "plan_table", "Plan")
        self.table.sort_requested.connect(self.rows.set_order)
        FitColumns(self.table, PLAN_FOLDS)
        self.table.remember(services.state)
        self.table.current_changed.connect(self.line_chosen)
        self.table.opened.connect(self.count_wanted)
        self.caption = ElidedLabel("", "caption")
        self.caption.setObjectName("plan_caption")
        self.bulk = delete_several("lines", self.remove_selected)
        self.bulk.follow(self.table)
        empty = EmptyState(
            "ph.sparkle", "Fill the gaps of the coverage, click a cell, or add a matrix.",
            ("Fill the gaps", self.fill_wanted.emit), ("Add by matrix", self.matrix_wanted.emit),
            title="Nothing is planned yet", button_icon="ph.magic-wand",
        )  # fmt: skip
        filled = QWidget()
        box = QVBoxLayout(filled)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self.table, 1)
        box.addWidget(table_foot(self.caption, self.bulk))
        self._stack = QStackedWidget()
        self._stack.addWidget(filled)
        self._stack.addWidget(empty)
        return self._stack

    def show_coverage(self, coverage: Coverage, gap: int) -> None:
        """Other numbers; `gap` conversations are missing until every cell has three."""
        self.grid.show_coverage(coverage)
        few = self.view.current == BY_ARC
        self._fit()
        self.fill.setText(f"Fill the gaps: {fmt.count(gap)}" if gap and few else "Fill the gaps")
        self.fill.setToolTip(
            f"{fmt.plural(gap, 'conversation')} until every persona has {GAP_AT_LEAST} along every arc"
            if gap else "Every cell has enough; this adds where there are fewest"
        )  # fmt: skip

    @Slot()
    def _fit(self) -> None:
        # Many rows scroll in the room of a few.
        self._scroll.setFixedHeight(min(self.grid.sizeHint().height(), theme().sizes.row * 6))

    def show_draft(self, draft: Draft, lines: Sequence[Line]) -> None:
        """Another plan."""
        self.rows.show(lines)
        self._stack.setCurrentIndex(0 if lines else 1)
        if lines and self.table.current() is None:
            self.table.select_id(self.model.rows[0].id)
        plan = draft.plan()
        words = f"{fmt.plural(len(plan.items), 'conversation')}, {fmt.plural(plan.turns, 'turn')}; no two are alike"
        self.caption.setText(f"{words} · Enter changes a count, Delete removes")

    @Slot()
    def remove_selected(self) -> None:
        """The selected lines leave the plan."""
        if chosen := self.table.selected():
            self.remove_wanted.emit([line.id for line in chosen])
