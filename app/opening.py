"""Open a workspace for writing, in two steps, without Qt: lock and migrate; then recover what was under way."""

from __future__ import annotations

import logging
import shutil
from contextlib import closing
from dataclasses import dataclass

from core import jobs, trash
from core.db import Database
from core.db.connection import connect, open_database, transaction
from core.errors import AppError, Where
from core.jobs import Job, JobState
from core.models import store as models
from core.models.practice import PRACTICE_ID
from core.scaffolding import verticals
from core.scaffolding.seeding import choose, seed
from core.workers.session import recover
from core.workspace import settings
from core.workspace.lock import FileLock, workspace_locked
from core.workspace.paths import Workspace

log = logging.getLogger(__name__)
# The setting that names the jobs which paused for a question, for a start after the window was killed.
PAUSED_FOR_CHAT = "paused_for_chat"


@dataclass(frozen=True)
class Opened:
    """A workspace that is ours: locked, backed up, migrated."""

    workspace: Workspace
    lock: FileLock
    theme: str


def open_workspace(workspace: Workspace, vertical: str = "") -> Opened:
    """Create, lock, back up and migrate; any thread. Nothing stays locked when it fails.

    `vertical` is the key of what a new workspace is for; an existing one must be for the same. Raises AppError
    `workspace_locked`, `workspace_not_writable`, `database_too_new`, `database_error`, `unknown_vertical`,
    `bad_vertical` or `vertical_is_set`.
    """
    if vertical:
        # Before there is a folder: a typing error leaves nothing behind.
        verticals.load(vertical)
    workspace.create()
    lock = FileLock(workspace.root / ".lock")
    try:
        if not lock.try_acquire():
            raise workspace_locked(lock)
        db = open_database(workspace.db_path, workspace.backups)
        try:
            if vertical:
                choose(db, vertical)
            return Opened(workspace, lock, str(settings.get(db, "theme")))
        finally:
            db.close()
    except BaseException as exc:
        lock.release()
        if isinstance(exc, OSError):
            raise workspace.not_writable(exc) from exc
        raise


def create_workspace(workspace: Workspace, vertical: str) -> None:
    """Make a new workspace for that vertical and leave it closed; any thread.

    Raises AppError `folder_in_use` where something is in the folder already, and what `open_workspace` raises.
    """
    root = workspace.root
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise AppError(
            "folder_in_use", f"The folder {root} already exists.", hint="Use another name.", where=Where(field="name")
        )
    try:
        opened = open_workspace(workspace, vertical)
        try:
            with closing(connect(workspace.db_path)) as db:
                # What it is for need not be asked again.
                settings.put(db, "started", True)
        finally:
            opened.lock.release()
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise


def settle(db: Database, workspace: Workspace) -> list[Job]:
    """Before any job: replay what was under way, sweep, see that the library is there. Returns the recovered jobs."""
    recovered = recover(db, workspace)
    resume_paused(db)
    for path in trash.sweep(db, workspace) if recovered.whole else ():
        log.warning("removed %s, which no row names", path)
    try:
        seed(db)
    except AppError as error:
        # The workspace of another machine, with a vertical that this one lacks: what it holds can still be used.
        log.warning("no scaffolding is loaded: %s %s", error, error.where)
    return recovered.jobs


def resume_paused(db: Database) -> None:
    """At the next start: the jobs that paused for a question go on, also those whose window was killed meanwhile."""
    ids = settings.get(db, PAUSED_FOR_CHAT, [])
    if not ids:
        return
    with transaction(db):
        for ident in jobs.those_paused(db, ids):
            jobs.requeue(db, ident)
        settings.put(db, PAUSED_FOR_CHAT, [])


def queue_practice_model(db: Database) -> None:
    """A workspace without any base gets the practice model: a job that copies, checks and registers it."""
    if models.ever_had(db, PRACTICE_ID) or jobs.listing(db, kind="add_base_model", states=(JobState.QUEUED,)):
        return
    jobs.create(db, "add_base_model", "Preparing practice model", {"path": PRACTICE_ID})
