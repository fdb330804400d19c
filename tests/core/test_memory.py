"""What memory is left, by the kernel of a Mac or by its share."""

from __future__ import annotations

import pytest

from core import memory
from core.memory import Pressure, judge, read


def test_the_numbers_of_this_machine() -> None:
    found = read()
    assert 0 < found.available < found.total


@pytest.mark.parametrize(
    ("available", "expected"),
    [(50, Pressure.NORMAL), (5, Pressure.NORMAL), (4, Pressure.SHORT), (2, Pressure.CRITICAL), (0, Pressure.CRITICAL)],
)
def test_judged_by_the_share_that_is_left(available: int, expected: Pressure) -> None:
    assert judge(100, available) is expected


@pytest.mark.parametrize("level", Pressure)
def test_on_a_mac_the_kernel_says_it(level: Pressure) -> None:
    found = read("darwin", lambda name: int(level) if name == memory.PRESSURE_LEVEL else 0)
    assert found.pressure is level
    assert 0 < found.budget < found.total


def test_a_kernel_that_does_not_know_is_judged_by_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise OSError(2, name)

    monkeypatch.setattr(memory, "judge", lambda _total, _available: Pressure.SHORT)
    assert read("darwin", unknown).pressure is Pressure.SHORT
    assert read("darwin", lambda _name: 7).pressure is Pressure.SHORT
