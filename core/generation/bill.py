"""What a batch came to, and the ledger of all of them; every figure is added up from `cost_records`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import orjson

from core.db import Database
from core.generation.store import get_batch


def summary(db: Database, batch: str) -> dict[str, Any]:
    """Counts and money of a batch: planned = made + failed + refused + not reached; the bill adds up its records."""
    found = get_batch(db, batch)
    refused = int(db.execute(
        "select count(*) from batch_items where batch_job_id = ? and status = 'failed' and failure = 'refused'", [batch]
    ).fetchone()[0])  # fmt: skip
    rows = db.execute(
        "select usd, outcome, input_tokens, output_tokens, cache_write_5m_tokens + cache_write_1h_tokens as written,"
        " cache_read_tokens from cost_records where batch_job_id = ?", [batch],
    ).fetchall()  # fmt: skip
    total = sum((Decimal(row["usd"]) for row in rows if row["usd"] is not None), Decimal(0))
    tokens = {
        "input_tokens": sum(r["input_tokens"] or 0 for r in rows),
        "output_tokens": sum(r["output_tokens"] or 0 for r in rows),
        "cache_write_tokens": sum(r["written"] or 0 for r in rows),
        "cache_read_tokens": sum(r["cache_read_tokens"] or 0 for r in rows),
    }  # fmt: skip
    made, failed = found.completed, found.failed - refused
    not_reached = found.total - made - failed - refused
    done = db.execute(
        "select beats from batch_items where batch_job_id = ? and status = 'completed'", [batch]
    ).fetchall()
    met = [beat for row in done for beat in orjson.loads(row[0]) if beat is not None]
    unknown = sum(1 for row in rows if row["usd"] is None and row["outcome"] == "reply")
    return {
        "planned": found.total, "made": made, "failed": failed, "refused": refused, "not_reached": not_reached,
        "adds_up": found.total == made + failed + refused + not_reached and total == found.spent,
        "spent_usd": None if unknown else str(total), "known_usd": str(total), "unknown_prices": unknown,
        "unsure_usd": str(found.unsure), "saved_usd": str(found.saved), "requests": found.requests,
        "lost_requests": found.lost_requests, "cost_records": len(rows), **tokens,
        "beats_met": sum(met), "beats_checked": len(met),
    }  # fmt: skip


def curve(db: Database, batch: str) -> list[Decimal]:
    """USD spent after each conversation that was finished, written or not, in the order in which they were."""
    rows = db.execute(
        "select cost_usd from batch_items where batch_job_id = ? and status in ('completed', 'failed')"
        " order by updated_at, position", [batch],
    ).fetchall()  # fmt: skip
    total, out = Decimal(0), []
    for row in rows:
        total += Decimal(row[0])
        out.append(total)
    return out


def spending(db: Database, since: date | None = None) -> list[dict[str, Any]]:
    """The ledger: USD, tokens and replies by day, model and tier, newest first."""
    rows = db.execute(
        "select substr(created_at, 1, 10) as day, model, service_tier, usd, input_tokens, output_tokens"
        " from cost_records where created_at >= ? order by created_at desc", [since.isoformat() if since else ""],
    ).fetchall()  # fmt: skip
    out: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        place = (row["day"], row["model"], row["service_tier"])
        empty = {"usd": Decimal(0), "unknown": 0, "replies": 0, "input_tokens": 0, "output_tokens": 0}
        entry = out.setdefault(place, dict(zip(("day", "model", "tier"), place, strict=True)) | empty)
        entry["usd"] += Decimal(row["usd"] or 0)
        entry["unknown"] += int(row["usd"] is None)
        entry["replies"] += 1
        entry["input_tokens"] += row["input_tokens"] or 0
        entry["output_tokens"] += row["output_tokens"] or 0
    return list(out.values())
