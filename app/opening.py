"""Open a workspace for writing, in two steps, without Qt: lock and migrate; then recover what was under way."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlite_utils import Database

from core import jobs, trash
from core.db.connection import open_database
from core.jobs import Job, JobState
from core.models import store as models
from core.models.practice import PRACTICE_ID
from core.scaffolding.store import seed
from core.workers.session import recover
from core.workspace import settings
from core.workspace.lock import FileLock, workspace_locked
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """A workspace that is ours: locked, backed up, migrated."""

    workspace: Workspace
    lock: FileLock
    theme: str


def open_workspace(workspace: Workspace) -> Opened:
    """Create, lock, back up and migrate; any thread. Nothing stays locked when it fails.

    Raises AppError `workspace_locked`, `workspace_not_writable`, `database_too_new` or `database_error`.
    """
    workspace.create()
    lock = FileLock(workspace.root / ".lock")
    try:
        if not lock.try_acquire():
            raise workspace_locked(lock)
        db = open_database(workspace.db_path, workspace.backups)
        try:
            return Opened(workspace, lock, str(settings.get(db, "theme")))
        finally:
            db.close()
    except BaseException as exc:
        lock.release()
        if isinstance(exc, OSError):
            raise workspace.not_writable(exc) from exc
        raise


def settle(db: Database, workspace: Workspace) -> list[Job]:
    """Before any job: replay what was under way, sweep, see that the library is there. Returns the recovered jobs."""
    recovered = recover(db, workspace)
    for path in trash.sweep(db, workspace) if recovered.whole else ():
        log.warning("removed %s, which no row names", path)
    seed(db)
    return recovered.jobs


def queue_practice_model(db: Database) -> None:
    """A workspace without any base gets the practice model: a job that copies, checks and registers it."""
    if models.ever_had(db, PRACTICE_ID) or jobs.listing(db, kind="add_base_model", states=(JobState.QUEUED,)):
        return
    jobs.create(db, "add_base_model", "Preparing practice model", {"path": PRACTICE_ID})
