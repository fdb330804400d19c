from __future__ import annotations

import pytest

from core.errors import AppError
from core.models.rendering import Rendered
from core.training.batches import collate, epoch_batches, step_plan
from core.training.config import PRACTICE_OVERRIDES, PRESETS, RANGES, TrainingConfig, configure, problems


def test_presets_have_the_values_of_the_spec() -> None:
    rows = {
        name: (c.learning_rate, c.batch_size, c.epochs, c.rank, c.alpha, c.dropout)
        for name, c in ((n, p.config) for n, p in PRESETS.items())
    }
    assert rows == {
        "fast": (1e-4, 8, 1, 8, 16, 0.05),
        "balanced": (5e-5, 4, 3, 16, 32, 0.1),
        "quality": (3e-5, 2, 5, 32, 64, 0.1),
    }
    assert all(not problems(p.config) for p in PRESETS.values())


def test_text_from_the_command_line_is_converted_and_rank_moves_alpha() -> None:
    config = configure("fast", {"learning_rate": "2e-4", "rank": "32", "grad_checkpoint": "true", "max_steps": "5"})
    assert (config.learning_rate, config.rank, config.alpha, config.max_steps) == (2e-4, 32, 64.0, 5)
    assert config.grad_checkpoint is True


@pytest.mark.parametrize(
    ("key", "value"),
    [("learning_rate", "0.01"), ("batch_size", "0"), ("batch_size", "2.5"), ("epochs", "21"), ("rank", "6"),
     ("rank", "abc"), ("targets", "everything"), ("dropout", "nan"), ("grad_checkpoint", "maybe")],
)  # fmt: skip
def test_a_value_outside_its_range_names_the_field(key: str, value: str) -> None:
    with pytest.raises(AppError) as caught:
        configure("balanced", {key: value})
    assert caught.value.where.field == key or key in caught.value.message


def test_an_unknown_setting_names_the_known_ones() -> None:
    with pytest.raises(AppError) as caught:
        configure("balanced", {"lr": 1})
    assert "learning_rate" in caught.value.hint


def test_the_practice_overrides_are_inside_the_accepted_ranges() -> None:
    assert not problems(configure("balanced", PRACTICE_OVERRIDES))
    assert set(PRACTICE_OVERRIDES) <= set(RANGES) | {"targets"}


def test_steps_follow_the_formula() -> None:
    config = TrainingConfig(batch_size=4, epochs=3)
    assert config.steps_per_epoch(17) == 5
    assert config.total_steps(17) == 15
    assert TrainingConfig(batch_size=4, epochs=3, max_steps=7).total_steps(17) == 7
    assert TrainingConfig(batch_size=4, epochs=3, gradient_accumulation=2).total_steps(17) == 9


def rows(*lengths: int) -> list[Rendered]:
    return [Rendered(list(range(1, n + 1)), [0.0] + [1.0] * (n - 1)) for n in lengths]


def test_every_row_is_seen_once_an_epoch_and_the_order_depends_on_seed_and_epoch() -> None:
    data = rows(*range(5, 50))
    first, again = epoch_batches(data, 4, 1, 0), epoch_batches(data, 4, 1, 0)
    assert first == again
    assert sorted(i for batch in first for i in batch) == list(range(45))
    assert first != epoch_batches(data, 4, 1, 1)
    assert first != epoch_batches(data, 4, 2, 0)


def test_the_plan_gathers_batches_and_counts_epochs() -> None:
    plan = list(step_plan(rows(*[9] * 10), 4, 2, 0, 2))
    assert [step for step, _, _ in plan] == [1, 2, 3, 4]
    assert [epoch for _, epoch, _ in plan] == [pytest.approx(2 / 3), 1.0, pytest.approx(5 / 3), 2.0]


def test_targets_are_the_next_token_and_padding_has_no_weight() -> None:
    inputs, targets, weights = collate(rows(3, 5), [0, 1])
    assert inputs.shape == (2, 32)
    assert inputs[0, :3].tolist() == [1, 2, 0]
    assert targets[0, :3].tolist() == [2, 3, 0]
    assert weights.sum() == 2 + 4
