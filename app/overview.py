"""What the Home page shows: how far the line from conversations to chat has come."""

from __future__ import annotations

from dataclasses import dataclass

from core import jobs
from core.db import Database
from core.jobs import ACTIVE, Job, JobState
from core.workspace import settings

RECENT = 8
UNFINISHED = (JobState.PAUSED, JobState.INTERRUPTED)
_COUNTS = {
    "conversations": "select count(*) from conversations where deleted_at is null",
    "enriched": "select count(*) from conversations where deleted_at is null and enrichment_status = 'completed'",
    "training_files": "select count(*) from training_files where deleted_at is null",
    "datasets": "select count(*) from datasets where deleted_at is null",
    "adapters": "select count(*) from model_artifacts where deleted_at is null",
    "chats": "select count(*) from chats where deleted_at is null",
}


@dataclass(frozen=True)
class Overview:
    """Counts by step in the order of the line, the newest jobs and those that can be resumed, those under way, and
    what kind of workspace this is."""

    counts: dict[str, int]
    jobs: tuple[Job, ...]
    under_way: tuple[Job, ...]
    is_sample: bool
    started: bool

    @property
    def untouched(self) -> bool:
        """Nothing was ever done here."""
        # The practice model comes by itself.
        own = any(job.kind != "add_base_model" for job in self.jobs)
        return not self.started and not self.is_sample and not own and not any(self.counts.values())


def read_overview(db: Database) -> Overview:
    """All of it, by one reader."""
    counts = {name: int(db.execute(sql).fetchone()[0]) for name, sql in _COUNTS.items()}
    newest = jobs.listing(db, limit=RECENT)
    # What can be resumed stays, however many others came after it.
    unfinished = [job for job in jobs.listing(db, states=UNFINISHED) if job.can_resume]
    recent = tuple({job.id: job for job in (*newest, *unfinished)}.values())
    under_way = tuple(jobs.listing(db, states=ACTIVE))
    return Overview(
        counts, recent, under_way, bool(settings.get(db, "is_sample")), bool(settings.get(db, "started", False))
    )
