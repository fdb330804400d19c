"""Rows of `conversations`: pages of them in SQL, review, the parsed turns of one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from core.conversations import digests
from core.conversations.checks import Check
from core.conversations.parse import Turn
from core.db import Database
from core.db.connection import fold, now, transaction
from core.db.lookup import folded
from core.errors import AppError
from core.events import Changed
from core.scaffolding.store import EmotionalArc, Persona, TrainingTopic, require_key
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace

_JSON = ("source_ids", "quality_criteria", "import_notes", "human_criteria")
_NAMES = (
    ("persona", "personas", "persona_key"), ("arc", "emotional_arcs", "emotional_arc_key"),
    ("topic", "training_topics", "training_topic_key"),
)  # fmt: skip
_FOREIGN = {"persona": "persona_name", "arc": "emotional_arc_name", "topic": "training_topic_name"}


def _name(kind: str) -> str:
    """SQL for the name of a conversation's persona, arc or topic: the library's, else the file's, else the key."""
    table, key = next((table, key) for name, table, key in _NAMES if name == kind)
    return (
        f"coalesce((select x.name from {table} x where x.{key} = c.{key} and x.deleted_at is null),"
        f" json_extract(c.source_ids, '$.{_FOREIGN[kind]}'), c.{key}, '')"
    )


ORDERS = {
    "created_at": "c.created_at", "updated_at": "c.updated_at", "title": "c.title collate nocase",
    "status": "c.status", "enrichment_status": "c.enrichment_status", "tier": "c.tier", "turns": "c.turn_count",
    "quality": "coalesce(c.human_score, c.quality_score)", "checks": "c.check_flags",
    "warnings": "c.warning_count", **{name: f"{_name(name)} collate nocase" for name in _FOREIGN},
}  # fmt: skip


class ReviewStatus(StrEnum):
    """Where a conversation stands in review."""

    DRAFT = "draft"
    NEEDS_REVIEW = "needs_review"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Conversation:
    """One row; the names are those of the library, else those that came with the file, else the keys."""

    id: str
    conversation_id: str
    title: str
    status: ReviewStatus
    tier: str | None
    persona_key: str | None
    emotional_arc_key: str | None
    training_topic_key: str | None
    template_id: str | None
    source_id: str | None
    source_path: str
    source_ids: Mapping[str, str]
    content_hash: str
    turn_count: int
    raw_response_path: str | None
    file_path: str | None
    enriched_file_path: str | None
    enrichment_status: str
    failed_stage: str | None
    enrichment_error: str | None
    quality_score: float | None
    quality_criteria: Mapping[str, Any]
    warning_count: int
    human_reviewed: bool
    reviewer_notes: str | None
    import_notes: Sequence[str]
    created_at: str
    updated_at: str
    enriched_at: str | None
    deleted_at: str | None
    enriched_hash: str | None = None
    edited_at: str | None = None
    human_criteria: Mapping[str, float] = field(default_factory=dict)
    human_score: float | None = None
    persona_name: str = ""
    arc_name: str = ""
    topic_name: str = ""
    check_flags: Check = Check.NONE

    @property
    def score(self) -> float | None:
        """The quality that counts: by hand where there is one, else computed."""
        return self.human_score if self.human_score is not None else self.quality_score

    @property
    def stale(self) -> bool:
        """Whether it was enriched and then edited, so that it has to be enriched again."""
        return self.enrichment_status == "not_started" and self.enriched_at is not None


@dataclass(frozen=True)
class Filter:
    """Which conversations; an empty part does not filter."""

    search: str = ""
    status: str = ""
    enrichment_status: str = ""
    tier: str = ""
    persona_key: str = ""
    emotional_arc_key: str = ""
    training_topic_key: str = ""
    min_quality: float | None = None
    reviewed: bool | None = None
    check: int = 0
    tag: str = ""
    ids: tuple[str, ...] = ()
    deleted: bool = False


# What is nearly the same as one in the trash is not a near-duplicate for now.
_NEAR = int(Check.NEAR_DUPLICATE)
_FLAGS = (
    f"c.check_flags & case when c.check_flags & {_NEAR} and not exists(select 1 from conversation_digests d"
    f" join conversations n on n.id = d.near_id where d.number = c.number and n.deleted_at is null)"
    f" then {~_NEAR} else -1 end"
)


def _select() -> str:
    computed = ("persona_name", "arc_name", "topic_name", "check_flags")
    columns = [f"c.{name}" for name in Conversation.__dataclass_fields__ if name not in computed]
    columns += [f"{_name(name)} as {name}_name" for name in _FOREIGN]
    columns.append(f"{_FLAGS} as check_flags")
    return f"select {', '.join(columns)} from conversations c"


_SELECT = _select()


def _value(row: Mapping[str, Any]) -> Conversation:
    values = {name: row[name] for name in Conversation.__dataclass_fields__}
    values |= {name: orjson.loads(values[name]) for name in _JSON}
    values |= {"status": ReviewStatus(values["status"]), "human_reviewed": bool(values["human_reviewed"])}
    values["check_flags"] = Check(values["check_flags"])
    return Conversation(**values)


def _searched(text: str) -> list[str]:
    """The words of a search that SQLite can be asked for: no lone surrogates, no zero bytes."""
    return text.encode("utf-8", "ignore").decode().replace("\0", " ").split()


def _word(word: str) -> tuple[str, list[Any]]:
    """A condition for one word of a search: anywhere in title and notes, in the keys or the names of the scaffolding,
    or at the beginning of a word of a turn."""
    parts = ["c.number in (select rowid from conversation_search where conversation_search match ?)"]
    parts.append("instr(c.searched, ?)")
    parts += [
        f"c.{key} in (select x.{key} from {table} x where instr({folded('x.name')}, ?))" for _, table, key in _NAMES
    ]
    # A short word or number is somewhere in some uuid.
    parts += ["instr(c.id, ?)", "instr(lower(c.source_id), ?)"] if len(word) >= 8 else []
    return f"({' or '.join(parts)})", [digests.match(word), *[fold(word)] * (len(parts) - 1)]


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    where = [f"c.deleted_at is {'not ' if wanted.deleted else ''}null"]
    args: list[Any] = []
    for name in ("status", "enrichment_status", "tier", "persona_key", "emotional_arc_key", "training_topic_key"):
        if value := getattr(wanted, name):
            where.append(f"c.{name} = ?")
            args.append(str(value))
    if wanted.min_quality is not None:
        where.append("coalesce(c.human_score, c.quality_score) >= ?")
        args.append(wanted.min_quality)
    if wanted.reviewed is not None:
        where.append("c.human_reviewed = ?")
        args.append(int(wanted.reviewed))
    if wanted.check:
        where.append(f"{_FLAGS} & ?")
        args.append(wanted.check)
    if wanted.tag:
        where.append("c.id in (select t.conversation_id from conversation_tags t where t.tag = ?)")
        args.append(wanted.tag)
    if wanted.ids:
        where.append("c.id in (select value from json_each(?))")
        args.append(orjson.dumps(wanted.ids).decode())
    for word in _searched(wanted.search):
        sql, values = _word(word)
        where.append(sql)
        args += values
    return " and ".join(where), args


def listing(
    db: Database, wanted: Filter | None = None, *, order_by: str = "created_at", descending: bool = True,
    limit: int = 100, offset: int = 0,
) -> list[Conversation]:  # fmt: skip
    """A page of conversations; `order_by` is one of ORDERS, empty values last."""
    where, args = _where(wanted or Filter())
    order = ORDERS.get(order_by, ORDERS["created_at"])
    way = "desc" if descending else "asc"
    # Which rows first: to sort whole rows of all conversations takes several times as long.
    page = (
        f"select c.id as place, {order} as key from conversations c where {where}"
        f" order by key {way} nulls last, c.id {way} limit ? offset ?"
    )
    sql = f"{_SELECT} join ({page}) p on p.place = c.id order by p.key {way} nulls last, c.id {way}"
    return [_value(row) for row in db.execute(sql, [*args, limit, offset]).fetchall()]


def count(db: Database, wanted: Filter | None = None) -> int:
    """How many conversations the filter lets through."""
    where, args = _where(wanted or Filter())
    return int(db.execute(f"select count(*) from conversations c where {where}", args).fetchone()[0])


def ids(db: Database, wanted: Filter | None = None) -> list[str]:
    """The ids of all of them, newest first: for actions on everything that is filtered."""
    where, args = _where(wanted or Filter())
    sql = f"select c.id from conversations c where {where} order by c.created_at desc, c.id desc"
    return [row[0] for row in db.execute(sql, args).fetchall()]


def get(db: Database, conversation_id: str) -> Conversation:
    """One conversation, also one in the trash. Raises AppError `no_such_conversation`."""
    row = db.execute(f"{_SELECT} where c.id = ?", [conversation_id]).fetchone()
    if row is None:
        raise AppError(
            "no_such_conversation", "That conversation is not in this workspace.", hint="Refresh the list.",
            detail=conversation_id,
        )  # fmt: skip
    return _value(row)


def read_parsed(workspace: Workspace, conversation: Conversation) -> dict[str, Any]:
    """The parsed JSON: title, turns, input_parameters. Raises AppError when the file is gone or damaged."""
    if not conversation.file_path:
        raise AppError(
            "not_parsed", f"“{conversation.title}” has no parsed form.", hint="Import its source file again."
        )
    value: dict[str, Any] = read_json(workspace.absolute(conversation.file_path))
    return value


def turns(workspace: Workspace, conversation: Conversation) -> list[Turn]:
    """The turns for the reader, in order; content None where an answer is missing."""
    return [Turn(turn["role"], turn["content"]) for turn in read_parsed(workspace, conversation)["turns"]]


def set_status(db: Database, ids: Sequence[str], status: ReviewStatus | str, notes: str | None = None) -> Changed:
    """Approve, reject or put back. Approving and rejecting count as a human review; notes None keeps the old ones."""
    wanted = ReviewStatus(status)
    reviewed = wanted in (ReviewStatus.APPROVED, ReviewStatus.REJECTED)
    with transaction(db):
        done = db.execute(
            "update conversations set status = ?, human_reviewed = ?, reviewer_notes = coalesce(?, reviewer_notes),"
            " updated_at = ? where deleted_at is null and id in (select value from json_each(?))",
            [str(wanted), int(reviewed), notes, now(), orjson.dumps(list(ids)).decode()],
        ).rowcount
    return Changed.CONVERSATIONS if done else Changed.NOTHING


def set_notes(db: Database, ident: str, notes: str) -> Changed:
    """The reviewer's notes; whether it was reviewed stays as it is."""
    with transaction(db):
        done = db.execute(
            "update conversations set reviewer_notes = ?, updated_at = ? where deleted_at is null and id = ?",
            [notes, now(), ident],
        ).rowcount
    return Changed.CONVERSATIONS if done else Changed.NOTHING


def set_scaffolding(
    db: Database, workspace: Workspace, conversation_id: str, *, persona_key: str, emotional_arc_key: str,
    training_topic_key: str,
) -> Changed:  # fmt: skip
    """Bind a conversation to entries of the library, in its row and in parsed.json; raw.json stays as it came.

    Raises AppError `no_such_scaffolding`.
    """
    conversation = get(db, conversation_id)
    entries = [
        require_key(db, Persona, persona_key), require_key(db, EmotionalArc, emotional_arc_key),
        require_key(db, TrainingTopic, training_topic_key),
    ]  # fmt: skip
    parameters: dict[str, str] = {}
    for entry, name in zip(entries, ("persona", "emotional_arc", "training_topic"), strict=True):
        parameters |= {f"{name}_id": entry.id, f"{name}_key": entry.key}
        parameters[f"{name}_name"] = str(getattr(entry, "name", ""))
    parsed = read_parsed(workspace, conversation)
    parsed["input_parameters"] = {**parsed.get("input_parameters", {}), **parameters}
    write_json(workspace.absolute(conversation.file_path or ""), parsed)
    with transaction(db):
        db.execute(
            "update conversations set persona_key = ?, emotional_arc_key = ?, training_topic_key = ?, persona_id = ?,"
            " emotional_arc_id = ?, training_topic_id = ?, updated_at = ? where id = ?",
            [*(entry.key for entry in entries), *(entry.id for entry in entries), now(), conversation_id],
        )
    return Changed.CONVERSATIONS


def _library_id(db: Database, table: str, column: str, key: str | None) -> str | None:
    row = db.execute(f"select id from {table} where {column} = ? and deleted_at is null", [key]).fetchone()
    return row[0] if row else None


def by_hash(db: Database) -> dict[str, tuple[str, str]]:
    """Content hash -> id and title of every conversation that is not in the trash."""
    sql = "select content_hash, id, title from conversations where deleted_at is null"
    return {row[0]: (row[1], row[2]) for row in db.execute(sql).fetchall()}


def insert(db: Database, workspace: Workspace, row: Mapping[str, Any]) -> bool:
    """Write the row a worker reported, ids of the library looked up by key. False when its content is there already.

    `row["digest"]`, which `files.write` makes, is kept beside it, with the words of its turns for the search.
    """
    values = {k: orjson.dumps(v).decode() if k in _JSON else v for k, v in row.items() if k != "digest"}
    stamp = now()
    values |= {
        "conversation_id": row["id"], "created_at": stamp, "updated_at": stamp,
        "persona_id": _library_id(db, "personas", "persona_key", row.get("persona_key")),
        "emotional_arc_id": _library_id(db, "emotional_arcs", "emotional_arc_key", row.get("emotional_arc_key")),
        "training_topic_id": _library_id(db, "training_topics", "training_topic_key", row.get("training_topic_key")),
    }  # fmt: skip
    with transaction(db):
        same = "select 1 from conversations where content_hash = ? and id <> ? and deleted_at is null"
        if db.execute(same, [row["content_hash"], row["id"]]).fetchone():
            return False
        db.execute(
            f"insert into conversations({', '.join(values)}) values({', '.join('?' * len(values))})"
            " on conflict(id) do nothing",
            list(values.values()),
        )
        if "digest" in row:
            _keep_digest(db, workspace, row)
    return True


def _keep_digest(db: Database, workspace: Workspace, row: Mapping[str, Any]) -> None:
    # A file that can't be read any more is told by the job that looks for conversations without a digest.
    with contextlib.suppress(AppError, KeyError, TypeError):
        found = turns(workspace, get(db, row["id"]))
        digests.put(db, row["id"], row["content_hash"], found, digests.Digest.from_json(row["digest"]))
