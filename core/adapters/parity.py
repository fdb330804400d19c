"""What is left of adapters on bases in another format, as it was measured (`measuring`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.db import Database
from core.db.connection import now, transaction
from core.events import Changed
from core.models.store import BaseModel
from core.training.store import Adapter

# Below either of them the adapter is another one there.
LEAST_SAME, LEAST_LEFT = 0.9, 0.8


@dataclass(frozen=True)
class Parity:
    """A row of `adapter_parity`: shares from 0 to 1, `drift` in nats a token, over `tokens` held-out tokens."""

    artifact_id: str
    base_id: str
    same: float
    drift: float
    left: float
    tokens: int
    is_current: bool

    @property
    def weakened(self) -> bool:
        """Whether it is to be said where it answers."""
        return self.same < LEAST_SAME or self.left < LEAST_LEFT


def contents(adapter: Adapter, other: BaseModel) -> str:
    """What a measurement was made of: with another adapter or base it is not current."""
    return f"{adapter.sha256}|{other.content_fingerprint}"


def put(db: Database, row: Mapping[str, Any]) -> Changed:
    """Keep a measurement; called with the row that a worker reported."""
    with transaction(db):
        db.execute(
            "insert or replace into adapter_parity(artifact_id, base_id, same, drift, left_over, tokens, contents,"
            " measured_at) select :artifact_id, :base_id, :same, :drift, :left, :tokens, :contents, :at"
            " where exists(select 1 from model_artifacts where id = :artifact_id)"
            " and exists(select 1 from base_models where id = :base_id)",
            {**row, "at": now()},
        )
    return Changed.ADAPTERS


def listing(db: Database) -> list[Parity]:
    """All measurements; one of an adapter or base that is another one by now is not current."""
    rows = db.execute(
        "select p.*, p.contents = a.sha256 || '|' || b.content_fingerprint as is_current from adapter_parity p"
        " join model_artifacts a on a.id = p.artifact_id join base_models b on b.id = p.base_id"
    ).fetchall()
    return [
        Parity(row["artifact_id"], row["base_id"], row["same"], row["drift"], row["left_over"], row["tokens"],
               bool(row["is_current"]))
        for row in rows
    ]  # fmt: skip
