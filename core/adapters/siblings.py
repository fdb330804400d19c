"""Which bases are the same model in another format, so that the adapters of one answer on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.db import Database
from core.db.connection import now, transaction
from core.events import Changed
from core.models import store as models
from core.models.store import BaseModel
from core.training import store as training
from core.training.store import Adapter


@dataclass(frozen=True)
class Sibling:
    """A comparison that was made: `base_id` in MLX's format, `other_id` a GGUF file, `points` line by line.

    A point is {name, here, there, same, matters}.
    """

    base_id: str
    other_id: str
    fits: bool
    points: Sequence[Mapping[str, Any]]
    checked_at: str

    @property
    def differs(self) -> str:
        """The first point that keeps them apart, as a sentence's part; empty where they fit."""
        bad = next((point for point in self.points if point["matters"] and not point["same"]), None)
        return f"{bad['name'].lower()}: {bad['here']} against {bad['there']}" if bad and not self.fits else ""


def contents(base: BaseModel, other: BaseModel) -> str:
    """What a comparison was made of: it is made again when one of the two is another."""
    return "|".join((
        base.structure_fingerprint, base.rendering_fingerprint, other.structure_fingerprint,
        other.rendering_fingerprint, other.content_fingerprint,
    ))  # fmt: skip


def put(db: Database, row: Mapping[str, Any]) -> Changed:
    """Keep a comparison; called with the row that a worker reported. One of a base that is gone is dropped."""
    there = db.execute(
        "select count(*) from base_models where id in (?, ?)", [row["base_id"], row["other_id"]]
    ).fetchone()[0]
    if there < 2:
        return Changed.NOTHING
    with transaction(db):
        db.execute(
            "insert or replace into base_siblings(base_id, other_id, fits, points, contents, checked_at)"
            " values(:base_id, :other_id, :fits, :points, :contents, :checked_at)",
            {**row, "points": orjson.dumps(row["points"]).decode(), "checked_at": now()},
        )
    return Changed.MODELS


def unchecked(db: Database) -> list[tuple[BaseModel, BaseModel]]:
    """The pairs of bases in this workspace that were not compared yet, or not as they are now."""
    known = {(row["base_id"], row["other_id"]): row["contents"] for row in db.execute("select * from base_siblings")}
    bases = models.listing(db)
    pairs = [(base, other) for base in bases if base.trains for other in bases
             if not other.trains and not other.served]  # fmt: skip
    return [(base, other) for base, other in pairs if known.get((base.id, other.id)) != contents(base, other)]


def listing(db: Database) -> list[Sibling]:
    """All comparisons between bases that are there."""
    rows = db.execute(
        "select s.* from base_siblings s join base_models b on b.id = s.base_id join base_models o on o.id = s.other_id"
        " where b.deleted_at is null and o.deleted_at is null order by s.fits desc, b.name"
    ).fetchall()
    return [
        Sibling(row["base_id"], row["other_id"], bool(row["fits"]), orjson.loads(row["points"]), row["checked_at"])
        for row in rows
    ]


def fitting(db: Database) -> dict[str, frozenset[str]]:
    """For each base the ids of the bases whose adapters answer on it, itself first of all."""
    out = {base.id: {base.id} for base in models.listing(db)}
    for found in listing(db):
        if found.fits:
            out[found.other_id].add(found.base_id)
    return {ident: frozenset(fit) for ident, fit in out.items()}


def adapters_for(db: Database, base_id: str) -> list[Adapter]:
    """The adapters that answer on a base, newest first."""
    fit = fitting(db).get(base_id, frozenset())
    return [adapter for adapter in training.list_adapters(db) if adapter.base_model_id in fit]


def why_not(db: Database, adapter: Adapter, base: BaseModel) -> str:
    """Why an adapter does not answer on a base, as a sentence; empty where it does."""
    if base.served:
        return f"{base.name} answers through Ollama, which takes no adapters."
    if adapter.base_model_id in fitting(db).get(base.id, frozenset()):
        return ""
    words = f"The adapter {adapter.name} was trained on {adapter.base_name}, not on {base.name}"
    found = next((s for s in listing(db) if (s.base_id, s.other_id) == (adapter.base_model_id, base.id)), None)
    if base.trains:
        return f"{words}."
    return f"{words}, and they differ in {found.differs}." if found else f"{words}; they were not compared yet."
