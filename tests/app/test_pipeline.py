"""The line without a window, as a user runs it: a process, its lines, its exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.db.connection import connect
from core.sample import sample_files
from core.training.publish import read_published
from core.workspace.lock import FileLock
from core.workspace.paths import resources, source_root
from tests.support.broken import broken_files
from tests.support.hf_model import write_hf_model

QUICK = ("--set", "max_steps=3", "--set", "batch_size=2", "--set", "rank=4")


def command(workspace: Path, *args: object) -> list[str]:
    return [sys.executable, "-m", "app", "pipeline", "--workspace", str(workspace), *map(str, args)]


def pipeline(workspace: Path, *args: object) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(command(workspace, *args), cwd=source_root(), capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def report(lines: list[dict[str, Any]]) -> dict[str, Any]:
    assert lines[-1]["type"] == "report"
    assert lines[-1]["in"] == lines[-1]["used"] + lines[-1]["rejected"] + lines[-1]["cut"]
    assert lines[-1]["adds_up"] is True
    return lines[-1]


def test_the_sample_goes_all_the_way_and_both_answer(tmp_path: Path) -> None:
    code, lines = pipeline(
        tmp_path / "w", *QUICK, "--name", "planner", "--ask", "What is one small step?",
        resources() / "sample" / "conversations",
    )  # fmt: skip
    final = report(lines)
    assert (code, final["in"], final["used"], final["reasons"]) == (0, 24, 24, [])
    adapter = final["adapters"][0]
    assert adapter["answers"]["base"]
    assert adapter["answers"]["adapter"]
    published = read_published(Path(adapter["path"]))
    assert published.passport["loss_before"] == adapter["loss_before"]
    assert published.passport["hyperparameters"]["max_steps"] == 3
    kinds = {line["type"] for line in lines}
    assert {"job", "progress", "metric", "report"} <= kinds
    db = connect(tmp_path / "w" / "workspace.db")
    assert {r["status"] for r in db.execute("select status from jobs").fetchall()} == {"completed"}
    stages = db.execute("select stage, count(*) as n from enrichment_stages group by stage").fetchall()
    assert [r["n"] for r in stages] == [24] * 5
    db.close()


def test_ten_broken_files_are_named_and_the_good_ones_train(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in sample_files()[:6]:
        shutil.copy(path, source / f"good-{path.name}")
    expected = broken_files(source)
    code, lines = pipeline(tmp_path / "w", *QUICK, source)
    final = report(lines)
    assert code == 3
    named = {Path(r["file"]).name for r in final["reasons"]}
    assert set(expected) <= named | {""}, set(expected) - named
    assert all(r["message"] and r["hint"] for r in final["reasons"])
    assert final["used"] >= 6


def test_a_chat_file_and_a_base_of_ones_own_enter_further_down(tmp_path: Path) -> None:
    base = write_hf_model(tmp_path / "My base")
    talks = tmp_path / "talks.jsonl"
    with talks.open("w") as handle:
        for n in range(20):
            turns = [
                {"role": "user", "content": f"Say {n}"},
                {"role": "assistant", "content": f"It is {n}, as you said."},
            ]
            handle.write(json.dumps({"messages": turns}) + "\n")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"prompt": f"Count {n}", "completion": f"{n}, {n + 1}"}) + "\n" for n in range(9))
    )
    code, lines = pipeline(tmp_path / "w", *QUICK, "--base", base, "--ask", "Say 3", talks, pairs)
    final = report(lines)
    assert (code, final["in"], final["used"]) == (0, 29, 29)
    assert [a["base"] for a in final["adapters"]] == ["My base", "My base"]
    assert any("rope" in str(line) for line in lines) or final["adapters"][0]["answers"]["base"] is not None


def test_nothing_usable_is_exit_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    code, lines = pipeline(tmp_path / "w", bad, tmp_path / "missing.json")
    final = report(lines)
    assert (code, final["in"], final["rejected"]) == (1, 2, 2)


@pytest.mark.parametrize(
    "args",
    [[], ["--set", "epochs", "x"], ["--set", "epochs=99", "x"], ["--set", "speed=1", "x"], ["--preset", "slow", "x"]],
)
def test_usage_is_exit_2_and_says_what_is_known(tmp_path: Path, args: list[str]) -> None:
    code, lines = pipeline(tmp_path / "w", *args)
    assert code == 2
    assert lines[-1]["type"] == "error"
    assert lines[-1]["hint"]
    assert not (tmp_path / "w").exists()


def test_a_workspace_that_is_open_elsewhere_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with FileLock(tmp_path / "w" / ".lock"):
        code, lines = pipeline(tmp_path / "w", sample_files()[0])
    assert code == 2
    assert lines[-1]["code"] == "workspace_locked"
    assert str(os.getpid()) in lines[-1]["message"]


def test_the_same_files_again_are_duplicates_and_lose_nothing(tmp_path: Path) -> None:
    assert pipeline(tmp_path / "w", *QUICK, "--name", "a", *sample_files()[:5])[0] == 0
    code, lines = pipeline(tmp_path / "w", *QUICK, "--name", "b", *sample_files()[:5])
    final = report(lines)
    assert (code, final["rejected"]) == (1, 5)
    assert {r["code"] for r in final["reasons"]} == {"duplicate"}


def test_stopped_by_a_signal_it_leaves_in_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path / "w", "--set", "epochs=20", "--set", "batch_size=1", *sample_files()),
        cwd=source_root(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if '"metric"' in line:
            break
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    lines = [json.loads(line) for line in process.stdout]
    process.stdout.close()
    assert process.wait(30) == 1
    assert time.monotonic() - begun < 20
    report(lines)
    db = connect(tmp_path / "w" / "workspace.db")
    row = db.execute("select status from jobs where kind = 'training'").fetchone()
    assert row["status"] == "cancelled"
    db.close()
