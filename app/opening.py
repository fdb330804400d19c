"""Open a workspace for writing: folders, lock, database, scaffolding, recovery. Without Qt."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlite_utils import Database

from core import trash
from core.db.connection import open_database
from core.jobs import Job
from core.scaffolding import store as scaffolding
from core.workers.session import recover
from core.workspace.lock import FileLock, workspace_locked
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)


@dataclass
class Opened:
    """An open workspace; `recovered` are the jobs that were under way when it was last closed."""

    workspace: Workspace
    lock: FileLock
    db: Database
    recovered: list[Job]

    def close(self) -> None:
        """Close the database and give the lock back."""
        self.db.close()
        self.lock.release()


def open_workspace(workspace: Workspace) -> Opened:
    """Raises AppError `workspace_locked`, `workspace_not_writable`, `database_too_new` or `database_error`."""
    workspace.create()
    lock = FileLock(workspace.root / ".lock")
    if not lock.try_acquire():
        raise workspace_locked(lock)
    try:
        db = open_database(workspace.db_path, workspace.backups)
        scaffolding.seed(db)
        recovered = recover(db, workspace)
        for path in trash.sweep(db, workspace):
            log.warning("removed %s, which no row names", path)
    except BaseException:
        lock.release()
        raise
    return Opened(workspace, lock, db, recovered)
