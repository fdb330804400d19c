"""Batches in tests: made small, run in this process against a local server, checked against what it answered."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.generation import bill
from core.generation.create import create_batch
from core.generation.plan import Library, Plan
from core.generation.sampling import spread
from core.generation.settings import Pace, RunSettings
from core.jobs import Job, JobState
from core.workers import host, protocol
from core.workers.session import JobSession, prepare_run, run_folder
from core.workspace.files import read_json
from tests.contract.anthropic_server import AnthropicServer
from tests.core.factories import Place, place

FAST = Pace(
    base_s=0.01,
    longest_s=0.05,
    longest_wait_s=2.0,
    tries=4,
    timeout_s=30.0,
    poll_s=0.05,
    poll_longest_s=0.1,
    grace_s=0.3,
)
MODEL = "claude-sonnet-5-5"


def use_server(monkeypatch: pytest.MonkeyPatch, server: AnthropicServer) -> None:
    """What the worker finds in its environment; no keychain of this machine is asked."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    import keyring
    from keyring.backends.fail import Keyring

    keyring.set_keyring(Keyring())


def new_batch(here: Place, count: int, plan: Plan | None = None, **over: Any) -> Job:
    """A queued batch of `count` conversations over the shipped library."""
    pace = replace(FAST, **over.pop("pace", {}))
    settings = RunSettings(
        over.pop("provider", "claude"), over.pop("model", MODEL), pace=pace, **{"max_in_flight": 4, **over}
    )
    return create_batch(here.db, here.workspace, plan or spread(here.db, count, 3), settings)


def work(here: Place, job_id: str, during: Callable[[host.JobContext], None] | None = None) -> Job:
    """One attempt at a batch, in this process; `during` runs beside it in a thread, to stop it for example."""
    job = jobs.claim_next(here.db, job_id)
    assert job is not None
    session = JobSession(here.workspace, job)
    session.begin(here.db)
    prepare_run(here.workspace, jobs.get(here.db, job_id))
    folder = run_folder(here.workspace, job_id)
    spec = read_json(folder / "spec.json")
    events = protocol.EventLog(folder / "events.jsonl", int(spec["last_seq"]))
    with open(os.devnull, "wb", buffering=0) as sink:
        context = host.JobContext(spec, folder, host.Channel(sink), events)
        # There is no parent that could answer.
        context.ask_memory = lambda _size, _served="": None  # type: ignore[method-assign]
        helper = threading.Thread(target=during, args=(context,), daemon=True) if during else None
        if helper:
            helper.start()
        try:
            host._run_handler(context, spec["handler"], 0)
        finally:
            events.close()
            if helper:
                helper.join()
    session.finish(here.db, "ended")
    return jobs.get(here.db, job_id)


def again(here: Place, job_id: str) -> Job:
    """Resume and run."""
    jobs.requeue(here.db, job_id)
    return work(here, job_id)


def records(here: Place) -> list[dict[str, Any]]:
    return [dict(row) for row in here.db.execute("select * from cost_records order by id").fetchall()]


def accounted(here: Place, server: AnthropicServer) -> None:
    """Every request that the server answered is in the bill, with its price; what is there beside it was lost."""
    rows = records(here)
    known = Counter(row["request_id"] or row["message_id"] for row in rows if row["outcome"] == "reply")
    assert max(known.values(), default=1) == 1
    lost = sum(row["outcome"] == "lost" for row in rows)
    unheard = [entry for entry in server.answered if not entry.batch and entry.request_id not in known]
    assert len(unheard) <= lost, (unheard, lost)
    total = sum((Decimal(row["usd"]) for row in rows if row["usd"]), Decimal(0))
    assert total + sum((e.cost or Decimal(0) for e in unheard), Decimal(0)) == server.spent


def facts(here: Place, job_id: str) -> dict[str, Any]:
    """The bill, whose counts and money have to add up."""
    found = bill.summary(here.db, job_id)
    assert found["adds_up"], found
    rows = here.db.execute("select count(*) from conversations where deleted_at is null").fetchone()[0]
    assert rows == here.db.execute("select count(*) from batch_items where status = 'completed'").fetchone()[0]
    return found


def counts(here: Place, job_id: str) -> tuple[int, int, int, int]:
    """Made, failed, refused, not reached."""
    found = facts(here, job_id)
    return found["made"], found["failed"], found["refused"], found["not_reached"]


@contextmanager
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **server: Any) -> Iterator[tuple[Place, AnthropicServer]]:
    """A workspace with the library, and a server that its workers find."""
    here = place(tmp_path)
    with AnthropicServer(**server) as running:
        use_server(monkeypatch, running)
        yield here, running
    here.db.close()


def done(job: Job) -> None:
    assert job.status is JobState.COMPLETED, job.error and job.error.to_json()


def library(here: Place) -> Library:
    return Library.of(here.db)
