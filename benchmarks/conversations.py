"""The list of 20,000 conversations: a page of rows, filters and the search, beside reading the turns' files anew."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from core.conversations import digests, store
from core.conversations.checks import Check
from core.conversations.parse import Turn
from core.conversations.store import Filter
from core.db.connection import fold, open_database, transaction
from core.sample import sample_files
from core.scaffolding import store as scaffolding
from core.scaffolding.seeding import seed
from core.workspace.paths import Workspace

COUNT = int(os.environ.get("BENCH_CONVERSATIONS", "20000"))
ROUNDS = 7
WORDS = ("Überblick", "mortgage", "Steuern", "retirement", "Größe", "kids", "sleep", "loan", "house", "Notgroschen")


def fill(workspace: Workspace, db: Any) -> None:
    """Conversations of the usual length whose words differ, spread over the library; files on disk as imported."""
    chance = random.Random(7)
    talks = [orjson.loads(path.read_bytes()) for path in sample_files()]
    vocabulary = sorted({word for talk in talks for turn in talk["turns"] for word in (turn["content"] or "").split()})
    keys = [
        [entry.key for entry in scaffolding.listing(db, kind)]
        for kind in (scaffolding.Persona, scaffolding.EmotionalArc, scaffolding.TrainingTopic)
    ]
    before: list[Turn] = []
    with transaction(db):
        for number in range(COUNT):
            turns = [
                Turn(("user", "assistant")[place % 2], " ".join(chance.choices([*vocabulary, *WORDS], k=90)))
                for place in range(8)
            ]
            # One in twenty repeats the one before but for a turn.
            turns = [*before[:-1], turns[-1]] if number % 20 == 19 else turns
            before = turns
            ident = f"{number:08d}-0000-4000-8000-000000000000"
            folder = workspace.conversations / ident
            folder.mkdir(parents=True)
            path = folder / "parsed.json"
            path.write_bytes(orjson.dumps({"turns": [turn.to_json() for turn in turns]}))
            scored = chance.random() < 0.6
            row = {
                "id": ident, "conversation_id": ident, "title": f"{chance.choice(WORDS)} and {chance.choice(WORDS)}",
                "status": chance.choice(("draft", "needs_review", "approved")),
                "tier": chance.choice(scaffolding.TIERS),
                "persona_key": chance.choice(keys[0]), "emotional_arc_key": chance.choice(keys[1]),
                "training_topic_key": chance.choice(keys[2]), "content_hash": str(number), "turn_count": len(turns),
                "file_path": workspace.relative(path),
                "quality_score": round(chance.uniform(2, 5), 1) if scored else None,
                "enrichment_status": "completed" if scored else "not_started",
                "created_at": f"2026-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}",
                "updated_at": "2026-01-01T00:00:00",
            }  # fmt: skip
            db.execute(
                f"insert into conversations({', '.join(row)}) values({', '.join('?' * len(row))})", list(row.values())
            )
            digests.put(db, ident, row["content_hash"], turns, digests.digest(turns))


def median_ms(work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def by_files(workspace: Workspace, db: Any, word: str) -> int:
    """What the search would cost without its index: every file read and folded."""
    wanted, found = fold(word) or "", 0
    for row in db.execute("select file_path from conversations where deleted_at is null"):
        turns = orjson.loads(workspace.absolute(row[0]).read_bytes())["turns"]
        found += any(wanted in (fold(turn["content"]) or "") for turn in turns)
    return found


def run(folder: Path) -> dict[str, Any]:
    workspace = Workspace(folder / "workspace")
    workspace.create()
    db = open_database(workspace.db_path, workspace.backups)
    seed(db)
    begun = time.perf_counter()
    fill(workspace, db)
    each = (time.perf_counter() - begun) / COUNT * 1000
    db.execute("pragma wal_checkpoint(truncate)")
    size = workspace.db_path.stat().st_size
    asked = {
        "no filter": Filter(), "persona and tier": Filter(persona_key="anxious_planner", tier="template"),
        "quality 4 or more, approved": Filter(min_quality=4.0, status="approved"),
        "near-duplicates": Filter(check=int(Check.NEAR_DUPLICATE)), "search “uberblick”": Filter(search="uberblick"),
        "search “mor” (in every one)": Filter(search="mor"), "search of three words": Filter(search="kids sleep notgr"),
        "search “zzzz” (nowhere)": Filter(search="zzzz"), "search by an id": Filter(search="00012345"),
    }  # fmt: skip
    out: dict[str, Any] = {f"{COUNT:,} conversations": f"{each:.1f} ms each to write, {size / 1e6:.0f} MB of database"}
    for name, wanted in asked.items():
        count = store.count(db, wanted)
        counted = median_ms(lambda wanted=wanted: store.count(db, wanted))
        page = median_ms(lambda wanted=wanted: store.listing(db, wanted, limit=100))
        out[name] = f"{count:,} found: page {page:.1f} ms, count {counted:.1f} ms"
    for order in ("quality", "persona", "title", "checks"):
        taken = median_ms(lambda order=order: store.listing(db, order_by=order, limit=100))
        out[f"sorted by {order}"] = f"page {taken:.1f} ms"
    begun = time.perf_counter()
    found = by_files(workspace, db, "uberblick")
    slow = (time.perf_counter() - begun) * 1000
    quick = median_ms(lambda: store.count(db, Filter(search="uberblick")))
    out["the same word by reading every file"] = f"{found:,} found in {slow:.0f} ms, {slow / quick:.0f} times as long"
    db.close()
    return out
