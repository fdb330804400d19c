"""Edits of a conversation: each is a version with a file of its own, so that every earlier one can be gone back to.

`raw.json` and `parsed.json` stay as they are; version 2 is `parsed-2.json`. The row points to the version in force,
and everything that is derived from the words follows: hash, digest, and enrichment, which has to run again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.conversations import digests, store
from core.conversations.parse import Turn, content_hash, first_words
from core.conversations.store import Conversation
from core.db import Database
from core.db.connection import now, transaction
from core.errors import AppError, Where
from core.events import Changed
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace

ENRICHED = "enriched.json"


@dataclass(frozen=True)
class Version:
    """One state of a conversation's words; `current` is the one in force."""

    version: int
    title: str
    file_path: str
    turn_count: int
    created_at: str
    current: bool

    @property
    def id(self) -> int:
        """For lists."""
        return self.version


def versions(db: Database, conversation: Conversation) -> list[Version]:
    """Newest first; one that was never edited has none."""
    rows = db.execute(
        "select * from conversation_versions where conversation_id = ? order by version desc", [conversation.id]
    ).fetchall()
    return [
        Version(
            row["version"], row["title"], row["file_path"], row["turn_count"], row["created_at"],
            row["file_path"] == conversation.file_path,
        )
        for row in rows
    ]  # fmt: skip


def edit(
    db: Database, workspace: Workspace, ident: str, turn: int, content: str, expected: str | None = None
) -> tuple[Changed, tuple[int, int] | None]:
    """Give turn `turn` (from 1) other words. Returns the versions (before, after), None where nothing changed.

    An answer without words becomes a missing one. `expected` are the words that it must have now. Raises AppError
    `empty_content`, `no_such_turn`, `turn_changed`, `duplicate`, `being_enriched` or `no_such_conversation`.
    """
    found = _editable(db, ident)
    parsed = store.read_parsed(workspace, found)
    listed = [dict(value) for value in parsed["turns"]]
    if not 1 <= turn <= len(listed):
        raise AppError("no_such_turn", f"“{found.title}” has no turn {turn}.", hint="Refresh the list.")
    if expected is not None and (listed[turn - 1]["content"] or "") != expected:
        raise AppError(
            "turn_changed", f"Turn {turn} of “{found.title}” has other words by now.", hint="Read it again first."
        )
    text = content.strip() or None
    if text is None and listed[turn - 1]["role"] == "user":
        raise AppError(
            "empty_content", f"Turn {turn} would be empty.", hint="Write what the client says.",
            where=Where(field=f"turns[{turn - 1}].content"),
        )  # fmt: skip
    if text == listed[turn - 1]["content"]:
        return Changed.NOTHING, None
    # Emotions that came with the file were of the earlier words.
    listed[turn - 1] = {"role": listed[turn - 1]["role"], "content": text}
    turns = _turns(listed)
    fingerprint = content_hash(turns)
    _refuse_twin(db, ident, fingerprint)
    titled = found.title != first_words(_turns(parsed["turns"]))
    title = found.title if titled else first_words(turns)
    return _write(db, workspace, found, {**parsed, "title": title, "turns": listed}, fingerprint)


def restore(
    db: Database, workspace: Workspace, ident: str, version: int, *, instead_of: int | None = None
) -> Changed:  # fmt: skip
    """Go back, or forward, to a version; no version is lost by it. `instead_of` is the one that must be in force now.

    Raises AppError `no_such_version`, `edited_since`, `duplicate`, `being_enriched`, `no_such_conversation`, or what
    reading its file raises.
    """
    found = _editable(db, ident)
    current = next((row.version for row in versions(db, found) if row.current), None)
    if instead_of is not None and current not in (instead_of, version):
        raise AppError(
            "edited_since", f"“{found.title}” was edited again after that: version {current} is in force.",
            hint="Choose the version to go back to under Versions.",
        )  # fmt: skip
    row = db.execute(
        "select * from conversation_versions where conversation_id = ? and version = ?", [ident, version]
    ).fetchone()
    if row is None:
        raise AppError("no_such_version", f"“{found.title}” has no version {version}.", hint="Refresh the list.")
    if row["file_path"] == found.file_path:
        return Changed.NOTHING
    target = workspace.absolute(row["file_path"])
    parsed = read_json(target)
    turns = _turns(parsed["turns"])
    _refuse_twin(db, ident, row["content_hash"])
    parameters = parsed.get("input_parameters", {})
    # From a version whose file is damaged one has to be able to go back, too.
    with contextlib.suppress(AppError):
        parameters = store.read_parsed(workspace, found).get("input_parameters", {})
    if parsed.get("input_parameters", {}) != parameters:
        # Persona, arc and topic are the conversation's, not a version's.
        write_json(target, {**parsed, "input_parameters": parameters})
    with transaction(db):
        _put_in_force(db, workspace, found, dict(row), turns)
    return Changed.CONVERSATIONS


def read_version(workspace: Workspace, file_path: str) -> list[Turn]:
    """The turns of a version. Raises AppError when its file is missing or damaged."""
    return _turns(read_json(workspace.absolute(file_path))["turns"])


def _editable(db: Database, ident: str) -> Conversation:
    found = store.get(db, ident)
    if found.deleted_at is not None:
        raise AppError("deleted", f"“{found.title}” is in the trash.", hint="Restore it first.")
    if found.enrichment_status == "enrichment_in_progress":
        raise AppError(
            "being_enriched", f"“{found.title}” is being enriched.", hint="Wait until that is done, then edit it."
        )
    return found


def _refuse_twin(db: Database, ident: str, fingerprint: str) -> None:
    row = db.execute(
        "select title from conversations where content_hash = ? and id <> ? and deleted_at is null",
        [fingerprint, ident],
    ).fetchone()
    if row is not None:
        raise AppError(
            "duplicate", f"With these words it would be the same as “{row['title']}”.",
            hint="Write something else, or delete one of the two.",
        )  # fmt: skip


def _turns(listed: Sequence[Mapping[str, Any]]) -> list[Turn]:
    return [Turn(value["role"], value["content"], value.get("emotional_context")) for value in listed]


def _write(
    db: Database, workspace: Workspace, found: Conversation, parsed: Mapping[str, Any], fingerprint: str
) -> tuple[Changed, tuple[int, int]]:
    """A new version: its file first, then all rows in one transaction. A file without a row is written over."""
    rows = versions(db, found)
    before = next((row.version for row in rows if row.current), 1)
    number = max((row.version for row in rows), default=1) + 1
    path = workspace.conversations / found.id / f"parsed-{number}.json"
    write_json(path, parsed)
    turns = _turns(parsed["turns"])
    row = {
        "conversation_id": found.id, "version": number, "title": parsed["title"], "file_path": workspace.relative(path),
        "content_hash": fingerprint, "turn_count": len(turns), "created_at": now(),
    }  # fmt: skip
    with transaction(db):
        if not rows:
            _keep(db, {
                **row, "version": 1, "title": found.title, "file_path": found.file_path,
                "content_hash": found.content_hash, "turn_count": found.turn_count, "created_at": found.created_at,
            })  # fmt: skip
        _keep(db, row)
        _put_in_force(db, workspace, found, row, turns)
    return Changed.CONVERSATIONS, (before, number)


def _keep(db: Database, row: Mapping[str, Any]) -> None:
    db.execute(
        f"insert into conversation_versions({', '.join(row)}) values({', '.join('?' * len(row))})", list(row.values())
    )


def _put_in_force(
    db: Database, workspace: Workspace, found: Conversation, version: Mapping[str, Any], turns: Sequence[Turn]
) -> None:
    done = found.enrichment_status == "completed"
    # What was enriched before this column existed was enriched as it stands.
    enriched = found.enriched_hash or (found.content_hash if done else None)
    path = workspace.conversations / found.id / ENRICHED
    fresh = enriched is not None and enriched == version["content_hash"] and path.is_file()
    stamp = now()
    db.execute(
        "update conversations set title = ?, file_path = ?, content_hash = ?, turn_count = ?, enriched_hash = ?,"
        " enrichment_status = ?, enriched_file_path = ?, failed_stage = null, enrichment_error = null, edited_at = ?,"
        " updated_at = ? where id = ?",
        [
            version["title"], version["file_path"], version["content_hash"], version["turn_count"], enriched,
            "completed" if fresh else "not_started", workspace.relative(path) if fresh else None, stamp, stamp,
            found.id,
        ],
    )  # fmt: skip
    digests.put(db, found.id, version["content_hash"], turns, digests.digest(turns))
