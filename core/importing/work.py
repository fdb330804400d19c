"""In the worker: import files and folders, each on its own, so that a bad one never stops a good one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from core.conversations.ingest import ConversationIngest
from core.datasets.ingest import DatasetIngest
from core.errors import AppError, Cancelled, bug_report
from core.importing.recognise import recognise
from core.importing.walk import Walk
from core.reading.encoding import file_size, refuse_name
from core.reading.importer import Recognised
from core.reading.intake import CONVERSATION, DATASET, Intake
from core.workers.host import JobContext

log = logging.getLogger(__name__)


class Target(Protocol):
    """The capability that what was recognised is handed to."""

    def take(self, found: Recognised) -> None:
        """Write what is in the file and report each record to the intake."""


def run(context: JobContext) -> dict[str, Any]:
    """The handler of `import`."""
    walk = Walk(context.token)
    paths = list(dict.fromkeys(walk.files([Path(str(name)) for name in context.params["files"]])))
    sizes = {path: _size(path) for path in paths}
    intake = Intake(context, sum(sizes.values()))
    db = context.open_db()
    try:
        use_known = bool(context.params.get("use_known"))
        targets: Mapping[str, Target] = {
            CONVERSATION: ConversationIngest(intake, db, use_known=use_known),
            DATASET: DatasetIngest(intake, db, use_known=use_known),
        }
        for path in paths:
            context.token.raise_if_cancelled()
            if not intake.start_file(path, sizes[path]):
                continue
            try:
                if error := walk.errors.get(path):
                    raise error
                refuse_name(path)
                _one(intake, targets, path)
            except AppError as error:
                if error.code == "disk_full":
                    raise
                intake.reject(error)
            except (Cancelled, OSError, sqlite3.Error):
                raise
            except Exception as exc:
                # One odd file must not end the import of all the others.
                log.exception("import of %s", path)
                intake.reject(bug_report(exc))
            intake.end_file()
    finally:
        db.close()
    return {**intake.result(), "ignored_files": walk.ignored}


def _one(intake: Intake, targets: Mapping[str, Target], path: Path) -> None:
    intake.tick(0, "recognising")
    found = recognise(path, intake.token)
    name = found.importer.target if found.importer else CONVERSATION
    if name not in targets:
        raise AppError(
            "bad_importer",
            f"The importer {found.importer.name if found.importer else ''} has the unknown target {name!r}.",
            hint="An importer's target is “conversation” or “dataset”.",
        )
    targets[name].take(found)


def _size(path: Path) -> int:
    try:
        return file_size(path)
    except AppError:
        return 0
