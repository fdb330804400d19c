"""Estimate and history of a run: pure, no model."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.training.config import PRESETS, TrainingConfig
from core.training.estimate import Material, effect_of, estimate
from core.training.history import History
from core.workers import protocol
from core.workers.session import run_folder
from core.workspace.paths import Workspace


def test_the_spec_s_formula_and_the_tokens_that_train() -> None:
    found = estimate(PRESETS["balanced"].config, Material(100, 12, 50_000), 0.002, "balanced")
    assert (found.steps_per_epoch, found.steps) == (22, 66)
    assert found.tokens == 50_000 * 88 // 100 * 3
    assert found.seconds == pytest.approx(264.0)


def test_the_verdict_names_the_preset_only_while_it_is_unchanged() -> None:
    material = Material(27, 3, None)
    told = estimate(PRESETS["fast"].config, material, None, "fast")
    assert told.verdict == "Fast makes 3 steps over 24 conversations: expect a small effect."
    assert told.seconds is None
    assert told.tokens is None
    changed = estimate(TrainingConfig(rank=8), material, None, "fast")
    assert changed.verdict.startswith("These settings make")


def test_steps_at_most_cut_tokens_and_steps() -> None:
    found = estimate(TrainingConfig(max_steps=11), Material(88, 0, 8_800), None)
    assert found.steps == 11
    assert found.tokens == 4_400
    assert "validation" in found.warnings[0]


def test_one_step_an_epoch_and_many_epochs_are_warned_of() -> None:
    found = estimate(TrainingConfig(batch_size=64, epochs=10), Material(12, 2, None), None)
    assert len(found.warnings) == 2


@pytest.mark.parametrize(("budget", "effect"), [(0.0003, "small"), (0.005, "moderate"), (0.044, "clear")])
def test_effects(budget: float, effect: str) -> None:
    assert effect_of(budget) == effect


def test_nothing_to_train_is_said() -> None:
    assert estimate(TrainingConfig(), Material(0, 0, 0), 1.0).verdict == "There are no conversations to train on."


def test_history_reads_on_from_where_it_was_and_leaves_torn_lines(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    folder = run_folder(workspace, "r")
    folder.mkdir(parents=True)
    history = History(workspace, "r")
    assert history.read_on() == []
    log = protocol.EventLog(folder / "events.jsonl")
    log.append("r", "started", {})
    log.append("r", "metric", {"step": 0, "validation_loss": 3.0, "elapsed_s": 0.0})
    log.append("r", "metric", {"step": 1, "train_loss": 2.0, "elapsed_s": 0.5})
    assert [entry.kind for entry in history.read_on()] == ["started", "validation"]
    log.append("r", "metric", {"step": 2, "validation_loss": 2.5, "elapsed_s": 1.0})
    log.append("r", "checkpoint", {"step": 2})
    log.append("r", "metric", {"step": 3, "validation_loss": 2.7, "elapsed_s": 2.0})
    log.append("r", "stopped", {"reason": "pause"})
    log.close()
    with (folder / "events.jsonl").open("ab") as handle:
        handle.write(b'{"v":1,"id":"r","type":"che')
    found = history.read_on()
    assert [(e.kind, e.step, e.best) for e in found] == [
        ("validation", 2, True), ("checkpoint", 2, False), ("validation", 3, False), ("stopped", 3, False),
    ]  # fmt: skip
    assert history.read_on() == []
