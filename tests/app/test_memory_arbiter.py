"""Chat and jobs share a small memory: who leaves, who waits and says why; both get their turn. Real workers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import ollama_service
from app.memory_arbiter import MemoryArbiter
from app.opening import PAUSED_FOR_CHAT, resume_paused
from core import jobs
from core.db.connection import transaction
from core.inference.arbiter import CHAT, OLLAMA, READING_BYTES, base_needs
from core.inference.engine import GenerateRequest, Sampling
from core.inference.ollama.seen import Held, Seen, State
from core.jobs import JobState
from core.memory import Memory, Pressure
from core.models import served
from core.models import store as base_models
from core.models.served import Served
from core.registries import ENGINES, JOB_KINDS
from core.training import store
from core.workspace import settings
from tests.app.test_inference_service import Answer
from tests.plugins.held_training import hold
from tests.support.patience import PATIENCE_S
from tests.support.studio import add_dataset, add_practice_model, dataset_file, new_run

MB = 1 << 20
WEIGHTS = 100 * MB
CHAT_NEEDS = base_needs(WEIGHTS)


class Machine:
    """A memory of that size, all of it free but what the book says, and the time."""

    def __init__(self, size: int) -> None:
        self.size, self.moment = size, 1_000.0

    def read(self) -> Memory:
        return Memory(self.size, self.size, Pressure.NORMAL)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder whose weights have a size; the tiny engine reads none of it."""
    folder = tmp_path / "base"
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as handle:
        handle.truncate(WEIGHTS)
    return folder


@pytest.fixture
def machine(services: Any, tiny_jobs: None) -> Machine:
    """Room for one of the two, not for both."""
    ENGINES.register("tiny", "tests.plugins.tiny_engine:TinyEngine")
    found = Machine(CHAT_NEEDS + 50 * MB)
    arbiter: MemoryArbiter = services.arbiter
    arbiter.book.read, arbiter._clock = found.read, lambda: found.moment
    return found


def asked(services: Any, base: Path, question: str, engine: str = "tiny") -> Answer:
    """Load, then ask, as the chat does."""
    answer = Answer()
    request = GenerateRequest([{"role": "user", "content": question}], None, Sampling(max_tokens=40))

    def loaded(_facts: Any) -> None:
        services.engine.generate(
            services.root, request, text=answer.on_text, done=lambda result: answer.on_done(result),
            stopped=answer.on_stopped, failed=answer.on_failed,
        )  # fmt: skip

    services.engine.load(services.root, base, loaded, answer.on_failed, engine=engine)
    return answer


def running(services: Any, **params: Any) -> str:
    ident: str = services.start_job("tiny_gpu", "Night run", {"mode": "loop", **params})
    return ident


def status(services: Any, ident: str) -> JobState:
    return jobs.get(services.connections.db, ident).status


def decided(services: Any) -> str:
    return "\n".join(found.words for found in services.arbiter.decisions)


def test_both_stay_where_there_is_room(qtbot: Any, services: Any, machine: Machine, base: Path) -> None:
    machine.size = 10 * CHAT_NEEDS
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: first.ended)
    job = running(services, asks=100 * MB)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 100 * MB)
    second = asked(services, base, "And now?")
    qtbot.waitUntil(lambda: second.ended)
    assert services.engine.state == "ready"
    shares = {(share.who, share.part): share.size_bytes for share in services.arbiter.book.shares()}
    assert shares[(job, "job")] == 100 * MB
    assert (CHAT, "base") in shares
    services.queue.stop(job)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 0)


def test_an_idle_chat_leaves_for_a_job(qtbot: Any, services: Any, machine: Machine, base: Path) -> None:
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: first.ended)
    job = running(services, asks=100 * MB)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 100 * MB)
    assert services.engine.state == "off"
    assert services.engine.unload_reason == "while “Night run” runs"
    assert not services.engine.leaving
    assert "the chat's model leaves for “Night run”" in decided(services)
    services.queue.stop(job)
    qtbot.waitUntil(lambda: services.engine.unload_reason == "")


@pytest.fixture
def ollama(qtbot: Any, services: Any, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Ollama holds 60 MB for another program, and gives them back when asked; which models it is to keep each time."""
    asked: list[set[str]] = []

    def give_back(_address: str, keep: set[str]) -> tuple[int, dict[str, int]]:
        asked.append(keep)
        return 60 * MB if len(asked) == 1 else 0, {}

    monkeypatch.setattr(ollama_service, "_give_back", give_back)
    services.write(services.root, lambda db: settings.put(db, "ollama_address", "http://127.0.0.1:1"))
    qtbot.waitUntil(lambda: services.ollama.address == "http://127.0.0.1:1")
    services.ollama._on_seen(seen())
    assert services.arbiter.book.holds(OLLAMA) == 60 * MB
    return asked


def seen(address: str = "http://127.0.0.1:1") -> Seen:
    return Seen(State.RUNNING, address, held=(Held("other:latest", 60 * MB),))


def test_ollama_is_asked_for_its_memory_before_anybody_else_has_to_leave(
    qtbot: Any, services: Any, machine: Machine, base: Path, ollama: list[set[str]]
) -> None:
    first = asked(services, base, "Hello")
    assert services.engine.wait_words == "waiting until Ollama has given its memory back"
    qtbot.waitUntil(lambda: first.ended)
    assert first.result
    assert ollama == [set()]
    assert services.arbiter.book.holds(OLLAMA) == 0
    assert "Ollama gave 63 MB back" in decided(services)
    assert "loaded all the same" not in decided(services)
    # It was asked for the chat, and is asked again for the job, before the chat leaves.
    job = running(services, asks=100 * MB)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 100 * MB)
    assert ollama == [set(), set()]
    assert "the chat's model leaves for “Night run”" in decided(services)
    services.queue.stop(job)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 0)


def test_what_ollama_holds_for_the_chat_itself_is_counted_once(
    services: Any, machine: Machine, ollama: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = served.write("one", Served("http://127.0.0.1:1", "other:latest", 60 * MB))
    services.engine._loaded, services.engine.facts = ("ollama", str(path)), {"base": str(path)}
    services.engine._hold({"base": 60 * MB})
    assert services.arbiter.book.holds(OLLAMA) == 0
    services.engine._loaded, services.engine.facts = None, {}
    services.engine._hold({})
    assert services.arbiter.book.holds(OLLAMA) == 60 * MB
    # A base that is about to be asked for, and that Ollama holds already.
    machine.size = 130 * MB
    services.engine.load(services.root, path, lambda _facts: None, lambda _error: None, engine="tiny")
    assert services.arbiter.book.holds(OLLAMA) == 0
    # On another computer it holds nothing of this one.
    monkeypatch.setattr(services.ollama, "address", "http://192.0.2.1:11434")
    services.ollama._on_seen(seen("http://192.0.2.1:11434"))
    assert services.ollama.held_bytes() == 0


def test_what_ollama_holds_for_a_job_is_the_jobs_and_is_not_asked_back(
    qtbot: Any, services: Any, machine: Machine, base: Path, ollama: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ollama_service, "_look", lambda address: seen(address))
    job = running(services, asks=60 * MB, served="other:latest", n=0)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 60 * MB)
    assert services.arbiter.book.holds(OLLAMA) == 0
    asked(services, base, "Hello")
    qtbot.waitUntil(lambda: bool(ollama))
    assert ollama[0] == {"other:latest"}
    services.queue.stop(job)
    # Nobody here asks it any more: it is asked what is its own from now on.
    qtbot.waitUntil(lambda: services.arbiter.book.holds(OLLAMA) == 60 * MB)
    assert services.arbiter.book.holds(job) == 0


def test_what_ollama_still_holds_when_a_job_ends_is_its_own_again(
    qtbot: Any, services: Any, machine: Machine, ollama: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ollama_service, "_look", lambda address: seen(address))
    machine.size = 10 * CHAT_NEEDS
    job = running(services, asks=60 * MB, served="other:latest", n=0)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 60 * MB)
    assert services.arbiter.book.holds(OLLAMA) == 0
    services.queue.stop(job)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) == 0)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(OLLAMA) == 60 * MB)


def test_who_finds_no_room_waits_while_ollama_is_asked_and_nobody_passes(
    qtbot: Any, services: Any, machine: Machine, base: Path, ollama: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def give_back(_address: str, keep: set[str]) -> tuple[int, dict[str, int]]:
        ollama.append(keep)
        answered.wait(PATIENCE_S)
        return 60 * MB, {}

    monkeypatch.setattr(ollama_service, "_give_back", give_back)
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: len(ollama) == 1)
    # Something else ends meanwhile.
    services.arbiter._try_load()
    assert services.engine.state == "waiting"
    answered.set()
    qtbot.waitUntil(lambda: first.ended)
    assert "loaded all the same" not in decided(services)


def test_an_ollama_that_never_answers_keeps_nobody_waiting_for_ever(
    qtbot: Any, services: Any, machine: Machine, base: Path, ollama: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()

    def give_back(_address: str, _keep: set[str]) -> tuple[int, dict[str, int]]:
        never.wait(PATIENCE_S)
        return 0, {}

    monkeypatch.setattr(ollama_service, "_give_back", give_back)
    services.arbiter._ollama._patience.setInterval(20)
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: first.ended)
    assert first.result
    assert "loaded all the same" in decided(services)
    never.set()


def test_a_base_whose_file_is_damaged_is_refused_and_the_next_is_asked(
    qtbot: Any, services: Any, machine: Machine, base: Path
) -> None:
    machine.size = 10 * CHAT_NEEDS
    path = served.write("bad", Served("http://127.0.0.1:1", "x", 1))
    path.write_text("{")
    first = asked(services, path, "Hello", engine="ollama")
    qtbot.waitUntil(lambda: first.error is not None)
    assert first.error is not None
    assert first.error.code == "base_missing"
    second = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: second.ended)
    assert second.result


def test_a_job_waits_for_the_answer_under_way_and_says_so(
    qtbot: Any, services: Any, machine: Machine, base: Path, tmp_path: Path
) -> None:
    gate, said = tmp_path / "gate", []
    services.queue.progress.connect(lambda *values: said.append(values[3]))
    answer = asked(services, base, f"until {gate}")
    qtbot.waitUntil(lambda: bool(answer.text))
    job = running(services, asks=100 * MB)
    qtbot.waitUntil(lambda: "Waits for the answer in Chat" in said)
    assert services.engine.state == "answering"
    gate.touch()
    qtbot.waitUntil(lambda: answer.ended and services.arbiter.book.holds(job) > 0)
    assert answer.result
    services.queue.stop(job)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_a_job_does_not_come_between_two_answers_of_a_comparison(
    qtbot: Any, services: Any, machine: Machine, base: Path, tmp_path: Path
) -> None:
    gate, second = tmp_path / "gate", Answer()
    first = asked(services, base, f"until {gate}")
    # As a comparison does: the next side is asked as soon as it is told that the one before is done.
    then = first.on_done

    def next_side(result: Any) -> None:
        then(result)
        services.engine.generate(
            services.root, GenerateRequest([{"role": "user", "content": "Second"}]), text=second.on_text,
            done=second.on_done, stopped=second.on_stopped, failed=second.on_failed,
        )  # fmt: skip

    first.on_done = next_side  # type: ignore[method-assign]
    qtbot.waitUntil(lambda: bool(first.text))
    job = running(services, asks=100 * MB)
    qtbot.waitUntil(lambda: job in services.arbiter._jobs)
    gate.touch()
    qtbot.waitUntil(lambda: second.ended)
    assert second.result
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) > 0)
    services.queue.stop(job)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_a_waiting_job_can_be_stopped(qtbot: Any, services: Any, machine: Machine, base: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    answer = asked(services, base, f"until {gate}")
    qtbot.waitUntil(lambda: bool(answer.text))
    job = running(services, asks=100 * MB)
    qtbot.waitUntil(lambda: job in services.arbiter._jobs)
    services.queue.stop(job)
    qtbot.waitUntil(lambda: status(services, job) is JobState.CANCELLED)
    qtbot.waitUntil(lambda: job not in services.arbiter._jobs)
    gate.touch()
    qtbot.waitUntil(lambda: answer.ended)


@pytest.fixture
def job(qtbot: Any, services: Any, machine: Machine) -> Callable[[], str]:
    """A job that has all the memory."""

    def start() -> str:
        ident = running(services, asks=100 * MB)
        qtbot.waitUntil(lambda: services.arbiter.book.holds(ident) == 100 * MB)
        return ident

    return start


def test_a_job_pauses_for_a_question_and_goes_on_by_itself(
    qtbot: Any, services: Any, machine: Machine, base: Path, job: Callable[[], str]
) -> None:
    services.arbiter._idle.setInterval(50)
    ident = job()
    machine.moment += 61
    answer = asked(services, base, "Hello")
    assert services.engine.state == "waiting"
    words = "waiting until “Night run” has paused, which has the memory"
    qtbot.waitUntil(lambda: services.engine.wait_words == words)
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.result
    qtbot.waitUntil(lambda: services.arbiter.book.holds(ident) == 100 * MB)
    assert status(services, ident).active
    assert services.engine.state == "off"
    for words in ("“Night run” pauses for a question", "“Night run” goes on"):
        assert words in decided(services)
    qtbot.waitUntil(lambda: settings.get(services.connections.db, PAUSED_FOR_CHAT, []) == [])
    services.queue.stop(ident)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_a_question_waits_for_the_turn_of_a_job_that_just_began(
    qtbot: Any, services: Any, machine: Machine, base: Path, job: Callable[[], str]
) -> None:
    ident = job()
    machine.moment += 20
    answer = asked(services, base, "Hello")
    words = "waiting for the memory: “Night run” has it for another 40 s"
    qtbot.waitUntil(lambda: services.engine.wait_words == words)
    assert services.arbiter._turn.isActive()
    machine.moment += 41
    services.arbiter._turn.timeout.emit()
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.result
    assert status(services, ident) is JobState.PAUSED


def test_a_question_that_was_taken_back_pauses_nothing(
    qtbot: Any, services: Any, machine: Machine, base: Path, job: Callable[[], str]
) -> None:
    ident = job()
    answer = asked(services, base, "Hello")
    assert services.engine.state == "waiting"
    services.engine.withdraw(services.root)
    assert services.engine.state == "off"
    machine.moment += 100
    services.arbiter._turn.timeout.emit()
    assert status(services, ident).active
    assert answer.error is not None
    assert answer.error.code == "engine_closed"
    assert services.engine.idle
    services.queue.stop(ident)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_a_long_chat_gives_the_memory_back_after_its_turn(
    qtbot: Any, services: Any, machine: Machine, base: Path, job: Callable[[], str]
) -> None:
    ident = job()
    machine.moment += 61
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: first.ended and status(services, ident) is JobState.PAUSED)
    second = asked(services, base, "And now?")
    qtbot.waitUntil(lambda: second.ended)
    assert services.arbiter._idle.isActive()
    machine.moment += 601
    third = asked(services, base, "The last one")
    qtbot.waitUntil(lambda: third.ended and services.arbiter.book.holds(ident) > 0)
    assert third.result
    services.queue.stop(ident)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_who_resumes_or_stops_the_job_by_hand_is_not_overruled(
    qtbot: Any, services: Any, machine: Machine, base: Path, job: Callable[[], str]
) -> None:
    ident = job()
    machine.moment += 61
    answer = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: answer.ended and status(services, ident) is JobState.PAUSED)
    assert settings.get(services.connections.db, PAUSED_FOR_CHAT, []) == [ident]
    services.queue.resume(ident)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(ident) > 0)
    assert services.arbiter._owed == {}
    assert services.engine.state == "off"
    services.queue.stop(ident)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_two_jobs_that_paused_both_go_on(
    qtbot: Any, services: Any, machine: Machine, base: Path, job: Callable[[], str]
) -> None:
    first = job()
    machine.moment += 61
    one = asked(services, base, "Hello")
    second = running(services, asks=100 * MB)
    qtbot.waitUntil(lambda: one.ended and second in services.arbiter._jobs)
    # It does not take the memory right after that one answer.
    assert services.engine.state == "ready"
    services.arbiter._give_back()
    qtbot.waitUntil(lambda: services.arbiter.book.holds(second) > 0)
    qtbot.waitUntil(lambda: status(services, first) is JobState.QUEUED)
    services.queue.stop(second)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(first) > 0)
    services.queue.stop(first)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_a_job_that_asks_while_something_small_is_asked_of_the_model_comes_to_its_turn(
    qtbot: Any, services: Any, machine: Machine, base: Path
) -> None:
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: first.ended)
    ident = running(services, asks=100 * MB)
    services.queue.answer_memory, answer = lambda *_args: None, services.queue.answer_memory
    qtbot.waitUntil(lambda: services.queue.pid(ident) > 0)
    services.queue.answer_memory = answer
    for _ in range(50):
        services.engine.status(services.root, lambda _facts: None)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(ident) > 0)
    services.queue.stop(ident)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_going_back_to_the_base_that_is_loaded_drops_the_one_that_waits(
    qtbot: Any, services: Any, machine: Machine, base: Path, tmp_path: Path, job: Callable[[], str]
) -> None:
    machine.size = 2 * CHAT_NEEDS
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: first.ended)
    ident = job()
    other = tmp_path / "other"
    other.mkdir()
    with (other / "model.safetensors").open("wb") as handle:
        handle.truncate(3 * WEIGHTS)
    lost = asked(services, other, "Of the other")
    assert services.engine.state == "waiting"
    second = asked(services, base, "Of the first")
    qtbot.waitUntil(lambda: second.ended)
    assert second.result
    assert lost.error is not None
    assert lost.error.code == "engine_closed"
    assert status(services, ident).active
    services.queue.stop(ident)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_jobs_wait_for_each_other(qtbot: Any, services: Any, machine: Machine, job: Callable[[], str]) -> None:
    JOB_KINDS.register("tiny_question", "tests.plugins.tiny_job:TINY_QUESTION")
    first, said = job(), []
    services.queue.progress.connect(lambda *values: said.append(values[3]))
    second = services.start_job("tiny_question", "Rewrite", {"mode": "done", "asks": 150 * MB})
    qtbot.waitUntil(lambda: "Waits for the memory of “Night run”" in said)
    services.queue.stop(first)
    qtbot.waitUntil(lambda: status(services, second) is JobState.COMPLETED)


def test_a_base_waits_for_the_model_that_is_leaving(qtbot: Any, services: Any, machine: Machine, base: Path) -> None:
    first = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: first.ended)
    services.engine.unload()
    second = asked(services, base, "Again")
    assert services.engine.state == "waiting"
    qtbot.waitUntil(lambda: second.ended)
    assert second.result
    assert "loaded all the same" not in decided(services)


def test_a_base_that_can_not_be_loaded_holds_nothing(qtbot: Any, services: Any, machine: Machine) -> None:
    answer = asked(services, Path("/nowhere/missing"), "Hello")
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.error is not None
    qtbot.waitUntil(lambda: services.arbiter.book.holds(CHAT) == 0)


def test_a_job_that_was_deleted_meanwhile_is_forgotten(
    qtbot: Any, services: Any, machine: Machine, base: Path, job: Callable[[], str]
) -> None:
    ident = job()
    machine.moment += 61
    answer = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: answer.ended and status(services, ident) is JobState.PAUSED)
    with transaction(services.connections.db):
        services.connections.db.execute("update jobs set deleted_at = '2026' where id = ?", [ident])
    services.arbiter._give_back()
    qtbot.waitUntil(lambda: services.arbiter._owed == {})
    assert services.engine.state == "ready"


def test_other_programs_in_the_way_lock_nobody_out(qtbot: Any, services: Any, machine: Machine, base: Path) -> None:
    machine.size = READING_BYTES
    answer = asked(services, base, "Hello")
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.result
    assert "is free: loaded all the same" in decided(services)
    job = running(services, asks=500 * MB)
    qtbot.waitUntil(lambda: services.arbiter.book.holds(job) > 0)
    assert "is free: started all the same" in decided(services)
    services.queue.stop(job)
    qtbot.waitUntil(lambda: not services.queue.busy)


def test_a_job_that_was_paused_for_a_question_goes_on_at_the_next_start(services: Any, tiny_jobs: None) -> None:
    db = services.connections.db
    mine, other = (jobs.create(db, "tiny_gpu", name, {}) for name in ("Mine", "Other"))
    for made in (mine, other):
        jobs.set_state(db, made.id, JobState.PAUSED)
    settings.put(db, PAUSED_FOR_CHAT, [mine.id])
    resume_paused(db)
    assert (status(services, mine.id), status(services, other.id)) == (JobState.QUEUED, JobState.PAUSED)
    resume_paused(db)
    assert settings.get(db, PAUSED_FOR_CHAT, []) == []


def test_training_and_chat_both_finish_in_a_memory_that_holds_one_of_them(
    qtbot: Any, services: Any, tmp_path: Path
) -> None:
    """The real trainer and the real engine."""
    db, arbiter = services.connections.db, services.arbiter
    base = base_models.get(db, add_practice_model(db))
    dataset = add_dataset(db, services.workspace, dataset_file(tmp_path))
    machine = Machine(READING_BYTES + 200 * MB)
    arbiter.book.read, arbiter._clock = machine.read, lambda: machine.moment
    arbiter._idle.setInterval(50)
    JOB_KINDS.register("training", "tests.plugins.held_training:TRAINING")
    go_on = hold(services.workspace, 3)
    run = new_run(db, dataset, epochs=1)
    services.queue.kick()
    qtbot.waitUntil(lambda: store.metrics(db, run.id) != [])
    assert arbiter.book.holds(run.id) > machine.size - base_needs(base.size_bytes)
    machine.moment += 61
    answer = asked(services, base.path, "What should I do?", engine="mlx")
    qtbot.waitUntil(lambda: answer.ended)
    assert answer.result
    assert answer.text
    go_on()
    qtbot.waitUntil(lambda: status(services, run.id) is JobState.COMPLETED)
    for words in ("pauses for a question", "goes on"):
        assert words in decided(services)
    assert len(store.list_adapters(db)) == 1
