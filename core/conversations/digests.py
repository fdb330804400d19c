"""What is read out of a conversation's turns once and kept: words for the search, local checks, likeness to others.

The worker that writes a conversation's files makes its digest; whoever writes the row stores it in the same
transaction. Conversations of older workspaces get theirs from the job `check_conversations`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.conversations import likeness
from core.conversations.checks import Check, Remark, examine, sentences
from core.conversations.parse import Turn
from core.db import Database
from core.db.connection import fold, transaction

# Raised when rules or signatures change: older digests are made again.
VERSION = 2
_PER_BUCKET = 4
_MOST_WORDS = 2_000_000


@dataclass(frozen=True)
class Digest:
    """The outcome for one set of turns."""

    remarks: tuple[Remark, ...]
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        """As an event carries it."""
        return {
            "version": VERSION, "checks": [remark.to_json() for remark in self.remarks],
            "signature": base64.b64encode(self.signature).decode(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Digest:
        """Back from `to_json`."""
        remarks = tuple(Remark.from_json(remark) for remark in value["checks"])
        return cls(remarks, base64.b64decode(value["signature"]))


@dataclass(frozen=True)
class Near:
    """An earlier conversation that says nearly the same; `share` from 0 to 1."""

    id: str
    title: str
    share: float


UNREADABLE = Digest((Remark(Check.UNREADABLE, 0, "Its file can't be read"),), b"")


def digest(turns: Sequence[Turn]) -> Digest:
    """Read the turns: pure, a millisecond for a conversation of usual length."""
    spoken = [sentences(turn.content or "") for turn in turns]
    words = [word for parts in spoken for _, found in parts for word in found]
    return Digest(tuple(examine(turns, spoken)), likeness.signature(words))


def put(db: Database, ident: str, content_hash: str, turns: Sequence[Turn], found: Digest) -> None:
    """Keep the digest of a conversation, in place of an earlier one."""
    flags = Check.NONE
    for remark in found.remarks:
        flags |= remark.check
    with transaction(db):
        db.execute("delete from conversation_digests where conversation_id = ?", [ident])
        near = _nearest(db, ident, found.signature)
        number = db.execute(
            "insert into conversation_digests(conversation_id, content_hash, version, checks, signature, near_id,"
            " near_share) values(?, ?, ?, ?, ?, ?, ?) returning number",
            [
                ident, content_hash, VERSION,
                orjson.dumps([remark.to_json() for remark in found.remarks]).decode(), found.signature,
                near[0] if near else None, near[1] if near else None,
            ],
        ).fetchone()[0]  # fmt: skip
        flags |= Check.NEAR_DUPLICATE if near else Check.NONE
        db.execute("update conversations set number = ?, check_flags = ? where id = ?", [number, int(flags), ident])
        db.conn.executemany(
            "insert or ignore into conversation_buckets(bucket, number) values(?, ?)",
            [(bucket, number) for bucket in likeness.buckets(found.signature)],
        )
        words = "\n".join(turn.content for turn in turns if isinstance(turn.content, str))[:_MOST_WORDS]
        db.execute("insert into conversation_search(rowid, words) values(?, ?)", [number, fold(words)])


def _nearest(db: Database, ident: str, signature: bytes) -> tuple[str, float] | None:
    """The most alike conversation that was there before and is not in the trash."""
    candidates: dict[str, bytes] = {}
    for bucket in likeness.buckets(signature):
        # The first of a bucket are enough: a thousand copies of one conversation are all like the first.
        candidates |= {
            row[0]: row[1]
            for row in db.execute(
                "select d.conversation_id, d.signature from conversation_buckets b join conversation_digests d"
                " on d.number = b.number join conversations c on c.id = d.conversation_id where b.bucket = ?1"
                " and c.deleted_at is null and d.conversation_id <> ?2 and (c.created_at, c.rowid) <="
                " (select created_at, rowid from conversations where id = ?2) order by b.number limit ?3",
                [bucket, ident, _PER_BUCKET],
            )
        }
    alike = [(likeness.share(signature, other), found) for found, other in candidates.items()]
    share, found = max(alike, default=(0.0, ""))
    return (found, share) if share >= likeness.NEAR else None


def behind(db: Database) -> int:
    """How many conversations have no digest of their present content."""
    return int(db.execute(f"select count(*) from {_BEHIND}", [VERSION]).fetchone()[0])


def all_behind(db: Database) -> list[str]:
    """Their ids, oldest first."""
    rows = db.execute(f"select c.id from {_BEHIND} order by c.created_at, c.id", [VERSION])
    return [row[0] for row in rows]


_BEHIND = (
    "conversations c where not exists(select 1 from conversation_digests d where d.conversation_id = c.id"
    " and d.content_hash = c.content_hash and d.version >= ?)"
)


def remarks(db: Database, ident: str) -> list[Remark]:
    """What the checks found in a conversation, near-duplicates aside."""
    row = db.execute("select checks from conversation_digests where conversation_id = ?", [ident]).fetchone()
    return [Remark.from_json(value) for value in orjson.loads(row[0])] if row else []


def near(db: Database, ident: str) -> Near | None:
    """The conversation that this one nearly repeats, unless that is in the trash."""
    row = db.execute(
        "select c.id, c.title, d.near_share from conversation_digests d join conversations c on c.id = d.near_id"
        " where d.conversation_id = ? and c.deleted_at is null", [ident],
    ).fetchone()  # fmt: skip
    return Near(row[0], row[1], row[2]) if row else None


def match(word: str) -> str:
    """An FTS5 query for what begins with this word; any characters are allowed.

    Several tokens in one word, as in “don't”, have to stand side by side.
    """
    plain = (fold(word) or "").encode("utf-8", "ignore").decode().replace("\0", "").replace('"', '""')
    return f'"{plain}"*'
