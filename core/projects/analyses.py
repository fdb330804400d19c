"""Answers about a project's code that were given before: the same question to the same code and adapter, at once.

Spec 3, `analysis_cache`: those that are asked for often stay, old ones expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from core.db import Database
from core.db.connection import now, transaction
from core.jobs import key_of

MOST = 200
# An answer stays that long after it was last asked for, and longer the more often it was.
DAYS, MOST_DAYS = 14, 180


@dataclass(frozen=True)
class Analysis:
    """One row of `analyses`: an answer with the sources and numbers that it was given with."""

    key: str
    question: str
    answer: str
    stats: Mapping[str, Any]
    artifact_id: str | None
    index_state: str
    uses: int
    created_at: str
    used_at: str


def key(project_id: str, question: str, index_state: str, artifact_id: str | None, *how: Any) -> str:
    """What an answer depends on; `how` is everything else that forms it: base, system prompt, sampling."""
    return key_of(project_id, " ".join(question.split()), index_state, artifact_id or "", *how)


def find(db: Database, wanted: str, moment: datetime | None = None) -> Analysis | None:
    """The answer under that key unless it has expired; it counts as used."""
    row = db.execute("select * from analyses where key = ?", [wanted]).fetchone()
    if row is None or _expired(row, moment or datetime.now(UTC)):
        return None
    with transaction(db):
        db.execute("update analyses set uses = uses + 1, used_at = ? where key = ?", [now(), wanted])
    fields = {name: row[name] for name in Analysis.__dataclass_fields__}
    return Analysis(**fields | {"stats": orjson.loads(row["stats"]), "uses": row["uses"] + 1})


def _expired(row: Mapping[str, Any], moment: datetime) -> bool:
    kept = timedelta(days=min(MOST_DAYS, DAYS * int(row["uses"])))
    return datetime.fromisoformat(row["used_at"]) + kept < moment


def keep(
    db: Database,
    wanted: str,
    project_id: str,
    question: str,
    answer: str,
    stats: Mapping[str, Any],
    index_state: str,
    artifact_id: str | None,
) -> None:
    """Keep an answer; what has expired goes, and of more than `MOST` a project those that were used least."""
    moment = now()
    with transaction(db):
        db.execute(
            "insert into analyses(key, project_id, question, answer, stats, artifact_id, index_state, created_at,"
            " used_at) values(?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict(key) do update set answer = excluded.answer,"
            " stats = excluded.stats, used_at = excluded.used_at",
            [
                wanted, project_id, question, answer, orjson.dumps(dict(stats)).decode(), artifact_id, index_state,
                moment, moment,
            ],
        )  # fmt: skip
        _prune(db, project_id)


def _prune(db: Database, project_id: str) -> None:
    moment = datetime.now(UTC)
    rows = db.execute("select key, uses, used_at from analyses where project_id = ?", [project_id]).fetchall()
    gone = [row["key"] for row in rows if _expired(row, moment)]
    left = sorted((row for row in rows if row["key"] not in gone), key=lambda row: (row["uses"], row["used_at"]))
    gone += [row["key"] for row in left[: max(0, len(left) - MOST)]]
    db.execute("delete from analyses where key in (select value from json_each(?))", [orjson.dumps(gone).decode()])


def forget(db: Database, project_id: str) -> None:
    """Forget all answers about a project."""
    with transaction(db):
        db.execute("delete from analyses where project_id = ?", [project_id])
