"""The worker's side of "check_conversations": read the turns of every conversation that is behind."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from core.conversations import digests, store
from core.conversations.parse import Turn
from core.conversations.store import Conversation
from core.errors import AppError
from core.workers.host import JobContext
from core.workspace.paths import Workspace

_PROGRESS_S = 0.1


def read(workspace: Workspace, conversation: Conversation) -> tuple[list[Turn], digests.Digest]:
    """Turns and digest; a file that is missing, damaged or of another shape has no turns and says so."""
    try:
        turns = store.turns(workspace, conversation)
        return turns, digests.digest(turns)
    except (AppError, AttributeError, KeyError, TypeError):
        return [], digests.UNREADABLE


def run(ctx: JobContext) -> dict[str, Any]:
    """Report a digest for each; a file that can't be read is a finding, not an end."""
    reported = 0.0
    with contextlib.closing(ctx.open_db()) as db:
        ids = digests.all_behind(db)
        for index, ident in enumerate(ids):
            ctx.token.raise_if_cancelled()
            if time.monotonic() - reported >= _PROGRESS_S:
                reported = time.monotonic()
                ctx.progress(index, len(ids), "Reading conversations")
            with contextlib.suppress(AppError):
                row = store.get(db, ident)
                _, found = read(ctx.workspace, row)
                ctx.emit("checked", conversation_id=ident, content_hash=row.content_hash, digest=found.to_json())
    ctx.progress(len(ids), len(ids), "Reading conversations")
    return {"checked": len(ids)}
