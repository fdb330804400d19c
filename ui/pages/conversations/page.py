"""Conversations: import, enrich, read, review, and add to a training file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLineEdit, QStackedWidget, QWidget

from app.services import Services
from core.conversations import store
from core.conversations.store import Conversation, Filter
from core.db import Database
from core.events import Changed
from core.generation.rewrite import JOB_KIND as REWRITE
from core.jobs import Job, JobState
from ui import format as fmt
from ui.models.paged import PagedRows, Query
from ui.models.rows import RowModel
from ui.pages.conversations.add_to_file import AddDialog
from ui.pages.conversations.data import (
    COLUMNS,
    FOLD_ORDER,
    Detail,
    Overview,
    read_detail,
    read_overview,
)
from ui.pages.conversations.decisions import Decisions
from ui.pages.conversations.ends import exported, file_built, rewrite_failed, some_failed
from ui.pages.conversations.enriching import ENRICH_ICON, EnrichButton, Enriching
from ui.pages.conversations.export import KIND, Export
from ui.pages.conversations.field_sources import SourcesDialog
from ui.pages.conversations.filter_bar import Filters
from ui.pages.conversations.inspector import Inspector
from ui.sample import open_sample
from ui.widgets.basic import Button, ElidedLabel, column
from ui.widgets.bulk_bar import BulkAction, BulkBar, table_foot
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.import_result import ImportDesk
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected
from ui.widgets.table import TableView

KEYS = "space reads, A approves, R rejects, E enriches, Delete removes"


class ConversationsPage(Page):
    """`open_item`: an id, or a mapping of `Filter` fields such as {"persona_key": "..."}."""

    watches: ClassVar[Changed] = Changed.CONVERSATIONS | Changed.SCAFFOLDING | Changed.JOBS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.overview: Overview | None = None
        self._wanted_id = ""
        self._import_ended = ""
        self._search_text = ""
        self._reading = False
        self.imports, self.exports = ImportDesk(self), Export(self, services)
        self.set_header("Conversations", "Review imported conversations, enrich them, and add them to a training file.")
        self.add_action("Import", "ph.download-simple", self.choose_files)
        folder = Button("", "", "ph.folder-open", on_click=self.imports.choose_folder, name="import_folder",
                        tip="Import folder")  # fmt: skip
        self.add_header_widget(folder)
        self.add_button = self.add_action("Add to training file", "ph.stack", self.add_to_training_file)
        self.enrich_button = EnrichButton(lambda: self.enriching.enrich())
        self.add_header_widget(self.enrich_button)
        self.primary = self.enrich_button
        self._build_toolbar()
        self._build_content()
        self.set_empty(
            EmptyState(
                "ph.chats-circle",
                "Drop JSON files anywhere on this window.", ("Import conversations", self.choose_files),
                ("Open sample workspace", lambda: open_sample(services)), title="No conversations yet",
                button_icon="ph.download-simple",
            )
        )  # fmt: skip
        services.queue.finished.connect(self._on_job)
        self.show_busy()

    # Building

    def _build_toolbar(self) -> None:
        self.add_search("Search titles and turns", self._on_search)
        self.filters = Filters(self)
        self.filters.changed.connect(self._look)
        self.add_tool(self.filters.chips)
        self.add_tool(self.filters.button)
        self.add_tool(None)
        self.export_button = Button("Export", "", "ph.export", on_click=self.export_shown, name="export",
                                    tip="Export the conversations that are shown")  # fmt: skip
        self.add_tool(self.export_button)
        self.last_import = Button(
            "Show last import", "link", "ph.clock-counter-clockwise", on_click=self.show_last_import,
            name="last_import", tip="Show what was used and what was rejected",
        )  # fmt: skip
        self.last_import.hide()
        self.add_tool(self.last_import)

    def _build_content(self) -> None:
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "conversations", "Conversations")
        self.table.review_keys = True
        self.pages = PagedRows(
            self.services, self.model, self._fetch, self, count=self._count, keep=self.table,
            sort="created_at", descending=True,
        )  # fmt: skip
        self.pages.loaded.connect(self._on_loaded)
        self.table.sort_requested.connect(self.pages.set_order)
        self.table.current_changed.connect(self._on_current)
        self.table.selection_changed.connect(self._on_selection)
        FitColumns(self.table, FOLD_ORDER)
        self.table.remember(self.services.state)
        self.nothing = EmptyState(
            "ph.funnel", "No conversations match these filters.", None, ("Clear filters", self.clear_filters)
        )
        self._rows = QStackedWidget()
        self._rows.addWidget(self.table)
        self._rows.addWidget(self.nothing)
        self.caption = ElidedLabel("", "caption")
        self.caption.setObjectName("table_caption")
        self.inspector = Inspector()
        self.decide = Decisions(self, self.table, self.inspector, self._tags_in_use)
        self.enriching = Enriching(self, self.enrich_button, self.decide, self.inspector)
        self.enriching.ended.connect(self._show_buttons)
        self.bulk = BulkBar(
            "conversations",
            BulkAction("Approve", "ph.check", self.decide.approve, "bulk_approve"),
            BulkAction("Reject", "ph.x", self.decide.reject, "bulk_reject"),
            BulkAction("Tag", "ph.tag", self.decide.tag_selected, "bulk_tag"),
            BulkAction("Enrich", ENRICH_ICON, self.enriching.enrich_selected, "bulk_enrich"),
            BulkAction("Delete", "ph.trash", self.decide.delete_selected, "bulk_delete"),
        )
        self.bulk.follow(self.table, self.pages)
        self.bulk.all_wanted.connect(self._select_all)
        self.set_content(column(self._rows, table_foot(self.caption, self.bulk), gap=4, stretch=self._rows))
        self._build_inspector()

    def _build_inspector(self) -> None:
        self.inspector.badges.other_wanted.connect(self.open_item)
        self.inspector.report.follow.connect(self.services.navigator.follow)
        self.inspector.report.sources_wanted.connect(self.show_sources)
        self.set_inspector(self.inspector, scroll=False)
        self.table.previewed.connect(lambda _row: self.inspector.focus_turns())
        self.table.opened.connect(lambda _row: self.inspector.focus_turns())
        chosen = nothing_selected(self.table)
        for command in (
            PageCommand("approve", "Approve selected", self.decide.approve, ("A",), chosen),
            PageCommand("reject", "Reject selected", self.decide.reject, ("R",), chosen),
            PageCommand("tag", "Tag selected", self.decide.tag_selected, ("T",), chosen),
            PageCommand("enrich", "Enrich selected", self.enriching.enrich_selected, ("E",), chosen),
            PageCommand("delete", "Delete selected conversations", self.decide.delete_selected, DELETE_KEYS, chosen),
        ):
            self.add_command(command, self.table)

    def _tags_in_use(self) -> list[str]:
        return [tag for tag, _ in self.overview.tags] if self.overview is not None else []

    # Reading

    def reload(self) -> None:
        self.read(read_overview, self._show_overview, "overview")
        self.pages.reload()

    @property
    def _filter(self) -> Filter:
        return replace(self.filters.value, search=self._search_text)

    def _fetch(self, db: Database, query: Query) -> list[Conversation]:
        return store.listing(
            db, self._filter, order_by=query.sort, descending=query.descending, limit=query.limit, offset=query.offset
        )

    def _count(self, db: Database) -> int:
        return store.count(db, self._filter)

    def _show_overview(self, found: Overview) -> None:
        self.overview = found
        if found.total:
            self.show_content()
        elif found.importing:
            self.show_busy()
        else:
            self.show_empty()
        self.last_import.setVisible(found.last_import is not None)
        self._show_buttons()
        self.filters.set_tags(found.tags)
        shown = self.inspector.detail
        if shown is not None and tuple(shown.rewriting) != tuple(found.rewriting.get(shown.row.id, ())):
            self._read_detail(shown.row.id)
        self._read_unread(found)
        if found.last_import is not None:
            ended_here = found.last_import.id == self._import_ended
            self.imports.announce(found.last_import, problems_only=not ended_here)

    def _read_unread(self, found: Overview) -> None:
        """Conversations of an older workspace are found by their words once a job has read them; once a session."""
        if found.unread and not self._reading and not found.importing:
            self._reading = True
            title = f"Preparing {fmt.plural(found.unread, 'conversation')} for the search"
            self.services.start_job("check_conversations", title, {})

    @Slot()
    def _show_buttons(self) -> None:
        found, chosen = self.overview, self.decide.selected_ids()
        if found is None:
            return
        many, waiting = len(chosen) > 1, self.enriching.show_state(found, chosen)
        # What is being enriched would silently stay out.
        self.add_button.setEnabled(found.enriched > 0 and not found.enriching)
        tip = "Only enriched conversations can go into a training file" if not found.enriched else ""
        self.add_button.setToolTip("Enrichment is running; wait until it is done" if found.enriching else tip)
        # When nothing is left to enrich, handing on is the next step.
        next_step = not many and not waiting and not found.enriching and found.enriched > 0
        self.enrich_button.set_main(not next_step)
        self.add_button.setProperty("role", "main" if next_step else "")
        self.add_button.set_icon("ph.stack")
        self.add_button.style().polish(self.add_button)
        self.primary = self.add_button if next_step else self.enrich_button

    @Slot(int)
    def _on_loaded(self, total: int) -> None:
        self.export_button.setEnabled(total > 0)
        self._rows.setCurrentIndex(0 if total or not (self.filters.active or self._search_text) else 1)
        wanted, self._wanted_id = self._wanted_id, ""
        if wanted and not self.table.select_id(wanted):
            # It is further down than the list was read.
            self.table.let_go()
            self._read_detail(wanted)
        shown, current = self.inspector.detail, self.table.current()
        if not self.model.rowCount():
            self.inspector.show_nothing()
        elif current is not None and (shown is None or current != shown.row):
            self._read_detail(current.id)
        elif current is None and not wanted:
            self._keep_reading(shown)
        self._show_buttons()
        self._show_caption()

    def _keep_reading(self, shown: Detail | None) -> None:
        """Without a current row: what is shown stays as long as it is there, else the first row comes."""
        if shown is None:
            self.table.select_id(self.model.rows[0].id)
        else:
            self._read_detail(shown.row.id)

    def _show_caption(self) -> None:
        chosen = len(self.table.selected())
        shown = f"{fmt.count(self.model.rowCount())} of {fmt.count(self.pages.total)}"
        self.caption.setText(f"{shown} · {fmt.count(chosen)} selected · {KEYS}" if chosen < 2 else shown)

    @Slot(object)
    def _on_current(self, found: Conversation | None) -> None:
        if found is not None:
            self._read_detail(found.id)

    def _read_detail(self, ident: str) -> None:
        workspace = self.services.workspace
        self.read(lambda db: read_detail(db, workspace, ident), self._show_detail, "detail")

    def _show_detail(self, detail: Detail | None) -> None:
        current = self.table.current()
        if detail is None:
            if current is None:
                self.inspector.show_nothing()
                self.pages.reload()
        elif current is None or current.id == detail.row.id:
            self.inspector.show_detail(detail)

    @Slot(object)
    def _on_selection(self, _rows: object) -> None:
        self._show_buttons()
        self._show_caption()

    @Slot()
    def _select_all(self) -> None:
        """Everything that the filters let through; the table reads no more for it."""
        wanted = self._filter
        self.read(lambda db: store.ids(db, wanted), partial(self._on_all_ids, wanted), "ids")

    def _on_all_ids(self, wanted: Filter, ids: list[str]) -> None:
        if wanted != self._filter:
            return
        self.decide.take_all(ids)
        self.bulk.show_all(len(ids))
        self._show_buttons()

    # Search and filters

    @Slot(str)
    def _on_search(self, text: str) -> None:
        self._search_text = text
        self._look()

    @Slot()
    def _look(self) -> None:
        """Other rows are wanted: what is shown may be none of them, and everything is something else."""
        if self.decide.all_taken:
            self.table.clearSelection()
        if self.table.current() is None:
            self.inspector.show_nothing()
        self.pages.restart()

    def clear_filters(self) -> None:
        """Everything again."""
        if self.search is not None:
            self.search.clear()
        self.filters.replace_all(Filter())

    def back(self) -> bool:
        if super().back():
            return True
        if isinstance(self.focusWidget(), QLineEdit) or not self.filters.active:
            return False
        self.clear_filters()
        return True

    def open_item(self, argument: object) -> None:
        """An id shows that conversation; a mapping of `Filter` fields shows those it lets through."""
        if isinstance(argument, Mapping):
            known = {k: v for k, v in argument.items() if k in Filter.__dataclass_fields__}
            self.filters.replace_all(Filter(**known))
        elif isinstance(argument, str) and not self.table.select_id(argument):
            self.clear_filters()
            self._wanted_id = argument

    # Export

    def export_shown(self) -> None:
        """What the filters let through, as it is listed."""
        self.exports.open_menu(self._filter, self.pages.total, self.export_button)

    # Import

    def choose_files(self) -> None:
        """The window's own dialog."""
        self.services.navigator.run_command("import")

    def show_last_import(self) -> None:
        """The report of the newest import that ended."""
        if self.overview is not None and self.overview.last_import is not None:
            self.imports.show_report(self.overview.last_import)

    def show_sources(self) -> None:
        """Where every field of the shown conversation comes from."""
        if self.inspector.detail is not None:
            SourcesDialog(self, self.inspector.detail).open()

    def flush(self) -> None:
        self.inspector.flush_notes()

    # Training file

    def add_to_training_file(self) -> None:
        """Several selected rows, else all that are enriched."""
        chosen = self.decide.selected_ids()
        dialog = AddDialog(self, self.services, chosen if len(chosen) > 1 else [])
        dialog.chosen.connect(self._on_add)
        dialog.open()

    @Slot(object)
    def _on_add(self, params: dict[str, object]) -> None:
        self.services.start_job("build_training_file", f"Building {params['name']}", params)

    # Jobs

    @Slot(object)
    def _on_job(self, job: Job) -> None:
        if job.kind in ("import", "enrich") and self.isVisible():
            self._stale = True
            self._soon.start()

    def show_end_of(self, job: Job) -> bool:
        if job.kind == "import":
            # Its banner comes with the rows that it made.
            self._import_ended = job.id
            return job.status is not JobState.FAILED
        if job.kind == REWRITE and job.error is not None:
            self.banners.add(rewrite_failed(job, self.services.queue.resume))
            return True
        if job.status is not JobState.COMPLETED:
            return False
        banner = None
        if job.kind == "build_training_file":
            banner = file_built(job, self.services.navigator)
        elif job.kind == KIND:
            banner = exported(job)
        elif job.kind == "enrich" and job.result.get("rejected"):
            banner = some_failed(job, self._show_failed)
        if banner is not None:
            self.banners.add(banner)
        return banner is not None

    def _show_failed(self) -> None:
        self.clear_filters()
        self.filters.replace_all(Filter(enrichment_status="failed"))
        self.inspector.show_tab("report")
