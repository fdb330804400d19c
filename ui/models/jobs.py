"""Jobs in words and pills."""

from __future__ import annotations

from datetime import datetime

from core.jobs import Job, JobState
from core.registries import JOB_KINDS
from ui import format as fmt
from ui.models.rows import Status

_STATUS = {
    JobState.QUEUED: Status("neutral", "Queued"),
    JobState.INITIALIZING: Status("busy", "Starting"),
    JobState.RUNNING: Status("busy", "Running"),
    JobState.PAUSED: Status("info", "Paused"),
    JobState.INTERRUPTED: Status("warn", "Interrupted"),
    JobState.COMPLETED: Status("ok", "Done"),
    JobState.FAILED: Status("bad", "Failed"),
    JobState.CANCELLED: Status("neutral", "Stopped"),
}
JOB_STATES = tuple(_STATUS.values())


def job_status(job: Job) -> Status:
    """The state as icon, word and colour."""
    return _STATUS[job.status]


def job_outcome(job: Job) -> Status:
    """As `job_status`; a job that ended says whether something was rejected."""
    if job.status is JobState.COMPLETED and job.result.get("rejected"):
        return Status("warn", "Partly used") if job.result.get("used") else Status("warn", "Nothing used")
    if job.status is JobState.COMPLETED and job.result.get("failed"):
        return Status("warn", "Partly written") if job.result.get("made") else Status("bad", "Nothing written")
    return job_status(job)


def counted(job: Job) -> str:
    """What came in and what became of it, "" where the job has nothing to count."""
    kind = JOB_KINDS.get(job.kind) if job.kind in JOB_KINDS.names() else None
    if kind is None or not kind.counts or "in" not in job.result:
        return ""
    told = [key for key in ("used", "rejected", "cut") if key == "used" or job.result.get(key)]
    return ", ".join(f"{fmt.count(int(job.result.get(key, 0)))} {key}" for key in ("in", *told))


def progress_line(done: int, total: int, message: str, left: float | None) -> str:
    """How far a running job is, and how long it still takes."""
    parts = [message or (f"{fmt.count(done)} of {fmt.count(total)}" if total else ""), fmt.time_left(left)]
    return " · ".join(part for part in parts if part) or "Running"


def job_line(job: Job) -> str:
    """One line: what became of it, when, how long it took."""
    parts = []
    if job.error is not None and job.status in (JobState.FAILED, JobState.INTERRUPTED):
        parts.append(job.error.message)
    elif told := counted(job):
        parts.append(told)
    elif job.message:
        parts.append(job.message)
    elif job.total and job.status != JobState.COMPLETED:
        far = f"{fmt.count(job.done)} of {fmt.count(job.total)}"
        # Of what: a run that reads its dataset again is not at its last step.
        parts.append(f"{job.current_stage}: {far}" if job.current_stage else far)
    parts.append(fmt.moment(job.finished_at or job.started_at or job.queued_at))
    if job.started_at and job.finished_at:
        took = datetime.fromisoformat(job.finished_at) - datetime.fromisoformat(job.started_at)
        parts.append(f"took {fmt.duration(took.total_seconds())}")
    return " · ".join(parts)
