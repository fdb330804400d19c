"""The command line as a process that is killed at random moments, and what it leaves in its workspace."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.db.connection import connect
from core.workspace.paths import Workspace, source_root

FOLDERS = ("conversations", "training_files", "datasets", "runs", "adapters")


def command(workspace: Path, args: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "app", "pipeline", "--workspace", str(workspace), *map(str, args)]


def call(workspace: Path, args: Sequence[object]) -> dict[str, Any]:
    """One call to its end; its report."""
    done = subprocess.run(
        command(workspace, args), cwd=source_root(), capture_output=True, text=True, check=False
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    assert lines[-1]["type"] == "report", done.stderr
    report: dict[str, Any] = lines[-1]
    assert report["adds_up"]
    return report


def call_and_kill(workspace: Path, args: Sequence[object], chance: random.Random) -> str:
    """Kill a call behind a random number of lines that tell of work; what it did then, empty if it ended before."""
    process = subprocess.Popen(
        command(workspace, args), cwd=source_root(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    left, last = chance.randint(0, 12), "start"
    for line in process.stdout:
        told = json.loads(line)
        if told.get("status") == "reused":
            continue
        last = str(told.get("job") or told["type"])
        left -= 1
        if left < 0:
            break
    time.sleep(chance.random() * 0.2)
    ended = process.poll() is not None
    if not ended:
        # Half of the time the worker is left to notice by itself that nobody listens any more.
        (os.killpg if chance.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    return "" if ended else last


def census(root: Path) -> dict[str, Any]:
    """Rows of every table, folders on disk, states of jobs, hashes of adapters."""
    workspace = Workspace(root)
    db = connect(workspace.db_path, read_only=True)
    try:
        tables = [name for name in db.table_names() if not name.startswith(("sqlite_", "_"))]
        out: dict[str, Any] = {name: db.table(name).count for name in sorted(tables)}
        out["states"] = sorted({row["status"] for row in db.execute("select status from jobs").fetchall()})
        out["hashes"] = sorted(row["sha256"] for row in db.execute("select sha256 from model_artifacts").fetchall())
    finally:
        db.close()
    for name in FOLDERS:
        out[f"{name}/"] = len(list((root / name).iterdir()))
    return out
