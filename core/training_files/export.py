"""Export a training file to a place of the user's choice."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from pathlib import Path

from core.cancel import CancelToken
from core.db import Database
from core.errors import AppError
from core.registries import EXPORT_FORMATS
from core.training_files import store
from core.training_files.aggregate import from_version
from core.training_files.exports import ExportFormat
from core.workspace.files import TMP_PREFIX, disk_error, publish_file, publish_folder
from core.workspace.paths import Workspace


def formats() -> list[ExportFormat]:
    """The registered formats, for a menu."""
    return [found for _, found in EXPORT_FORMATS.items()]


def suggested_name(name: str, version: int, format_name: str) -> str:
    """A file name for a save dialog."""
    found: ExportFormat = EXPORT_FORMATS.get(format_name)
    plain = "".join(char if char.isalnum() or char in " -_." else "_" for char in name).strip(" .") or "training file"
    return f"{plain} v{version}{found.suffix}"


def export_to(
    db: Database, workspace: Workspace, training_file_id: str, path: Path, format_name: str,
    *, version: int | None = None, token: CancelToken | None = None,
) -> int:  # fmt: skip
    """Write a version (the newest by default) in a format; afterwards `path` is the old file or the whole new one.

    A format of several files writes a new folder; one that is there already, with something in it, stays as it is.

    Returns the number of rows. Raises AppError `no_such_version`, `unknown_export_format` or about the disk.
    """
    found = [item for item in store.versions(db, training_file_id) if version in (None, item.version)]
    if not found:
        raise AppError(
            "no_such_version",
            f"The training file has no version {version}." if version else "The training file has no version yet.",
            hint="Choose one of the versions in its history.",
        )
    chosen = found[0]
    target: ExportFormat = EXPORT_FORMATS.get(format_name)
    data = from_version(
        workspace.absolute(chosen.json_file_path),
        workspace.absolute(chosen.jsonl_file_path),
        chosen.total_training_pairs,
    )
    tmp = path.with_name(f"{TMP_PREFIX}{uuid.uuid4().hex}-{path.name}")
    try:
        rows = target.write(data, tmp, token or CancelToken())
        (publish_folder if tmp.is_dir() else publish_file)(tmp, path)
    except OSError as exc:
        raise disk_error(exc, path) from exc
    finally:
        if tmp.is_dir():
            shutil.rmtree(tmp, ignore_errors=True)
        with contextlib.suppress(OSError):
            tmp.unlink(missing_ok=True)
    return rows
