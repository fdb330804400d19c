"""The job kinds of conversations. Light: the window imports it.

"check_conversations" makes digests for conversations that have none, such as those of older workspaces. No params;
what is behind is looked up when it begins. Result: {"checked"}.

"export_conversations" writes what a filter lets through. Params: {"filter": fields of `Filter`, "form": "raw" or
"enriched", "folder": bool, "path"}; result: {"exported", "left_out", "path"}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.db import Database
from core.events import Changed
from core.jobs import Job, JobKind
from core.workspace.paths import Workspace


def apply(db: Database, workspace: Workspace, job: Job, event: Mapping[str, Any]) -> Changed:
    """Store the digest of one conversation, unless it was edited or purged since the worker read it."""
    from core.conversations import digests, store
    from core.errors import AppError

    ident = str(event["conversation_id"])
    row = db.execute("select content_hash from conversations where id = ?", [ident]).fetchone()
    if row is None or row[0] != event["content_hash"]:
        return Changed.NOTHING
    found = digests.Digest.from_json(event["digest"])
    try:
        turns = store.turns(workspace, store.get(db, ident))
    except (AppError, KeyError, TypeError):
        turns, found = [], digests.UNREADABLE
    digests.put(db, ident, row[0], turns, found)
    return Changed.CONVERSATIONS


CHECK = JobKind(
    "check_conversations", handler="core.conversations.check:run", events=("checked",), apply=apply, resumable=True,
    page="conversations",
)  # fmt: skip


def _nothing(_db: Database, _workspace: Workspace, _job: Job, _event: Mapping[str, Any]) -> Changed:
    return Changed.NOTHING


EXPORT = JobKind(
    "export_conversations", handler="core.conversations.export:run", events=(), apply=_nothing, page="conversations"
)
