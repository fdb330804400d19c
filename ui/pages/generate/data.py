"""What the page reads: the library, what there is, prices and batches; and how it is put into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.db import Database
from core.errors import AppError
from core.generation import store
from core.generation.create import check_batch, check_cap, complete, provider_of
from core.generation.draft import Draft, Line, lines
from core.generation.estimate import Estimate, estimate, measured
from core.generation.models import ModelFacts, notice_of
from core.generation.models import listing as known_models
from core.generation.plan import Library
from core.generation.sampling import Cell, coverage
from core.generation.settings import RunSettings
from core.generation.store import Batch
from core.models import store as base_models
from core.models.store import BaseModel
from core.workspace import settings
from core.workspace.paths import Workspace
from ui import format as fmt
from ui.dialogs.terms import TERMS_SETTING
from ui.format import usd
from ui.models.rows import Column, Status
from ui.pages.generate.coverage import Count, Coverage
from ui.words.scaffolding import tier_word

CAP_SETTING = "generation_cap_usd"
DEFAULT_CAP = "5.00"
GAP_AT_LEAST = 3


@dataclass(frozen=True)
class Snapshot:
    """Everything the plan is made with, by one reader."""

    library: Library
    by_arc: tuple[Cell, ...]
    by_topic: tuple[Cell, ...]
    models: tuple[ModelFacts, ...]
    bases: tuple[BaseModel, ...]
    base_id: str
    cap: str
    terms_read: bool
    batches: tuple[Batch, ...]


def read_snapshot(db: Database) -> Snapshot:
    """By one reader."""
    library = Library.of(db)
    cells, topics = coverage(db), coverage(db, by_topic=True)
    default = base_models.default(db)
    return Snapshot(
        library, tuple(cells), tuple(topics), tuple(known_models(db)),
        tuple(base_models.listing(db)), default.id if default else "", str(settings.get(db, CAP_SETTING, DEFAULT_CAP)),
        bool(settings.get(db, TERMS_SETTING, False)), tuple(store.list_batches(db)),
    )  # fmt: skip


def coverage_of(found: Snapshot, draft: Draft, *, by_topic: bool) -> Coverage:
    """The heat map of what there is and of what is planned."""
    library = found.library
    personas = [(entry.key, entry.name) for entry in library.personas]
    cells: dict[tuple[str, str], Count] = {}
    if by_topic:
        sums: dict[tuple[str, str], list[Cell]] = {}
        for cell in found.by_topic:
            sums.setdefault((cell.topic_key, cell.persona_key), []).append(cell)
        cells = {place: _together(parts) for place, parts in sums.items()}
        places = [(item.training_topic_key, item.persona_key) for item in draft.items]
    else:
        cells = {(c.persona_key, c.arc_key): Count(c.count, c.mean_quality) for c in found.by_arc}
        places = [item.cell for item in draft.items]
    for place in places:
        there = cells.get(place, Count())
        cells[place] = replace(there, planned=there.planned + 1)
    if by_topic:
        return Coverage([(t.key, t.name) for t in library.topics], personas, cells, "topic", "persona")
    return Coverage(personas, [(arc.key, arc.name) for arc in library.arcs], cells)


def _together(cells: Sequence[Cell]) -> Count:
    rated = [(cell.mean_quality, cell.count) for cell in cells if cell.mean_quality is not None]
    weight = sum(count for _, count in rated)
    quality = sum(value * count for value, count in rated) / weight if weight else None
    return Count(sum(cell.count for cell in cells), quality)


@dataclass(frozen=True)
class Priced:
    """A draft with its lines, and its price, or why it can't be started. `batch` is what a batch would cost."""

    draft: Draft
    lines: tuple[Line, ...]
    settings: RunSettings
    estimate: Estimate | None = None
    batch: Estimate | None = None
    error: AppError | None = None
    notice: str = ""


def read_priced(
    db: Database, workspace: Workspace, draft: Draft, wanted: RunSettings, counted: Sequence[int] = ()
) -> Priced:
    """What a draft costs under these settings; what would stop it is an error in the answer."""
    library = Library.of(db)
    shown = tuple(lines(draft, library))
    provider = provider_of(wanted.provider)
    try:
        whole = complete(db, workspace, wanted, provider)
        notice = notice_of(whole.model, datetime.now(UTC).date(), known_models(db)) if provider.paid else ""
        if not draft.items:
            return Priced(draft, shown, whole, notice=notice)
        check_batch(draft.plan(), library, whole, provider)
        known = measured(db, whole.model, whole.mode)
        now, later = (
            estimate(draft.plan(), library, whole, known=known, counted=counted, batch=batch) for batch in (False, True)
        )
        own = later if provider.batch else now
        check_cap(draft.plan(), library, whole, batch=provider.batch)
        return Priced(draft, shown, whole, own, later if provider.paid and not provider.batch else None, notice=notice)
    except AppError as error:
        return Priced(draft, shown, wanted, error=error)


# Words


def basis_words(found: Estimate) -> str:
    """What an estimate rests on, with its range."""
    off = "" if found.usd is None or found.high is None else f"± {usd(found.high - found.usd)}, "
    return off + {
        "measured": "measured on earlier replies of this model",
        "counted": "prompts counted by Claude, replies guessed",
    }.get(found.basis, "guessed; measured once three conversations are written")


FAILURES = {
    "refused": "Refused", "truncated": "Truncated", "invalid": "Invalid", "no_reply": "No reply",
}  # fmt: skip


def batch_status(batch: Batch) -> Status:
    """The pill of a batch: its job's state, and whether all of it was written."""
    from ui.models.jobs import job_status

    if batch.job.status == "completed" and batch.failed:
        return Status("warn", f"{fmt.count(batch.failed)} failed")
    return job_status(batch.job)


def spent_words(batch: Batch) -> str:
    """What was spent, or that some of it is not known."""
    if batch.provider == "local":
        return "Free"
    return f"{usd(batch.spent)} + unknown" if batch.unknown_prices else usd(batch.spent)


def _count_column(key: str, title: str, value: Callable[[Any], Any]) -> Column:
    return Column(key, title, "1,204", "right", fmt.count, sort=key, value=value)


PLAN_COLUMNS = (
    Column("persona", "Persona", "Tessa Whitlock", sort="persona"),
    Column("arc", "Arc", "Overconfidence → Caution", sort="arc"),
    Column("topic", "Topic", sort="topic"),
    Column("tier", "Tier", "Template", sort="tier", formatter=tier_word),
    _count_column("count", "Count", lambda line: line.count),
    _count_column("turns", "Turns", lambda line: line.turns),
)
PLAN_FOLDS = ("tier", "turns", "arc")


def _made(batch: Batch) -> str:
    return f"{fmt.count(batch.completed)} of {fmt.count(batch.total)}"


BATCH_COLUMNS = (
    Column("name", "Name", sort="name"),
    Column("model", "Model", "claude-sonnet-5-5", sort="model"),
    Column("made", "Written", "1,204 of 1,204", "right", value=_made),
    Column("failed", "Failed", "1,204", "right", fmt.count, sort="failed"),
    Column("spent", "Spent", "$1,204.00", "right", value=spent_words, order=lambda batch: batch.spent, sort="spent"),
    Column("created_at", "Started", "18 Nov 2024", formatter=fmt.moment, sort="created_at"),
    Column("state", "State", tuple(Status(kind, word) for kind, word in (
        ("ok", "Completed"), ("bad", "Interrupted"), ("warn", "1,204 failed"))), value=batch_status,
        formatter=lambda status: status),
)  # fmt: skip
BATCH_FOLDS = ("created_at", "model", "failed")


def estimate_of(batch: Batch) -> Decimal | None:
    """What a batch was expected to cost."""
    found: Mapping[str, Any] = batch.estimate or {}
    return Decimal(str(found["usd"])) if found.get("usd") is not None else None


def estimate_words(batch: Batch) -> str:
    """What it was expected to cost; once all of it is written, how far off that was."""
    expected = estimate_of(batch)
    if not expected:
        return ""
    if batch.not_reached or batch.unknown_prices:
        return f"estimate {usd(expected)}"
    off = float(batch.spent / expected) - 1
    if abs(off) < 0.005:
        return f"as estimated, {usd(expected)}"
    return f"{fmt.percent(abs(off))} {'over' if off > 0 else 'under'} the estimate of {usd(expected)}"
