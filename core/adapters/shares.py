"""Adapters that are models in Ollama too, as this workspace knows them: name, way, whether they are still the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.db import Database
from core.db.connection import now, transaction
from core.events import Changed
from core.inference.ollama.address import same_server
from core.inference.ollama.seen import FUSED
from core.workspace import settings

WAY_SETTING = "ollama_ways"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}(:[a-z0-9][a-z0-9._-]{0,79})?")


@dataclass(frozen=True)
class Share:
    """A row of `ollama_shares`: `same` of `asked` fixed questions were answered word for word as here.

    `is_current` is False once the adapter's file is another one than that which was shared. `digest` is its model's; of
    two with a blank between one has the name.
    """

    name: str
    artifact_id: str
    base_id: str
    address: str
    digest: str
    way: str
    same: int
    asked: int
    created_at: str
    adapter_name: str
    is_current: bool

    def is_model(self, name: str, digest: str) -> bool:
        """Whether a model of Ollama's is this one."""
        return name == self.name and digest in self.digest.split()


def name_for(adapter_name: str) -> str:
    """A name that Ollama takes, made of an adapter's."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", adapter_name.lower()).strip("-._")[:80]
    return plain or "adapter"


def listing(db: Database) -> list[Share]:
    """All of them, by name; those of adapters in the trash too."""
    rows = db.execute(
        "select s.*, a.name as adapter_name, a.sha256 = s.adapter_sha256 as is_current from ollama_shares s"
        " join model_artifacts a on a.id = s.artifact_id order by s.name"
    ).fetchall()
    fields = Share.__dataclass_fields__
    return [Share(**{key: row[key] for key in fields} | {"is_current": bool(row["is_current"])}) for row in rows]


def put(db: Database, row: Mapping[str, Any], moved: Sequence[str] = ()) -> Changed:
    """Keep one, and the way its server took; called with the row that a worker reported.

    `moved` are addresses that its server has no more.
    """
    with transaction(db):
        if not db.execute("select 1 from model_artifacts where id = ?", [row["artifact_id"]]).fetchone():
            return Changed.NOTHING
        db.execute(
            "insert or replace into ollama_shares(address, name, digest, artifact_id, base_id, way, adapter_sha256,"
            " same, asked, created_at) values(:address, :name, :digest, :artifact_id, :base_id, :way, :adapter_sha256,"
            " :same, :asked, :at)",
            {**row, "at": now()},
        )
        for address in moved:
            db.execute("delete from ollama_shares where name = ? and address = ?", [row["name"], address])
    if row["way"] != FUSED:
        settings.put(db, WAY_SETTING, {**settings.get(db, WAY_SETTING, {}), row["address"]: row["way"]})
    return Changed.ADAPTERS


def drop(db: Database, name: str, address: str) -> Changed:
    """It is gone from the Ollama there, however its address is written."""
    gone = [one.address for one in listing(db) if one.name == name and same_server(one.address, address)]
    with transaction(db):
        for known in gone:
            db.execute("delete from ollama_shares where name = ? and address = ?", [name, known])
    return Changed.ADAPTERS if gone else Changed.NOTHING


def ways_for(db: Database, address: str, ways: Sequence[str]) -> list[str]:
    """In which order they are tried: the one that this server took last first."""
    last = settings.get(db, WAY_SETTING, {}).get(address)
    return sorted(ways, key=lambda way: way != last)
