"""Jobs in words and pills."""

from __future__ import annotations

from datetime import datetime

from core.jobs import Job, JobState
from ui import format as fmt
from ui.models.rows import Status

_STATUS = {
    JobState.QUEUED: Status("neutral", "Waiting"),
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
        return Status("warn", "Done in part") if job.result.get("used") else Status("warn", "Nothing used")
    return job_status(job)


def job_line(job: Job) -> str:
    """One line: what became of it, when, how long it took."""
    parts = []
    if job.error is not None and job.status in (JobState.FAILED, JobState.INTERRUPTED):
        parts.append(job.error.message)
    elif "in" in job.result:
        told = [key for key in ("used", "rejected", "cut") if job.result.get(key)]
        parts.append(", ".join([f"{fmt.count(job.result['in'])} in", *(f"{job.result[k]:,} {k}" for k in told)]))
    elif job.message:
        parts.append(job.message)
    elif job.total and job.status != JobState.COMPLETED:
        parts.append(f"{fmt.count(job.done)} of {fmt.count(job.total)}")
    parts.append(fmt.moment(job.finished_at or job.started_at or job.queued_at))
    if job.started_at and job.finished_at:
        took = datetime.fromisoformat(job.finished_at) - datetime.fromisoformat(job.started_at)
        parts.append(f"took {fmt.duration(took.total_seconds())}")
    return " · ".join(parts)
