"""What the two lists of the Adapters page show, read by one reader."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.adapters import parity, shares, siblings
from core.adapters.parity import Parity
from core.adapters.shares import Share
from core.adapters.siblings import Sibling
from core.db import Database
from core.models import store as models
from core.models.store import BaseModel
from core.training import store
from core.training.store import Adapter
from ui import format as fmt
from ui.models.rows import Column
from ui.pages.adapters.inspector import (
    AVAILABLE,
    DEFAULT,
    PRACTICE_KIND,
    base_status,
    dataset_name,
    kind_words,
    parameters,
)
from ui.words.training import VERDICTS, losses, verdict_short


@dataclass(frozen=True)
class BaseRow:
    """A base model, whether it is the default, and how many adapters and chats rest on it."""

    id: str
    base: BaseModel
    is_default: bool
    uses: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Snapshot:
    """Everything the page shows."""

    bases: tuple[BaseRow, ...]
    adapters: tuple[Adapter, ...]
    chats: Mapping[str, int]
    siblings: tuple[Sibling, ...] = ()
    shares: tuple[Share, ...] = ()
    parities: tuple[Parity, ...] = ()


def read_snapshot(db: Database) -> Snapshot:
    """All of it, by one reader."""
    default = models.default(db)
    chosen = default.id if default else ""
    on_base, with_adapter = _chats_by(db, "base_model_id"), _chats_by(db, "artifact_id")
    adapters = tuple(store.list_adapters(db))
    trained = Counter(adapter.base_model_id for adapter in adapters)
    bases = tuple(
        BaseRow(base.id, base, base.id == chosen, (trained[base.id], on_base.get(base.id, 0)))
        for base in models.listing(db)
    )
    return Snapshot(
        bases, adapters, with_adapter, tuple(siblings.listing(db)), tuple(shares.listing(db)), tuple(parity.listing(db))
    )


def _chats_by(db: Database, column: str) -> dict[str, int]:
    sql = (
        f"select {column} as id, count(*) as n from chats where deleted_at is null and {column} is not null group by 1"
    )
    return {row["id"]: row["n"] for row in db.execute(sql)}


def _loss(adapter: Adapter) -> str:
    return losses(adapter.passport.get("loss_before"), adapter.passport.get("loss_after"))


BASE_COLUMNS = (
    Column("name", "Name", role="strong", value=lambda r: r.base.name, sort="name"),
    Column("kind", "Kind", PRACTICE_KIND, role="muted", value=lambda r: kind_words(r.base), sort="kind"),
    Column("architecture", "Architecture", "Qwen2 Moe", value=lambda r: r.base.architecture, sort="architecture"),
    Column(
        "parameters",
        "Parameters",
        "70.6 B",
        "right",
        value=lambda r: parameters(r.base.parameter_count),
        sort="parameters",
        order=lambda r: r.base.parameter_count,
    ),
    Column("size", "Size", "999.9 MB", "right", fmt.size, value=lambda r: r.base.size_bytes, sort="size"),
    Column(
        "quantization",
        "Quantization",
        "4-bit, 64",
        value=lambda r: r.base.quantization or "none",
        role="muted",
        sort="quantization",
    ),
    Column("context", "Context", "131,072", "right", fmt.count, value=lambda r: r.base.context_length, sort="context"),
    Column(
        "default",
        "State",
        (DEFAULT, AVAILABLE),
        formatter=base_status,
        role="status",
        value=lambda r: r.is_default,
        sort="default",
    ),
)
BASES_LEAVE_FIRST = ("quantization", "context", "architecture", "size", "kind", "parameters")
ADAPTER_COLUMNS = (
    Column("name", "Name", role="strong", sort="name"),
    Column("base_name", "Base", "Qwen2.5 7B 4-bit", role="muted", sort="base"),
    Column("dataset", "Dataset", "Planner, second part", role="muted", value=dataset_name, sort="dataset"),
    Column(
        "verdict",
        "Verdict",
        tuple(map(verdict_short, VERDICTS)),
        formatter=verdict_short,
        role="status",
        sort="verdict",
    ),
    Column(
        "loss",
        "Loss before → after",
        "12.87 → 11.09",
        "right",
        value=_loss,
        sort="loss",
        order=lambda adapter: adapter.passport.get("loss_after") or math.inf,
    ),
    Column("size_bytes", "Size", "999.9 MB", "right", fmt.size, sort="size"),
    Column(
        "created_at",
        "Created",
        "28 Nov 2024",
        "right",
        fmt.moment,
        sort="created_at",
        tooltip=lambda a: fmt.moment_long(a.created_at),
    ),
)
ADAPTERS_LEAVE_FIRST = ("size_bytes", "base_name", "created_at", "dataset", "loss")
