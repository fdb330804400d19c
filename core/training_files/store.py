"""Training files: rows, versions, members, and who may become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.db import Database
from core.db.connection import fold, now, transaction
from core.errors import AppError, Where
from core.events import Changed
from core.training_files.aggregate import Member

_STATUS_WORDS = {
    "not_started": "not enriched yet", "enrichment_in_progress": "being enriched now",
    "failed": "its enrichment failed", "completed": "its enriched file is missing",
}  # fmt: skip
_ELIGIBLE = "deleted_at is null and enrichment_status = 'completed' and coalesce(enriched_file_path, '') <> ''"


@dataclass(frozen=True)
class TrainingFile:
    """One row of `training_files`; paths are relative to the workspace."""

    id: str
    name: str
    description: str
    json_file_path: str
    jsonl_file_path: str
    conversation_count: int
    total_training_pairs: int
    json_file_size: int
    jsonl_file_size: int
    avg_quality_score: float | None
    min_quality_score: float | None
    max_quality_score: float | None
    human_reviewed_count: int
    scaffolding_distribution: Mapping[str, Mapping[str, int]]
    status: str
    version: int
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Version:
    """One built version of a training file."""

    version: int
    json_file_path: str
    jsonl_file_path: str
    conversation_count: int
    total_training_pairs: int
    content_hash: str
    created_at: str


@dataclass(frozen=True)
class Candidate:
    """A conversation in a training file or fit for one."""

    conversation_id: str
    title: str
    tier: str
    persona_key: str
    emotional_arc_key: str
    training_topic_key: str
    turn_count: int
    quality_score: float | None
    human_reviewed: bool
    updated_at: str
    added_at: str = ""


_FIELDS = tuple(TrainingFile.__dataclass_fields__)
_VERSION_FIELDS = tuple(Version.__dataclass_fields__)
_CANDIDATE = (
    "c.conversation_id, c.title, coalesce(c.tier, '') tier, coalesce(c.persona_key, '') persona_key,"
    " coalesce(c.emotional_arc_key, '') emotional_arc_key, coalesce(c.training_topic_key, '') training_topic_key,"
    " c.turn_count, c.quality_score, c.human_reviewed, c.updated_at"
)


def _file(row: Mapping[str, Any]) -> TrainingFile:
    values = {name: row[name] for name in _FIELDS}
    values["scaffolding_distribution"] = orjson.loads(values["scaffolding_distribution"])
    for name in ("json_file_path", "jsonl_file_path"):
        values[name] = values[name] or ""
    return TrainingFile(**values)


def listing(db: Database, *, search: str = "") -> list[TrainingFile]:
    """All training files that are not in the trash, newest change first."""
    rows = db.execute(
        "select * from training_files where deleted_at is null and instr(fold(name), ?) > 0"
        " order by updated_at desc, id",
        [fold(search.strip())],
    ).fetchall()
    return [_file(row) for row in rows]


def get(db: Database, training_file_id: str) -> TrainingFile:
    """One training file. Raises AppError `no_such_training_file`."""
    row = db.execute("select * from training_files where id = ? and deleted_at is null", [training_file_id]).fetchone()
    if row is None:
        raise AppError(
            "no_such_training_file",
            f"There is no training file {training_file_id}.",
            hint="It may be in the trash; restore it or choose another.",
            action="page:training_files",
        )
    return _file(row)


def versions(db: Database, training_file_id: str) -> list[Version]:
    """The versions of a training file, newest first."""
    rows = db.execute(
        "select * from training_file_versions where training_file_id = ? order by version desc", [training_file_id]
    ).fetchall()
    return [Version(**{name: row[name] for name in _VERSION_FIELDS}) for row in rows]


def has_version(db: Database, training_file_id: str, version: int) -> bool:
    """Whether a training file that is not in the trash has that version."""
    sql = (
        "select 1 from training_file_versions v join training_files f on f.id = v.training_file_id"
        " where f.id = ? and v.version = ? and f.deleted_at is null"
    )
    return db.execute(sql, [training_file_id, version]).fetchone() is not None


def members(db: Database, training_file_id: str) -> list[Candidate]:
    """The conversations of a training file, in the order in which they were added."""
    rows = db.execute(
        f"select {_CANDIDATE}, m.added_at from training_file_conversations m"
        " join conversations c on c.conversation_id = m.conversation_id where m.training_file_id = ?"
        " order by m.added_at, m.rowid",
        [training_file_id],
    ).fetchall()
    return [_candidate(row) for row in rows]


def edited(db: Database, training_file_id: str) -> list[str]:
    """The titles of members whose words were edited after the newest version was built; it has the earlier words."""
    rows = db.execute(
        "select c.title from training_file_conversations m join conversations c on c.conversation_id ="
        " m.conversation_id where m.training_file_id = ?1 and c.edited_at > (select max(v.created_at) from"
        " training_file_versions v where v.training_file_id = ?1) order by m.added_at, m.rowid", [training_file_id],
    ).fetchall()  # fmt: skip
    return [row[0] for row in rows]


def eligible(db: Database, training_file_id: str = "", *, search: str = "") -> list[Candidate]:
    """Conversations that may be chosen: enriched, and not in that training file yet."""
    rows = db.execute(
        f"select {_CANDIDATE}, '' added_at from conversations c where {_ELIGIBLE} and instr(fold(c.title), ?) > 0"
        " and not exists(select 1 from training_file_conversations m"
        " where m.training_file_id = ? and m.conversation_id = c.conversation_id) order by c.created_at, c.id",
        [fold(search.strip()), training_file_id],
    ).fetchall()
    return [_candidate(row) for row in rows]


def _candidate(row: Mapping[str, Any]) -> Candidate:
    values = {name: row[name] for name in Candidate.__dataclass_fields__}
    return Candidate(**{**values, "human_reviewed": bool(values["human_reviewed"])})


def check_name(db: Database, name: str, training_file_id: str = "") -> str:
    """The name, trimmed. Raises AppError `name_missing` or `name_taken`."""
    trimmed = name.strip()
    if not trimmed:
        raise AppError(
            "name_missing", "The training file has no name.", hint="Enter a name.", where=Where(field="name")
        )
    taken = db.execute(
        "select 1 from training_files where name = ? and id <> ? and deleted_at is null", [trimmed, training_file_id]
    ).fetchone()
    if taken is not None:
        raise AppError(
            "name_taken",
            f"There is already a training file named “{trimmed}”.",
            hint="Choose another name, or add the conversations to the existing file.",
            where=Where(field="name"),
        )
    return trimmed


def check_conversations(db: Database, ids: Sequence[str], training_file_id: str = "") -> list[Member]:
    """The chosen conversations as members, in the order given.

    Raises AppError `no_conversations`, `duplicate_conversations` or `not_eligible`, naming each of them.
    """
    if not ids:
        raise AppError(
            "no_conversations", "No conversations are selected.", hint="Choose at least one enriched conversation."
        )
    rows = {ident: _row(db, ident) for ident in ids}
    inside = {found.conversation_id for found in members(db, training_file_id)} if training_file_id else set()
    seen: set[str] = set()
    twice = []
    for ident in ids:
        if ident in inside or ident in seen:
            why = "already in the file" if ident in inside else "chosen twice"
            twice.append(f"“{_title(rows[ident], ident)}” ({why})")
        seen.add(ident)
    if twice:
        raise AppError(
            "duplicate_conversations",
            f"{_many(len(twice))} can't be added again: {', '.join(twice)}.",
            hint="Remove it from the selection and start again." if len(twice) == 1 else "Remove them and start again.",
            where=Where(field="conversation_ids"),
        )
    unfit = [f"“{_title(row, ident)}” ({_why(row)})" for ident, row in rows.items() if not _fits(row)]
    if unfit:
        raise AppError(
            "not_eligible",
            f"{_many(len(unfit))} can't go into a training file: {', '.join(unfit)}.",
            hint="Enrich the conversations first, or remove those that are not enriched from the selection.",
            where=Where(field="conversation_ids"),
            action="page:conversations",
        )
    return [_member(row) for row in rows.values() if row is not None]


def current_members(db: Database, training_file_id: str) -> list[Member]:
    """The members a new version keeps. Raises AppError `not_eligible` naming those that are no longer enriched."""
    ids = [found.conversation_id for found in members(db, training_file_id)]
    return check_conversations(db, ids) if ids else []


def _row(db: Database, ident: str) -> Mapping[str, Any] | None:
    row: Mapping[str, Any] | None = db.execute(
        "select conversation_id, title, enrichment_status, enriched_file_path, human_reviewed, reviewer_notes,"
        " quality_score, enriched_at, deleted_at from conversations where conversation_id = ?",
        [ident],
    ).fetchone()
    return row


def _title(row: Mapping[str, Any] | None, ident: str) -> str:
    return str(row["title"]) if row is not None else ident


def _fits(row: Mapping[str, Any] | None) -> bool:
    if row is None or row["deleted_at"]:
        return False
    return row["enrichment_status"] == "completed" and bool(row["enriched_file_path"])


def _why(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "there is no such conversation"
    if row["deleted_at"]:
        return "in the trash"
    return _STATUS_WORDS.get(row["enrichment_status"], str(row["enrichment_status"]))


def _many(count: int) -> str:
    return "One conversation" if count == 1 else f"{count:,} conversations"


def _member(row: Mapping[str, Any]) -> Member:
    return Member(
        row["conversation_id"],
        row["title"],
        row["enriched_file_path"],
        bool(row["human_reviewed"]),
        row["reviewer_notes"],
        row["quality_score"],
        row["enriched_at"] or "",
    )


def rename(db: Database, training_file_id: str, name: str, description: str) -> Changed:
    """Change name and description. Raises AppError `name_taken`, `name_missing`, `no_such_training_file`."""
    get(db, training_file_id)
    trimmed = check_name(db, name, training_file_id)
    with transaction(db):
        db.execute(
            "update training_files set name = ?, description = ?, updated_at = ? where id = ?",
            [trimmed, description.strip(), now(), training_file_id],
        )
    return Changed.TRAINING_FILES
