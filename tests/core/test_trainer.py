from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.training.checkpoints import Checkpoints, check_same_run
from core.training.config import TrainingConfig
from tests.support.training import IDENTITY, make_trainer, rendered

CONFIG = TrainingConfig(
    learning_rate=1e-3, batch_size=2, epochs=2, rank=8, alpha=64, dropout=0.1, targets="attention",
    checkpoint_every=2, validate_every=3, seed=5,
)  # fmt: skip


def tensors(folder: Path, step: int) -> dict[str, Any]:
    checkpoint = Checkpoints(folder / "checkpoints").at(step)
    assert checkpoint is not None
    return {k: np.array(v) for k, v in checkpoint.arrays()[0].items()}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    metrics: list[dict[str, Any]] = []
    rows = rendered(7, messages=5)
    make_trainer(folder, CONFIG, rows[:5], rows[5:], lambda kind, **f: metrics.append(f) if kind == "metric" else None)[
        0
    ].run()
    return folder, metrics


def test_every_step_is_reported_with_a_baseline_first(undisturbed: tuple[Path, list[dict[str, Any]]]) -> None:
    metrics = undisturbed[1]
    assert [m["step"] for m in metrics] == list(range(7))
    assert metrics[0]["validation_loss"] > metrics[-1]["validation_loss"]
    assert [m["step"] for m in metrics if m.get("validation_loss")] == [0, 3, 6]
    assert metrics[-1]["epoch"] == 2.0


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_stopped_and_resumed_is_bit_identical(
    tmp_path: Path, undisturbed: tuple[Path, list[dict[str, Any]]], stop_after: int
) -> None:
    rows = rendered(7, messages=5)
    token = CancelToken()
    seen: dict[int, dict[str, Any]] = {}

    def emit(kind: str, **fields: Any) -> None:
        if kind == "metric":
            seen[fields["step"]] = fields
            if fields["step"] == stop_after:
                token.cancel("pause")

    with pytest.raises(Cancelled):
        make_trainer(tmp_path, CONFIG, rows[:5], rows[5:], emit, token)[0].run()
    newest = Checkpoints(tmp_path / "checkpoints").newest()
    assert newest is not None
    assert newest.step == stop_after
    trainer, _ = make_trainer(tmp_path, CONFIG, rows[:5], rows[5:], emit, CancelToken())
    trainer.resume(newest)
    trainer.run()
    folder, metrics = undisturbed
    assert same(tensors(tmp_path, 6), tensors(folder, 6))
    assert [seen[i].get("train_loss") for i in range(7)] == [m.get("train_loss") for m in metrics]


@pytest.mark.parametrize("step", [3, 6])
def test_stopped_while_validating_loses_no_step(
    tmp_path: Path, undisturbed: tuple[Path, list[dict[str, Any]]], step: int
) -> None:
    rows = rendered(7, messages=5)
    token = CancelToken()
    seen: list[dict[str, Any]] = []

    def emit(kind: str, **fields: Any) -> None:
        if kind == "metric":
            seen.append(fields)

    trainer, _ = make_trainer(tmp_path, CONFIG, rows[:5], rows[5:], emit, token)
    validate = trainer.validate

    def asked_meanwhile() -> float | None:
        if trainer.progress.step == step:
            token.cancel("pause")
        return validate()

    trainer.validate = asked_meanwhile  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        trainer.run()
    newest = Checkpoints(tmp_path / "checkpoints").newest()
    assert newest is not None
    assert newest.step == step
    assert [m["step"] for m in seen] == list(range(step))
    trainer, _ = make_trainer(tmp_path, CONFIG, rows[:5], rows[5:], emit, CancelToken())
    trainer.resume(newest)
    trainer.run()
    folder, metrics = undisturbed
    assert same(tensors(tmp_path, 6), tensors(folder, 6))
    for name in ("step", "train_loss", "validation_loss"):
        assert [m.get(name) for m in seen] == [m.get(name) for m in metrics]


def test_a_damaged_newest_checkpoint_is_passed_over(
    tmp_path: Path, undisturbed: tuple[Path, list[dict[str, Any]]]
) -> None:
    shutil.copytree(undisturbed[0] / "checkpoints", tmp_path / "checkpoints")
    file = tmp_path / "checkpoints" / "0000006" / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    (tmp_path / "checkpoints" / ".tmp-left-over").mkdir()
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 4
    assert not list((tmp_path / "checkpoints").glob(".tmp*"))


def test_a_resume_with_other_data_is_refused_by_name(undisturbed: tuple[Path, list[dict[str, Any]]]) -> None:
    newest = Checkpoints(undisturbed[0] / "checkpoints").newest()
    assert newest is not None
    check_same_run(newest, IDENTITY)
    with pytest.raises(AppError, match="the dataset and the settings"):
        check_same_run(newest, {**IDENTITY, "dataset_hash": "other", "config_hash": "other"})


def test_gathered_batches_are_weighted_by_tokens(tmp_path: Path) -> None:
    # One step over four conversations is the same whether they come in one batch or in four.
    rows = rendered(4, messages=5)
    first = TrainingConfig(learning_rate=1e-3, batch_size=4, epochs=1, rank=4, alpha=8, dropout=0.0)
    second = TrainingConfig(
        learning_rate=1e-3, batch_size=1, gradient_accumulation=4, epochs=1, rank=4, alpha=8, dropout=0.0
    )
    make_trainer(tmp_path / "a", first, rows, [])[0].run()
    make_trainer(tmp_path / "b", second, rows, [])[0].run()
    a, b = tensors(tmp_path / "a", 1), tensors(tmp_path / "b", 1)
    assert max(float(np.abs(a[k] - b[k]).max()) for k in a) < 1e-5


def test_divergence_is_named_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    rows = rendered(4, messages=5)
    config = TrainingConfig(
        learning_rate=1e-3, batch_size=1, epochs=1, rank=4, alpha=8, checkpoint_every=1, grad_clip=0.0, dropout=0.0
    )
    trainer, _ = make_trainer(tmp_path, config, rows, [])
    step = trainer._step

    def poisoned(number: int, batches: Any) -> tuple[float, float, int]:
        return (float("nan"), 1.0, 5) if number == 3 else step(number, batches)

    trainer._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(AppError, match="step 3") as caught:
        trainer.run()
    assert caught.value.code == "non_finite_loss"
    newest = trainer.checkpoints.newest()
    assert newest is not None
    assert newest.step == 2


def test_one_flipped_bit_is_a_damaged_checkpoint_and_is_written_again(
    tmp_path: Path, undisturbed: tuple[Path, list[dict[str, Any]]]
) -> None:
    shutil.copytree(undisturbed[0] / "checkpoints", tmp_path / "checkpoints")
    file = tmp_path / "checkpoints" / "0000006" / "adapters.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 0x40
    file.write_bytes(data)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 4
    rows = rendered(7, messages=5)
    trainer, _ = make_trainer(tmp_path, CONFIG, rows[:5], rows[5:])
    trainer.resume(newest)
    trainer.run()
    assert same(tensors(tmp_path, 6), tensors(undisturbed[0], 6))


@pytest.mark.parametrize("state", ["[]", "{}", "no json"])
def test_a_checkpoint_with_a_damaged_state_is_passed_over(
    tmp_path: Path, undisturbed: tuple[Path, list[dict[str, Any]]], state: str
) -> None:
    shutil.copytree(undisturbed[0] / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "0000006" / "state.json").write_text(state)
    newest = Checkpoints(tmp_path / "checkpoints").newest()
    assert newest is not None
    assert newest.step == 4


def test_a_damaged_best_checkpoint_is_made_again(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step, best in ((2, 0), (4, 4), (6, 4)):
        checkpoints.save({}, {}, {"step": step, "best_step": best})
    shutil.copytree(tmp_path / "0000004", tmp_path / "0000002", dirs_exist_ok=True)
    (tmp_path / "0000002" / "state.json").write_bytes(
        (tmp_path / "0000004" / "state.json").read_bytes().replace(b'"step": 4', b'"step": 2').replace(
            b'"best_step": 4', b'"best_step": 0')
    )  # fmt: skip
    (tmp_path / "0000004" / "adapters.safetensors").write_bytes(b"x")
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 2


def test_a_full_disk_is_named_when_a_checkpoint_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx.core as mx

    def refuse(*_args: object) -> None:
        raise RuntimeError("[write] Unable to write 4 bytes to file.")

    monkeypatch.setattr(mx, "save_safetensors", refuse)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=0))
    with pytest.raises(AppError) as caught:
        Checkpoints(tmp_path).save({"a": mx.zeros(4)}, {}, {"step": 1, "best_step": 0})
    assert caught.value.code == "disk_full"
    assert not list(tmp_path.iterdir())
