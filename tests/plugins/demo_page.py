"""A page made of every building block: for the tests, and to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PySide6.QtWidgets import QWidget
from sqlite_utils import Database

from app.services import Services
from core.events import Changed
from ui import format as fmt
from ui.models.rows import Column, RowModel, Status
from ui.registry import PageSpec
from ui.widgets.basic import Button, column, label, row
from ui.widgets.card import Card, Figure
from ui.widgets.chip import ChipRow, StatusPill
from ui.widgets.empty import EmptyState
from ui.widgets.forms import Form, SliderSpin, choice, number, text_area, text_field
from ui.widgets.page import Page
from ui.widgets.table import TableView


@dataclass(frozen=True)
class Line:
    id: str
    title: str
    tokens: int
    quality: float | None
    state: Status
    share: float = 0.5


NAMES = ("Anxious about the mortgage renewal", "Inherited a portfolio, feels guilty", "First budget after the divorce",
         "Partner hides debts", "Early retirement at 55", "Margin call at night")  # fmt: skip
STATES = (Status("ok", "Approved"), Status("warn", "Needs review"), Status("bad", "Failed"), Status("neutral", "Draft"))


def lines(count: int) -> list[Line]:
    return [
        Line(
            str(i),
            f"{NAMES[i % 6]} ({i})",
            3000 + i * 7,
            None if i % 5 == 4 else 3 + i % 3 / 2,
            STATES[i % 4],
            i % 9 / 8,
        )
        for i in range(count)
    ]


COLUMNS = (
    Column("title", "Title", sort="title"),
    Column("tokens", "Tokens", "12,040", "right", fmt.count, sort="tokens"),
    Column("quality", "Quality", "4.6", "right", lambda v: fmt.decimal(v, 1), sort="quality"),
    Column("share", "Progress", "a bar this wide", role="progress", formatter=fmt.percent),
    Column("state", "State", STATES, formatter=lambda v: v, sort="state"),
)


class DemoPage(Page):
    watches: ClassVar[Changed] = Changed.CONVERSATIONS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.reloads = 0
        self.opened: object = None
        self.set_header("Demo", "Review what was generated and imported. Enriched ones can go into a training file.")
        self.add_action("Export", "ph.export", lambda: None)
        self.add_action("Import", "ph.download-simple", lambda: None, primary=True)
        self.add_search("Search titles and turns", lambda _text: None)
        chips = ChipRow()
        chips.set_chips({"tier": "Tier: Edge", "quality": "Quality ≥ 3"})
        self.add_tool(chips)
        self.add_tool(None)
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "demo_table", "Demo rows")
        caption = label("40 of 1,204 · space previews", "caption")
        self.set_content(column(self.table, caption, stretch=self.table))
        self.set_inspector(self._inspector())
        self.set_empty(EmptyState("ph.chats-circle", "Conversations appear here.", ("Import", lambda: None)))
        self.model.set_rows(lines(40))
        self.table.show_order("title", False)
        self.table.select_id("1")

    def _inspector(self) -> QWidget:
        self.form = Form(narrow=True)
        self.form.add(
            "name",
            "Name",
            text_field("Empathy v3"),
            "Shown in lists.",
            check=lambda v: "" if v else "A name is needed.",
        )
        self.form.add("preset", "Preset", choice([("Balanced", "b"), ("Careful", "c")]))
        self.form.add("rank", "Rank", SliderSpin(4, 64, 16, step=4))
        self.form.add("notes", "Notes", text_area("Kept with the run.", 3))
        self.form.begin_advanced()
        self.form.add("seed", "Seed", number(0, 9999, 7), "The same seed gives the same order.")
        return column(
            Card(
                "New run",
                StatusPill(STATES[1]),
                self.form,
                row(Button("Start", "main", "ph.play"), Button("Cancel"), None),
            ),
            row(Figure("Step", "412 of 900", "epoch 2 of 3"), Figure("Loss", "1.09", "base 2.87"), gap=12),
            None,
            gap=12,
        )

    def reload(self) -> None:
        self.reloads += 1

    def open_item(self, argument: object) -> None:
        self.opened = argument


def find(db: Database, text: str, limit: int) -> list[tuple[str, str, str]]:
    return [("7", "Inherited a portfolio", "Line")] if "inherited".startswith(text) else []


PAGE = PageSpec("demo", "Demo", "TOOLS", "ph.square", "tests.plugins.demo_page:DemoPage")
