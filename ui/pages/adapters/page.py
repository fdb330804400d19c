"""Adapters and the base models they sit on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import QUrl, Slot
from PySide6.QtGui import QDesktopServices, QHideEvent, QShowEvent
from PySide6.QtWidgets import QBoxLayout, QWidget

from app.services import Services
from core.adapters.parity import Parity
from core.adapters.shares import Share
from core.adapters.siblings import Sibling
from core.errors import AppError
from core.events import Changed
from core.inference.ollama.seen import State
from core.jobs import Job
from core.models.store import BaseModel
from core.projects.compared import MOST
from core.training.store import Adapter
from core.workspace import settings
from ui import format as fmt
from ui.models.local import LocalRows
from ui.models.rows import Column, RowModel, Status
from ui.pages.adapters.arrivals import KINDS, Arrivals, kind_of_drop
from ui.pages.adapters.columns import (
    ADAPTER_COLUMNS,
    ADAPTERS_LEAVE_FIRST,
    BASE_COLUMNS,
    BASES_LEAVE_FIRST,
    Snapshot,
    read_snapshot,
)
from ui.pages.adapters.elsewhere import Elsewhere
from ui.pages.adapters.inspector import Inspector, used_by
from ui.pages.adapters.ollama import pill_of, state_words
from ui.pages.adapters.removing import ADAPTERS, delete_bases
from ui.theme import theme
from ui.widgets.basic import Button, column, label, plain_tip, row
from ui.widgets.bulk_bar import BulkAction, delete_several, table_foot
from ui.widgets.chip import StatusPill
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.flow import WholeFlow
from ui.widgets.job_strip import JobStrip
from ui.widgets.page import Page
from ui.widgets.page_commands import DELETE_KEYS, PageCommand, nothing_selected, of_button
from ui.widgets.table import TableView

PURPOSE = "Adapters, trained here or imported, and the base models they run on."
BASE_ROWS = 5


class AdaptersPage(Page):
    """`open_item(id)` selects an adapter or a base model; `{"adapter": id}` and `{"base": id}` do so too."""

    watches: ClassVar[Changed] = Changed.ADAPTERS | Changed.MODELS | Changed.SETTINGS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.set_header("Adapters", PURPOSE)
        self._wanted = ""
        self._chats: Mapping[str, int] = {}
        self._siblings: Sequence[Sibling] = ()
        self._shares: Sequence[Share] = ()
        self._parities: Sequence[Parity] = ()
        self._on_bases = False
        self._settling = False
        self.arrivals = Arrivals(self)
        self.train = self.add_action("Train adapter", "ph.chart-line", self._train, name="train_an_adapter")
        self.talk = self.add_action("Start chat", "ph.chat-teardrop-text", self._talk, primary=True, name="talk_to_it")
        self.bases = self._table(BASE_COLUMNS, "bases_table", "Base models", BASES_LEAVE_FIRST)
        self.adapters = self._table(ADAPTER_COLUMNS, "adapters_table", "Adapters", ADAPTERS_LEAVE_FIRST)
        self._base_rows, self._adapter_rows = LocalRows(self.bases.rows, self), LocalRows(self.adapters.rows, self)
        self.bases.sort_requested.connect(self._base_rows.set_order)
        self.adapters.sort_requested.connect(self._adapter_rows.set_order)
        arrivals = self.arrivals
        self.add_base = Button(
            "Add folder", "", "ph.folder-plus", on_click=arrivals.choose_folder, name="add_base_model",
            tip="A base model on this computer, in MLX or Hugging Face format", accessible="Add base model from folder",
        )  # fmt: skip
        self.download = Button(
            "Download…", "", "ph.download-simple", on_click=arrivals.download, name="download_base_model",
            tip="A base model from Hugging Face, by its name", accessible="Download base model",
        )  # fmt: skip
        self.ollama = Button(
            "Ollama…", "", "ph.package", on_click=self._open_ollama, name="open_ollama",
            tip="Base models of Ollama on this computer: start it, pull one, use one here",
        )  # fmt: skip
        self.add_file = Button(
            "Add GGUF file", "", "ph.file-plus", on_click=arrivals.choose_file, name="add_gguf_file",
            tip="A base model as one GGUF file, as llama.cpp and Ollama use it; it can also be dropped onto this page",
        )  # fmt: skip
        self.add_practice = Button(
            "Add practice model", "", "ph.plus", on_click=arrivals.add_practice, name="add_practice_model"
        )
        self.strip = JobStrip(services, KINDS)
        self.bring = Button(
            "Import adapter", "", "ph.folder-plus", on_click=self._import_adapter, name="import_adapter",
            tip="A folder in the layout of mlx-lm or PEFT; it can also be dropped onto this page",
        )  # fmt: skip
        self.no_bases = label(
            "No base model yet. Download one, add a folder in MLX or Hugging Face format, or the practice model for "
            "trying things out.", "muted", wrap=True, name="no_bases",
        )  # fmt: skip
        self.no_adapters = EmptyState(
            "ph.swap", "An adapter is a small file that changes how its base answers. Training creates one.",
            ("Train adapter", self._train),
            ("Show datasets", lambda: services.navigator.open_page("datasets")),
            title="No adapters yet", button_icon="ph.chart-line",
        )  # fmt: skip
        self.no_adapters.setObjectName("no_adapters")
        self.set_content(self._content())
        self.inspector = Inspector()
        self.set_inspector(self.inspector, scroll=False)
        self.set_empty(self._empty_state())
        self._connect()
        self.show_busy()

    def _table(self, columns: tuple[Column, ...], name: str, words: str, order: tuple[str, ...]) -> TableView:
        table = TableView(RowModel(columns, self), name, words)
        table.previewed.connect(lambda _row: self.focus_inspector())
        FitColumns(table, order)
        table.remember(self.services.state)
        return table

    def _content(self) -> QWidget:
        self.caption = label("", "caption", name="adapters_caption")
        compare = BulkAction("Compare in Chat", "ph.columns", self.compare_selected, "bulk_compare")
        self.bulk = delete_several("adapters and base models", self._delete, compare)
        adapters_head = row(label("Adapters", "section"), None, self.bring, margins=(0, theme().sizes.grid, 0, 0))
        buttons = WholeFlow(
            self.add_practice, self.download, self.ollama, self.add_file, self.add_base, gap=theme().sizes.grid
        )
        self.host = StatusPill(Status("neutral", "Ollama"))
        self.host.setObjectName("ollama_pill")
        self.host.hide()
        heads = row(label("Base models", "section"), self.host, buttons, stretch=buttons)
        content = column(
            self.strip, heads, self.no_bases, self.bases, adapters_head, self.no_adapters, self.adapters,
            table_foot(self.caption, self.bulk), gap=theme().sizes.grid, stretch=self.adapters,
        )  # fmt: skip
        # In the place of the table: else all rows share what it leaves.
        layout = content.layout()
        assert isinstance(layout, QBoxLayout)
        layout.setStretchFactor(self.no_adapters, 1)
        return content

    def _empty_state(self) -> EmptyState:
        return EmptyState(
            "ph.swap", "Adapters need a base model: from Hugging Face, from a folder, or the practice model.",
            ("Add practice model", self.arrivals.add_practice), ("Download or add another", self.show_content),
            title="No base model yet", button_icon="ph.plus",
        )  # fmt: skip

    def _connect(self) -> None:
        for table, on_bases in ((self.bases, True), (self.adapters, False)):
            table.selection_changed.connect(partial(self._on_selection, on_bases))
            table.selection_changed.connect(self._on_several)
        chosen = nothing_selected(self.bases, self.adapters)
        delete = PageCommand("delete", "Delete selected", self._delete, DELETE_KEYS, chosen)
        self.add_command(delete, self.bases, self.adapters)
        for button in (self.download, self.ollama, self.add_file, self.add_base, self.bring):
            self.add_command(of_button(button))
        self.services.ollama.changed.connect(self._show_host)
        self.adapters.opened.connect(lambda _row: self._talk())
        self.bases.opened.connect(lambda _row: self.focus_inspector())
        base, adapter = self.inspector.base, self.inspector.adapter
        base.default_wanted.connect(self._set_default)
        base.rebuild_wanted.connect(self.arrivals.rebuild_practice)
        base.quantise_wanted.connect(self._quantise)
        base.folder_wanted.connect(self._show_folder)
        base.delete_wanted.connect(self._delete)
        adapter.run_wanted.connect(self._open_run)
        adapter.check_wanted.connect(partial(self._with_adapter, self.arrivals.check))
        adapter.export_wanted.connect(partial(self._with_adapter, partial(self.arrivals.export, anchor=adapter.export)))
        adapter.share_wanted.connect(partial(self._with_adapter, self._share))
        adapter.measure_wanted.connect(partial(self._with_adapter, self._measure))
        adapter.unshare_wanted.connect(partial(self._with_adapter, self._unshare))
        adapter.folder_wanted.connect(self._show_folder)
        adapter.delete_wanted.connect(self._delete)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.services.ollama.watch(self)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.services.ollama.watch(self, on=False)

    @Slot()
    def _show_host(self) -> None:
        """Where Ollama runs, or is in the way; one that does not is found in its dialog."""
        seen = self.services.ollama.seen
        there = seen is not None and seen.state in (State.RUNNING, State.HUNG, State.OTHER)
        self.host.setVisible(there)
        if there:
            status = pill_of(seen)
            words = "Ollama" if status.kind == "ok" else f"Ollama: {status.word.lower()}"
            self.host.set_status(Status(status.kind, words))
            self.host.setToolTip(plain_tip(state_words(seen)))

    # Rows

    def reload(self) -> None:
        self.read(read_snapshot, self._show)
        self.services.siblings.look()

    def _show(self, snapshot: Snapshot) -> None:
        bases, adapters, self._chats = snapshot.bases, snapshot.adapters, snapshot.chats
        self._siblings, self._shares, self._parities = snapshot.siblings, snapshot.shares, snapshot.parities
        self._base_rows.show(bases)
        self._adapter_rows.show(adapters)
        self.no_bases.setVisible(not bases)
        self.bases.setVisible(bool(bases))
        self._fit_bases(len(bases))
        self.no_adapters.setVisible(not adapters)
        self.adapters.setVisible(bool(adapters))
        self.add_practice.setVisible(not any(r.base.is_practice for r in bases))
        self.caption.setText(f"{fmt.plural(len(adapters), 'adapter')} · Enter starts a chat" if adapters else "")
        if bases or adapters or self.strip.jobs:
            self.show_content()
        else:
            self.show_empty()
        self._settle()

    def _fit_bases(self, count: int) -> None:
        sizes = theme().sizes
        rows = min(max(count, 1), BASE_ROWS)
        self.bases.setFixedHeight(sizes.row * rows + self.bases.horizontalHeader().sizeHint().height() + sizes.half)

    def _settle(self) -> None:
        wanted, self._wanted = self._wanted, ""
        self._settling = True
        for table, on_bases in ((self.adapters, False), (self.bases, True)):
            if wanted and table.select_id(wanted):
                self._on_bases = on_bases
            if table.current() is None:
                table.step(0)
        if not (self.bases if self._on_bases else self.adapters).rows.rows:
            self._on_bases = not self._on_bases
        self._settling = False
        self._show_detail()

    def _on_selection(self, on_bases: bool, rows: list[object]) -> None:
        if rows and not self._settling:
            self._on_bases = on_bases
            self._show_detail()

    @Slot(object)
    def _on_several(self, rows: list[object]) -> None:
        self.bulk.show_count(max(len(self.bases.selected()), len(self.adapters.selected())))

    def _show_detail(self) -> None:
        # One selection on the page: what the inspector shows.
        (self.adapters if self._on_bases else self.bases).clearSelection()
        base_row, adapter = self.bases.current(), self.adapters.current()
        self.talk.setEnabled(adapter is not None)
        self.train.setEnabled(base_row is not None)
        if self._on_bases and base_row is not None:
            names = {entry.id: entry.base.name for entry in self.bases.rows.rows}
            self.inspector.show_base(base_row.base, base_row.is_default, base_row.uses, self._siblings, names)
            self.train.setEnabled(base_row.base.trains)
            self.talk.setEnabled(True)
        elif adapter is not None:
            chats = self._chats.get(adapter.id, 0)
            self.inspector.show_adapter(adapter, len(self.adapters.selected()), chats, self._elsewhere(adapter))
        else:
            self.inspector.show_nothing()

    def show_end_of(self, job: Job) -> bool:
        return self.arrivals.show_end_of(job)

    # Actions

    def _quantise(self) -> None:
        chosen = self.bases.current()
        if chosen is not None:
            self.arrivals.quantise(chosen.base)

    def _set_default(self) -> None:
        chosen = self.bases.current()
        if chosen is not None:
            ident = chosen.id
            self.write(lambda db: settings.put(db, "default_base", ident))

    def _talk(self) -> None:
        base, adapter = self.bases.current(), self.adapters.current()
        if self._on_bases and base is not None:
            self.services.navigator.open_page("chat", {"base": base.id})
        elif adapter is not None:
            self.services.navigator.open_page("chat", {"adapter": adapter.id})

    def compare_selected(self) -> None:
        """Up to four adapters of one base answer the next question in Chat side by side."""
        chosen = self.adapters.selected()
        if not 2 <= len(chosen) <= MOST or len({adapter.base_model_id for adapter in chosen}) > 1:
            self.services.notifier.say(f"Choose two to {MOST} adapters of one base")
            return
        ids = [adapter.id for adapter in chosen]
        self.services.navigator.open_page("chat", {"adapter": ids[0], "compare": ids})

    def _train(self) -> None:
        base = self.bases.current()
        chosen = {"base": base.id} if base is not None and self._on_bases else {}
        self.services.navigator.open_page("training", {"new": True, **chosen})

    def _with_adapter(self, act: Callable[[Adapter], None]) -> None:
        adapter = self.adapters.current()
        if adapter is not None:
            act(adapter)

    def _open_ollama(self) -> None:
        rows = [entry for entry in self.bases.rows.rows if entry.base.ollama]
        used = {entry.id: used_by(("chat", entry.uses[1])) for entry in rows}
        bases = {entry.base.ollama: entry.id for entry in rows}
        self.arrivals.ollama(bases, used, [one.name for one in self._shares])

    def _shares_of(self, adapter: Adapter) -> list[Share]:
        return [one for one in self._shares if one.artifact_id == adapter.id]

    def _fitting(self, adapter: Adapter) -> list[BaseModel]:
        fit = {one.other_id for one in self._siblings if one.fits and one.base_id == adapter.base_model_id}
        return [entry.base for entry in self.bases.rows.rows if entry.id in fit]

    def _elsewhere(self, adapter: Adapter) -> Elsewhere:
        measured = {one.base_id: one for one in self._parities if one.artifact_id == adapter.id}
        served = [(base, measured.get(base.id)) for base in self._fitting(adapter)]
        return Elsewhere(self._shares_of(adapter), served)

    def _measure(self, adapter: Adapter) -> None:
        for base in self._elsewhere(adapter).unmeasured:
            self.arrivals.measure(adapter, base)

    def _share(self, adapter: Adapter) -> None:
        bases = [base for base in self._fitting(adapter) if base.ollama]
        self.arrivals.share(adapter, bases, self._shares_of(adapter))

    def _unshare(self, adapter: Adapter) -> None:
        for one in self._shares_of(adapter):
            self.arrivals.unshare(one)

    def _import_adapter(self) -> None:
        self.arrivals.choose_adapter(*self._bases_for_import())

    def _bases_for_import(self) -> tuple[list[BaseModel], str]:
        chosen = self.bases.current()
        return [entry.base for entry in self.bases.rows.rows], chosen.id if chosen is not None else ""

    def dropped(self, files: Sequence[Path]) -> bool:
        # Whatever else is dropped is the window's: files to import.
        kind, folder = kind_of_drop(files)
        if kind == "base":
            self.arrivals.add_folder(folder)
        elif kind:
            self.arrivals.import_adapter(folder, *self._bases_for_import())
        return bool(kind)

    def _open_run(self) -> None:
        adapter = self.adapters.current()
        if adapter is not None and adapter.training_job_id:
            self.services.navigator.open_page("training", {"run": adapter.training_job_id})

    def _show_folder(self) -> None:
        path = self._folder()
        if path is None:
            return
        if path.is_dir():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
        elif path.is_file():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))
        else:
            self.show_error(
                AppError("folder_gone", f"The folder {path} is missing.", hint="Put it back, or delete this entry.")
            )

    def _folder(self) -> Path | None:
        base, adapter = self.bases.current(), self.adapters.current()
        if self._on_bases:
            return base.base.path if base is not None else None
        return self.services.workspace.absolute(adapter.path) if adapter is not None else None

    @Slot()
    def _delete(self) -> None:
        rows = (self.bases if self._on_bases else self.adapters).selected()
        if not rows:
            return
        noun = "base model" if self._on_bases else "adapter"
        first = rows[0].base.name if self._on_bases else rows[0].name
        text = f"Deleted {first}" if len(rows) == 1 else f"Deleted {fmt.plural(len(rows), noun)}"
        chosen = [entry.id for entry in rows]
        if self._on_bases:
            delete_bases(self.services, self, chosen, text)
        else:
            self.delete(ADAPTERS, chosen, text)

    def open_item(self, argument: object) -> None:
        """See the class."""
        if isinstance(argument, dict):
            argument = argument.get("adapter") or argument.get("base")
        self._wanted = str(argument or "")
        self.reload()
