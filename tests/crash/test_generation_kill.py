"""kill -9 of the command line's worker, of the command line, of both, in the middle of a batch: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.db.connection import connect
from core.generation import bill
from core.jobs import JobState
from core.workers.runner import run_to_end
from core.workers.session import JobSession, prepare_run, recover, worker_environment
from core.workspace.files import TMP_PREFIX
from core.workspace.paths import Workspace, source_root
from tests.contract.anthropic_server import AnthropicServer
from tests.core.factories import Place
from tests.support.generation import new_batch, studio
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.slow
COUNT, KILLS, IN_FLIGHT = 40, 20, 4
# Importing the client library takes seconds; a worker that is killed twenty times shall not wait for it each time.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["anthropic", "anthropic.types", "core.generation.work", "tests.crash.test_generation_kill"]
)


def command(root: Path, *args: str) -> list[str]:
    return [
        sys.executable, "-m", "app", "generate", "--workspace", str(root), "--count", str(COUNT),
        "--in-flight", str(IN_FLIGHT), *args,
    ]  # fmt: skip


def start(root: Path, server: AnthropicServer, *args: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, **server.environment(), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    return subprocess.Popen(
        command(root, *args), cwd=source_root(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env,
        start_new_session=True,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    import psutil

    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def workers_of(pid: int) -> list[int]:
    """The workers below a process, by their command line."""
    import psutil

    out = []
    for child in children(pid):
        with contextlib.suppress(psutil.Error):
            if "--worker" in psutil.Process(child).cmdline():
                out.append(child)
    return out


def kill_soon(process: subprocess.Popen[bytes], server: AnthropicServer, chance: random.Random, whom: str) -> None:
    """Once this attempt has sent something new, at a random moment: kill the worker, its parent, or both."""
    wanted, end = len(server.asked) + chance.randint(1, 3), time.monotonic() + PATIENCE_S
    while len(server.asked) < wanted and process.poll() is None:
        assert time.monotonic() < end, "nothing is asked for"
        time.sleep(0.002)
    time.sleep(chance.random() * 0.06)
    workers = children(process.pid)
    victims = {"worker": workers, "parent": [process.pid], "both": [process.pid, *workers]}[whom]
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert process.stdout is not None
    process.stdout.read()
    process.stdout.close()
    process.wait()


def forked_worker(run_dir: str, commands: str, environment: dict[str, str]) -> None:
    """A worker in a process of its own, forked from one that has the client library already; nobody reads it."""
    from core.workers.host import run_job

    os.environ.update(environment)
    os.dup2(os.open(commands, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os._exit(run_job([run_dir]))


def attempt(here: Place, job_id: str, server: AnthropicServer, chance: random.Random, *, heard: bool) -> None:
    """One attempt that is killed; `heard`: its parent lives on and applies what it reports, else nobody does."""
    jobs.requeue(here.db, job_id)
    job = jobs.claim_next(here.db, job_id)
    assert job is not None
    if heard:
        killer = threading.Thread(target=lambda: kill((), server, chance), daemon=True)
        killer.start()
        run_to_end(here.db, here.workspace, job)
        killer.join()
        return
    session = JobSession(here.workspace, job)
    session.begin(here.db)
    prepare_run(here.workspace, jobs.get(here.db, job_id))
    fifo = here.workspace.root / "commands"
    if not fifo.exists():
        os.mkfifo(fifo)
    # Open for reading too, so that opening it waits for nobody.
    held = os.open(fifo, os.O_RDWR)
    process = FORKS.Process(
        target=forked_worker, daemon=True,
        args=(str(here.workspace.runs / job_id), str(fifo), {**worker_environment(job.lane)}),
    )  # fmt: skip
    process.start()
    assert process.pid is not None
    kill([process.pid], server, chance)
    process.join()
    os.close(held)
    recover(here.db, here.workspace)


def wait_for_requests(server: AnthropicServer, chance: random.Random) -> None:
    """Until something new was asked for, and a random moment longer."""
    wanted, end = len(server.asked) + chance.randint(1, 3), time.monotonic() + PATIENCE_S
    while len(server.asked) < wanted:
        assert time.monotonic() < end, "nothing is asked for"
        time.sleep(0.002)
    time.sleep(chance.random() * 0.06)


def kill(pids: Sequence[int], server: AnthropicServer, chance: random.Random) -> None:
    wait_for_requests(server, chance)
    for pid in pids or workers_of(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_twenty_kills_leave_every_conversation_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(11)
    with studio(tmp_path, monkeypatch, latency_s=0.03) as (here, server):
        job = new_batch(here, COUNT, max_in_flight=IN_FLIGHT, pace={"timeout_s": PATIENCE_S})
        jobs.set_state(here.db, job.id, JobState.INTERRUPTED)
        for number in range(KILLS):
            attempt(here, job.id, server, chance, heard=number % 7 == 0)
        jobs.requeue(here.db, job.id)
        last = jobs.claim_next(here.db, job.id)
        assert last is not None
        assert run_to_end(here.db, here.workspace, last).status is JobState.COMPLETED
        check(here.workspace.root, server, bill.summary(here.db, job.id), KILLS)


@pytest.mark.parametrize("mode", ["whole", "turns"])
def test_the_command_line_killed_with_its_worker_resumes(tmp_path: Path, mode: str) -> None:
    chance = random.Random(12)
    root = tmp_path / "w"
    with AnthropicServer(latency_s=0.03) as server:
        for whom in ("both", "parent"):
            kill_soon(start(root, server, "--mode", mode), server, chance, whom)
        last = start(root, server, "--mode", mode)
        out, _ = last.communicate(timeout=4 * PATIENCE_S)
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        assert last.returncode == 0, report
        check(root, server, report, 2)


def check(root: Path, server: AnthropicServer, report: dict[str, Any], kills: int) -> None:
    db = connect(Workspace(root).db_path, read_only=True)
    try:
        assert (report["planned"], report["made"], report["adds_up"]) == (COUNT, COUNT, True)
        assert db.execute("select count(*), count(distinct id) from conversations").fetchone()[0] == COUNT
        # What was half-written when it was killed is swept at the next start.
        folders = [path for path in (root / "conversations").iterdir() if not path.name.startswith(TMP_PREFIX)]
        assert len(folders) == COUNT
        rows = [dict(row) for row in db.execute("select * from cost_records").fetchall()]
        heard = {row["request_id"] for row in rows if row["outcome"] == "reply"}
        assert len(heard) == sum(row["outcome"] == "reply" for row in rows)
        unheard = [entry for entry in server.answered if entry.request_id not in heard]
        lost = [row for row in rows if row["outcome"] == "lost"]
        # Whatever was answered is in the bill: by its price, or as a request whose reply never came.
        assert len(unheard) <= len(lost) <= kills * IN_FLIGHT
        asked_in_vain = len(server.asked) - len(heard)
        assert asked_in_vain <= kills * IN_FLIGHT
        assert Decimal(report["known_usd"]) + sum(e.cost or Decimal(0) for e in unheard) == server.spent
        assert Decimal(report["known_usd"]) + Decimal(report["unsure_usd"]) >= server.spent
        assert db.execute("select count(*) from batch_items where status <> 'completed'").fetchone()[0] == 0
    finally:
        db.close()
