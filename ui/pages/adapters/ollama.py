"""What Ollama has, how it is, and what can be done with it: start it, pull a model, take one as a base, delete one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

import shiboken6
from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from app.services import Services
from core import memory
from core.adapters import shares
from core.errors import AppError
from core.inference.arbiter import base_needs
from core.inference.ollama.seen import PRACTICE_NAME, OllamaModel, Seen, State
from core.loopback import is_loopback
from ui import format as fmt
from ui.dialogs.base import Dialog, confirm
from ui.models.rows import Column, RowModel, Status
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, label, row
from ui.widgets.chip import StatusPill
from ui.widgets.empty import EmptyState
from ui.widgets.fit_columns import FitColumns
from ui.widgets.forms import text_field
from ui.widgets.table import TableView

STATES = {
    State.RUNNING: Status("ok", "Running"), State.STOPPED: Status("neutral", "Not running"),
    State.ABSENT: Status("neutral", "Not installed"), State.HUNG: Status("warn", "No answer"),
    State.OTHER: Status("bad", "Not Ollama"),
}  # fmt: skip
STARTING, LOOKING = Status("busy", "Starting"), Status("busy", "Looking")
BASE, SHARED, IN_STORE, TOO_LARGE, ALONE = (
    Status("ok", "Base here"), Status("ok", "Shared adapter"), Status("neutral", "In Ollama"),
    Status("warn", "Too large"), Status("neutral", "Ollama only"),
)  # fmt: skip
ABOUT = (
    "A model that is used as a base answers here with your adapters, over Ollama's own file: nothing is copied, and "
    "an adapter is changed without loading the base again. With one that says “Ollama only” Ollama itself answers, "
    "without adapters."
)
EXAMPLE = "qwen3:4b"


@dataclass(frozen=True)
class ModelRow:
    """A model of Ollama's for the table; `base_id` where it is a base of this workspace."""

    model: OllamaModel
    base_id: str = ""
    shared: bool = False

    @property
    def id(self) -> str:
        """For tables."""
        return self.model.name

    @property
    def status(self) -> Status:
        """What can be done with it."""
        if self.base_id:
            return BASE
        if self.shared:
            return SHARED
        if self.model.format != "gguf":
            return ALONE
        return IN_STORE if base_needs(self.model.size_bytes) <= memory.read().budget else TOO_LARGE


COLUMNS = (
    Column("name", "Model", role="strong", value=lambda r: r.model.name),
    Column("parameters", "Parameters", "999.9M", "right", value=lambda r: r.model.parameters or "–"),
    Column("quantization", "Quantization", "Q4_K_M", role="muted", value=lambda r: r.model.quantization or "–"),
    Column("size", "Size", "999.9 MB", "right", fmt.size, value=lambda r: r.model.size_bytes),
    Column("status", "State", (BASE, SHARED, IN_STORE, TOO_LARGE, ALONE), formatter=lambda status: status,
           role="status", value=lambda r: r.status),
)  # fmt: skip


def pill_of(seen: Seen | None, *, starting: bool = False) -> Status:
    """How it is, in a word or two."""
    if starting:
        return STARTING
    return STATES[seen.state] if seen is not None else LOOKING


def state_words(seen: Seen | None) -> str:
    """Where it is, and what it holds in memory."""
    if seen is None:
        return "Asking Ollama…"
    if seen.error is not None:
        return f"{seen.error.message} {seen.error.hint}"
    where = "on this computer" if is_loopback(seen.address) else f"at {seen.address}"
    held = ", ".join(one.name for one in seen.held)
    holds = f"holds {held} in {fmt.size(seen.held_bytes)} of memory" if held else "holds nothing in memory"
    # A build from source has no number.
    number = f"Ollama {seen.version}" if seen.version.strip("0.") else "Ollama"
    return f"{number} {where} · {holds}"


class OllamaDialog(Dialog):
    """`wanted(kind, params, title)` for a job. `bases` are ids of bases by the name that Ollama knows them by.

    `used` says of such an id what rests on it, in words; `shared` are names of adapters that were shared from here.
    """

    wanted = Signal(str, object, str)

    def __init__(
        self,
        parent: QWidget,
        services: Services,
        bases: Mapping[str, str],
        used: Mapping[str, str],
        shared: Collection[str] = (),
    ) -> None:
        super().__init__(parent, "Ollama")
        self.setObjectName("ollama_dialog")
        self._services, self._bases, self._used = services, dict(bases), dict(used)
        self._shared = frozenset(shared)
        self._host = services.ollama
        self._build()
        self._host.changed.connect(self._show)
        sizes = theme().sizes
        wide = min(2 * sizes.inspector + sizes.label, parent.window().width() - 2 * sizes.margin)
        self.resize(wide, min(2 * sizes.sidebar + sizes.label, parent.window().height()))
        self._show()

    def _build(self) -> None:
        self.pill, self.state = StatusPill(LOOKING), label("", "muted", wrap=True, name="ollama_state")
        self.start = Button("Start Ollama", "", "ph.play", on_click=self._start, name="start_ollama")
        self.halt = Button("Stop", "", "ph.stop", on_click=self._host.stop_starting, name="stop_starting")
        self.banners = BannerArea()
        self.model = RowModel(COLUMNS, self)
        self.table = TableView(self.model, "ollama_table", "Models in Ollama")
        FitColumns(self.table, ("parameters", "quantization", "size"))
        self.table.selection_changed.connect(self._judge)
        self.table.opened.connect(lambda _row: self._use())
        self.empty = EmptyState("ph.package", "No model is in Ollama's store yet. Pull one by its name below.",
                                title="Nothing pulled yet")  # fmt: skip
        self.name = text_field("", EXAMPLE)
        self.name.setObjectName("pull_name")
        self.name.setAccessibleName("Name of a model to pull")
        self.name.textChanged.connect(self._judge)
        self.name.returnPressed.connect(self._pull)
        self.pull = Button("Pull", "", "ph.download-simple", on_click=self._pull, name="pull_model",
                           tip="Fetch it from Ollama's registry, and take it as a base")  # fmt: skip
        self.delete = Button("Delete…", "", "ph.trash", on_click=self._delete, name="delete_from_ollama",
                             tip="Delete it from Ollama's store")  # fmt: skip
        head = row(self.pill, self.state, self.start, self.halt, stretch=self.state)
        for part in (head, self.banners, self.table, self.empty):
            self.body.addWidget(part, 1 if part in (self.table, self.empty) else 0)
        self.pull_row = row(label("Pull a model", "caption"), self.name, self.pull, stretch=self.name)
        self.about, self._rest = label(ABOUT, "muted", wrap=True), QWidget()
        self.body.addWidget(self.pull_row)
        self.body.addWidget(self.about)
        self.body.addWidget(self._rest, 1)
        self.practice = Button(
            "Put the practice model in", "link", on_click=self._put_practice, name="practice_to_ollama",
            tip="A tiny model, for trying the way without a download",
        )  # fmt: skip
        self.use = Button("Use as base", "main", "ph.plus", on_click=self._use, name="use_model")
        self.set_buttons(self.use, self.delete, self.practice, cancel="Close")

    @property
    def typed(self) -> bool:
        # A name is quickly typed again.
        return False

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._host.watch(self)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._host.watch(self, on=False)

    def _row(self, model: OllamaModel) -> ModelRow:
        return ModelRow(model, self._bases.get(model.name, ""), model.name in self._shared)

    @Slot()
    def _show(self) -> None:
        seen, starting = self._host.seen, self._host.starting
        running = seen is not None and seen.state is State.RUNNING
        self.pill.set_status(pill_of(seen, starting=starting))
        self.state.setText("Waiting for its first answer…" if starting else state_words(seen))
        can_start = seen is not None and seen.state is State.STOPPED and is_loopback(seen.address) and seen.program
        self.start.setVisible(bool(can_start) and not starting)
        self.halt.setVisible(starting)
        rows = [self._row(one) for one in seen.models] if seen is not None else []
        chosen = self.table.current()
        self.model.set_rows(rows)
        if chosen is not None:
            self.table.select_id(chosen.id)
        if self.table.current() is None and rows:
            self.table.step(0)
        self.table.setVisible(bool(rows))
        self.empty.setVisible(running and not rows)
        for part in (self.pull_row, self.about, self.delete):
            part.setVisible(running)
        self._rest.setVisible(not running)
        self.practice.setVisible(running and seen is not None and seen.model(PRACTICE_NAME) is None)
        self._judge()

    @Slot()
    def _judge(self, *_args: object) -> None:
        chosen = self.table.current()
        self.delete.setEnabled(chosen is not None)
        self.pull.setEnabled(bool(self.name.text().strip()))
        if chosen is None:
            self.hold("Choose a model of the list first.")
        elif chosen.base_id:
            self.hold(f"{chosen.model.name} is a base here already.")
        elif chosen.shared:
            self.hold(f"{chosen.model.name} is an adapter that was shared from here; use its base.")
        else:
            self.hold("")

    # What is done

    def _start(self) -> None:
        self.banners.clear()
        self._host.start(self._on_failed)

    @Slot()
    def _use(self) -> None:
        chosen = self.table.current()
        if chosen is not None and self.use.isEnabled():
            self._want("take_ollama", chosen.model.name, f"Adding {chosen.model.name}")

    @Slot()
    def _pull(self) -> None:
        name = self.name.text().strip()
        if name and self.pull.isVisible():
            self._want("pull_ollama", name, f"Pulling {name}")

    def _put_practice(self) -> None:
        self._want("practice_to_ollama", PRACTICE_NAME, "Putting the practice model into Ollama")

    def _want(self, kind: str, name: str, title: str) -> None:
        params = {"name": name, "address": self._host.address, "pull": kind == "pull_ollama"}
        self.wanted.emit(kind, params, title)
        self.accept()

    def _delete(self) -> None:
        chosen = self.table.current()
        if chosen is None:
            return
        name = chosen.model.name
        uses = self._used.get(chosen.base_id, "") if chosen.base_id else ""
        hint = f"It can be pulled again; {fmt.size(chosen.model.size_bytes)} at most become free."
        if chosen.base_id:
            hint = f"It is a base here, used by {uses or 'nothing'}: without its file it can't answer. {hint}"
        confirm(self, "Delete from Ollama", f"{name} is deleted from Ollama's store, for every program that uses it.",
                "Delete", lambda: self._host.delete(name, partial(self._on_deleted, name), self._on_failed),
                hint=hint)  # fmt: skip

    def _on_failed(self, exc: Exception) -> None:
        # It may have been closed meanwhile.
        if isinstance(exc, AppError) and shiboken6.isValid(self) and self.isVisible():
            self.banners.show_error(exc)
        else:
            self._services.notifier.report(exc)

    def _on_deleted(self, name: str) -> None:
        address = self._host.address
        # What was shared under that name is shared no more.
        self._services.write(self._services.root, lambda db: shares.drop(db, name, address))
        if shiboken6.isValid(self):
            self.banners.clear()
