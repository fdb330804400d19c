"""The real worker process behind the service."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PySide6.QtCore import QObject

from app.inference import InferenceService
from app.silence import SilenceWatch
from app.worker_service import BACKOFF_S
from core.errors import AppError
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.models.practice import shipped_folder
from core.registries import ENGINES

TINY = Path("/somewhere/tiny")
ENDLESS = "until /nowhere"


class Answer:
    """What came back for one question."""

    def __init__(self) -> None:
        self.text = ""
        self.result: Any = None
        self.error: AppError | None = None
        self.stopped = self.ended = False

    def on_text(self, text: str) -> None:
        self.text += text

    def on_done(self, result: Any) -> None:
        self.result, self.ended = result, True

    def on_failed(self, error: AppError) -> None:
        self.error, self.ended = error, True

    def on_stopped(self) -> None:
        self.stopped = self.ended = True


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(qtbot: Any, tmp_path: Path, clock: Clock) -> Iterator[InferenceService]:
    ENGINES.register("tiny", "tests.plugins.tiny_engine:TinyEngine")
    made = InferenceService(tmp_path / "inference.log", clock=clock)
    yield made
    made.shutdown()
    made.deleteLater()


def load(qtbot: Any, service: InferenceService, base: Path = TINY, engine: str = "tiny") -> Answer:
    out = Answer()
    service.load(service, base, out.on_done, out.on_failed, engine)
    qtbot.waitUntil(lambda: out.ended)
    return out


def ask(
    service: InferenceService, question: str, adapter: AdapterRef | None = None, tokens: int = 40,
    owner: QObject | None = None,
) -> tuple[Answer, str]:  # fmt: skip
    out = Answer()
    request = GenerateRequest([{"role": "user", "content": question}], adapter, Sampling(max_tokens=tokens))
    ident = service.generate(
        owner or service, request, text=out.on_text, done=out.on_done, stopped=out.on_stopped, failed=out.on_failed
    )
    return out, ident


def test_nothing_runs_before_the_first_command(service: InferenceService) -> None:
    assert service.pid == 0
    assert service.state == "off"
    service.stop("w1")
    service.unload()
    service.status(service, lambda _facts: pytest.fail("nothing is loaded"))
    assert service.pid == 0


def test_an_engine_registered_by_its_path_answers_in_the_real_worker(qtbot: Any, service: InferenceService) -> None:
    states: list[str] = []
    service.state_changed.connect(states.append)
    facts = load(qtbot, service)
    assert facts.result["context"] == 1024
    answer, _ = ask(service, "Hello", AdapterRef("a1", "/adapters/a1", "Calm"))
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.text == "I am Calm, told 'nothing', turn 1: Hello "
    assert answer.result["finish_reason"] == "stop"
    assert answer.result["stats"]["adapter"] == "a1"
    assert states == ["loading", "ready", "answering", "ready"]
    known: list[Any] = []
    service.status(service, known.append)
    qtbot.waitUntil(lambda: bool(known))
    assert known[0]["resident"] == {"a1": 10}


def test_the_practice_model_answers_and_answers_the_same_again(qtbot: Any, service: InferenceService) -> None:
    load(qtbot, service, shipped_folder(), "mlx")
    first, _ = ask(service, "How do I keep bread fresh?", tokens=24)
    second, _ = ask(service, "How do I keep bread fresh?", tokens=24)
    qtbot.waitUntil(lambda: second.ended)
    assert first.text.strip()
    assert first.text == second.text
    stats = first.result["stats"]
    assert stats["tokens"] <= 24
    assert stats["tokens_per_second"] > 0
    assert 0 < stats["first_token_s"] < 20


@pytest.mark.parametrize("base", ["tiny", "mlx"])
def test_stop_keeps_what_was_said(qtbot: Any, service: InferenceService, base: str) -> None:
    ENGINES.register("mlx", "tests.plugins.tiny_engine:EndlessMlx")
    load(qtbot, service, shipped_folder() if base == "mlx" else TINY, base)
    answer, ident = ask(service, ENDLESS)
    qtbot.waitUntil(lambda: len(answer.text) > 40)
    service.stop(ident)
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.stopped
    assert len(answer.text) > 40
    assert service.state == "ready"
    again, ident = ask(service, ENDLESS)
    qtbot.waitUntil(lambda: bool(again.text))
    service.stop(ident)
    qtbot.waitUntil(lambda: again.stopped)


def test_stopping_a_question_that_waits_leaves_the_one_before_alone(
    qtbot: Any, service: InferenceService, tmp_path: Path
) -> None:
    load(qtbot, service)
    gate = tmp_path / "gate"
    first, _ = ask(service, f"until {gate}")
    second, ident = ask(service, ENDLESS)
    service.stop(ident)
    gate.touch()
    qtbot.waitUntil(lambda: second.ended)
    assert first.result
    assert second.stopped
    assert len(second.text.split()) <= 1


def test_a_kill_in_mid_answer_fails_it_and_the_next_question_works(qtbot: Any, service: InferenceService) -> None:
    load(qtbot, service)
    answer, _ = ask(service, ENDLESS)
    qtbot.waitUntil(lambda: len(answer.text) > 40)
    pid = service.pid
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.error is not None
    assert answer.error.code == "worker_crashed"
    assert "signal 9" in answer.error.message
    assert answer.error.hint
    assert len(answer.text) > 40
    assert service.state == "off"
    load(qtbot, service)
    again, _ = ask(service, "Hello")
    qtbot.waitUntil(lambda: again.ended)
    assert again.result
    assert service.pid not in (0, pid)


def test_crash_after_crash_the_restart_is_held_back_longer(qtbot: Any, service: InferenceService, clock: Clock) -> None:
    # The first crash costs nothing, each further one in a row twice as much.
    for expected in BACKOFF_S[:4]:
        failed = load(qtbot, service, Path("/somewhere/deadly"))
        assert failed.error is not None
        assert failed.error.code == "worker_crashed"
        assert service.held_back_s == expected
        clock.now += expected
    load(qtbot, service, Path("/somewhere/deadly"))
    waiting, ident = ask(service, "Hello")
    assert service.state == "starting"
    assert service.pid == 0
    service.stop(ident)
    assert waiting.stopped
    assert service.state == "off"


def test_the_order_of_commands_survives_a_held_back_start(qtbot: Any, service: InferenceService) -> None:
    load(qtbot, service, Path("/somewhere/deadly"))
    load(qtbot, service, Path("/somewhere/deadly"))
    loaded = Answer()
    service.load(service, TINY, loaded.on_done, loaded.on_failed, "tiny")
    answer, _ = ask(service, "Hello")
    assert service.pid == 0
    qtbot.waitUntil(lambda: answer.ended)
    assert loaded.result
    assert answer.result


def test_an_error_of_the_engine_leaves_it_running(qtbot: Any, service: InferenceService) -> None:
    failed = load(qtbot, service, Path("/somewhere/missing"))
    assert failed.error is not None
    assert failed.error.code == "base_does_not_load"
    load(qtbot, service)
    errors: list[AppError] = []
    service.prepare(service, AdapterRef("x", "/bad", "Broken"), errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert errors[0].code == "bad_adapter"
    answer, _ = ask(service, "Hello")
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.result


def test_unloading_gives_the_memory_back_and_says_so(qtbot: Any, service: InferenceService) -> None:
    load(qtbot, service)
    process = psutil.Process(service.pid)
    answer, _ = ask(service, ENDLESS)
    qtbot.waitUntil(lambda: bool(answer.text))
    service.unload("while training runs")
    assert answer.error is not None
    assert answer.error.code == "engine_closed"
    assert service.state == "off"
    assert service.unload_reason == "while training runs"
    qtbot.waitUntil(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    load(qtbot, service)
    assert service.unload_reason == ""


def test_nothing_is_called_back_once_the_owner_is_gone(qtbot: Any, service: InferenceService) -> None:
    load(qtbot, service)
    owner = QObject()
    answer, ident = ask(service, ENDLESS, owner=owner)
    qtbot.waitUntil(lambda: bool(answer.text))
    service.stop(ident)
    owner.deleteLater()
    qtbot.waitUntil(lambda: service.state == "ready")
    assert not answer.ended
    assert not service._killer.isActive()


def test_a_worker_that_does_not_obey_is_ended_and_that_is_no_crash(qtbot: Any, service: InferenceService) -> None:
    load(qtbot, service)
    service._killer.setInterval(50)
    answer, ident = ask(service, ENDLESS)
    qtbot.waitUntil(lambda: bool(answer.text))
    os.kill(service.pid, signal.SIGSTOP)
    service.stop(ident)
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.stopped
    assert service.state == "off"
    assert load(qtbot, service).result


def test_shutdown_leaves_no_process_behind(qtbot: Any, service: InferenceService) -> None:
    load(qtbot, service)
    first = service.pid
    service.unload()
    load(qtbot, service)
    second = service.pid
    service.shutdown()
    assert service.state == "off"
    for pid in (first, second):
        assert not psutil.pid_exists(pid)


def test_a_process_that_hangs_is_ended_and_the_next_question_works(qtbot: Any, tmp_path: Path) -> None:
    ENGINES.register("tiny", "tests.plugins.tiny_engine:TinyEngine")
    watch = SilenceWatch(silence_s=0.3, look_ms=50)
    service = InferenceService(tmp_path / "inference.log", watch=watch)
    try:
        load(qtbot, service)
        answer, _ = ask(service, "hang")
        qtbot.waitUntil(lambda: answer.ended)
        assert answer.error is not None
        assert answer.error.code == "worker_hung"
        assert answer.text == "I begin "
        load(qtbot, service)
        again, _ = ask(service, "Hello")
        qtbot.waitUntil(lambda: again.ended)
        assert again.result
    finally:
        service.shutdown()
        service.deleteLater()


def test_silence_with_work_is_no_hang(qtbot: Any) -> None:
    moment, used = [0.0], [0.0]
    watch = SilenceWatch(silence_s=60, look_ms=5, clock=lambda: moment[0], cpu=lambda _pid: used[0])
    hung: list[bool] = []
    watch.hung.connect(lambda: hung.append(True))

    def look(seconds: float, cpu: float) -> None:
        moment[0] += seconds
        used[0] += cpu
        watch._look()

    watch.expect(1)
    for _ in range(10):
        look(50, 5)
    assert not hung
    look(30, 0.01)
    watch.heard()
    look(40, 0)
    assert not hung
    look(59, 0)
    assert not hung
    look(2, 0)
    assert hung == [True]
    watch.rest()
    watch.deleteLater()
