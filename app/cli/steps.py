"""Jobs of the line, each found again by what goes into it: used if it is complete, resumed if it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from app.cli.output import Output
from core import jobs
from core.cancel import CancelToken
from core.db import Database
from core.errors import AppError
from core.jobs import Job, JobState
from core.workers.runner import run_to_end
from core.workspace.paths import Workspace

PROGRESS_EVERY_S = 1.0
Listener = Callable[[Mapping[str, Any]], None]


class Steps:
    """Runs one job after the other in worker processes.

    `listen` gets the events that are not progress or metrics, `ended` each job that is used or done.
    """

    def __init__(
        self,
        db: Database,
        workspace: Workspace,
        token: CancelToken,
        out: Output,
        listen: Listener,
        ended: Callable[[Job], None],
    ) -> None:
        self._db, self._workspace, self._token, self._out = db, workspace, token, out
        self._listen, self._ended = listen, ended
        self._last_progress = 0.0

    def step(
        self, kind: str, title: str, params: Mapping[str, Any], key: str, whole: Callable[[Job], bool]
    ) -> Job:  # fmt: skip
        """The completed job of these inputs: an earlier one whose results are `whole`, or one that is run now.

        A job of theirs that did not complete is run again under its id. Raises the job's error, or AppError `stopped`.
        """
        found = jobs.by_key(self._db, kind, key)
        done = next((job for job in found if job.status is JobState.COMPLETED and whole(job)), None)
        if done is not None:
            return self.use(done)
        cut_short = next((job for job in found if job.status is not JobState.COMPLETED), None)
        if cut_short is None:
            return self.run(jobs.create(self._db, kind, title, params, key=key))
        # Asked for as now: the name it was to have may be another's by now.
        return self.run(jobs.restart(self._db, cut_short.id, params))

    def use(self, job: Job) -> Job:
        """Report a job of an earlier call that is complete."""
        fields = {"status": "reused", "id": job.id, "result": dict(job.result)}
        self._out.line("job", job=job.kind, title=job.title, **fields)
        self._ended(job)
        return job

    def run(self, job: Job) -> Job:
        """Run a queued job to its end. Raises its error, or AppError `stopped`."""
        claimed = jobs.claim_next(self._db, job.id)
        assert claimed is not None
        self._out.line("job", job=job.kind, title=job.title, status="running", id=job.id)
        done = run_to_end(self._db, self._workspace, claimed, listen=self._heard, token=self._token)
        result = dict(done.result)
        self._out.line("job", job=job.kind, title=job.title, status=str(done.status), id=job.id, result=result)
        if not self._workspace.db_path.exists():
            # SQLite keeps writing to a file that has been deleted.
            raise AppError(
                "workspace_gone",
                f"The workspace {self._workspace.root} was moved or deleted while it was in use.",
                hint="Put it back, or start again in another folder.",
            )
        self._ended(done)
        if done.error is not None:
            raise done.error
        if done.status is not JobState.COMPLETED:
            raise stopped()
        return done

    def progress(self, done: int, total: int, stage: str, message: str) -> None:
        """Print how far something is, at most once a second."""
        if time.monotonic() - self._last_progress >= PROGRESS_EVERY_S:
            self._last_progress = time.monotonic()
            self._out.line("progress", done=done, total=total, stage=stage, message=message)

    def _heard(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "progress":
            self.progress(message["done"], message["total"], message["stage"], message["message"])
        elif kind == "metric":
            self._out.line("metric", **{k: v for k, v in message.items() if k not in ("v", "id", "type", "seq")})
        else:
            self._listen(message)


def stopped() -> AppError:
    """What a run that was asked to stop ends with."""
    return AppError("stopped", "The run was stopped.", hint="Completed work is saved in the workspace.")
