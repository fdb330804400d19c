"""Rows and files for tests: a workspace with the shipped scaffolding, conversations in it."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlite_utils import Database

from core import jobs
from core.conversations import check, digests, store
from core.db.connection import new_id, now, open_database, transaction
from core.jobs import Job
from core.scaffolding.seeding import seed
from core.workers.runner import run_to_end
from core.workspace.files import write_json
from core.workspace.paths import Workspace
from tests.support.patience import PATIENCE_S

PARAMETERS = {
    "persona_id": "8a6f1f5e-0000-4000-8000-000000000001", "persona_key": "pragmatic_optimist",
    "persona_name": "David Chen",
    "emotional_arc_id": "8a6f1f5e-0000-4000-8000-000000000002", "emotional_arc_key": "confusion_to_clarity",
    "emotional_arc_name": "Confusion → Clarity",
    "training_topic_id": "8a6f1f5e-0000-4000-8000-000000000003", "training_topic_key": "mortgage_payoff_strategy",
    "training_topic_name": "Accelerated Mortgage Payoff",
}  # fmt: skip

KIND = (
    "We got a raise and I want the mortgage gone, but I feel confused: everyone tells me something different.",
    "Thank you for telling me. It makes sense that you feel confused when every friend has a plan for your mortgage. "
    "Before we look at numbers, one question. What would being without the mortgage change for you?",
    "I would sleep. Is it stupid to want that more than returns?",
    "There is no shame in wanting to sleep. We take one small step together, and you decide. Shall we start with one "
    "number: what the mortgage costs each month?",
)
COLD = (
    "I am scared that I will lose the house.",
    "You should have obviously considered the amortization characteristics of alternative refinancing instruments "
    "beforehand, and you must restructure immediately because it is guaranteed and risk-free!",
)


@dataclass(frozen=True)
class Place:
    """A workspace with its open database."""

    workspace: Workspace
    db: Database


def place(tmp_path: Path, *, scaffolding: bool = True) -> Place:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    db = open_database(workspace.db_path, workspace.backups)
    if scaffolding:
        seed(db)
    return Place(workspace, db)


def parsed(
    texts: Iterable[str | None] = KIND, *, title: str = "The mortgage and the raise", **over: Any
) -> dict[str, Any]:
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"title": title, "turns": turns, "input_parameters": dict(PARAMETERS), **over}


def raw(number: int = 0, **over: Any) -> dict[str, Any]:
    """A raw conversation, different for each number."""
    return parsed((f"{number}: {KIND[0]}", *KIND[1:]), **{"title": f"Number {number}", **over})


def add_conversation(here: Place, content: dict[str, Any] | None = None, *, raw: Any = None, **columns: Any) -> str:
    """A conversation as the importer leaves it: raw.json, parsed.json, a row, its digest. Returns its id."""
    content = parsed() if content is None else content
    ident = columns.pop("id", None) or new_id()
    folder = here.workspace.conversations / ident
    folder.mkdir(parents=True)
    write_json(folder / "raw.json", content if raw is None else raw)
    write_json(folder / "parsed.json", content)
    stamp = now()
    row = {
        "id": ident, "conversation_id": ident, "title": str(content.get("title") or "Untitled"), "status": "draft",
        "content_hash": hashlib.sha256(orjson.dumps([ident, content])).hexdigest(),
        "turn_count": len(content.get("turns") or []), "raw_response_path": f"conversations/{ident}/raw.json",
        "file_path": f"conversations/{ident}/parsed.json", "created_at": stamp, "updated_at": stamp, **columns,
    }  # fmt: skip
    with transaction(here.db):
        here.db.execute(
            f"insert into conversations({', '.join(row)}) values({', '.join('?' * len(row))})", list(row.values())
        )
        turns, found = check.read(here.workspace, store.get(here.db, ident))
        digests.put(here.db, ident, str(row["content_hash"]), turns, found)
    return ident


def conversation(here: Place, ident: str) -> dict[str, Any]:
    return dict(here.db.execute("select * from conversations where id = ?", [ident]).fetchone())


def run_job(here: Place, kind: str, params: dict[str, Any], **options: Any) -> Job:
    """Queue a job and run it in a real worker process."""
    jobs.create(here.db, kind, kind, params)
    job = jobs.claim_next(here.db)
    assert job is not None
    return run_to_end(here.db, here.workspace, job, **options)


def wait_for(path: Path) -> None:
    """Return when another process has written that file."""
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def run_killed(here: Place, kind: str, params: dict[str, Any], at: Path) -> Job:
    """Run a job in a real worker process that is killed once the file `at` is there."""
    jobs.create(here.db, kind, kind, params)
    job = jobs.claim_next(here.db)
    assert job is not None
    pids: list[int] = []

    def kill() -> None:
        wait_for(at)
        os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    ended = run_to_end(
        here.db, here.workspace, job,
        listen=lambda event: pids.append(event["pid"]) if event["type"] == "hello" else None,
    )  # fmt: skip
    thread.join()
    assert ended.error is not None
    assert ended.error.code == "worker_crashed"
    return ended


def load(here: Place, *paths: Path, **options: Any) -> Job:
    """Import files; whatever became of them, the counts add up."""
    job = run_job(here, "import", {"files": [str(path) for path in paths]}, **options)
    if job.status == "completed":
        assert job.result["in"] == job.result["used"] + job.result["rejected"] + job.result["cut"]
    return job


def enrich(here: Place, *idents: str) -> Job:
    job = run_job(here, "enrich", {"conversation_ids": list(idents)})
    assert job.status == "completed", job.error
    return job


def read(here: Place, relative: str) -> Any:
    return orjson.loads(here.workspace.absolute(relative).read_bytes())
