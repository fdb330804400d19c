"""What a person adds to a conversation: tags, and scores of their own beside the computed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from core.db import Database
from core.db.connection import now, transaction
from core.errors import AppError, Where
from core.events import Changed

CRITERIA = ("empathy_score", "clarity_score", "appropriateness_score", "brand_voice_alignment")
LONGEST_TAG = 40


def tags(db: Database, conversation_id: str) -> list[str]:
    """Its tags, by name."""
    rows = db.execute("select tag from conversation_tags where conversation_id = ? order by tag", [conversation_id])
    return [row[0] for row in rows]


def all_tags(db: Database) -> list[tuple[str, int]]:
    """Every tag with the number of conversations out of the trash that have it, by name."""
    rows = db.execute(
        "select min(t.tag), count(*) from conversation_tags t join conversations c on c.id = t.conversation_id"
        " where c.deleted_at is null group by t.tag order by t.tag"
    )
    return [(row[0], row[1]) for row in rows]


def checked_tag(text: str) -> str:
    """A tag as it is kept. Raises AppError `wrong_tag`."""
    tag = " ".join(text.encode(errors="ignore").decode().split())
    seen = any(char.isprintable() and not char.isspace() for char in tag)
    if not seen or len(tag) > LONGEST_TAG:
        what = "is empty" if not seen else f"has {len(tag):,} characters"
        raise AppError(
            "wrong_tag", f"The tag {what}.", hint=f"Use 1 to {LONGEST_TAG} characters.", where=Where(field="tag")
        )
    return tag


def _as_known(db: Database, tag: str) -> str:
    """The tag as it is written already, whatever its capitals; the database compares those of ASCII alone."""
    wanted = tag.casefold()
    known = db.execute("select distinct tag from conversation_tags").fetchall()
    return next((str(row[0]) for row in known if str(row[0]).casefold() == wanted), tag)


def add_tag(db: Database, ids: Sequence[str], text: str) -> tuple[Changed, list[str]]:
    """Tag these conversations; returns those that did not have it. Capitals make no other tag."""
    with transaction(db):
        tag = _as_known(db, checked_tag(text))
        rows = db.execute(
            "select c.id from conversations c where c.id in (select value from json_each(?1)) and not exists(select 1"
            " from conversation_tags t where t.conversation_id = c.id and t.tag = ?2)", [_json(ids), tag],
        ).fetchall()  # fmt: skip
        new = [row[0] for row in rows]
        db.conn.executemany(
            "insert into conversation_tags(conversation_id, tag) values(?, ?)",
            [(ident, tag) for ident in new],
        )
    return (Changed.CONVERSATIONS if new else Changed.NOTHING), new


def remove_tag(db: Database, ids: Sequence[str], text: str) -> tuple[Changed, list[str]]:
    """Take a tag off these conversations; returns those that had it."""
    with transaction(db):
        tag = _as_known(db, checked_tag(text))
        rows = db.execute(
            "delete from conversation_tags where tag = ? and conversation_id in (select value from json_each(?))"
            " returning conversation_id", [tag, _json(ids)],
        ).fetchall()  # fmt: skip
    return (Changed.CONVERSATIONS if rows else Changed.NOTHING), [row[0] for row in rows]


def rate(db: Database, conversation_id: str, scores: Mapping[str, float]) -> Changed:
    """Score criteria by hand, 1 to 5; those left out have no score by hand. Counts as a human review.

    Filters and lists use the mean of the scores by hand where there are any, else the computed one.
    Raises AppError `wrong_score`.
    """
    for name, value in scores.items():
        if name not in CRITERIA or not 1 <= value <= 5:
            raise AppError(
                "wrong_score", f"{value} is no score for {name}.", hint="Scores are from 1 to 5.",
                where=Where(field=name),
            )  # fmt: skip
    mean = round(sum(scores.values()) / len(scores), 1) if scores else None
    with transaction(db):
        done = db.execute(
            "update conversations set human_criteria = ?, human_score = ?, human_reviewed = max(human_reviewed, ?),"
            " updated_at = ? where id = ? and deleted_at is null",
            [orjson.dumps(dict(scores)).decode(), mean, int(bool(scores)), now(), conversation_id],
        ).rowcount
    return Changed.CONVERSATIONS if done else Changed.NOTHING


def _json(ids: Sequence[str]) -> str:
    return orjson.dumps(list(ids)).decode()
