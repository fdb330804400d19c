"""What a project says of its adapter: what was decided when the last run ended, and how far a training is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from core import jobs
from core.db import Database
from core.errors import AppError
from core.jobs import Job, JobState
from core.projects.projects import Project

KEY = "adapter"
ALL_THE_SAME = (
    "Use it all the same, or train again: with the preset Quality, a larger base, or when there is more code."
)


class Decision(StrEnum):
    """What became of the last training."""

    PENDING = "pending"
    IN_USE = "in use"
    CHOSEN = "chosen"
    NOT_BETTER = "not better"
    WORSE = "worse"
    UNMEASURED = "unmeasured"
    OTHER_BASE = "other base"
    PUT_ASIDE = "put aside"
    NOT_STARTED = "not started"

    @classmethod
    def of_verdict(cls, verdict: str) -> Decision:
        """From what the trainer measured on the held-out files."""
        return {"better": cls.IN_USE, "not_better": cls.NOT_BETTER, "worse": cls.WORSE}.get(verdict, cls.UNMEASURED)


KEPT = (Decision.NOT_BETTER, Decision.WORSE, Decision.UNMEASURED, Decision.OTHER_BASE, Decision.PUT_ASIDE)


@dataclass(frozen=True)
class Record:
    """What is kept with a project. `before` and `after` are the losses of base and adapter on `held_out` files.

    `in_use` names the adapter that the project answers with, {"artifact_id", "examples_job"}; empty for none.
    """

    examples_job: str = ""
    run: str = ""
    decision: Decision = Decision.PENDING
    artifact_id: str = ""
    base: str = ""
    before: float | None = None
    after: float | None = None
    held_out: int = 0
    words: str = ""
    hint: str = ""
    in_use: Mapping[str, str] = field(default_factory=dict)
    decided_at: str = ""

    @property
    def jobs(self) -> tuple[str, ...]:
        """Of the last training, in their order."""
        return tuple(job for job in (self.examples_job, self.run) if job)

    @property
    def may_be_used(self) -> bool:
        """Whether there is an adapter that is not used, and could be."""
        return bool(self.artifact_id) and self.decision in KEPT

    def used(self, decision: Decision = Decision.IN_USE) -> Record:
        """The same with its adapter in use."""
        found = {"artifact_id": self.artifact_id, "examples_job": self.examples_job}
        return replace(self, decision=decision, in_use=found)

    def not_used(self) -> Record:
        """The same without."""
        return replace(self, decision=Decision.PUT_ASIDE, in_use={})

    def to_json(self) -> dict[str, Any]:
        """For the project's settings."""
        return asdict(self)


def record_of(project: Project) -> Record | None:
    """What a project says; None where it was never trained on. Fields of a later version are passed over."""
    found = project.settings.get(KEY)
    if not isinstance(found, Mapping):
        return None
    values = {name: value for name, value in found.items() if name in Record.__dataclass_fields__}
    known = [str(decision) for decision in Decision]
    decision = values.get("decision", "")
    return Record(**values | {"decision": Decision(decision) if decision in known else Decision.PENDING})


class Stage(StrEnum):
    """How far it is."""

    NONE = "none"
    EXAMPLES = "making examples"
    TRAINING = "training"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"
    DECIDED = "decided"


@dataclass(frozen=True)
class AdapterState:
    """For a page. `words` say it in a sentence, `hint` what can be done; `job` is the one under way, or that failed.

    `adapter_id` is what the project answers with now, whatever the last training came to.
    """

    stage: Stage
    decision: Decision | None
    words: str
    hint: str = ""
    job: Job | None = None
    adapter_id: str | None = None
    can_use_all_the_same: bool = False
    before: float | None = None
    after: float | None = None


def state(db: Database, project: Project) -> AdapterState:
    """From the project's record and its jobs."""
    record = record_of(project)
    if record is None:
        return AdapterState(
            Stage.NONE, None, "No adapter was trained on this code yet.", adapter_id=project.artifact_id
        )
    if record.decision is Decision.PENDING:
        return _under_way(db, project, record)
    words, hint = _decided(project, record)
    return AdapterState(
        Stage.DECIDED, record.decision, words, hint, None, project.artifact_id, record.may_be_used, record.before,
        record.after,
    )  # fmt: skip


def _under_way(db: Database, project: Project, record: Record) -> AdapterState:
    found = [job for ident in record.jobs if (job := _job(db, ident)) is not None]
    open_ = [job for job in found if job.status is not JobState.COMPLETED]
    job = open_[0] if open_ else None
    if job is None:
        words, hint, stage = "The last training is gone.", "Train again.", Stage.STOPPED
    elif job.status.active:
        stage = Stage.TRAINING if job.id == record.run else Stage.EXAMPLES
        words, hint = f"An adapter is being made: “{job.title}” is {job.status}.", ""
    elif job.status in (JobState.PAUSED, JobState.INTERRUPTED):
        words, hint, stage = f"“{job.title}” is {job.status}.", "Resume it.", Stage.PAUSED
    elif job.status is JobState.CANCELLED:
        words, hint, stage = f"“{job.title}” was stopped.", "Resume it, or train again.", Stage.STOPPED
    else:
        error = job.error or AppError("failed", f"“{job.title}” failed.", hint="Train again.")
        words, hint, stage = error.message, error.hint, Stage.FAILED
    return AdapterState(stage, Decision.PENDING, words, hint, job, project.artifact_id)


def _job(db: Database, ident: str) -> Job | None:
    try:
        return jobs.get(db, ident)
    except AppError:
        return None


def _decided(project: Project, record: Record) -> tuple[str, str]:
    if record.decision is Decision.NOT_STARTED:
        return record.words, record.hint
    measured = ""
    if record.before is not None and record.after is not None:
        measured = f" (loss {record.after:.3f}, the base's is {record.before:.3f})"
    without = "so the assistant answers without it" if not project.artifact_id else "so the earlier one stays in use"
    words = {
        Decision.IN_USE: f"The adapter is better than the base on held-out files{measured}; the assistant uses it.",
        Decision.CHOSEN: f"The assistant uses the adapter, as you chose{measured}.",
        Decision.NOT_BETTER: f"On held-out files the adapter is not better than the base{measured}, {without}.",
        Decision.WORSE: f"On held-out files the adapter is worse than the base{measured}, {without}.",
        Decision.UNMEASURED: f"Nothing held out could be measured, {without}.",
        Decision.OTHER_BASE: f"The adapter was trained for {record.base}, which the project no longer uses, {without}.",
        Decision.PUT_ASIDE: f"The adapter was put aside{measured}; the base answers alone.",
    }[record.decision]
    return words, ALL_THE_SAME if record.decision in KEPT else ""
