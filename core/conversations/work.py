"""In the worker: import files and folders, each on its own, so that a bad one never stops a good one."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.conversations.ingest import Known
from core.conversations.ingest import ingest as ingest_conversations
from core.conversations.intake import Intake
from core.conversations.sniff import recognise
from core.conversations.text import file_size, refuse_name, unreadable
from core.errors import AppError, Cancelled, Where, bug_report
from core.registry import resolve
from core.workers.host import JobContext

log = logging.getLogger(__name__)
SUFFIXES = (".json", ".jsonl")
# Datasets come later in the chain than conversations, so their reader is named, not imported.
_DATASET_INGEST = "core.datasets.work:ingest"


def run(context: JobContext) -> dict[str, Any]:
    """The handler of `import`."""
    walk = Walk(context.token)
    paths = list(dict.fromkeys(walk.files([Path(str(name)) for name in context.params["files"]])))
    sizes = {path: _size(path) for path in paths}
    intake = Intake(context, sum(sizes.values()))
    db = context.open_db()
    try:
        known = Known(db, use_known=bool(context.params.get("use_known")))
        for path in paths:
            context.token.raise_if_cancelled()
            if not intake.start_file(path, sizes[path]):
                continue
            try:
                if error := walk.errors.get(path):
                    raise error
                refuse_name(path)
                _one(intake, db, path, known)
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


def _one(intake: Intake, db: Any, path: Path, known: Known) -> None:
    intake.tick(0, "recognising")
    found = recognise(path, intake.token)
    target = found.importer.target if found.importer else "conversation"
    if target == "conversation":
        ingest_conversations(intake, db, found, known)
    elif target == "dataset":
        resolve(_DATASET_INGEST)(intake, db, found, use_known=known.use_known)
    else:
        raise AppError(
            "bad_importer",
            f"The importer {found.importer.name if found.importer else ''} has the unknown target {target!r}.",
            hint="An importer's target is “conversation” or “dataset”.",
        )


def _size(path: Path) -> int:
    try:
        return file_size(path)
    except AppError:
        return 0


class Walk:
    """Files in what the user named; folders are read through, and what is passed over there is counted."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token
        self.errors: dict[Path, AppError] = {}
        self.ignored = 0

    def files(self, named: list[Path]) -> Iterator[Path]:
        """Every file to read, folders recursively in order of names, only *.json and *.jsonl there."""
        for path in named:
            # os.path, since Path.is_dir raises where a folder above may not be entered.
            if os.path.isdir(path):
                yield from self._folder(path)
            else:
                yield path

    def _folder(self, top: Path) -> Iterator[Path]:
        unreadable_folders: list[OSError] = []
        found = 0
        for folder, subfolders, names in os.walk(top, onerror=unreadable_folders.append):
            self._token.raise_if_cancelled()
            subfolders.sort()
            # A link may lead round in a circle, so none is followed; each counts as passed over.
            self.ignored += sum(os.path.islink(os.path.join(folder, name)) for name in subfolders)
            for name in sorted(names):
                if not name.lower().endswith(SUFFIXES) or name.startswith("."):
                    self.ignored += 1
                    continue
                found += 1
                yield Path(folder, name)
        for exc in unreadable_folders:
            path = Path(exc.filename or top)
            self.errors[path] = unreadable(exc, path)
            yield path
        if not found and not unreadable_folders:
            self.errors[top] = AppError(
                "empty_folder",
                "There is no *.json or *.jsonl file in this folder.",
                hint="Choose the folder that holds the conversations, or name the file itself.",
                where=Where(str(top)),
            )
            yield top
