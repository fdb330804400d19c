"""The conversation beside the table: who and what, scores, its turns, its report, and the review."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from core.conversations.parse import Turn
from core.conversations.store import Conversation, ReviewStatus
from ui import format as fmt
from ui.pages.conversations.arc_curve import ArcView
from ui.pages.conversations.badges import Badges
from ui.pages.conversations.data import ENRICHMENT_WORDS, REVIEW_WORDS, Detail, enrichment_of, state_words
from ui.pages.conversations.enrichment_report import ReportView
from ui.pages.conversations.rate import CRITERIA_WORDS
from ui.pages.conversations.tags import TagRow
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, plain_tip, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.flow import Flow
from ui.widgets.forms import text_area
from ui.widgets.message_text import MessageText
from ui.widgets.scroll import ScrollColumn
from ui.widgets.segments import Segments
from ui.words.scaffolding import tier_word

TURNS_AT_ONCE = 40
CHARACTERS_AT_ONCE = 1500
TITLE_SHOWN = 120
NOTES_MS = 700


class TurnCard(Card):
    """One turn of a conversation; the client's is tinted. `show_turn` puts another one of that role in."""

    def __init__(self, role: str, edit: Callable[[int], object], again: Callable[[int], object]) -> None:
        self.turn_role = role
        self._number = 0
        super().__init__("", gap=theme().sizes.half, role="tint" if role == "user" else "card")
        sizes = theme().sizes
        self.body.setContentsMargins(sizes.grid + 4, sizes.grid + 2, sizes.grid + 4, sizes.grid + 2)
        self._who = label("", "strong")
        self._place = ElidedLabel("", "caption")
        self._place.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.edit = Button("", "ghost", "ph.pencil-simple", on_click=lambda: edit(self._number), name="edit_turn")
        self.again = Button(
            "", "ghost", "ph.arrows-clockwise", on_click=lambda: again(self._number), name="regenerate_turn"
        )
        self.add(row(self._who, self._place, self.again, self.edit, stretch=self._place))
        # Laying out a text costs with its length, at every resize.
        self.text = MessageText(markdown=False, at_once=CHARACTERS_AT_ONCE)
        self._missing = label("No answer yet. The turn is kept but not trained on.", "muted", wrap=True)
        self.add(self.text)
        self.add(self._missing)

    def show_turn(self, number: int, who: str, turn: Turn, remark: str, *, under_way: bool = False) -> None:
        """Another turn, from its start, said by `who`; `under_way` while it is being regenerated."""
        self._who.setText(who)
        self._number = number
        self.setObjectName(f"turn_{number}")
        for button, verb in ((self.edit, "Edit"), (self.again, "Regenerate")):
            button.setToolTip(f"{verb} turn {number}")
            button.setAccessibleName(f"{verb} turn {number}")
            button.setEnabled(not under_way)
        remark = "being regenerated" if under_way else remark
        self._place.setText(" · ".join(part for part in (f"turn {number}", remark) if part))
        missing = turn.content is None
        self._missing.setVisible(missing)
        self.text.setVisible(not missing)
        self.text.start_text(turn.content or "")
        words = self._missing.text() if missing else turn.content
        self.setAccessibleName(f"{who}, turn {number}: {words}")

    @property
    def remark(self) -> str:
        """What stands beside the turn."""
        return self._place.text()

    def put_away(self) -> None:
        """It shows no turn for now."""
        self.hide()
        self.setObjectName("")


class TurnList(ScrollColumn):
    """The turns as cards; long conversations are built in parts.

    The cards stay for the next conversation: making and styling new ones is most of what showing one costs.
    `edit_wanted(number)` and `again_wanted(number)` when the user asks to edit or regenerate a turn.
    """

    edit_wanted = Signal(int)
    again_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__(name="turns", accessible="Turns")
        self._turns: list[tuple[int, str, Turn, str, bool]] = []
        self._cards: list[TurnCard] = []
        self._shown = 0
        # It scrolls with the turns: in a low window they need the room.
        self.tags, self._arc = TagRow(), ArcView()
        self._nothing = label("", "muted", wrap=True)
        self._more = Button("", "link", on_click=self._show_more, name="more_turns")
        self.set_items(self.tags, self._arc, self._nothing, self._more)

    def show_turns(self, detail: Detail) -> None:
        """Other turns, from the top."""
        self._turns = []
        self._arc.show_arc(detail.arc)
        exchange = -1
        for number, turn in enumerate(detail.turns, start=1):
            exchange += turn.role == "user"
            remark = detail.arc.remark(turn, max(0, exchange))
            self._turns.append((number, detail.speaker(turn.role), turn, remark, number in detail.rewriting))
        self._nothing.setVisible(not self._turns)
        self._nothing.setText(
            detail.problems[0].message if detail.problems else "This conversation has no turns to show."
        )
        for card in self._cards[len(self._turns) :]:
            card.put_away()
        for card in self._cards[TURNS_AT_ONCE:]:
            card.put_away()
            card.deleteLater()
        del self._cards[TURNS_AT_ONCE:]
        self._shown = 0
        self.verticalScrollBar().setValue(0)
        self._show_more()

    def _show_more(self) -> None:
        shown = min(len(self._turns), self._shown + TURNS_AT_ONCE)
        for place in range(self._shown, shown):
            number, who, turn, remark, under_way = self._turns[place]
            card = self._card(place, turn.role)
            card.show_turn(number, who, turn, remark, under_way=under_way)
            card.show()
        self._shown = shown
        left = len(self._turns) - shown
        self._more.setText(f"Show {fmt.plural(min(left, TURNS_AT_ONCE), 'more turn')}")
        self._more.setVisible(left > 0)

    def _card(self, place: int, role: str) -> TurnCard:
        if place < len(self._cards) and self._cards[place].turn_role == role:
            return self._cards[place]
        card = TurnCard(role, self.edit_wanted.emit, self.again_wanted.emit)
        if place < len(self._cards):
            old = self._cards[place]
            self.body.replaceWidget(old, card)
            old.put_away()
            old.deleteLater()
            self._cards[place] = card
        else:
            self.body.insertWidget(self.body.indexOf(self._more), card)
            self._cards.append(card)
        return card


class Scores(QWidget):
    """The four criteria in a line."""

    def __init__(self) -> None:
        super().__init__()
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        self._values = {}
        for name, words in CRITERIA_WORDS.items():
            caption, value = label(words, "caption"), label(fmt.NOTHING, "strong", name=f"score_{name}")
            value.setFont(theme().font(tabular=True))
            self._values[name] = value
            if self._values.keys() != {name}:
                box.addStretch(1)
            box.addWidget(column(caption, value, gap=0))

    def show_row(self, found: Conversation) -> None:
        """The scores of a conversation."""
        for name, value in self._values.items():
            computed, by_hand = found.quality_criteria.get(name), found.human_criteria.get(name)
            score = computed if by_hand is None else by_hand
            value.setText(fmt.decimal(score, 1) if isinstance(score, int | float) else fmt.NOTHING)
            other = fmt.decimal(computed, 1) if isinstance(computed, int | float) else "not computed"
            told = f"By hand; computed: {other}" if by_hand is not None else ""
            value.setToolTip(told)
            value.setAccessibleName(f"{CRITERIA_WORDS[name]} {value.text()} {told}".strip())


def _left(flow: Flow) -> Flow:
    flow.align(right=False)
    return flow


class Inspector(Card):
    """Shows a `Detail`; what the user decides goes out by signals with the conversation."""

    reviewed = Signal(object, str)
    notes_changed = Signal(object, str)
    versions_wanted = Signal()
    rate_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("", gap=10)
        self.setObjectName("inspector")
        self.detail: Detail | None = None
        self._notes_of: Conversation | None = None
        self._notes_soon = QTimer(self)
        self._notes_soon.setSingleShot(True)
        self._notes_soon.setInterval(NOTES_MS)
        self._notes_soon.timeout.connect(self.flush_notes)
        self.turns, self.report = TurnList(), ReportView()
        self._nothing = label("Select a conversation to read it.", "muted", wrap=True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._all = self._build()
        self.add(self._nothing, 1)
        self.add(self._all, 1)
        self.show_nothing()

    def _build(self) -> QWidget:
        self.title = label("", "section", wrap=True, name="inspector_title")
        self.pill = StatusPill(REVIEW_WORDS[ReviewStatus.DRAFT])
        self.enriched_pill = StatusPill(ENRICHMENT_WORDS["not_started"])
        self.again = Button("Enrich again", "link", on_click=self.report.again.emit, name="enrich_edited")
        self.older = Button("", "link", on_click=self.versions_wanted.emit, name="show_versions")
        self.line = label("", "muted", wrap=True)
        self.badges, self.tags = Badges(), self.turns.tags
        self.scores = Scores()
        self.tabs = Segments({"turns": "Turns", "report": "Report"}, "Parts of the conversation", "detail_tabs")
        self.tabs.chosen.connect(self._on_tab)
        self.rate = Button("", "link", on_click=self.rate_wanted.emit, name="rate")
        self.why = Button("Show reasons", "link", on_click=self.show_why, name="why_score")
        self._views = QStackedWidget()
        self._views.addWidget(self.turns)
        self._views.addWidget(self.report)
        out = QWidget()
        box = QVBoxLayout(out)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        box.addWidget(self.title)
        box.addWidget(_left(Flow(self.pill, self.enriched_pill, self.again, self.older, gap=theme().sizes.half + 2)))
        box.addWidget(self.line)
        box.addWidget(self.badges)
        box.addWidget(self.scores)
        box.addWidget(row(self.tabs, self.rate, self.why, stretch=self.tabs))
        box.addWidget(self._views, 1)
        box.addWidget(self._review_bar())
        return out

    def _review_bar(self) -> QWidget:
        self.notes = text_area("", 2)
        self.notes.setObjectName("reviewer_notes")
        self.notes.setPlaceholderText("Notes on this conversation")
        self.notes.setAccessibleName("Reviewer's notes")
        self.notes.textChanged.connect(self._on_notes)
        self.approve = Button("Approve", "main", "ph.check", on_click=lambda: self._review("approved"), name="approve")
        self.reject = Button("Reject", on_click=lambda: self._review("rejected"), name="reject")
        self.put_back = Button(
            "Review again", "ghost", "ph.arrow-counter-clockwise", on_click=lambda: self._review("needs_review"),
            name="review_again",
        )  # fmt: skip
        return column(self.notes, row(self.approve, self.reject, self.put_back, None))

    # What is shown

    def show_nothing(self) -> None:
        """No conversation is chosen."""
        self.flush_notes()
        self.detail = self._notes_of = None
        self._all.hide()
        self._nothing.show()

    def show_detail(self, detail: Detail) -> None:
        """Another conversation, or the same one as it is now; its place in the turns is kept then."""
        before, self.detail = self.detail, detail
        found = detail.row
        self._nothing.hide()
        self._all.show()
        long = len(found.title) > TITLE_SHOWN
        self.title.setText(found.title[:TITLE_SHOWN] + "…" if long else found.title)
        self.title.setToolTip(plain_tip(found.title) if long else "")
        self.pill.set_status(REVIEW_WORDS[found.status])
        self.enriched_pill.set_status(enrichment_of(found))
        self.again.setVisible(found.stale)
        self.older.setVisible(bool(detail.versions))
        self.older.setText(fmt.plural(len(detail.versions), "version"))
        self.enriched_pill.setToolTip(state_words(found))
        names = (found.persona_name, found.arc_name, found.topic_name, tier_word(found.tier) if found.tier else "")
        self.line.setText(" · ".join(part for part in names if part) or "Scaffolding not yet known")
        self.tags.show_tags(detail.tags)
        self.badges.show_checks(detail.remarks, detail.near)
        self.scores.show_row(found)
        scored = found.score is not None
        self.rate.setText("Rated by hand" if found.human_criteria else "Rate")
        self.scores.setVisible(scored)
        failed = detail.error is not None
        self.why.setText("Show why it failed" if failed else "Show reasons")
        self.why.setAccessibleName(self.why.text())
        self.why.setVisible(failed or (scored and bool(detail.criteria)))
        same = before is not None and before.row.id == found.id
        if not same or before is None or before.shown_turns != detail.shown_turns:
            self.turns.show_turns(detail)
        if not same or before != detail:
            self.report.show_detail(detail)
        self._show_review(found)
        self.setAccessibleName(found.title)

    def _show_review(self, found: Conversation) -> None:
        decided = found.status in (ReviewStatus.APPROVED, ReviewStatus.REJECTED)
        self.approve.setVisible(found.status is not ReviewStatus.APPROVED)
        self.reject.setVisible(found.status is not ReviewStatus.REJECTED)
        self.put_back.setVisible(decided)
        if self._notes_of is None or self._notes_of.id != found.id:
            self.flush_notes()
            self._set_notes(found)
        elif not self._notes_soon.isActive() and not self.notes.hasFocus():
            self._set_notes(found)
        self._notes_of = found

    def _set_notes(self, found: Conversation) -> None:
        self.notes.blockSignals(True)
        self.notes.setPlainText(found.reviewer_notes or "")
        self.notes.blockSignals(False)

    @Slot(str)
    def _on_tab(self, key: str) -> None:
        self._views.setCurrentIndex(0 if key == "turns" else 1)

    def show_tab(self, key: str) -> None:
        """ "turns" or "report"."""
        self.tabs.set_current(key)
        self._on_tab(key)

    def show_why(self) -> None:
        """The reasons of the scores, or of the failure."""
        self.show_tab("report")
        self.report.show_why()

    def focus_turns(self) -> None:
        """Space on a row: read it."""
        self.show_tab("turns")
        self.turns.setFocus(Qt.FocusReason.OtherFocusReason)

    # Review

    def _review(self, status: str) -> None:
        if self.detail is not None:
            self._notes_soon.stop()
            self.reviewed.emit(self.detail.row, status)

    @Slot()
    def _on_notes(self) -> None:
        self._notes_soon.start()

    @Slot()
    def flush_notes(self) -> None:
        """Hand out notes that were typed and not yet kept."""
        self._notes_soon.stop()
        if self._notes_of is not None and self.notes.toPlainText() != (self._notes_of.reviewer_notes or ""):
            self.notes_changed.emit(self._notes_of, self.notes.toPlainText())
