"""The engine for what Ollama alone can run, on a real server of each version, and on one that misbehaves."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.adapters import siblings
from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Piece, Sampling
from core.inference.ollama import host as hosts
from core.inference.ollama.engine import OllamaEngine
from core.inference.ollama.events import events
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.work import served_row
from core.jobs import JobState
from core.models import served
from core.models import store as models
from core.models.practice import PRACTICE_ID, shipped_folder
from core.models.served import Served
from core.training import store as training
from tests.core.factories import place, run_job
from tests.support.chat import add_adapter
from tests.support.gguf_base import practice_gguf
from tests.support.ollama import NEW, OLD, RealOllama, add_model, free_port, running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ollama")]
NAME = "practice:latest"
ASKED = [{"role": "user", "content": "How do I keep bread fresh?"}]


@pytest.fixture(scope="module", params=[NEW, OLD])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOllama]:
    with running(request.param, tmp_path_factory.mktemp("ollama")) as made:
        add_model(made, practice_gguf(tmp_path_factory.mktemp("gguf")), "practice")
        yield made


@pytest.fixture
def engine(server: RealOllama) -> Iterator[OllamaEngine]:
    made = OllamaEngine()
    made.load(served.write("one", Served(server.address, NAME, 1)))
    yield made
    made.close()


def ask(engine: Any, talk: list[dict[str, str]] = ASKED, tokens: int = 24, **more: Any) -> list[Piece]:
    return list(engine.generate(GenerateRequest(talk, sampling=Sampling(max_tokens=tokens), **more)))


def text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_it_answers_the_same_each_time_and_says_what_it_took(engine: OllamaEngine) -> None:
    first, again = ask(engine), ask(engine)
    assert text(first) == text(again) != ""
    last = first[-1]
    assert last.finish_reason in ("stop", "length")
    assert last.stats["tokens"] > 3
    assert last.stats["prompt_tokens"] > 3
    assert last.stats["first_token_s"] > 0
    short = ask(engine, tokens=2)
    assert (short[-1].finish_reason, short[-1].stats["tokens"]) == ("length", 2)


def test_its_memory_is_given_back_when_another_base_comes(server: RealOllama, engine: OllamaEngine) -> None:
    assert engine.status()["bytes"] > 0
    with OllamaHost(server.address) as host:
        (held,) = host.held()
        assert held.size_bytes == engine.status()["bytes"]
        assert engine.relieve() == held.size_bytes
        assert engine.status()["bytes"] == 0
        # It answers all the same: Ollama loads the base again.
        assert text(ask(engine))
        engine.close()
        gone(host)


def gone(host: OllamaHost) -> None:
    """It may still be named for a moment."""
    while host.held():
        threading.Event().wait(0.05)


def test_a_model_that_another_program_uses_stays_loaded(server: RealOllama) -> None:
    with OllamaHost(server.address) as host:
        for _ in host.preload(NAME, 64, 300):
            pass
        engine = OllamaEngine()
        engine.load(served.write("two", Served(server.address, NAME, 1)))
        engine.close()
        assert [one.name for one in host.held()] == [NAME]
        host.unload(NAME)
        gone(host)


def test_the_likeliest_tokens_come_along_where_they_are_asked_for(engine: OllamaEngine) -> None:
    pieces = [piece for piece in ask(engine, tokens=4, logprobs=3) if piece.chosen is not None]
    assert pieces
    for piece in pieces:
        assert len(piece.candidates) == 3
        assert piece.candidates[0].logprob >= piece.candidates[-1].logprob
        assert piece.chosen is not None
        assert piece.chosen.logprob == pytest.approx(piece.candidates[0].logprob)


def test_what_is_too_long_is_an_error_or_shortened_where_that_is_allowed(engine: OllamaEngine) -> None:
    engine._context = 256
    talk = []
    for number in range(12):
        talk += [
            {
                "role": "user",
                "content": f"Question {number}: how do I keep bread fresh over many days in a warm house?",
            },
            {"role": "assistant", "content": "Keep it in a linen bag, and eat the soft one first. " * 3},
        ]
    talk.append(ASKED[0])
    with pytest.raises(AppError) as caught:
        ask(engine, talk)
    assert caught.value.code == "context_full"
    pieces = ask(engine, talk, fit=True)
    assert text(pieces)
    left_out = pieces[-1].stats["left_out"]
    assert 0 < left_out < len(talk)
    assert pieces[-1].stats["prompt_tokens"] <= 256
    # What was learned of the length is used the next time.
    assert ask(engine, talk, fit=True)[-1].stats["left_out"] == left_out


def test_an_adapter_is_refused_by_name_and_the_base_answers_with_a_word(server: RealOllama, tmp_path: Path) -> None:
    path = served.write("three", Served(server.address, NAME, 1))
    adapter = AdapterRef("a", str(tmp_path), "Warm voice")
    with InferenceClient(tmp_path / "log") as client:
        client.load(path, served.ENGINE)
        with pytest.raises(AppError) as caught:
            client.generate(GenerateRequest(ASKED, adapter, Sampling(max_tokens=4)))
        assert caught.value.code == "wrong_base"
        assert "Warm voice" in caught.value.message
        said, result = client.generate(GenerateRequest(ASKED, adapter, Sampling(max_tokens=4), fall_back=True))
        assert said
        assert result["stats"]["adapter"] is None


def test_several_answers_at_once_are_the_seeds_one_after_the_other(engine: OllamaEngine) -> None:
    request = GenerateRequest(ASKED, sampling=Sampling(temperature=0.9, max_tokens=12, seed=3))
    both = engine.answers(request, 2, lambda: False)
    assert [one.text for one in both] == [
        text(ask_seed(engine, seed)) for seed in (3, 4)
    ]  # fmt: skip
    assert engine.answers(request, 2, lambda: True) == []


def ask_seed(engine: OllamaEngine, seed: int) -> list[Piece]:
    sampling = Sampling(temperature=0.9, max_tokens=12, seed=seed)
    return list(engine.generate(GenerateRequest(ASKED, sampling=sampling)))


def test_a_served_base_is_a_row_that_nothing_is_trained_on_and_no_adapter_fits(
    server: RealOllama, tmp_path: Path
) -> None:
    here = place(tmp_path)
    run_job(here, "add_base_model", {"path": PRACTICE_ID})

    class Context:
        job_id = "served-base"

        def open_db(self) -> Kept:
            return Kept(here.db)

    with OllamaHost(server.address) as host:
        row = served_row(Context(), host, host.details(NAME), "practice")  # type: ignore[arg-type]
    models.upsert(here.db, row)
    base = models.get(here.db, "served-base")
    assert (base.engine, base.served, base.trains, base.ollama) == ("ollama", True, False, NAME)
    assert (base.architecture, base.context_length > 0, base.size_bytes > 0) == ("llama", True, True)
    assert models.require_folder(base) == base.path
    assert siblings.unchecked(here.db) == []
    add_adapter(here.db, here.workspace, "warm", "Warm")
    adapter = training.get_adapter(here.db, "warm")
    assert "takes no adapters" in siblings.why_not(here.db, adapter, base)
    base.path.unlink()
    with pytest.raises(AppError) as caught:
        models.require_folder(base)
    assert caught.value.code == "base_missing"
    here.db.close()


class Kept:
    """A connection that its user's `close` leaves open."""

    def __init__(self, db: Any) -> None:
        self.execute = db.execute

    def close(self) -> None:
        """Not yet."""


# ---------------------------------------------------------------- one that misbehaves


SHOWN = {"details": {"format": "safetensors", "family": "llama"}, "model_info": {"general.architecture": "llama"}}


class Says(http.server.BaseHTTPRequestHandler):
    """Answers with JSON, and keeps no log."""

    def say(self, what: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        pass


@contextlib.contextmanager
def pretending(
    chat: Callable[[Any], None], shown: dict[str, Any] = SHOWN, load: Callable[[Any], None] | None = None
) -> Iterator[str]:
    """Somebody who answers as Ollama does, up to the answer itself."""

    class Handler(Says):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            tags = self.path == "/api/tags"
            found = {"model": "it:latest", "size": 9_000, "digest": "d", "details": {"family": "llama"}}
            self.say({"models": [found] if tags else []})

        def do_POST(self) -> None:
            self.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/api/chat":
                chat(self)
            elif self.path == "/api/generate" and load is not None:
                load(self)
            else:
                self.say(shown if self.path == "/api/show" else {"done": True})

        def lines(self, *what: Any) -> None:
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            for one in what:
                self.wfile.write((one if isinstance(one, str) else json.dumps(one)).encode() + b"\n")
                self.wfile.flush()
            self.close_connection = True

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def loaded(address: str) -> OllamaEngine:
    made = OllamaEngine()
    made.load(served.write("pretended", Served(address, "it:latest", 1)))
    return made


def said(word: str) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": word}, "done": False}


@pytest.mark.parametrize(("lines", "code"), [
    ([said("Bread "), {"error": "llama runner process has terminated"}], "ollama_failed"),
    ([said("Bread ")], "ollama_broke_off"),
    ([said("Bread "), "no json"], "not_ollama"),
    ([said("Bread "), {"message": ["no text"]}], "not_ollama"),
    ([said("Bread "), {"done": True, "eval_count": "many"}], "not_ollama"),
    ([said("Bread "), {"error": {"code": 500, "message": "it broke"}}], "ollama_failed"),
    (["[1]"], "not_ollama"),
    ([{"error": "the input length exceeds the context length"}], "context_full"),
])  # fmt: skip
def test_an_error_behind_the_200_is_an_error_and_what_came_is_kept(lines: list[Any], code: str) -> None:
    with pretending(lambda handler: handler.lines(*lines)) as address:
        engine = loaded(address)
        came: list[str] = []
        with pytest.raises(AppError) as caught:
            came.extend(piece.text for piece in engine.generate(GenerateRequest(ASKED)))
        assert caught.value.code == code
        assert "".join(came) == ("Bread " if isinstance(lines[0], dict) and "message" in lines[0] else "")


def test_who_stops_while_it_still_reads_does_not_wait_and_the_server_notices() -> None:
    gone = threading.Event()

    def silent(handler: Any) -> None:
        if handler.connection.recv(1) == b"":
            gone.set()
        handler.close_connection = True

    with pretending(silent) as address:
        pieces = loaded(address).generate(GenerateRequest(ASKED))
        assert next(pieces).text == ""
        pieces.close()  # type: ignore[attr-defined]
        assert gone.wait(600)


def test_a_load_that_takes_long_is_heard_of_and_can_be_stopped(tmp_path: Path) -> None:
    asked, gone = threading.Event(), threading.Event()

    def load(handler: Any) -> None:
        asked.set()
        if handler.connection.recv(1) == b"":
            gone.set()
        handler.close_connection = True

    with pretending(lambda handler: handler.lines(said("x"), {"done": True}), load=load) as address:
        path, token = served.write("slow", Served(address, "it:latest", 1)), CancelToken()

        def stop() -> None:
            asked.wait(600)
            token.cancel("user")

        threading.Thread(target=stop, daemon=True).start()
        with InferenceClient(tmp_path / "log") as client:
            with pytest.raises(Cancelled):
                client.load(path, served.ENGINE, token)
            assert gone.wait(600)
            # The process lives, and loads another one.
            assert client.load(shipped_folder())["bytes"] > 0
        words: list[str] = []

        class Enough(Exception):  # noqa: N818
            pass

        def progress(_share: float, text: str) -> None:
            words.append(text)
            if len(words) > 3:
                raise Enough

        with pytest.raises(Enough):
            OllamaEngine().load(path, progress)
    assert words[-1] == "Ollama is loading it"


def test_a_connection_that_does_not_come_about_can_be_stopped() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # What waits already takes all the room there is: a further one gets no answer.
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        found = events(f"http://127.0.0.1:{port}", "/api/chat", {}, "answer")
        assert next(found) == {}
        found.close()  # type: ignore[attr-defined]
        for one in waiting:
            one.close()


def test_what_was_refused_as_too_long_is_not_remembered_against_the_next(tmp_path: Path) -> None:
    asked: list[int] = []

    def chat(handler: Any) -> None:
        asked.append(len(handler.asked["messages"]))
        if any(len(message["content"]) > 5_000 for message in handler.asked["messages"]):
            handler.say({"error": "the input length exceeds the context length"}, 400)
        else:
            handler.lines(said("Well."), {"done": True, "prompt_eval_count": 40, "eval_count": 1})

    with pretending(chat) as address:
        engine = loaded(address)
        for _ in range(2):
            with pytest.raises(AppError) as caught:
                ask(engine, [{"role": "user", "content": "x" * 6_000}], fit=True)
            assert caught.value.code == "context_full"
        # One message can't be made less: it is sent once.
        assert asked == [1, 1]
        talk = [{"role": role, "content": "bread " * 10} for role in ("user", "assistant") * 4]
        pieces = ask(engine, [*talk, ASKED[0]], fit=True)
        assert pieces[-1].stats["left_out"] == 0


def test_memory_that_one_model_keeps_does_not_hide_what_another_gave_back() -> None:
    held = {"a:latest": 500, "b:latest": 700, "mine:latest": 900}

    class Handler(Says):
        def do_GET(self) -> None:
            self.say({"models": [{"name": name, "model": name, "size": size} for name, size in held.items()]})

        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
            if name == "b:latest":
                self.say({"error": "busy"}, 500)
            else:
                held.pop(name)
                self.say({"done": True})

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "QUICK_S", 1.0)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        freed, left = hosts.give_back(f"http://127.0.0.1:{made.server_port}", {"mine"})
        made.shutdown()
    assert (freed, left) == (500, {"b:latest": 700, "mine:latest": 900})


def test_a_file_here_and_a_model_elsewhere_of_one_name_are_two_bases(server: RealOllama, tmp_path: Path) -> None:
    here = place(tmp_path)
    first = run_job(here, "take_ollama", {"name": "practice", "address": server.address})
    file = models.get(here.db, str(first.result["base_model_id"]))
    with pretending(lambda _handler: None) as address:
        second = run_job(here, "take_ollama", {"name": "practice", "address": address})
    other = models.get(here.db, str(second.result["base_model_id"]))
    assert (file.engine, other.engine) == ("gguf", "ollama")
    assert models.get(here.db, file.id).path == file.path
    assert file.id != other.id
    here.db.close()


def test_nobody_there_is_said_with_what_to_do() -> None:
    with pytest.raises(AppError) as caught:
        loaded(f"http://127.0.0.1:{free_port()}")
    assert caught.value.code == "ollama_stopped"
    with pretending(lambda handler: handler.lines(said("x"))) as address:
        engine = loaded(address)
    with pytest.raises(AppError) as caught:
        ask(engine)
    assert caught.value.code == "ollama_stopped"


def test_one_that_was_started_on_another_port_answers_there() -> None:
    with pretending(lambda handler: handler.lines(said("first"), {"done": True})) as address:
        engine = loaded(address)
        assert text(ask(engine)) == "first"
    with pretending(lambda handler: handler.lines(said("second"), {"done": True})) as address:
        served.point(served.place("pretended"), address)
        assert text(ask(engine)) == "second"


def test_a_model_of_the_cloud_is_refused_before_anything_is_said_to_it() -> None:
    asked = threading.Event()
    shown = SHOWN | {"remote_host": "https://ollama.com:443", "remote_model": "big"}
    with pretending(lambda _handler: asked.set(), shown) as address, pytest.raises(AppError) as caught:
        loaded(address)
    assert caught.value.code == "remote_model"
    assert "ollama.com" in caught.value.message
    assert not asked.is_set()


def test_on_another_address_its_name_may_be_a_model_of_the_cloud() -> None:
    asked = threading.Event()
    with pretending(lambda handler: handler.lines(said("here"), {"done": True})) as address:
        engine = loaded(address)
        assert text(ask(engine)) == "here"

    def chat(handler: Any) -> None:
        asked.set()
        handler.lines(said("from afar"), {"done": True})

    with pretending(chat, SHOWN | {"remote_host": "https://ollama.com:443"}) as address:
        served.point(served.place("pretended"), address)
        with pytest.raises(AppError) as caught:
            ask(engine)
    assert (caught.value.code, asked.is_set()) == ("remote_model", False)


def test_what_is_no_gguf_file_is_taken_as_a_base_that_ollama_answers_with(tmp_path: Path) -> None:
    here = place(tmp_path)
    with pretending(lambda handler: handler.lines(said("Bread."), {"done": True})) as address:
        job = run_job(here, "take_ollama", {"name": "it", "address": address})
        assert (job.status, job.error) == (JobState.COMPLETED, None)
        base = models.get(here.db, str(job.result["base_model_id"]))
        assert (base.name, base.ollama, base.engine, base.size_bytes) == ("it", "it:latest", "ollama", 9_000)
        assert "without adapters" in base.notes[0]
        engine = OllamaEngine()
        engine.load(base.path)
        assert text(ask(engine)) == "Bread."
        # Taken again, it is the same base.
        again = run_job(here, "take_ollama", {"name": "it", "address": address})
        assert again.result["base_model_id"] == base.id
    shown = SHOWN | {"remote_host": "https://ollama.com:443"}
    with pretending(lambda _handler: None, shown) as address:
        job = run_job(here, "take_ollama", {"name": "it", "address": address})
    assert job.error is not None
    assert job.error.code == "remote_model"
    here.db.close()


def test_what_it_was_started_with_is_named_when_it_is_damaged() -> None:
    path = served.write("damaged", Served("http://127.0.0.1:1", "x", 0))
    path.write_text("{")
    with pytest.raises(AppError) as caught:
        OllamaEngine().load(path)
    assert (caught.value.code, path.name in caught.value.message) == ("base_missing", True)
