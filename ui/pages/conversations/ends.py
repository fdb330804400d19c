"""What the page says when a job of its own has ended."""

from __future__ import annotations

from collections.abc import Callable

from app.navigator import Navigator
from core.jobs import Job
from ui import format as fmt
from ui.widgets.banner import Banner, error_details


def file_built(job: Job, navigator: Navigator) -> Banner:
    """A training file is there; where members were enriched with different consultant profiles, that too."""
    ident, version = str(job.result["training_file_id"]), job.result["version"]
    text = f"“{job.params['name']}” version {version} is ready"
    mixed = int(job.result.get("mixed_profiles", 0))
    note = f"{fmt.plural(mixed, 'member')} enriched with an earlier consultant profile; the file uses the newest."
    open_it = ("Open training file", lambda: navigator.open_page("training_files", ident))
    return Banner("ok", text, note if mixed else "", action=open_it)


def exported(job: Job) -> Banner:
    """What was shown is in a file or folder; what had no enriched form is counted."""
    done, left = int(job.result["exported"]), int(job.result["left_out"])
    text = f"{fmt.plural(done, 'conversation')} exported to {job.result['path']}"
    hint = f"{fmt.plural(left, 'conversation')} not enriched: left out." if left else ""
    return Banner("warn" if left else "ok", text, hint, topic="export")


def some_failed(job: Job, show: Callable[[], None]) -> Banner:
    """An enrichment left some conversations out."""
    failed = fmt.plural(int(job.result["rejected"]), "conversation")
    text = f"Enrichment: {job.result['used']:,} of {job.result['in']:,} enriched, {failed} failed"
    hint = "Each report says why and how to fix it."
    return Banner("warn", text, hint, action=("Show failed", show), topic="enrich")


def rewrite_failed(job: Job, resume: Callable[[str], None]) -> Banner:
    """A turn that could not be regenerated; Resume goes on where it stopped."""
    assert job.error is not None
    text = f"“{job.title}” ended: {job.error.message}"
    return Banner(
        "bad", text, job.error.hint, action=("Resume", lambda: resume(job.id)), details=error_details(job.error)
    )
