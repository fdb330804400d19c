"""kill -9 of the training worker, of the window, of both, and inside a checkpoint's rename: nothing is lost."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlite_utils import Database

from core import jobs
from core.db.connection import connect
from core.jobs import JobState
from core.models.store import listing
from core.training import store
from core.training.config import TrainingConfig
from core.workers.runner import run_to_end
from core.workspace.paths import Workspace, source_root
from tests.plugins.held_training import hold
from tests.support.patience import PATIENCE_S
from tests.support.workspaces import DATASET_ID, workspace_with_dataset

# What they are compared with is made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training_kill")]

CONFIG = TrainingConfig(
    learning_rate=1e-3, batch_size=1, epochs=6, rank=8, alpha=64, dropout=0.2, targets="attention",
    checkpoint_every=2, validate_every=16, seed=3,
)  # fmt: skip
KILLS = 10
STEPS_A_KILL = 4
HELD = "tests.plugins.held_training:TRAINING"


class Window:
    """One window process; `pids` are those of its workers, `lines` what it said."""

    def __init__(self, root: Path, kind: str = "") -> None:
        self.lines: list[str] = []
        self.worker = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.driver", str(root), *([kind] if kind else [])],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=source_root(),
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("pid "):
                self.worker = int(line.split()[1])

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait(self, timeout: float = 120) -> int:
        code = self.process.wait(timeout)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.wait()


def make_run(root: Path) -> tuple[Workspace, str]:
    # What is killed is the same however long they are: one question and its answer.
    workspace, db = workspace_with_dataset(root, messages=3)
    job = store.create_run(
        db, name="Killed", dataset_id=DATASET_ID, base_model_id=listing(db)[0].id, preset="balanced", config=CONFIG
    )
    db.close()
    return workspace, job.id


def outcome(workspace: Workspace, job_id: str) -> tuple[bytes, list[dict[str, Any]]]:
    db = connect(workspace.db_path)
    assert jobs.get(db, job_id).status is JobState.COMPLETED
    run = store.get_run(db, job_id)
    assert run.artifact_id is not None
    points = store.metrics(db, job_id)
    path = workspace.absolute(store.get_adapter(db, run.artifact_id).path) / "adapters.safetensors"
    db.close()
    return path.read_bytes(), points


def events(workspace: Workspace, job_id: str) -> Path:
    return workspace.runs / job_id / "events.jsonl"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[dict[str, Any]]]:
    os.environ["BRIGHTRUN_MODELS"] = str(tmp_path_factory.mktemp("models"))
    workspace, job_id = make_run(tmp_path_factory.mktemp("straight"))
    db = connect(workspace.db_path)
    job = jobs.claim_next(db)
    assert job is not None
    run_to_end(db, workspace, job)
    db.close()
    return outcome(workspace, job_id)


def facts(points: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(p["step"], p["train_loss"], p["validation_loss"], p["grad_norm"], p["tokens"]) for p in points]


def wait_for_step(workspace: Workspace, job_id: str, window: Window, step: int) -> bool:
    """Until that step was reported and a worker is there; False when the run ended first."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if window.ended:
            return False
        if window.worker and last_step(workspace, job_id) >= step:
            return True
        time.sleep(0.01)
    raise AssertionError(f"no progress; the window said {window.lines[-5:]}")


def last_step(workspace: Workspace, job_id: str) -> int:
    path = events(workspace, job_id)
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return max((event["step"] for event in map(orjson.loads, lines) if event["type"] == "metric"), default=0)


def test_ten_kills_end_in_the_same_adapter(tmp_path: Path, undisturbed: tuple[bytes, list[dict[str, Any]]]) -> None:
    kill_again_and_again(tmp_path, undisturbed, KILLS, seed=20)


def kill_again_and_again(
    tmp_path: Path, undisturbed: tuple[bytes, list[dict[str, Any]]], kills: int, seed: int
) -> None:
    """Kill worker, window or both, `kills` times at random moments; the adapter is that of the undisturbed run."""
    chance = random.Random(seed)
    workspace, job_id = make_run(tmp_path / "killed")
    killed: list[str] = []
    while len(killed) < kills:
        # The worker waits a few steps on, so that no machine is quick enough to end the run before its last kill.
        # (An orphan may report one more meanwhile, so both count from the same step.)
        before = last_step(workspace, job_id)
        go_on = hold(workspace, before + STEPS_A_KILL)
        window = Window(workspace.root, HELD)
        assert wait_for_step(workspace, job_id, window, before + chance.randint(1, STEPS_A_KILL))
        time.sleep(chance.random() * 0.05)
        whom = ("worker", "window", "both")[len(killed) % 3]
        if whom in ("worker", "both"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(window.worker, signal.SIGKILL)
        if whom == "worker":
            # The window that lives on says what happened; then it is closed in order.
            wait_until(lambda w=window: any(line.startswith("finished") for line in w.lines))
            window.process.send_signal(signal.SIGTERM)
            window.wait()
        else:
            window.kill()
        killed.append(whom)
    go_on()
    last = Window(workspace.root, HELD)
    assert last.wait(3 * PATIENCE_S) == 0
    assert any(line.startswith("offered interrupted") for line in last.lines)
    adapter, points = outcome(workspace, job_id)
    assert facts(points) == facts(undisturbed[1])
    assert adapter == undisturbed[0]


def wait_until(condition: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_killed_inside_a_checkpoints_rename(tmp_path: Path, undisturbed: tuple[bytes, list[dict[str, Any]]]) -> None:
    workspace, job_id = make_run(tmp_path / "renamed")
    folder = workspace.runs / job_id
    for mark in ("killed-before", "killed-after"):
        window = Window(workspace.root, "tests.plugins.kill_in_rename:TRAINING")
        wait_until(lambda m=mark: (folder / m).exists())
        wait_until(lambda w=window: any(line.startswith("finished interrupted") for line in w.lines))
        window.kill()
    assert Window(workspace.root, "tests.plugins.kill_in_rename:TRAINING").wait(3 * PATIENCE_S) == 0
    adapter, points = outcome(workspace, job_id)
    assert not list((folder / "checkpoints").glob(".tmp*"))
    assert facts(points) == facts(undisturbed[1])
    assert adapter == undisturbed[0]


def test_a_torn_event_and_a_killed_window_lose_no_point(
    tmp_path: Path, undisturbed: tuple[bytes, list[dict[str, Any]]]
) -> None:
    """The window dies before it wrote anything: what the log holds is replayed, the torn tail is not."""
    from core.workers.session import recover

    workspace, job_id = make_run(tmp_path / "torn")
    db: Database = connect(workspace.db_path)
    job = jobs.claim_next(db)
    assert job is not None
    folder = workspace.runs / job_id
    folder.mkdir()
    lines = [
        orjson.dumps({"v": 1, "id": job_id, "seq": n + 1, "type": "metric", "step": n, "epoch": 0.0, "train_loss": 1.0})
        for n in range(4)
    ]
    (folder / "events.jsonl").write_bytes(b"\n".join(lines) + b'\n{"v":1,"id":')
    recovered = recover(db, workspace).jobs
    assert [(j.id, j.status) for j in recovered] == [(job_id, JobState.INTERRUPTED)]
    assert [p["step"] for p in store.metrics(db, job_id)] == [0, 1, 2, 3]
    assert recover(db, workspace).jobs == []
    db.close()
    shutil.rmtree(folder)
