"""The plan's work: changes one after the other, its price, and the start of a batch."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QFileDialog

from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.generation.create import create_batch, library_json, provider_of
from core.generation.draft import Draft, Line
from core.generation.models import SETTING as MODEL_SETTING
from core.generation.plan import MAX_ITEMS, Library, Plan
from core.generation.plan_file import read_plan
from core.generation.sampling import Matrix, counts, coverage, gaps, planned_before_words
from core.generation.settings import PROVIDER_SETTING
from core.jobs import Job
from core.workspace import secrets, settings
from ui.dialogs.api_key import ApiKeyDialog, KeyState, read_key_state
from ui.dialogs.base import confirm
from ui.dialogs.terms import TERMS_SETTING, TermsDialog
from ui.format import plural, usd
from ui.pages.generate.add_dialogs import AddOneDialog, MatrixDialog
from ui.pages.generate.asked import Asked
from ui.pages.generate.data import CAP_SETTING, GAP_AT_LEAST, Priced, Snapshot, coverage_of, read_priced
from ui.pages.generate.kept import DRAFT_SETTING, MOST_KEPT, fingerprint, put, read_kept, settle_model
from ui.pages.generate.plan_view import BY_TOPIC, PlanView
from ui.pages.generate.side import PlanSide
from ui.pages.generate.start_dialogs import CountDialog
from ui.widgets.page import Page

SENT = (
    "This is shown once. Scaffolding and your consultant profile are sent to Claude, and a conversation of yours only"
    " if you choose to send one as an example. Nothing else leaves this computer."
)
COUNTED = 3
Change = Callable[[Database, Library, Draft], Draft]


class PlanDesk(QObject):
    """Holds the draft; `changed()` when what can be started changed, `started(job id)`, `told(notice)`."""

    changed = Signal()
    told = Signal(str)
    started = Signal(str)

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page, self._services = page, page.services
        self.draft = Draft()
        self.snapshot: Snapshot | None = None
        self.priced: Priced | None = None
        self.key: KeyState | None = None
        self.starting = False
        self._changes: deque[Change] = deque()
        self._changing = self._restored = False
        self._counted: tuple[str, tuple[int, ...]] = ("", ())
        self._model = ""
        self.asked = Asked()
        self.view, self.side = PlanView(self._services), PlanSide(self.asked)
        self._connect()

    def _connect(self) -> None:
        view, who, price = self.view, self.side.who, self.side.price
        # By the event loop: a change of the draft is worked out on another thread.
        self.told.connect(self._tell)
        view.fill_wanted.connect(self.fill_gaps)
        view.cell_wanted.connect(self._on_cell)
        view.one_wanted.connect(lambda: self._add_dialog(AddOneDialog))
        view.matrix_wanted.connect(lambda: self._add_dialog(MatrixDialog))
        view.file_wanted.connect(self._choose_file)
        view.remove_wanted.connect(self._on_remove)
        view.count_wanted.connect(self._on_count)
        view.line_chosen.connect(self._show_asked)
        view.view_changed.connect(self._show_coverage)
        who.changed.connect(self._price)
        who.key_wanted.connect(self.add_key)
        price.cap_changed.connect(self._on_cap)
        price.count_wanted.connect(self._count_prompts)
        price.follow.connect(self._services.navigator.follow)
        self.asked.template_wanted.connect(
            lambda key: self._services.navigator.open_page("scaffolding", {"kind": "template", "key": key})
        )

    # What there is

    def show_snapshot(self, found: Snapshot) -> None:
        """Other numbers from the workspace; the draft stays."""
        self.snapshot = found
        who = self.side.who
        who.set_choices(found.models, self._model, found.bases, found.base_id)
        self.side.price.set_cap(found.cap)
        self._show_coverage()
        if not self._restored:
            self._restored = True
            self._page.read(read_kept, self._restore, "kept")
            self._services.write(self._page, settle_model, self._on_model)
            self.read_key()
        self._price()

    def _restore(self, found: tuple[Draft, str]) -> None:
        draft, provider = found
        if provider:
            self.side.who.choose_provider(provider)
        if draft.items and not self.draft.items:
            self._set_draft(draft, keep=False)

    def _on_model(self, found: tuple[str, str]) -> None:
        self._model, notice = found
        if self.snapshot is not None:
            self.side.who.set_choices((), "", (), "")
            self.side.who.set_choices(
                self.snapshot.models, self._model, self.snapshot.bases, self.snapshot.base_id
            )  # fmt: skip
        if notice:
            self._services.notifier.say(notice)
        self._price()

    def read_key(self) -> None:
        """Ask the keychain, which may take its time."""
        self._services.run(self._page, read_key_state, self._on_key)

    def _on_key(self, state: KeyState) -> None:
        self.key = state
        self.side.who.show_key(state)
        self.changed.emit()

    @Slot()
    def add_key(self) -> None:
        """The dialog; what it stores is used at once."""
        dialog = ApiKeyDialog(self._page, self._services)
        dialog.stored.connect(self.read_key)
        dialog.open()

    def _ask_key(self, state: KeyState) -> None:
        if state.can_store:
            self.add_key()
        else:
            self._page.show_error(secrets.no_keychain())

    @Slot()
    def _show_coverage(self) -> None:
        found = self.snapshot
        if found is not None:
            by_topic = self.view.view.current == BY_TOPIC
            self.view.show_coverage(coverage_of(found, self.draft, by_topic=by_topic), self.missing)

    # Changes of the draft, one after the other: two quick clicks are two conversations

    def change(self, change: Change) -> None:
        """Queue a change; it is drawn off the GUI thread."""
        self._changes.append(change)
        self._next_change()

    def _next_change(self) -> None:
        if self._changing or not self._changes:
            return
        self._changing = True
        change, draft = self._changes.popleft(), self.draft
        self._services.read(self._page, lambda db: _changed(db, change, draft), self._on_change, self._on_change_failed)

    def _on_change(self, draft: Draft) -> None:
        self._changing = False
        self._set_draft(draft)
        self._next_change()

    def _on_change_failed(self, exc: Exception) -> None:
        self._changing = False
        self._services.notifier.report(exc, self._page)
        self._next_change()

    def _set_draft(self, draft: Draft, *, keep: bool = True) -> None:
        self.draft = draft
        if keep:
            kept = draft.plan().to_json() if len(draft.items) <= MOST_KEPT else {}
            self._page.write(lambda db: put(db, {DRAFT_SETTING: kept}))
        self._show_coverage()
        self._price()

    @Slot()
    def fill_gaps(self) -> None:
        """As many as are missing beside what is planned, at least ten; once, however often it is clicked."""
        missing = self.missing
        if self._changing or (self.draft.items and not missing):
            return
        total = max(10, missing)
        self.change(lambda db, library, draft: draft.with_gaps(db, library, total))

    @property
    def missing(self) -> int:
        """Conversations that are missing in the library's cells and not planned yet."""
        found = self.snapshot
        return gaps(found.library, found.by_arc, GAP_AT_LEAST, self.draft.items) if found is not None else 0

    @Slot(str, str)
    def _on_cell(self, row_key: str, column_key: str) -> None:
        by_topic = self.view.view.current == BY_TOPIC

        def add(db: Database, library: Library, draft: Draft) -> Draft:
            arcs = [arc for arc in library.arcs if library.templates_for(arc)]
            if by_topic:
                matrix = Matrix([library.persona(column_key)], arcs, [library.topic(row_key)], total=1)
            else:
                matrix = Matrix([library.persona(row_key)], [library.arc(column_key)], library.topics, total=1)
            return draft.with_matrix(db, library, matrix)

        self.change(add)

    def _add_dialog(self, kind: type[AddOneDialog] | type[MatrixDialog]) -> None:
        if self.snapshot is not None:
            dialog = kind(self._page, self.snapshot.library)
            dialog.chosen.connect(self._on_matrix)
            dialog.open()

    @Slot(object)
    def _on_matrix(self, matrix: Matrix) -> None:
        self.change(lambda db, library, draft: draft.with_matrix(db, library, matrix))

    @Slot(object)
    def _on_remove(self, lines: Sequence[str]) -> None:
        before = self.draft
        self.change(lambda _db, _library, draft: draft.without(lines))
        gone = sum(1 for line in (self.priced.lines if self.priced else ()) if line.id in lines)
        words = "1 line removed from the plan" if gone == 1 else f"{gone} lines removed from the plan"
        self._services.notifier.say(words, lambda: self.change(lambda _db, _library, _draft: before))

    @Slot(object)
    def _on_count(self, line: Line) -> None:
        title = f"{line.persona} · {line.arc} · {line.topic}"
        dialog = CountDialog(self._page, title, line.count, MAX_ITEMS)
        dialog.chosen.connect(
            lambda count: self.change(lambda db, library, draft: draft.resized(db, library, line.id, count))
        )
        dialog.open()

    @Slot(str)
    def _tell(self, text: str) -> None:
        self._services.notifier.say(text)

    def _choose_file(self) -> None:
        dialog = QFileDialog(self._page, "Open plan")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(["Plans (*.json)", "All files (*)"])
        dialog.fileSelected.connect(lambda name: self.open_plan(Path(name)))
        dialog.open()

    def open_plan(self, path: Path) -> None:
        """Add what a plan file asks for."""

        def add(db: Database, library: Library, draft: Draft) -> Draft:
            plan = read_plan(path, library, counts(coverage(db)))
            known = {item.id: item for item in draft.items}
            # Ids that the file leaves open begin with the same one in every file.
            fresh = tuple(
                replace(item, id=uuid.uuid4().hex) if item.id in known else item
                for item in plan.items
                if known.get(item.id) != item
            )
            left = len(plan.items) - len(fresh)
            words = [f"{plural(left, 'conversation')} of it planned already." if left else "",
                     planned_before_words(db, Plan(fresh))]  # fmt: skip
            if any(words):
                self.told.emit(" ".join(filter(None, words)))
            return Draft((*draft.items, *fresh), draft.name or plan.name)

        self.change(add)

    # The price

    @Slot()
    def _on_cap(self) -> None:
        price = self.side.price
        if price.form.valid:
            text = price.cap.text().strip()
            price.cap.setModified(False)
            self._page.write(lambda db: settings.put(db, CAP_SETTING, text))
            self._price()
        self.changed.emit()

    @Slot()
    def _price(self) -> None:
        if self.snapshot is None:
            return
        wanted = self.side.who.settings(self.side.price.value)
        draft, workspace = self.draft, self._services.workspace
        asked, tokens = self._counted
        counted = tokens if asked == fingerprint(draft.items[:COUNTED], wanted.model, wanted.mode) else ()
        self._page.read(
            lambda db: read_priced(db, workspace, draft, wanted, counted), self._show_priced, "price"
        )  # fmt: skip

    def _show_priced(self, priced: Priced) -> None:
        self.priced = priced
        self.view.show_draft(priced.draft, priced.lines)
        self.side.price.show_price(priced, paid=self.side.who.paid)
        self.side.who.show_notice(priced.notice)
        self._show_asked(self.view.table.current())
        self.changed.emit()

    @Slot(object)
    def _show_asked(self, line: object) -> None:
        library = self.snapshot.library if self.snapshot is not None else None
        shown = line if isinstance(line, Line) else None
        self.asked.show_line(shown, library, self.priced.settings if self.priced is not None else None)

    @Slot()
    def _count_prompts(self) -> None:
        priced, found = self.priced, self.snapshot
        if priced is None or found is None or not priced.draft.items:
            return
        items = list(priced.draft.items[:COUNTED])
        part = Draft(tuple(items)).plan()
        params: dict[str, Any] = {
            "ask": "count", "model": priced.settings.model, "settings": priced.settings.to_json(),
            "library": library_json(part, found.library), "items": [item.to_json() for item in items],
        }  # fmt: skip
        print_ = fingerprint(items, priced.settings.model, priced.settings.mode)
        self.side.price.count.setEnabled(False)

        def done(job: Job | None = None) -> None:
            self.side.price.count.setEnabled(True)
            tokens = job.result.get("tokens") if job is not None else None
            if tokens and all(tokens):
                self._counted = (print_, tuple(int(value) for value in tokens))
                self._price()

        self._services.start_job("ask_claude", "Counting prompts", params, done, self, refused=done)

    # The start

    @property
    def held(self) -> str:
        """Why the plan can't be started, "" if it can."""
        priced = self.priced
        if priced is None or priced.draft is not self.draft:
            return "The price is being worked out"
        if not self.draft.items:
            return "Add conversations to the plan first"
        if priced.error is not None:
            return priced.error.message
        return "" if self.side.price.form.valid or not self.side.who.paid else "The spending cap is not an amount"

    @property
    def start_words(self) -> str:
        """ "Start 40, about $2.31"."""
        priced = self.priced
        words = f"Start {len(self.draft.items):,}" if self.draft.items else "Start"
        if priced is None or priced.estimate is None or not self.side.who.paid:
            return words
        return f"{words}, about {usd(priced.estimate.usd)}" if priced.estimate.usd is not None else words

    def start(self) -> None:
        """Ask what has to be asked, then queue the batch."""
        if self.starting or self.held or self.snapshot is None:
            return
        if self.side.who.paid and self.key is not None and not self.key.there:
            self._ask_key(self.key)
        elif self.side.who.paid and not self.snapshot.terms_read:
            dialog = TermsDialog(self._page, SENT)
            dialog.agreed.connect(self._on_agreed)
            dialog.open()
        elif self.side.who.paid and self.side.price.value is None:
            words = f"{len(self.draft.items):,} conversations are written whatever they cost."
            confirm(self._page, "Start without a cap", "There is no spending cap.", "Start without a cap", self._begin,
                    hint=words)  # fmt: skip
        else:
            self._begin()

    @Slot()
    def _on_agreed(self) -> None:
        if self.snapshot is not None:
            self.snapshot = replace(self.snapshot, terms_read=True)
        self._page.write(lambda db: settings.put(db, TERMS_SETTING, datetime.now(UTC).isoformat()))
        self.start()

    def _begin(self) -> None:
        priced = self.priced
        if priced is None or self.starting:
            return
        self.starting = True
        self.changed.emit()
        workspace, draft = self._services.workspace, self.draft
        wanted = self.side.who.settings(self.side.price.value)
        estimate = priced.estimate.to_json() if priced.estimate is not None else None

        def create(db: Database) -> tuple[Changed, Job]:
            job = create_batch(db, workspace, draft.plan(), wanted, name=draft.name, estimate=estimate)
            kept: dict[str, Any] = {DRAFT_SETTING: {}, PROVIDER_SETTING: wanted.provider}
            if provider_of(wanted.provider).paid:
                kept[MODEL_SETTING] = wanted.model
            return put(db, kept) | Changed.JOBS | Changed.GENERATION, job

        self._services.write(self._page, create, self._on_created, self._on_refused)

    def _on_created(self, job: Job) -> None:
        self.starting = False
        self._set_draft(Draft(), keep=False)
        self._services.queue.kick()
        self.started.emit(job.id)

    def _on_refused(self, exc: Exception) -> None:
        self.starting = False
        self.changed.emit()
        self._services.notifier.report(exc, self._page)


def _changed(db: Database, change: Change, draft: Draft) -> Draft:
    try:
        return change(db, Library.of(db), draft)
    except KeyError as exc:
        raise AppError(
            "no_such_scaffolding", f"There is no active entry {exc.args[0]!r} in the library any more.",
            hint="Switch it on again, or plan without it.", action="page:scaffolding",
        ) from exc  # fmt: skip
