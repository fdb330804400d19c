"""The dialog that has one turn written anew, with its price; and the word on how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from PySide6.QtCore import QTimer, Slot

from app.services import Services
from core.conversations import store as conversations
from core.conversations import versions
from core.db import Database
from core.events import Changed
from core.generation import store as batches
from core.generation.rewrite import Offer, Writer, create_rewrite, offer, usual_writer, writers
from core.jobs import Job, JobState
from core.workspace import settings
from core.workspace.paths import Workspace
from ui.dialogs.api_key import ApiKeyDialog, KeyState, read_key_state
from ui.dialogs.terms import TERMS_SETTING, TermsDialog
from ui.dialogs.writing import WritingDialog
from ui.format import usd
from ui.pages.conversations.data import Detail
from ui.pages.conversations.edit import undo_edit
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.forms import Form, choice, text_area
from ui.widgets.page import Page

LINES, WISH_LINES = 6, 3
PRICE_MS = 300
TITLE_CHARACTERS = 30
SENT = "This conversation, your wish and your consultant profile are sent to Claude."


@dataclass(frozen=True)
class _Start:
    writers: Sequence[Writer]
    usual: Writer | None
    terms_read: bool


def _read_start(db: Database, workspace: Workspace, ident: str) -> _Start:
    known = writers(db)
    return _Start(known, usual_writer(db, workspace, ident, known), bool(settings.get(db, TERMS_SETTING, False)))


class RegenerateDialog(WritingDialog):
    """Asks who writes and what is to be different, shows the price, and queues it."""

    def __init__(self, page: Page, detail: Detail, number: int) -> None:
        super().__init__(page, page.services, f"Regenerate turn {number}")
        self.setObjectName("regenerate_dialog")
        self._detail, self._number = detail, number
        self._writers: Sequence[Writer] = ()
        self._key: KeyState | None = None
        self._terms_read = False
        self._offer: Offer | None = None
        self._asked = 0
        turn = detail.turns[number - 1]
        who = detail.speaker(turn.role)
        now = text_area(turn.content or "No answer yet.", LINES)
        now.setReadOnly(True)
        now.setAccessibleName("Words of the turn now")
        self.wish = text_area("", WISH_LINES)
        self.wish.setObjectName("wish")
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(PRICE_MS)
        self._soon.timeout.connect(self._price)
        self.form = Form()
        self.writer = choice([])
        self.form.add("writer", "Who writes", self.writer)
        self.form.add("wish", "What should change", self.wish, "Optional: shorter, warmer, ask about the deadline…")
        self.price = label("", "caption", wrap=True, name="rewrite_price")
        for widget in (self.banners, label(f"{who}, turn {number}", "section"), now, self.form, self.price):
            self.body.addWidget(widget)
        self.start = Button("Regenerate", "main", "ph.arrows-clockwise", on_click=self._begin, name="regenerate")
        self.set_buttons(self.start)
        self.hold("Models are still loading.")
        self.setMinimumWidth(theme().sizes.inspector + theme().sizes.label)
        workspace, ident = self.services.workspace, detail.row.id
        self.services.read(self, lambda db: _read_start(db, workspace, ident), self._fill, self.failed)
        self.services.run(self, read_key_state, self._on_key)

    def _fill(self, start: _Start) -> None:
        self._writers, self._terms_read = start.writers, start.terms_read
        box = self.writer
        box.blockSignals(True)
        for writer in start.writers:
            box.addItem(writer.label, writer)
        box.setCurrentIndex(start.writers.index(start.usual) if start.usual is not None else -1)
        box.blockSignals(False)
        box.currentIndexChanged.connect(self._price)
        self.wish.textChanged.connect(self._on_wish)
        self.wish.setFocus()
        self._price()

    @property
    def chosen(self) -> Writer | None:
        """Who is to write."""
        index = self.writer.currentIndex()
        return self._writers[index] if 0 <= index < len(self._writers) else None

    # The price

    @Slot()
    def _on_wish(self) -> None:
        self._forget_price()
        self._soon.start()

    def _forget_price(self) -> None:
        """What was worked out is not what would be asked now."""
        self._asked += 1
        self._offer = None
        self.hold("The price is being worked out.")

    @Slot()
    def _price(self) -> None:
        writer = self.chosen
        self._soon.stop()
        self._forget_price()
        if writer is None:
            self.hold("Choose who writes.")
            return
        asked, workspace, ident, number = self._asked, self.services.workspace, self._detail.row.id, self._number
        wish = self.wish.toPlainText()

        def show(offered: Offer) -> None:
            if asked == self._asked:
                self._show_offer(offered)

        def failed(exc: Exception) -> None:
            if asked == self._asked:
                self.price.setText("")
                self.start.setText("Regenerate")
                self.failed(exc)
                self.hold("Choose someone else to write it.")
                self.adjustSize()

        self.services.read(
            self, lambda db: offer(db, workspace, ident, number, writer.provider, writer.model, wish), show, failed
        )

    def _show_offer(self, offered: Offer) -> None:
        self._offer = offered
        self.banners.clear()
        self.hold("")
        if not offered.paid:
            self.price.setText("Free: written on this computer; nothing leaves it.")
            self.start.setText("Regenerate")
            return
        cap = offered.settings.cap
        if offered.usd is None or cap is None:
            self.price.setText(f"The price of this model is not known, so there is no cap. {SENT}")
            self.start.setText("Regenerate")
        else:
            self.price.setText(f"About {usd(offered.usd)}, never more than {usd(cap)}. {SENT}")
            self.start.setText(f"Regenerate, about {usd(offered.usd)}")

    # The start

    def _on_key(self, state: KeyState) -> None:
        self._key = state

    def _begin(self) -> None:
        writer, offered = self.chosen, self._offer
        if writer is None or offered is None or self.wish.toPlainText() != offered.target.wish:
            return
        if writer.paid and self._key is not None and not self._key.there:
            self._ask_key(self._key)
        elif writer.paid and not self._terms_read:
            asked = TermsDialog(self, f"This is shown once. {SENT} Nothing else leaves this computer.")
            asked.agreed.connect(self._on_agreed)
            asked.open()
        else:
            self._create(offered)

    def _ask_key(self, state: KeyState) -> None:
        if not state.can_store:
            self.hold(state.words)
            self.press_primary()
            return
        asked = ApiKeyDialog(self, self.services)
        asked.stored.connect(self._on_stored)
        asked.open()

    @Slot()
    def _on_stored(self) -> None:
        self.services.run(self, read_key_state, self._on_key)

    @Slot()
    def _on_agreed(self) -> None:
        self._terms_read = True
        moment = datetime.now(UTC).isoformat()
        self.services.write(self.services.root, lambda db: settings.put(db, TERMS_SETTING, moment))
        self._begin()

    def _create(self, offered: Offer) -> None:
        title, workspace, target = self._detail.row.title, self.services.workspace, offered.target
        writer = self.chosen
        assert writer is not None

        def create(db: Database) -> tuple[Changed, Job]:
            # As the conversation is now, for no more than what was shown.
            now = offer(
                db, workspace, target.conversation_id, target.number, writer.provider, writer.model, target.wish
            )
            now = replace(now, settings=replace(now.settings, max_cost_usd=offered.settings.max_cost_usd))
            return Changed.JOBS | Changed.GENERATION, create_rewrite(db, now, title)

        self.write(create, self._on_created)

    def _on_created(self, job: Job) -> None:
        follow(self.services, job, self._detail, self._number)
        self.services.queue.kick()
        self.accept()


@dataclass(frozen=True)
class _Outcome:
    """What became of it: `now` is the version in force."""

    done: bool
    trashed: bool
    now: int | None
    error: Exception | None


def shortened(title: str) -> str:
    """A title for a notice."""
    return title if len(title) <= TITLE_CHARACTERS else f"{title[: TITLE_CHARACTERS - 1].rstrip()}…"


def follow(services: Services, job: Job, detail: Detail, number: int) -> None:
    """Say how it ended, wherever the user is by then: with Undo, or with what went wrong."""
    ident, newest = detail.row.id, max((version.version for version in detail.versions), default=1)
    before = next((version.version for version in detail.versions if version.current), 1)

    title = shortened(detail.row.title)

    def read(db: Database) -> _Outcome:
        failure = next(iter(batches.failures(db, job.id)), None)
        done = bool(batches.items(db, job.id, status="completed"))
        found = conversations.get(db, ident)
        now = next((version.version for version in versions.versions(db, found) if version.current), None)
        return _Outcome(done, found.deleted_at is not None, now, failure.error if failure is not None else None)

    def show(outcome: _Outcome) -> None:
        if outcome.done and outcome.trashed:
            services.notifier.say(f"Turn {number} of “{title}” regenerated; that conversation is in the trash")
        elif outcome.done:
            # Something else may have been edited since: going back would take that along.
            undo = (lambda: undo_edit(services, ident, before, newest + 1)) if outcome.now == newest + 1 else None
            services.notifier.say(f"Turn {number} of “{title}” regenerated", undo)
        elif outcome.error is not None:
            services.notifier.report(outcome.error, "conversations")

    def ended(found: Job) -> None:
        if found.status is JobState.COMPLETED:
            services.read(services.root, read, show)

    services.speaks_for(job.id)
    services.when_finished(job.id, services.root, ended)
