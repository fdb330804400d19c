"""A file of a project opens in the editor of choice, at a line."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QProcess
from sqlite_utils import Database

from app import editors
from app.services import Services
from core.errors import AppError, Where
from core.workspace import settings

# Settings say where the editor is chosen.
ACTION = "page:settings/code"


def open_in_editor(services: Services, owner: QObject, root: Path, path: str, line: int) -> None:
    """Open `path` below `root` at `line` (from 1); what is in the way becomes the owner's banner. Returns at once."""

    def find(db: Database) -> list[str]:
        place = (root / path).resolve()
        if not place.is_relative_to(root.resolve()):
            raise AppError(
                "outside_project", f"The file {path} is not inside the project.", hint="Open it by hand if you trust it.",
                where=Where(file=path),
            )  # fmt: skip
        try:
            return editors.command(str(settings.get(db, editors.SETTING, "")), place, line)
        except AppError as error:
            if error.code in ("bad_editor", "no_editor"):
                error.action = ACTION
            raise

    def start(command: list[str]) -> None:
        started, _pid = QProcess.startDetached(command[0], command[1:])
        if not started:
            services.notifier.report(
                AppError(
                    "editor_failed", f"The editor {command[0]} could not be started.",
                    hint="Choose another one in Settings.", detail=" ".join(command), action=ACTION,
                ),
                owner,
            )  # fmt: skip

    services.read(owner, find, start)
