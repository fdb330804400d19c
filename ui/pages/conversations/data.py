"""What the Conversations page reads, and how its rows are worded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import jobs
from core.conversations import digests, review, store, versions
from core.conversations.checks import Remark
from core.conversations.digests import Near
from core.conversations.parse import Turn
from core.conversations.store import Conversation, Filter, ReviewStatus
from core.conversations.versions import Version
from core.db import Database
from core.enrichment import provenance
from core.enrichment import store as enrichment
from core.enrichment.stage import StageReport
from core.errors import AppError
from core.generation.rewrite import all_under_way, under_way
from core.jobs import Job, JobState
from core.registries import STAGES
from core.scaffolding import verticals
from core.workspace import settings
from core.workspace.files import read_json
from core.workspace.paths import Workspace
from ui import format as fmt
from ui.models.rows import Column, Status
from ui.pages.conversations.arc import ArcReading, read_arc
from ui.pages.conversations.badges import CHECK_WORDS, checks_cell, checks_words
from ui.words.scaffolding import TIER_WORDS, tier_word

ENRICHMENT_WORDS = {
    "not_started": Status("neutral", "Not enriched"), "enrichment_in_progress": Status("busy", "Enriching"),
    "completed": Status("ok", "Enriched"), "failed": Status("bad", "Failed"),
}  # fmt: skip
REVIEW_WORDS = {
    ReviewStatus.DRAFT: Status("neutral", "Draft"), ReviewStatus.NEEDS_REVIEW: Status("warn", "Needs review"),
    ReviewStatus.APPROVED: Status("ok", "Approved"), ReviewStatus.REJECTED: Status("neutral", "Rejected"),
}  # fmt: skip
STALE = Status("warn", "Edited")
STATES = (STALE, *ENRICHMENT_WORDS.values(), *REVIEW_WORDS.values(), Status("warn", fmt.plural(24, "finding")))
ACTIVE = (JobState.QUEUED, JobState.INITIALIZING, JobState.RUNNING)


def state_of(row: Conversation) -> Status:
    """Review and enrichment as one pill: what blocks comes first."""
    if row.status is ReviewStatus.REJECTED or row.enrichment_status == "completed":
        if row.status is ReviewStatus.NEEDS_REVIEW and row.warning_count:
            return Status("warn", fmt.plural(row.warning_count, "finding"))
        return REVIEW_WORDS[row.status]
    return enrichment_of(row)


def enrichment_of(row: Conversation) -> Status:
    """How far its enrichment is; edited ones have to be enriched again."""
    if row.stale:
        return STALE
    return ENRICHMENT_WORDS.get(row.enrichment_status, Status("neutral", fmt.word(row.enrichment_status)))


def state_words(row: Conversation) -> str:
    """The same in full, for the tooltip."""
    enriched = "Edited since it was enriched" if row.stale else enrichment_of(row).word
    parts = [REVIEW_WORDS[row.status].word, enriched]
    if row.warning_count:
        parts.append(fmt.plural(row.warning_count, "finding") + " from enrichment")
    return " · ".join(parts)


def _score(value: float | None) -> str:
    return fmt.decimal(value, 1)


COLUMNS = (
    Column("title", "Title", sort="title"),
    Column("persona_name", "Persona", "Tessa Whitlock", sort="persona", formatter=lambda v: v or fmt.NOTHING),
    Column("arc_name", "Arc", "Shame → Acceptance", sort="arc", formatter=lambda v: v or fmt.NOTHING),
    Column("tier", "Tier", tuple(TIER_WORDS.values()), sort="tier", formatter=tier_word),
    Column("turn_count", "Turns", "1,204", "right", fmt.count, sort="turns"),
    Column("quality_score", "Quality", "4.6", "right", _score, sort="quality", value=lambda row: row.score),
    Column(
        "check_flags",
        "Checks",
        tuple(CHECK_WORDS.values()),
        formatter=checks_cell,
        sort="checks",
        tooltip=lambda row: checks_words(row.check_flags),
    ),
    Column("state", "State", STATES, value=state_of, formatter=lambda v: v, sort="status", tooltip=state_words),
)
# The first goes first when the table is narrow.
FOLD_ORDER = ("check_flags", "tier", "turn_count", "arc_name", "persona_name", "quality_score")


@dataclass(frozen=True)
class Overview:
    """What the page knows besides the rows it shows; `unread` have no digest of their present content."""

    total: int
    waiting: tuple[str, ...]
    enriched: int
    unread: int
    tags: tuple[tuple[str, int], ...]
    last_import: Job | None
    importing: bool
    enriching: bool
    rewriting: Mapping[str, Sequence[int]]


def read_overview(db: Database) -> Overview:
    """All of it, by one reader."""
    imports = jobs.listing(db, kind="import", limit=1)
    last = imports[0] if imports and not imports[0].status.active else None
    if imports and last is None:
        ended = tuple(state for state in JobState if not state.active)
        last = next(iter(jobs.listing(db, kind="import", states=ended, limit=1)), None)
    return Overview(
        total=store.count(db),
        waiting=tuple(enrichment.waiting(db)),
        enriched=store.count(db, Filter(enrichment_status="completed")),
        unread=digests.behind(db),
        tags=tuple(review.all_tags(db)),
        last_import=last,
        importing=bool(jobs.listing(db, kind="import", states=ACTIVE, limit=1)),
        enriching=bool(jobs.listing(db, kind="enrich", states=ACTIVE, limit=1)),
        rewriting=all_under_way(db),
    )


@dataclass(frozen=True)
class Detail:
    """One conversation for the inspector; `problems` are what could not be read."""

    row: Conversation
    turns: Sequence[Turn] = ()
    reports: Sequence[StageReport] = ()
    stages: Sequence[tuple[str, str]] = ()
    sources: Mapping[str, Any] = field(default_factory=dict)
    arc: ArcReading = field(default_factory=ArcReading)
    problems: Sequence[AppError] = ()
    versions: Sequence[Version] = ()
    remarks: Sequence[Remark] = ()
    near: Near | None = None
    tags: Sequence[str] = ()
    rewriting: Sequence[int] = ()
    speakers: tuple[str, str] = ("Client", "Consultant")

    def speaker(self, role: str) -> str:
        """Who says the turns of a role, in the words of the workspace's vertical."""
        return self.speakers[role != "user"]

    @property
    def shown_turns(self) -> object:
        """What the cards of the turns show: equal where nothing has to be drawn again."""
        return self.turns, self.arc, self.rewriting, self.speakers

    @property
    def error(self) -> AppError | None:
        """Why the last enrichment failed."""
        if self.row.enrichment_status != "failed" or not self.row.enrichment_error:
            return None
        import orjson

        return AppError.from_json(orjson.loads(self.row.enrichment_error))

    @property
    def criteria(self) -> Mapping[str, Any]:
        """The four criteria with title, score and reason, if the sources are there."""
        found: Mapping[str, Any] = (self.sources.get("quality") or {}).get("criteria") or {}
        return found


def read_detail(db: Database, workspace: Workspace, conversation_id: str) -> Detail | None:
    """Row, turns, stage reports and sources, None if it was deleted; a file that can't be read is a problem."""
    row = next(iter(store.listing(db, Filter(ids=(conversation_id,)), limit=1)), None)
    if row is None:
        return None
    problems: list[AppError] = []
    turns: list[Turn] = []
    found: Mapping[str, Any] = {}
    document: Mapping[str, Any] = {}
    try:
        turns = store.turns(workspace, row)
    except AppError as error:
        problems.append(error)
    if row.enrichment_status == "completed" and row.enriched_file_path:
        try:
            found = provenance.load(workspace, row.enriched_file_path)
            document = read_json(workspace.absolute(row.enriched_file_path))
        except AppError as error:
            problems.append(error)
    chain = [(name, str(stage.title)) for name, stage in STAGES.items()]
    arc = read_arc(db, row.emotional_arc_key, turns, document)
    return Detail(
        row, turns, enrichment.reports(db, row.id), chain, found, arc, problems, versions.versions(db, row),
        digests.remarks(db, row.id), digests.near(db, row.id), review.tags(db, row.id), under_way(db, row.id),
        read_speakers(db),
    )  # fmt: skip


def read_speakers(db: Database) -> tuple[str, str]:
    """Who asks and who answers, as labels; the usual words where the vertical can't be read."""
    try:
        client, consultant = verticals.load(str(settings.get(db, "vertical"))).speakers
    except AppError:
        return Detail.speakers
    return client[:1].upper() + client[1:], consultant[:1].upper() + consultant[1:]
