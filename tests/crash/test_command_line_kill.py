"""The command line does nothing twice: repeated or killed at random moments, it leaves what one call leaves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from core.sample import sample_files
from tests.support.command_line import call, call_and_kill, census

# What they are compared with is made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("command_line_kill")]
KILLS = 6
SETTINGS = ("--set", "max_steps=6", "--set", "batch_size=2", "--set", "rank=4", "--set", "gradient_accumulation=1",
            "--set", "checkpoint_every=1")  # fmt: skip


def chats(path: Path, count: int) -> Path:
    """A file of chats that somebody else made, one of its lines broken."""
    with path.open("w") as handle:
        for number in range(count):
            turns = [{"role": "user", "content": f"Say {number}"}, {"role": "assistant", "content": f"It is {number}."}]
            handle.write(json.dumps({"messages": turns}) + "\n")
        handle.write("{broken\n")
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    return (*SETTINGS, *sample_files()[:5], chats(tmp_path_factory.mktemp("inputs") / "chats.jsonl", 6))


@pytest.fixture(scope="module")
def undisturbed(
    inputs: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], dict[str, Any]]:  # fmt: skip
    root = tmp_path_factory.mktemp("undisturbed") / "w"
    return root, call(root, inputs), census(root)


def told(report: dict[str, Any]) -> dict[str, Any]:
    """What a report says, apart from where things are."""
    counts = {name: report[name] for name in ("in", "used", "rejected", "cut", "exit_code")}
    reasons = sorted((r["code"], r["line"]) for r in report["reasons"])
    adapters = [(a["name"].split("-")[0], a["loss_after"], a["steps"]) for a in report["adapters"]]
    return {**counts, "reasons": reasons, "adapters": adapters}


def test_a_repeated_call_adds_nothing_but_a_report(
    inputs: tuple[object, ...], undisturbed: tuple[Path, dict[str, Any], dict[str, Any]]
) -> None:
    root, first, before = undisturbed
    assert before["states"] == ["completed"]
    assert (before["training_jobs"], before["model_artifacts"]) == (2, 2)
    for _ in range(3):
        assert told(call(root, inputs)) == told(first)
        assert census(root) == before


def test_kills_at_random_moments_leave_what_one_call_leaves(
    inputs: tuple[object, ...], undisturbed: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    _, report, wanted = undisturbed
    killed_and_compared(tmp_path / "w", inputs, report, wanted, KILLS, seed=4)


def killed_and_compared(
    root: Path, inputs: tuple[object, ...], report: dict[str, Any], wanted: dict[str, Any], kills: int, seed: int
) -> list[str]:  # fmt: skip
    """Kill `kills` calls, then let one come to its end; returns what was going on at each kill."""
    chance = random.Random(seed)
    where: list[str] = []
    for _ in range(kills):
        where.append(call_and_kill(root, inputs, chance))
    last = call(root, inputs)
    found = census(root)
    assert told(last) == told(report), where
    assert found == wanted, where
    return where


def test_other_settings_and_changed_files_are_other_work(tmp_path: Path) -> None:
    source = tmp_path / "talk.json"
    source.write_bytes(sample_files()[0].read_bytes())
    call(tmp_path / "w", (*SETTINGS, source))
    one = census(tmp_path / "w")
    call(tmp_path / "w", (*SETTINGS, "--set", "seed=9", source))
    two = census(tmp_path / "w")
    assert (two["training_files"], two["datasets"], two["model_artifacts"]) == (1, 1, 2)
    changed = json.loads(source.read_text())
    changed["turns"][0]["content"] += " And one more thing."
    source.write_text(json.dumps(changed))
    call(tmp_path / "w", (*SETTINGS, source))
    three = census(tmp_path / "w")
    assert (three["conversations"], three["training_files"], three["datasets"]) == (2, 2, 2)
    assert three["model_artifacts"] == one["model_artifacts"] + 2
