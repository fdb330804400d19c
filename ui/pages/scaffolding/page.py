"""Scaffolding: the personas, emotional arcs, topics and prompt templates that conversations are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.services import Services
from core.conversations import store as conversations
from core.conversations.store import Filter
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.scaffolding import store
from core.scaffolding.store import EmotionalArc, Entry, PromptTemplate
from ui import format as fmt
from ui.pages.scaffolding.actions import EntryActions
from ui.pages.scaffolding.beats_dialog import BeatsDialog
from ui.pages.scaffolding.exchange import Exchange
from ui.pages.scaffolding.form import EntryForm, focus_first
from ui.pages.scaffolding.kinds import KINDS, Kind
from ui.pages.scaffolding.lists import KindTable, Library, read_library
from ui.pages.scaffolding.profile_dialog import ProfileDialog
from ui.pages.scaffolding.state_filter import StateFilter
from ui.pages.scaffolding.template import TemplateView
from ui.pages.scaffolding.template_dialog import TemplateDialog
from ui.widgets.banner import Banner
from ui.widgets.bulk_bar import BulkAction, BulkBar
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected
from ui.widgets.segments import Segments
from ui.widgets.table import TableView


def _naming(kind: Kind, key: str, **more: Any) -> Filter:
    """The conversations that name an entry."""
    parts: dict[str, Any] = {kind.filter_key: key, **more}
    return Filter(**parts)


class ScaffoldingPage(Page):
    """`open_item`: {"kind": "persona" | "arc" | "topic" | "template", "key": ...}, or "persona/key".

    A key that is there is shown; one that is not opens the form for a new entry with the key filled in.
    """

    watches: ClassVar[Changed] = Changed.SCAFFOLDING | Changed.CONVERSATIONS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.library: Library | None = None
        self._search_text = ""
        self._wanted: tuple[str, str] | None = None
        self._focus_wanted = False
        self._adding: set[str] = set()
        self.actions_on = EntryActions(services, self)
        self.set_header(
            "Scaffolding", "Who the client is, how their feelings move, and what the conversation is about."
        )
        self.exchange = Exchange(services, self)
        self.add_action("Consultant profile…", "ph.user-circle", self.open_profile, name="consultant_profile_action")
        self.add_action("Import", "ph.download-simple", self.exchange.choose_file, name="import_scaffolding")
        self.export = self.add_action("Export", "ph.export", self._open_export, name="export_scaffolding")
        self.add = self.add_action("Add persona", "ph.plus", self.add_new, primary=True)
        self.add.setObjectName("add_entry")
        self.kinds = Segments({name: kind.title for name, kind in KINDS.items()}, "Kind of scaffolding", "kinds")
        self.kinds.chosen.connect(self._on_kind)
        self.add_tool(self.kinds)
        self.add_tool(None)
        self.states = StateFilter(self)
        self.states.changed.connect(self._on_filter)
        self.add_tool(self.states.chips)
        self.add_tool(self.states.button)
        self.add_search("Search names and keys", self._on_search)
        self._build_content()
        self.show_busy()

    def _build_content(self) -> None:
        self._lists, self._details = QStackedWidget(), QStackedWidget()
        self.tables: dict[str, KindTable] = {}
        self.forms: dict[str, EntryForm] = {}
        for name, kind in KINDS.items():
            table = self.tables[name] = KindTable(kind, self.services.state, self._bulk_bar(kind), self.clear_search)
            table.table.current_changed.connect(self._on_current)
            table.table.opened.connect(self._on_opened)
            table.table.previewed.connect(self._on_opened)
            self._lists.addWidget(table)
            if kind.fields:
                form = self.forms[name] = EntryForm(kind)
                form.saved.connect(self._on_saved)
                form.deleted.connect(self._on_deleted)
                form.duplicated.connect(self._on_duplicated)
                form.dropped.connect(self._on_dropped)
                form.show_uses.connect(self._show_uses)
                form.beats_wanted.connect(self._edit_beats)
                self._details.addWidget(form)
        self._add_commands()
        self.template = TemplateView()
        self.template.edited.connect(self._edit_template)
        self.template.deleted.connect(self._on_deleted)
        self.template.duplicated.connect(self._on_duplicated)
        self._details.addWidget(self.template)
        self.set_content(self._lists)
        self.set_inspector(self._details, scroll=False)

    def _bulk_bar(self, kind: Kind) -> BulkBar:
        return BulkBar(
            kind.title.lower(),
            BulkAction("Duplicate", "ph.copy", self.duplicate_selected, "bulk_duplicate"),
            BulkAction("Switch off", "ph.toggle-left", self.switch_off, "bulk_switch_off"),
            BulkAction("Switch on", "ph.toggle-right", self.switch_on, "bulk_switch_on"),
            BulkAction("Export", "ph.export", self.export_selected, "bulk_export"),
            BulkAction("Delete", "ph.trash", self.delete_selected, "bulk_delete"),
        )

    def _add_commands(self) -> None:
        tables = [table.table for table in self.tables.values()]
        blocked = nothing_selected(*tables)
        for command in (
            PageCommand("duplicate", "Duplicate the selected entries", self.duplicate_selected, ("Ctrl+D",), blocked),
            PageCommand("switch_off", "Switch off the selected entries", self.switch_off, (), blocked),
            PageCommand("switch_on", "Switch on the selected entries", self.switch_on, (), blocked),
            PageCommand("export_selected", "Export the selected entries…", self.export_selected, (), blocked),
            PageCommand("delete", "Delete the selected entries", self.delete_selected, DELETE_KEYS, blocked),
        ):
            self.add_command(command, *tables)

    @property
    def kind(self) -> Kind:
        """The kind that is shown."""
        return KINDS[self.kinds.current]

    @property
    def _table(self) -> TableView:
        return self.tables[self.kind.name].table

    # Reading

    def reload(self) -> None:
        self.read(read_library, self._show)

    def _show(self, library: Library) -> None:
        self.library = library
        entries = library.entries
        for name, kind in KINDS.items():
            self.kinds.set_text(name, f"{kind.title} {len(entries[name]):,}")
            self.tables[name].show_rows(entries[name], self._search_text, self.states.value)
            if name in self.forms:
                self.forms[name].set_keys(library.keys(name))
        self.template.set_library(entries)
        self.show_content()
        copied, self._focus_wanted = self._focus_wanted and self._wanted is not None, False
        self._go_to_wanted()
        self._show_detail()
        if copied:
            self._on_opened(None)

    def _go_to_wanted(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is None or self.library is None:
            return
        kind, key = wanted
        self._set_kind(kind)
        found = self.library.keys(kind).get(key)
        if found:
            self._adding.discard(kind)
            if not self._table.select_id(found):
                self.clear_search()
                self._table.select_id(found)
        elif kind in self.forms:
            self._begin(kind, key)

    @Slot(object)
    def _on_current(self, row: object) -> None:
        if row is not None:
            self._adding.discard(self.kind.name)
        self._show_detail()

    def _show_detail(self) -> None:
        name = self.kind.name
        self._details.setCurrentWidget(self.forms.get(name, self.template))
        if name in self._adding:
            return
        found = self._table.current()
        if found is None and self._table.rows.rowCount():
            self._table.select_id(self._table.rows.rows[0].id)
            return
        self._details.setVisible(found is not None)
        if isinstance(found, PromptTemplate):
            self.template.show_template(found)
        elif isinstance(found, Entry):
            self.forms[name].show_entry(found)
            self._count_uses(found)

    def _count_uses(self, entry: Entry) -> None:
        wanted = _naming(self.kind, entry.key)
        form = self.forms[self.kind.name]

        def done(uses: int) -> None:
            if form.entry.key == entry.key:
                form.show_entry(entry, uses=uses)

        self.read(lambda db: conversations.count(db, wanted), done, "uses")

    # What the user does

    @Slot(str)
    def _on_kind(self, name: str) -> None:
        self._set_kind(name)
        self._show_detail()

    def _set_kind(self, name: str) -> None:
        self.kinds.set_current(name)
        kind = KINDS[name]
        self._lists.setCurrentWidget(self.tables[name])
        self.add.setText(f"Add {kind.one}")
        self.add.setAccessibleName(f"Add {kind.one}")

    @Slot(str)
    def _on_search(self, text: str) -> None:
        self._search_text = text
        self._on_filter()

    @Slot()
    def _on_filter(self) -> None:
        if self.library is not None:
            for name, table in self.tables.items():
                table.show_rows(self.library.entries[name], self._search_text, self.states.value)
            self._show_detail()

    def clear_search(self) -> None:
        """Everything again."""
        self.states.clear()
        if self.search is not None:
            self.search.clear()

    def add_new(self) -> None:
        """A form for a new entry of the kind that is shown."""
        if self.kind.name in self.forms:
            self._begin(self.kind.name, "")
        else:
            self._edit_template(PromptTemplate("", "", ""))

    def _begin(self, name: str, key: str) -> None:
        self._adding.add(name)
        self._table.clearSelection()
        self._adding.add(name)
        self._details.show()
        self._details.setCurrentWidget(self.forms[name])
        self.forms[name].show_new(key)
        focus_first(self.forms[name])

    @Slot(object)
    def _on_opened(self, row: object) -> None:
        if self.kind.name in self.forms:
            self.forms[self.kind.name].form.field("name").setFocus()
        elif isinstance(row, PromptTemplate):
            self._edit_template(row)

    @Slot()
    def _on_dropped(self) -> None:
        self._adding.discard(self.kind.name)
        self._show_detail()

    @Slot(object, bool)
    def _on_saved(self, entry: Entry, new: bool) -> None:
        name, form = self.kind.name, self.forms[self.kind.name]

        def work(db: Database) -> tuple[Changed, Entry]:
            if new:
                return Changed.SCAFFOLDING, store.add(db, entry)
            return store.update(db, entry), entry

        def done(stored: Entry) -> None:
            form.stored(stored)
            self._adding.discard(name)
            self._wanted = (name, stored.key)
            self.services.notifier.say(f"{KINDS[name].one.capitalize()} “{getattr(stored, 'name', stored.key)}” saved")
            self._offer_enrichment(name, stored.key)

        def failed(exc: Exception) -> None:
            if not (isinstance(exc, AppError) and form.show_problem(exc)):
                self.services.notifier.report(exc, self)

        self.services.write(self, work, done, failed)

    def _offer_enrichment(self, name: str, key: str) -> None:
        wanted = _naming(KINDS[name], key, enrichment_status="failed")

        def done(ids: list[str]) -> None:
            if ids:
                many = fmt.plural(len(ids), "conversation")
                text = f"{many} failed with “{key}” and can be enriched now"
                self.banners.add(Banner("info", text, action=(f"Enrich {many}", lambda: self._enrich(ids))))

        self.read(lambda db: conversations.ids(db, wanted), done, "waiting")

    def _enrich(self, ids: list[str]) -> None:
        title = f"Enriching {fmt.plural(len(ids), 'conversation')}"
        self.services.start_job("enrich", title, {"conversation_ids": ids})
        self.services.navigator.open_page("conversations", ids[0] if len(ids) == 1 else None)

    def delete_selected(self) -> None:
        """Move the selected rows to the trash."""
        if entries := self._table.selected():
            self.actions_on.delete(self.kind, entries)

    @Slot(object)
    def _on_deleted(self, entry: Entry) -> None:
        self.actions_on.delete(self.kind, [entry])

    def duplicate_selected(self) -> None:
        """A copy of each selected row; the form shows the first."""
        self._duplicate(self._table.selected())

    @Slot(object)
    def _on_duplicated(self, entry: Entry) -> None:
        self._duplicate([entry])

    def _duplicate(self, entries: Sequence[Entry]) -> None:
        kind = self.kind
        if entries:
            self.actions_on.duplicate(kind, entries, lambda copy: self._show_copy(kind.name, copy))

    def _show_copy(self, name: str, copy: Entry) -> None:
        self._wanted = (name, copy.key)
        self._focus_wanted = True
        self.reload()

    def export_selected(self) -> None:
        """The selected rows, to a file."""
        if entries := self._table.selected():
            self.exchange.ask_place(entries)

    def _open_export(self) -> None:
        if self.library is not None:
            everything = self.library.entries
            self.exchange.open_menu({
                "selected": ("Selected entries", self._table.selected()),
                "kind": (f"All {self.kind.title.lower()}", everything[self.kind.name]),
                "library": ("Whole library", [entry for entries in everything.values() for entry in entries]),
            }, self.export)  # fmt: skip

    def open_profile(self) -> None:
        """The form for who answers in the conversations."""
        ProfileDialog(self, self.services).open()

    @Slot(object)
    def _edit_beats(self, arc: EmotionalArc) -> None:
        dialog = BeatsDialog(self, self.services, arc)
        dialog.chosen.connect(self.forms["arc"].take_apart)
        dialog.open()

    @Slot(object)
    def _edit_template(self, template: PromptTemplate) -> None:
        if self.library is not None:
            dialog = TemplateDialog(self, self.services, self.library, template)
            dialog.saved.connect(self._show_template)
            dialog.open()

    @Slot(object)
    def _show_template(self, template: PromptTemplate) -> None:
        self._wanted = ("template", template.key)
        self.reload()

    def switch_off(self) -> None:
        """Archive the selected rows."""
        self._switch(False)

    def switch_on(self) -> None:
        """Take the selected rows into use again."""
        self._switch(True)

    def _switch(self, active: bool) -> None:
        if entries := self._table.selected():
            self.actions_on.switch(self.kind, entries, active)

    @Slot(str)
    def _show_uses(self, key: str) -> None:
        self.services.navigator.open_page("conversations", {self.kind.filter_key: key})

    def open_item(self, argument: object) -> None:
        if isinstance(argument, str):
            kind, _, key = argument.partition("/")
        elif isinstance(argument, Mapping):
            kind, key = str(argument.get("kind", "")), str(argument.get("key", ""))
        else:
            return
        if kind not in KINDS:
            return
        self._wanted = (kind, key)
        if self.library is not None:
            self._go_to_wanted()
            self._show_detail()
