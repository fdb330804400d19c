"""One batch: figures, its conversations turn by turn, what failed and why, and what was spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QGridLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.services import Services
from core.db import Database
from core.generation import bill, store
from core.generation.records import NOT_APPLIED
from core.generation.store import Batch, BatchItem, Failure
from core.scaffolding.store import Persona, TrainingTopic, listing
from ui import format as fmt
from ui.format import usd
from ui.models.paged import PagedRows, Query
from ui.models.rows import Column, RowModel, Status
from ui.pages.generate.data import FAILURES, estimate_of, estimate_words, spent_words
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, label, row
from ui.widgets.card import Card, Figure
from ui.widgets.chip import StatusPill
from ui.widgets.fit_columns import FitColumns
from ui.widgets.line_chart import Chart, Line, load
from ui.widgets.table import TableView

RAW_LINES = 7
MOST_DOTS = 40
KEYS = "R retries what failed, Enter reads"


@dataclass(frozen=True)
class ItemRow:
    """One conversation of a batch with the names of what it is built on."""

    id: str
    item: BatchItem
    persona: str
    topic: str

    @property
    def title(self) -> str:
        """Its own once it is written, until then its topic."""
        return self.item.title or self.topic


@dataclass(frozen=True)
class BatchShown:
    """A batch with its bill and what was spent after each finished conversation."""

    batch: Batch
    facts: Mapping[str, Any]
    spent: tuple[Decimal, ...]
    reopen: int


def read_shown(db: Database, ident: str) -> BatchShown:
    """By one reader. Raises AppError `no_such_batch`."""
    batch = store.get_batch(db, ident)
    return BatchShown(
        batch, bill.summary(db, ident), tuple(bill.curve(db, ident)), len(store.can_reopen(db, ident, store.ALL))
    )


def read_rows(db: Database, ident: str, query: Query) -> list[ItemRow]:
    """A page of its conversations, in the order of the plan."""
    personas = {entry.key: entry.name for entry in listing(db, Persona)}
    topics = {entry.key: entry.name for entry in listing(db, TrainingTopic)}
    return [
        ItemRow(
            item.id, item, personas.get(item.plan.persona_key, item.plan.persona_key),
            topics.get(item.plan.training_topic_key, item.plan.training_topic_key),
        )
        for item in store.items(db, ident, limit=query.limit, offset=query.offset)
    ]  # fmt: skip


def dots(row_: ItemRow) -> tuple[str, ...]:
    """A turn each: its beat met, missed or not known, the one being written, the one that failed, those to come."""
    item, out = row_.item, []
    for turn in range(min(item.plan.turns, MOST_DOTS)):
        if turn < len(item.beats):
            beat = item.beats[turn]
            out.append("done" if beat is None else "ok" if beat else "warn")
        elif turn < item.turns_done or item.status == "completed":
            out.append("done")
        elif turn == item.turns_done and item.status in ("processing", "failed"):
            out.append("busy" if item.status == "processing" else "bad")
        else:
            out.append("")
    return tuple(out)


def now_words(row_: ItemRow) -> str:
    """ "turn 6", "done", or nothing while it waits."""
    item = row_.item
    if item.status == "completed":
        return "done"
    return f"turn {item.turns_done + 1}" if item.status in ("processing", "failed") else ""


def item_status(row_: ItemRow) -> Status:
    """The pill of one conversation."""
    item = row_.item
    if item.status == "failed":
        return Status("bad", FAILURES.get(item.failure, fmt.word(item.failure or "failed")))
    if item.status == "processing":
        return Status("busy", "Writing")
    if item.status != "completed":
        return Status("neutral", "Waiting")
    checked = [beat for beat in item.beats if beat is not None]
    if not checked:
        return Status("ok", "Written")
    met = sum(checked)
    return Status("ok" if met == len(checked) else "warn", f"Met {met} of {len(checked)}")


COLUMNS = (
    Column("title", "Title"),
    Column("persona", "Persona", "Tessa Whitlock"),
    Column("turns", "Turns along the arc", "●●●●●●●●●●●●", role="dots", value=dots,
           formatter=lambda kinds: f"{sum(kind in ('ok', 'warn', 'done') for kind in kinds)} of {len(kinds)}"),
    Column("now", "Now", "turn 24", value=now_words),
    Column("cost", "Cost", "$0.071", "right", lambda cost: usd(cost) if cost else fmt.NOTHING,
           value=lambda row_: row_.item.cost),
    Column("state", "State", (Status("warn", "Met 10 of 12"), Status("bad", "Truncated")), value=item_status,
           formatter=lambda status: status),
)  # fmt: skip
FOLDS = ("cost", "now", "persona")


class BatchView(QWidget):
    """Figures above, conversations below. `item_chosen(ItemRow | None)`; `read_wanted(ItemRow)` by Enter."""

    item_chosen = Signal(object)
    read_wanted = Signal(object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.setObjectName("batch_view")
        self._ident = ""
        self.written, self.spent = Figure("Written"), Figure("Spent")
        self.beats, self.failed = Figure("Beats met"), Figure("Failed")
        grid = QGridLayout()
        grid.setSpacing(theme().sizes.grid + 4)
        figures = (("written", self.written), ("spent", self.spent), ("beats", self.beats), ("failed", self.failed))
        for place, (name, figure) in enumerate(figures):
            figure.setObjectName(f"figure_{name}")
            figure.add(None)
            grid.addWidget(figure, 0, place)
            grid.setColumnStretch(place, 1)
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "batch_items", "Conversations of the batch")
        self.rows = PagedRows(services, self.model, self._fetch, self, keep=self.table)
        self.rows.loaded.connect(self._on_loaded)
        FitColumns(self.table, FOLDS)
        self.table.remember(services.state)
        self.table.current_changed.connect(self.item_chosen)
        self.table.opened.connect(self.read_wanted)
        self.caption = ElidedLabel("", "caption")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid + 4)
        box.addLayout(grid)
        box.addWidget(self.table, 1)
        box.addWidget(self.caption)

    def _fetch(self, db: Database, query: Query) -> Sequence[ItemRow]:
        return read_rows(db, self._ident, query) if self._ident else ()

    @Slot(int)
    def _on_loaded(self, _total: int) -> None:
        if self.table.current() is None and self.model.rows:
            failed = next((row_ for row_ in self.model.rows if row_.item.status == "failed"), self.model.rows[0])
            self.table.select_id(failed.id)
        else:
            self.item_chosen.emit(self.table.current())

    def show_batch(self, shown: BatchShown, left: str) -> None:
        """Figures of a batch; its rows are read again."""
        batch, facts = shown.batch, shown.facts
        if batch.id != self._ident:
            self._ident = batch.id
            self.model.set_rows([])
        going = "All of the plan" if not batch.failed else f"{fmt.count(batch.failed)} not written"
        if batch.not_reached:
            going = f"{fmt.plural(batch.not_reached, 'conversation')} left"
        self.written.show_values(f"{fmt.count(batch.completed)} of {fmt.count(batch.total)}", left or going)
        cap = batch.settings.cap
        parts = [estimate_words(batch), f"stops at {usd(cap)}" if cap else "",
                 f"up to {usd(batch.unsure)} for lost replies" if batch.unsure else ""]  # fmt: skip
        self.spent.show_values(spent_words(batch), " · ".join(filter(None, parts)))
        checked = int(facts["beats_checked"])
        share = fmt.percent(facts["beats_met"] / checked) if checked else fmt.NOTHING
        self.beats.show_values(share, f"{fmt.count(facts['beats_met'])} of {fmt.count(checked)} checked turns"
                               if checked else "No beat was checked")  # fmt: skip
        refused, other = int(facts["refused"]), int(facts["failed"])
        kinds = [f"{fmt.count(refused)} refused" if refused else "", f"{fmt.count(other)} other" if other else ""]
        self.failed.show_values(fmt.count(batch.failed), ", ".join(filter(None, kinds)) or "Nothing failed")
        self.caption.setText(f"{fmt.plural(batch.total, 'conversation')} · {KEYS}")
        self.rows.reload()


class BatchSide(QWidget):
    """The chosen conversation, and the money. `retry_wanted(item id)`, `follow(action)`, `read_wanted(ItemRow)`."""

    retry_wanted = Signal(str)
    read_wanted = Signal(object)
    follow = Signal(str)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._row: ItemRow | None = None
        self._failure: Failure | None = None
        self._drawn: tuple[str, int] = ("", 0)
        self._loading = False
        self.title = label("", "section", wrap=True, name="item_title")
        self.pill = StatusPill(Status("neutral", ""))
        self.words = label("", wrap=True, selectable=True, name="item_words")
        self.hint = label("", "muted", wrap=True, name="item_mend")
        self.go = Button("", "main", on_click=self._go, name="item_go")
        self.retry = Button("Retry", "", "ph.arrow-clockwise", on_click=self._retry, name="item_retry")
        self.raw_title = label("The reply as it came", "caption")
        self.raw = QPlainTextEdit()
        self.raw.setReadOnly(True)
        self.raw.setObjectName("item_raw")
        self.raw.setTabChangesFocus(True)
        self.raw.setAccessibleName("The reply as it came")
        self.raw.setFixedHeight(RAW_LINES * theme().sizes.row * 3 // 4)
        self.card = Card(
            "", self.title, row(self.pill, None), self.words, self.hint, row(self.go, self.retry, None), self.raw_title,
            self.raw,
        )  # fmt: skip
        lines = (
            Line("spent", "spent", "accent"), Line("estimate", "estimate", "muted", 1.0),
            Line("cap", "cap", "bad", 1.0),
        )  # fmt: skip
        self.chart = Chart("spent_chart", "Spent", lines, x_title="conversations", remark="$")
        self.chart.setMinimumHeight(theme().sizes.search)
        self.chart.set_message("The curve appears after the first conversation.")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid + 4)
        box.addWidget(self.card)
        box.addWidget(self.chart, 1)
        box.addStretch(0)
        self.card.hide()

    def show_money(self, shown: BatchShown) -> None:
        """The curve; only new points are drawn."""
        batch = shown.batch
        self.chart.setVisible(batch.provider != "local")
        if batch.provider == "local":
            return
        if not self._loading:
            self._loading = True
            self._services.run(self, load, lambda _nothing: self.chart.build())
        ident, drawn = self._drawn
        if ident != batch.id or drawn > len(shown.spent):
            self.chart.clear()
            drawn = 0
            for key, value in (("estimate", estimate_of(batch)), ("cap", batch.settings.cap)):
                if value is not None and shown.spent:
                    start = 0.0 if key == "estimate" else float(value)
                    self.chart.add_points(key, (0.0, float(batch.total)), (start, float(value)))
            if not shown.spent:
                return
        self._drawn = (batch.id, len(shown.spent))
        fresh = shown.spent[drawn:]
        self.chart.add_points("spent", range(drawn + 1, drawn + 1 + len(fresh)), [float(value) for value in fresh])

    def show_item(self, row_: ItemRow | None, failure: Failure | None, busy: bool) -> None:
        """The chosen conversation, with what failed of it."""
        self._row, self._failure = row_, failure
        self.card.setVisible(row_ is not None)
        if row_ is None:
            return
        item, error = row_.item, failure.error if failure is not None else None
        self.title.setText(row_.title)
        self.pill.set_status(item_status(row_))
        self.words.setText(error.message if error is not None else item.message)
        self.words.setVisible(bool(self.words.text()))
        self.hint.setText(error.hint if error is not None else "")
        self.hint.setVisible(bool(self.hint.text()))
        action = error.action if error is not None else ""
        written = item.status == "completed" and item.conversation_id
        self.go.setText("Read conversation" if written else _verb(action))
        self.go.setVisible(bool(written or _verb(action)))
        self.retry.setVisible(item.status == "failed" and item.failure != NOT_APPLIED)
        self.retry.setEnabled(not busy)
        self.retry.setToolTip("The batch is running; wait until it is done" if busy else "Asks only for what failed")
        raw = failure.raw if failure is not None else ""
        for part in (self.raw, self.raw_title):
            part.setVisible(bool(raw))
        if self.raw.toPlainText() != raw:
            self.raw.setPlainText(raw)

    def _go(self) -> None:
        if self._row is not None and self._row.item.status == "completed":
            self.read_wanted.emit(self._row)
        elif self._failure is not None:
            self.follow.emit(self._failure.error.action)

    def _retry(self) -> None:
        if self._row is not None:
            self.retry.setEnabled(False)
            self.retry_wanted.emit(self._row.id)


def _verb(action: str) -> str:
    kind, _, name = action.partition(":")
    return f"Open {fmt.word(name.partition('/')[0])}" if kind == "page" and name != "generate" else ""
