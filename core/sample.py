"""The sample workspace: a real workspace made on first use, whose conversations are then imported as files."""

from __future__ import annotations

from pathlib import Path

from core.db.connection import open_database
from core.scaffolding import seeding, verticals
from core.workspace import settings
from core.workspace.lock import FileLock
from core.workspace.paths import Workspace, resources


def sample_files() -> list[Path]:
    """The shipped conversations, in order."""
    return sorted((resources() / "sample" / "conversations").glob("*.json"))


def create(workspace: Workspace) -> list[Path]:
    """Make the workspace if it is not there yet; returns the files to import. Raises AppError `workspace_locked`."""
    workspace.create()
    with FileLock(workspace.root / ".lock"):
        db = open_database(workspace.db_path, workspace.backups)
        try:
            seeding.choose(db, verticals.default_key())
            settings.put(db, "is_sample", True)
        finally:
            db.close()
    return sample_files()
