"""The training file beside the table: counts, quality, balance, versions, members."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from core.training_files.store import Candidate, Version
from ui import format as fmt
from ui.models.rows import Column, RowModel
from ui.pages.training_files.count_bars import CountBars
from ui.pages.training_files.data import STATES, Detail, distribution, state_of
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.scroll import ScrollColumn, empty_layout
from ui.widgets.table import TableView

GROUPS = (("personas", "Personas", "c1"), ("emotional_arcs", "Arcs", "c2"), ("training_topics", "Topics", "c3"))
BARS_AT_ONCE = 6
MEMBERS_SHOWN = 8
MEMBER_COLUMNS = (
    Column("title", "Conversation"),
    Column("turn_count", "Turns", "1,204", "right", fmt.count),
    Column("quality_score", "Quality", "4.6", "right", lambda v: fmt.decimal(v, 1)),
)


class Number(QWidget):
    """A small figure: name above, value below."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.value = label(fmt.NOTHING, "strong", name=f"number_{name.lower().replace(' ', '_')}")
        self.value.setFont(theme().font(tabular=True))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(label(name, "caption"))
        box.addWidget(self.value)

    def show_value(self, text: str) -> None:
        """Another value."""
        self.value.setText(text)
        self.setAccessibleName(f"{self._name}: {text}")


class Balance(QWidget):
    """One group of the distribution; the long tail folds."""

    def __init__(self, title: str, token: str) -> None:
        super().__init__()
        self._title, self._all, self._whole = title, list[tuple[str, int]](), False
        self._bars = CountBars(title, token)
        self._heading = label(title, "strong")
        self._more = Button("", "link", on_click=self._toggle)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self._heading)
        box.addWidget(self._bars)
        box.addWidget(row(self._more, None))
        self._more.hide()

    def show_counts(self, counts: list[tuple[str, int]]) -> None:
        """Other counts."""
        if counts != self._all:
            self._all, self._whole = counts, False
            self._show()

    def _toggle(self) -> None:
        self._whole = not self._whole
        self._show()

    def _show(self) -> None:
        long = len(self._all) > BARS_AT_ONCE + 1
        self._heading.setText(f"{self._title} {len(self._all):,}")
        self._bars.set_counts(self._all if self._whole or not long else self._all[:BARS_AT_ONCE])
        self._more.setVisible(long)
        self._more.setText("Show fewer" if self._whole else f"Show all {len(self._all):,}")


class Inspector(Card):
    """`rename()`, `rebuild()`, `deleted()`, `export_version(number)`, `member_opened(conversation id)`."""

    rename = Signal()
    rebuild = Signal()
    deleted = Signal()
    export_version = Signal(int)
    member_opened = Signal(str)

    def __init__(self) -> None:
        super().__init__("", gap=10)
        self.setObjectName("inspector")
        self.detail: Detail | None = None
        self.title = label("", "section", wrap=True, name="inspector_title")
        self.pill = StatusPill(STATES["active"])
        self.line = label("", "muted", wrap=True)
        self.numbers = {name: Number(name) for name in ("Conversations", "Pairs", "Reviewed", "Size")}
        self.quality = {name: Number(name) for name in ("Average quality", "Lowest", "Highest")}
        self.newer = label("", "caption", wrap=True, name="newer_told")
        self._newer_row = column(self.newer, row(self._rebuild_button(), None), gap=2)
        self.balances = {group: Balance(title, token) for group, title, token in GROUPS}
        self.add(row(self.title, self.pill, stretch=self.title))
        self.add(self.line)
        self.add(self._body(), 1)
        pencil = Button("Rename", "ghost", "ph.pencil-simple", on_click=self.rename.emit, name="rename")
        remove = Button("Delete", "ghost", "ph.trash", on_click=self.deleted.emit, name="delete_file")
        self.add(row(pencil, None, remove))

    def _rebuild_button(self) -> Button:
        self.again = Button("", "", "ph.arrows-clockwise", on_click=self.rebuild.emit, name="rebuild")
        return self.again

    def _body(self) -> QWidget:
        self._versions = QVBoxLayout()
        self._versions.setContentsMargins(0, 0, 0, 0)
        self._versions.setSpacing(0)
        versions = QWidget()
        versions.setObjectName("versions")
        versions.setLayout(self._versions)
        self.model = RowModel(MEMBER_COLUMNS, self, row_id=lambda member: member.conversation_id)
        self.members = TableView(self.model, "members", "Conversations of this training file")
        self.members.opened.connect(self._on_member)
        self._members_title = label("Members", "strong")
        return ScrollColumn(
            _line(*self.numbers.values()), _line(*self.quality.values()), self._newer_row,
            *self.balances.values(), label("Versions", "strong"), versions, self._members_title, self.members,
            gap=12, name="file_detail", accessible="Details of the training file",
        )  # fmt: skip

    def show_detail(self, detail: Detail) -> None:
        """Another training file, or the same as it is now."""
        if detail == self.detail:
            return
        self.detail = detail
        file = detail.file
        self.title.setText(file.name)
        self.pill.set_status(state_of(file))
        changed = f"Version {file.version} · {fmt.moment_long(file.updated_at)}"
        self.line.setText(f"{file.description}\n{changed}" if file.description else changed)
        size = file.json_file_size + file.jsonl_file_size
        for name, text in (
            ("Conversations", fmt.count(file.conversation_count)), ("Pairs", fmt.count(file.total_training_pairs)),
            ("Reviewed", f"{fmt.count(file.human_reviewed_count)} of {fmt.count(file.conversation_count)}"),
            ("Size", fmt.size(size)),
        ):  # fmt: skip
            self.numbers[name].show_value(text)
        for name, score in (
            ("Average quality", file.avg_quality_score), ("Lowest", file.min_quality_score),
            ("Highest", file.max_quality_score),
        ):  # fmt: skip
            self.quality[name].show_value(fmt.decimal(score, 1))
        for group, balance in self.balances.items():
            balance.show_counts(distribution(detail, group))
        self._show_versions(detail)
        self._show_members(detail)
        self._newer_row.setVisible(detail.newer > 0)
        told = f"{fmt.plural(detail.newer, 'member')} changed since this version was built."
        if detail.edited:
            names = ", ".join(f"“{title}”" for title in detail.edited[:3])
            more = f" and {fmt.count(len(detail.edited) - 3)} more" if len(detail.edited) > 3 else ""
            told += f" Edited, and here with the earlier words: {names}{more}."
        self.newer.setText(told)
        self.again.setText(f"Build version {file.version + 1}")
        self.setAccessibleName(file.name)

    def _show_versions(self, detail: Detail) -> None:
        empty_layout(self._versions)
        for found in detail.versions:
            self._versions.addWidget(self._version_row(found))

    def _version_row(self, found: Version) -> QWidget:
        counts = fmt.plural(found.conversation_count, "conversation")
        pairs = fmt.plural(found.total_training_pairs, "pair")
        words = ElidedLabel(f"Version {found.version} · {counts}, {pairs}")
        words.setToolTip(f"Content {found.content_hash}")
        when = label(fmt.moment(found.created_at), "caption")
        export = Button(
            "", "ghost", "ph.export", on_click=partial(self.export_version.emit, found.version),
            tip=f"Export version {found.version}", name=f"export_version_{found.version}",
        )  # fmt: skip
        return row(words, when, export, stretch=words)

    def _show_members(self, detail: Detail) -> None:
        self._members_title.setText(f"Members {len(detail.members):,}")
        self.model.set_rows(detail.members)
        lines = min(MEMBERS_SHOWN, max(1, len(detail.members)))
        head = self.members.horizontalHeader().sizeHint().height()
        self.members.setFixedHeight(head + lines * theme().sizes.row + theme().sizes.half)

    @Slot(object)
    def _on_member(self, member: Candidate) -> None:
        self.member_opened.emit(member.conversation_id)


def _line(*items: QWidget) -> QWidget:
    out = QWidget()
    box = QHBoxLayout(out)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(theme().sizes.grid)
    for place, item in enumerate(items):
        if place:
            box.addStretch(1)
        box.addWidget(item)
    return out
