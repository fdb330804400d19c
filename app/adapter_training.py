"""Training an adapter on a project's code, for the window: look first, start, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import shiboken6
from PySide6.QtCore import QObject

from app.services import Failed, Services
from core.db import Database
from core.db.connection import explain
from core.events import Changed
from core.jobs import Job, JobState
from core.projects import adapter_state, adapters, projects
from core.projects.adapters import Chain, Wanted
from core.projects.examples.plan import Plan, plan
from core.projects.examples.records import Limits
from core.training import store as training

Planned = Callable[[Plan], None]


@dataclass(frozen=True)
class _Asked:
    title: str
    params: dict[str, Any]
    rate: float | None


class Looking:
    """A look at a project's code that is under way."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.job, self.stopped = "", False

    def stop(self) -> None:
        """Nobody waits for it any more."""
        self.stopped = True
        if self.job:
            self._services.queue.stop(self.job)


def look(
    services: Services, owner: QObject, project_id: str, done: Planned, failed: Failed | None = None,
    wanted: Wanted | None = None,
) -> Looking:  # fmt: skip
    """Count in a worker what would be made of the code: `done(Plan)`, whose `problem` says what is in the way.

    Nothing else is queued. Without `failed` an error is shown as the owner's.
    """
    how, looking = wanted or Wanted(), Looking(services)

    def looked(asked: _Asked, job: Job) -> None:
        looking.job = ""
        if looking.stopped:
            return
        if job.status is JobState.COMPLETED:
            done(plan(job.result, how.config(), asked.rate, how.preset, Limits(**(how.limits or {}))))
        elif job.error is not None:
            (failed or services.notifier.report)(job.error)

    def go(asked: _Asked) -> None:
        if not looking.stopped:
            looking.job = services.start_job(
                "look_at_examples", asked.title, asked.params, lambda job: looked(asked, job), owner,
            )  # fmt: skip

    services.read(owner, lambda db: _asked(db, services, project_id, how), go, failed)
    return looking


def _asked(db: Database, services: Services, project_id: str, wanted: Wanted, *, start: bool = False) -> _Asked:
    params = adapters.look_params(db, services.workspace, project_id, wanted, start=start)
    title = f"Looking at the code of {projects.get(db, project_id).name}"
    return _Asked(title, params, training.seconds_per_token(db, params["base_model_id"]))


def train(
    services: Services, owner: QObject, project_id: str, counts: Any = None, wanted: Wanted | None = None,
    done: Callable[[Chain], None] | None = None, failed: Failed | None = None,
) -> None:  # fmt: skip
    """Queue examples and the training that waits for them; what can't begin is said and nothing is queued.

    `counts` is a plan's (`Plan.counts`), so that too little is refused before anything starts.
    """

    def write(db: Database) -> tuple[Changed, Chain]:
        return adapters.start(db, services.workspace, project_id, wanted, counts)

    def written(chain: Chain) -> None:
        services.queue.kick()
        if done is not None and shiboken6.isValid(owner):
            done(chain)

    def refused(exc: Exception) -> None:
        alive = shiboken6.isValid(owner)
        if failed is not None and alive:
            failed(exc)
        else:
            services.notifier.report(exc, owner if alive else None)

    # Of the root: what was queued is begun although the page is gone by then.
    services.write(services.root, write, written, refused)


def when_added(services: Services, project_id: str, *, automatic: bool, wanted: Wanted | None = None) -> None:
    """A project was added: with `automatic` look at it and train, or let the project say why that can't begin.

    The look queues the training in the transaction that ends it, so that it happens although the window dies between.
    """
    if not automatic:
        return

    def go(asked: _Asked) -> None:
        services.start_job("look_at_examples", asked.title, asked.params)

    def refused(exc: Exception) -> None:
        error = explain(exc)
        services.write(services.root, lambda db: adapters.not_started(db, project_id, error))

    how = wanted or Wanted()
    services.read(services.root, lambda db: _asked(db, services, project_id, how, start=True), go, refused)


def tell_decisions(services: Services) -> None:
    """From now on a run for a project that ends says whether its adapter is used."""

    def ended(job: Job) -> None:
        owner = job.params.get("owner") or {}
        if job.status is not JobState.COMPLETED or owner.get("kind") != adapters.OWNER:
            return

        def say(told: str) -> None:
            if told:
                services.notifier.say(told)

        services.read(services.root, lambda db: _told(db, str(owner["id"]), job.id), say)

    services.queue.finished.connect(ended)


def _told(db: Database, project_id: str, run_id: str) -> str:
    project = projects.get(db, project_id)
    record = adapter_state.record_of(project)
    if record is None or record.run != run_id:
        return ""
    return f"{project.name}: {adapter_state.state(db, project).words}"
