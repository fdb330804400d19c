"""Memory runs short: what gives way, in which order, and what stays; a real worker, made-up numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.inference import InferenceService
from app.memory_watch import PATIENCE, REASON, MemoryWatch
from core.inference.engine import AdapterRef
from core.memory import Memory, Pressure
from core.registries import ENGINES
from tests.app.test_inference_service import ask, load

ONE, TWO = AdapterRef("one", "/adapters/one", "One"), AdapterRef("two", "/adapters/two", "Two")


class Machine:
    """Its memory, as the test wants it, and the time."""

    def __init__(self) -> None:
        self.pressure, self.moment = Pressure.NORMAL, 0.0

    def read(self) -> Memory:
        return Memory(1 << 34, 1 << 30, self.pressure)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def service(qtbot: Any, tmp_path: Path) -> Iterator[InferenceService]:
    ENGINES.register("tiny", "tests.plugins.tiny_engine:TinyEngine")
    made = InferenceService(tmp_path / "inference.log")
    yield made
    made.shutdown()
    made.deleteLater()


@pytest.fixture
def watch(service: InferenceService, machine: Machine) -> MemoryWatch:
    return MemoryWatch(service, service, read=machine.read, clock=lambda: machine.moment)


def resident(qtbot: Any, service: InferenceService) -> list[str]:
    found: list[Any] = []
    service.status(service, found.append)
    qtbot.waitUntil(lambda: bool(found))
    return sorted(found[0]["resident"])


def both_asked(qtbot: Any, service: InferenceService) -> None:
    """Two adapters are resident then, and the second is the one that answered last."""
    for adapter in (ONE, TWO):
        answer, _ = ask(service, "Hello", adapter)
        qtbot.waitUntil(lambda: answer.ended)  # noqa: B023


def test_it_looks_only_while_a_model_is_loaded(qtbot: Any, service: InferenceService, watch: MemoryWatch) -> None:
    assert not watch._timer.isActive()
    load(qtbot, service)
    assert watch._timer.isActive()
    service.unload()
    assert not watch._timer.isActive()


def test_adapters_that_do_not_answer_leave_first_and_not_all_the_time(
    qtbot: Any, service: InferenceService, watch: MemoryWatch, machine: Machine
) -> None:
    load(qtbot, service)
    both_asked(qtbot, service)
    watch.look()
    assert resident(qtbot, service) == ["one", "two"]
    machine.pressure = Pressure.SHORT
    watch.look()
    assert resident(qtbot, service) == ["two"]
    both_asked(qtbot, service)
    watch.look()
    assert resident(qtbot, service) == ["one", "two"]
    machine.moment = 60.0
    watch.look()
    assert resident(qtbot, service) == ["two"]
    assert service.state == "ready"


def test_the_base_leaves_while_it_stays_critical_and_never_under_an_answer(
    qtbot: Any, service: InferenceService, watch: MemoryWatch, machine: Machine, tmp_path: Path
) -> None:
    load(qtbot, service)
    machine.pressure = Pressure.CRITICAL
    gate = tmp_path / "gate"
    answer, _ = ask(service, f"until {gate}")
    qtbot.waitUntil(lambda: bool(answer.text))
    for _ in range(2 * PATIENCE):
        watch.look()
    assert service.state == "answering"
    gate.touch()
    qtbot.waitUntil(lambda: answer.ended and service.idle)
    assert answer.result
    for _ in range(PATIENCE - 1):
        watch.look()
    assert service.state == "ready"
    watch.look()
    assert (service.state, service.unload_reason) == ("off", REASON)
    machine.pressure = Pressure.NORMAL
    load(qtbot, service)
    assert service.unload_reason == ""
