"""kill -9 of the command line's worker, of the command line, of both, in the middle of a batch: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.db.connection import connect
from core.workspace.paths import Workspace, source_root
from tests.contract.anthropic_server import AnthropicServer
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.slow
COUNT, KILLS, IN_FLIGHT = 40, 20, 4


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
    for pid in workers:
        # A worker that outlives its parent leaves by itself; its lock is awaited by the next call.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("mode", ["whole", "turns"])
def test_kills_at_random_moments_leave_every_conversation_once(tmp_path: Path, mode: str) -> None:
    kills = KILLS if mode == "whole" else KILLS // 4
    chance = random.Random(11)
    root = tmp_path / "w"
    with AnthropicServer(latency_s=0.03) as server:
        args = ("--mode", mode)
        for number in range(kills):
            kill_soon(start(root, server, *args), server, chance, ("worker", "both", "parent")[number % 3])
        last = start(root, server, *args)
        out, _ = last.communicate(timeout=4 * PATIENCE_S)
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        assert last.returncode == 0, report
        check(root, server, report, kills)


def check(root: Path, server: AnthropicServer, report: dict[str, Any], kills: int) -> None:
    db = connect(Workspace(root).db_path, read_only=True)
    try:
        assert (report["planned"], report["made"], report["adds_up"]) == (COUNT, COUNT, True)
        assert db.execute("select count(*), count(distinct id) from conversations").fetchone()[0] == COUNT
        assert len(list((root / "conversations").iterdir())) == COUNT
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
