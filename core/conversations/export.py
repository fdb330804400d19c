"""The worker's side of "export_conversations": what a filter lets through, as one JSON array or as a folder of files.

Raw is the parsed form with the words in force (the shape of an import file), enriched the v4 document.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.conversations import store
from core.conversations.store import Conversation, Filter
from core.errors import AppError
from core.workers.host import JobContext
from core.workspace.files import TMP_PREFIX, disk_error, new_folder, publish_file
from core.workspace.paths import Workspace

FORMS = {"raw": "file_path", "enriched": "enriched_file_path"}
_PROGRESS_S = 0.1
_NAME_LENGTH = 60


def run(ctx: JobContext) -> dict[str, Any]:
    """Write all of them or nothing; what is there already is replaced in one step. Raises AppError about the disk."""
    target, form = Path(ctx.params["path"]), str(ctx.params["form"])
    values = dict(ctx.params["filter"])
    wanted = Filter(**{**values, "ids": tuple(values.get("ids", ()))})
    with contextlib.closing(ctx.open_db()) as db:
        every = [store.get(db, ident) for ident in store.ids(db, wanted)]
    chosen = [row for row in every if fits(row, form)]
    if not chosen:
        raise AppError(
            "nothing_to_export", "None of the conversations shown is enriched." if every else "No conversations match.",
            hint="Enrich them first, or export them raw." if every else "Clear the filters.",
            action="page:conversations",
        )  # fmt: skip
    if ctx.params["folder"]:
        if target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise AppError(
                "target_exists", f"{target} is already there, and not an empty folder.", hint="Choose another name."
            )
        with new_folder(target) as tmp:
            for row, content in _contents(ctx, chosen, form):
                (tmp / file_name(row)).write_bytes(content)
    else:
        _write_array(target, (content for _, content in _contents(ctx, chosen, form)))
    return {"exported": len(chosen), "left_out": len(every) - len(chosen), "path": str(target)}


def fits(row: Conversation, form: str) -> bool:
    """Whether it has that form."""
    return (
        bool(row.file_path) if form == "raw" else row.enrichment_status == "completed" and bool(row.enriched_file_path)
    )


def file_name(row: Conversation) -> str:
    """Its title and the beginning of its id, which tells those of one title apart."""
    plain = "".join(char if char.isalnum() or char in " -_" else "_" for char in row.title)[:_NAME_LENGTH].strip()
    return f"{plain} {row.id[:8]}.json".strip()


def _contents(ctx: JobContext, rows: Sequence[Conversation], form: str) -> Iterator[tuple[Conversation, bytes]]:
    reported = 0.0
    for index, row in enumerate(rows):
        ctx.token.raise_if_cancelled()
        if time.monotonic() - reported >= _PROGRESS_S:
            reported = time.monotonic()
            ctx.progress(index, len(rows), "Exporting", row.title)
        yield row, _content(ctx.workspace, row, form)
    ctx.progress(len(rows), len(rows), "Exporting")


def _content(workspace: Workspace, row: Conversation, form: str) -> bytes:
    path = workspace.absolute(getattr(row, FORMS[form]) or "")
    try:
        return path.read_bytes()
    except OSError as exc:
        raise disk_error(exc, path) from exc


def _write_array(target: Path, parts: Iterator[bytes]) -> None:
    """Stream them, so that no more than one conversation is in memory."""
    tmp = target.with_name(f"{TMP_PREFIX}{uuid.uuid4().hex}")
    try:
        with tmp.open("wb") as out:
            for number, part in enumerate(parts):
                out.write(b",\n" if number else b"[\n")
                out.write(part.strip())
            out.write(b"\n]\n")
        publish_file(tmp, target)
    except OSError as exc:
        with contextlib.suppress(OSError):
            tmp.unlink(missing_ok=True)
        raise disk_error(exc, target) from exc
    except BaseException:
        with contextlib.suppress(OSError):
            tmp.unlink(missing_ok=True)
        raise
