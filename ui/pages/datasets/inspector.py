"""One dataset beside the list: figures, what was left out, its conversations."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from core.datasets.store import Dataset, DatasetStatus
from core.reading.report import ImportItem
from ui import format as fmt
from ui.models.rows import Column, RowModel, Status
from ui.pages.datasets.conversations import ConversationReader
from ui.pages.datasets.length_bars import Bar, Bars
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.facts import Fact, Facts, short_hash
from ui.widgets.scroll import ScrollColumn
from ui.widgets.segments import Segments
from ui.widgets.table import TableView
from ui.words.counts import sum_words

FORMATS = {
    "brightrun_lora_v4": "Bright Run v4", "chat_messages": "Chat messages", "prompt_completion": "Prompt, completion",
}  # fmt: skip
READY, USELESS, FAILED = Status("ok", "Ready"), Status("warn", "Nothing to train on"), Status("bad", "Failed")
STATES = (READY, USELESS, FAILED, *(Status("busy", fmt.word(status)) for status in DatasetStatus))


def format_words(name: str) -> str:
    """A format as people call it."""
    return FORMATS.get(name) or fmt.word(name) or fmt.NOTHING


def dataset_status(dataset: Dataset) -> Status:
    """The state as icon, word and colour."""
    if dataset.status is DatasetStatus.ERROR:
        return FAILED
    if dataset.status is not DatasetStatus.READY:
        return Status("busy", fmt.word(dataset.status))
    return READY if dataset.training_ready else USELESS


class Overview(ScrollColumn):
    """Figures, lengths, where it came from."""

    def __init__(self) -> None:
        sizes = theme().sizes
        self.numbers, self.origin = Facts(), Facts()
        self.sum = label("", "strong", wrap=True, name="dataset_sum")
        self.sum_hint = label("", "caption", wrap=True)
        self.lengths = Bars()
        self.lengths_title = label("", "strong")
        self.notes = label("", "muted", wrap=True, name="dataset_notes")
        super().__init__(
            self.numbers, self.lengths_title, self.lengths, label("Counts", "strong"), self.sum, self.sum_hint,
            self.notes, label("Source", "strong"), self.origin, gap=sizes.grid, name="dataset_overview",
            accessible="Dataset statistics",
        )  # fmt: skip

    def show_dataset(self, dataset: Dataset) -> None:
        """Figures of this one."""
        stats = dataset.stats
        self.numbers.set_facts(_numbers(dataset))
        bars = [Bar(b["from"], b["to"], b["count"]) for b in stats.get("histogram", [])]
        unit = str(stats.get("length_unit", "tokens"))
        self.lengths_title.setText(f"Conversations by length in {unit}")
        self.lengths_title.setVisible(bool(bars))
        self.lengths.setVisible(bool(bars))
        self.lengths.set_bars(bars, unit, "conversation")
        self.sum.setText(sum_words(dataset.counts) if dataset.counts else "Not recorded")
        self.sum_hint.setText("Cut: parts without an answer to train on. Rejected items are listed under Left out.")
        notes = [str(note) for note in stats.get("notes", [])]
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))
        self.origin.set_facts(_origin(dataset))


def _numbers(dataset: Dataset) -> list[Fact]:
    stats = dataset.stats
    train = dataset.total_conversations - dataset.total_validation_conversations
    split = f"{fmt.count(train)} train, {fmt.count(dataset.total_validation_conversations)} validation"
    pairs = f"{fmt.count(dataset.total_training_pairs)} train, {fmt.count(dataset.total_validation_pairs)} validation"
    out = [Fact("Conversations", split), Fact("Pairs", pairs)]
    if dataset.total_tokens is not None:
        average = round(dataset.average_tokens) if dataset.average_tokens is not None else None
        out += [
            Fact("Tokens", fmt.count(dataset.total_tokens)),
            Fact("Trained tokens", fmt.count(stats.get("supervised_tokens"))),
            Fact("Average length", f"{fmt.count(average)} tokens"),
            Fact("Longest", f"{fmt.count(dataset.max_tokens)} tokens"),
            Fact("Counted with", str(stats.get("base_model_name") or fmt.NOTHING)),
        ]
    if stats.get("average_turns") is not None:
        out.append(Fact("Answers per conversation", fmt.decimal(stats["average_turns"], 1)))
    return out


def _origin(dataset: Dataset) -> list[Fact]:
    version = f", version {dataset.training_file_version}" if dataset.training_file_version else ""
    source = Path(dataset.source_path).name if dataset.source_path else fmt.NOTHING
    return [
        Fact("Training file" if dataset.training_file_id else "File", source + version, dataset.source_path),
        Fact("Format", format_words(dataset.format)),
        Fact("Size", fmt.size(dataset.file_size)),
        Fact("Created", fmt.moment_long(dataset.created_at)),
        short_hash("Content hash", dataset.content_hash),
    ]


PROBLEM_COLUMNS = (
    Column("line", "Line", "120,400", "right", lambda v: fmt.count(v) if v else fmt.NOTHING),
    Column("field", "Field", "messages[12].role", role="muted"),
    Column("message", "Problem"),
)


class Problems(QWidget):
    """What was left out: line, field, what, and how to fix the one that is selected."""

    def __init__(self) -> None:
        super().__init__()
        self.model = RowModel(PROBLEM_COLUMNS, self, row_id=lambda item: (item.file, item.seq))
        self.table = TableView(self.model, "problems_table", "What was left out")
        self.none = label("Nothing was left out.", "muted", name="no_problems")
        self.place = label("", "caption", selectable=True, name="problem_place")
        self.what = label("", wrap=True, selectable=True, name="problem_what")
        self.mend = label("", "muted", wrap=True, selectable=True, name="problem_mend")
        self._detail = Card("", self.place, self.what, self.mend, gap=theme().sizes.half, role="tint")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(self.none)
        box.addWidget(self.table, 1)
        box.addWidget(self._detail)
        box.addStretch(0)
        self.table.current_changed.connect(self._on_current)
        self.show_items([])

    def show_items(self, items: list[ImportItem]) -> None:
        """These, in the order of the file."""
        self.model.set_rows(items)
        self.none.setVisible(not items)
        self.table.setVisible(bool(items))
        if items and self.table.current() is None:
            self.table.step(0)
        self._on_current(self.table.current())

    @Slot(object)
    def _on_current(self, item: ImportItem | None) -> None:
        self._detail.setVisible(item is not None)
        if item is not None:
            place = [f"Line {fmt.count(item.line)}" if item.line else Path(item.file).name, item.field]
            self.place.setText(" · ".join(filter(None, place)))
            self.what.setText(item.message)
            self.mend.setText(item.hint or "Nothing to fix.")


class DatasetInspector(Card):
    """The card at the right. `delete_wanted()` and `rename_wanted(name)` are for the page."""

    delete_wanted = Signal()
    rename_wanted = Signal()

    def __init__(self, reader: ConversationReader) -> None:
        super().__init__("", gap=theme().sizes.grid)
        self.setObjectName("dataset_inspector")
        self.title = ElidedLabel("", "section")
        self.title.setObjectName("dataset_title")
        self.pill = StatusPill(Status("neutral", ""))
        self.line = ElidedLabel("", "muted")
        parts = {"overview": "Overview", "problems": "Left out", "conversations": "Conversations"}
        self.segments = Segments(parts, "Parts of the dataset", "dataset_parts")
        self.overview, self.problems, self.reader = Overview(), Problems(), reader
        self._parts = QStackedWidget()
        for part in (self.overview, self.problems, self.reader):
            self._parts.addWidget(part)
        self.nothing = label("Select a dataset to see what is in it.", "muted", wrap=True)
        self.rename = Button("Rename", "", "ph.pencil-simple", on_click=self.rename_wanted.emit, name="rename")
        self.delete = Button("Delete", "", "ph.trash", on_click=self.delete_wanted.emit, name="delete")
        self._holder = QWidget()
        box = QVBoxLayout(self._holder)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        for widget in (row(self.title, self.pill, stretch=self.title), self.line, self.segments):
            box.addWidget(widget)
        box.addWidget(self._parts, 1)
        box.addWidget(row(self.rename, self.delete, None))
        self.add(self.nothing)
        self.add(self._holder, 1)
        self.segments.chosen.connect(self._on_part)
        self.show_dataset(None)

    def show_dataset(self, dataset: Dataset | None) -> None:
        """This one, or none."""
        self.nothing.setVisible(dataset is None)
        self._holder.setVisible(dataset is not None)
        if dataset is None:
            return
        self.title.setText(dataset.name)
        self.pill.set_status(dataset_status(dataset))
        self.line.setText(f"{format_words(dataset.format)} · {fmt.moment_long(dataset.created_at)}")
        self.overview.show_dataset(dataset)
        left_out = int(dataset.counts.get("rejected", 0)) + int(dataset.counts.get("cut", 0))
        self.segments.set_text("problems", f"Left out {fmt.count(left_out)}" if left_out else "Left out")

    def show_problems(self, items: list[ImportItem]) -> None:
        """What was left out of it."""
        self.problems.show_items(items)

    def show_part(self, key: str) -> None:
        """overview, problems or conversations."""
        self.segments.set_current(key)
        self._on_part(key)

    @Slot(str)
    def _on_part(self, key: str) -> None:
        self._parts.setCurrentIndex(list(self.segments.buttons).index(key))
