"""Ollama as a host: a real server of each version, and simulated ones for what a real one does seldom."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.adapters import siblings
from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.inference.engine import GenerateRequest, Sampling
from core.inference.gguf.engine import GgufEngine
from core.inference.ollama import host as hosts
from core.inference.ollama import seen as seen_module
from core.inference.ollama.address import default_address, find_program, is_loopback, listens, read_address
from core.inference.ollama.host import OllamaHost, make_room, start
from core.inference.ollama.registry import digest_of
from core.inference.ollama.seen import PRACTICE_NAME, State, full_name
from core.jobs import JobState
from core.models import store as models
from core.models.practice import PRACTICE_ID
from tests.core.factories import place, run_job
from tests.support.gguf_base import practice_gguf
from tests.support.ollama import NEW, OLD, RealOllama, SmallStore, add_model, free_port, running
from tests.support.patience import PATIENCE_S
from tests.support.registry import HeldRegistry

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ollama")]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return practice_gguf(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module", params=[NEW, OLD])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, file: Path
) -> Iterator[RealOllama]:
    with running(request.param, tmp_path_factory.mktemp("ollama")) as made:
        add_model(made, file, "practice")
        yield made


@pytest.fixture
def ollama(server: RealOllama) -> Iterator[OllamaHost]:
    with OllamaHost(server.address) as found:
        yield found


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# ---------------------------------------------------------------- a real one


def test_it_is_seen_with_its_models(ollama: OllamaHost, file: Path) -> None:
    seen = ollama.look()
    assert (seen.state, seen.error) == (State.RUNNING, None)
    assert seen.version
    found = seen.model("practice")
    assert found is not None
    assert (found.name, found.format, found.family) == ("practice:latest", "gguf", "llama")
    assert found.size_bytes >= file.stat().st_size
    assert len(found.digest) >= 12


def test_the_file_of_a_model_is_the_one_that_was_put_in(ollama: OllamaHost, server: RealOllama, file: Path) -> None:
    found = ollama.file("practice")
    assert found.is_relative_to(server.store)
    assert found.read_bytes() == file.read_bytes()
    assert "general.architecture" in ollama.details("practice").info


def test_what_is_not_there_is_named(ollama: OllamaHost) -> None:
    for ask in (ollama.details, ollama.file, ollama.delete):
        with pytest.raises(AppError) as caught:
            ask("nothing-of-that-name")
        assert (caught.value.code, "nothing-of-that-name" in caught.value.message) == ("no_such_model", True)


def test_a_pull_that_fails_behind_its_200_is_an_error(ollama: OllamaHost) -> None:
    with pytest.raises(AppError) as caught:
        list(ollama.pull("127.0.0.1:1/nobody/nothing", CancelToken()))
    assert caught.value.code == "offline"
    assert "pull 127.0.0.1:1/nobody/nothing" in caught.value.message


def test_what_it_holds_in_memory_is_given_back_when_asked(ollama: OllamaHost, server: RealOllama) -> None:
    ollama._client.generate("practice", prompt="Bread", options={"num_predict": 1, "num_ctx": 64}, keep_alive="5m")
    (held,) = ollama.held()
    assert (held.name, held.size_bytes > 0) == ("practice:latest", True)
    assert ollama.look().held_bytes == held.size_bytes
    make_room(server.address, "practice")
    # It may still be named for a moment after it was unloaded.
    wait_for(lambda: not ollama.held())


def test_a_model_becomes_a_base_whose_adapters_are_those_of_its_sibling(server: RealOllama, tmp_path: Path) -> None:
    here = place(tmp_path)
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    job = run_job(here, "take_ollama", {"name": "practice", "address": server.address})
    assert (job.status, job.error) == (JobState.COMPLETED, None)
    base = models.get(here.db, str(job.result["base_model_id"]))
    assert (base.name, base.ollama, base.kind, base.engine) == ("practice", "practice:latest", "ollama", "gguf")
    assert base.path.is_relative_to(server.store)
    run_job(here, "compare_bases", {})
    assert siblings.fitting(here.db)[base.id] == {base.id, PRACTICE_ID}
    here.db.close()


def test_the_practice_model_is_put_in_and_is_a_base(server: RealOllama, tmp_path: Path) -> None:
    here = place(tmp_path)
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    job = run_job(here, "practice_to_ollama", {"address": server.address})
    assert (job.status, job.error) == (JobState.COMPLETED, None)
    run_job(here, "compare_bases", {})
    assert siblings.fitting(here.db)[str(job.result["base_model_id"])] >= {PRACTICE_ID}
    base, engine = models.get(here.db, str(job.result["base_model_id"])), GgufEngine(exact=False)
    engine.load(base.path)
    asked = [{"role": "user", "content": "How do I keep bread fresh?"}]
    here_said = "".join(piece.text for piece in engine.generate(GenerateRequest(asked, None, Sampling(max_tokens=12))))
    engine.close()
    with OllamaHost(server.address) as host:
        # With the chat template that it was made with, not with what Ollama takes it for.
        there = host.answer(PRACTICE_NAME, asked, {"temperature": 0, "repeat_penalty": 1.0, "num_predict": 12})
        assert there == here_said != ""
        host.delete(PRACTICE_NAME)
    here.db.close()


def pull_a_third(ollama: OllamaHost, name: str, size: int) -> None:
    """Stop it then."""
    token = CancelToken()
    for step in ollama.pull(name, token, insecure=True):
        if step.total == size and step.done >= size // 3:
            token.cancel("user")


def test_a_pull_that_was_stopped_goes_on_where_it_was(ollama: OllamaHost, server: RealOllama, tmp_path: Path) -> None:
    file = practice_gguf(tmp_path, context=384)
    with HeldRegistry("held", file) as registry:
        with pytest.raises(Cancelled):
            pull_a_third(ollama, registry.address, file.stat().st_size)
        assert ollama.look().model(registry.model) is None
        # It writes down how far it was a moment after nobody listens any more.
        part = server.store / "blobs" / f"{digest_of(file).replace(':', '-')}-partial-0"
        wait_for(lambda: part.is_file() and json.loads(part.read_bytes() or b"{}").get("Completed", 0) > 0)
        registry.go.set()
        list(ollama.pull(registry.address, CancelToken(), insecure=True))
        assert [asked.startswith("bytes=0-") for asked in registry.asked] == [True, False]
        assert ollama.file(registry.model).read_bytes() == file.read_bytes()
        ollama.delete(registry.model)


def test_a_disk_that_fills_up_while_it_pulls_is_named_and_it_goes_on_answering(file: Path, tmp_path: Path) -> None:
    server = SmallStore(NEW, tmp_path)
    server.start()
    try:
        with HeldRegistry("big", file) as registry, OllamaHost(server.address) as host:
            registry.go.set()
            with pytest.raises(AppError) as caught:
                list(host.pull(registry.address, CancelToken(), insecure=True))
            assert (caught.value.code, "no space left on device" in caught.value.detail) == ("disk_full", True)
            assert "Free some" in caught.value.hint
            assert host.look().state is State.RUNNING
            assert host.look().models == []
    finally:
        server.stop()


def test_a_deleted_model_is_gone_and_its_file_with_it(ollama: OllamaHost, server: RealOllama, tmp_path: Path) -> None:
    add_model(server, practice_gguf(tmp_path, context=512), "other")
    before = server.blobs
    path = ollama.file("other")
    ollama.delete("other")
    assert ollama.look().model("other") is None
    assert not path.exists()
    assert path.name in before - server.blobs


def test_it_is_started_and_goes_on_alone(server: RealOllama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    for module in (hosts, seen_module):
        monkeypatch.setattr(module, "find_program", lambda: server.binary)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    with OllamaHost(address) as host:
        assert host.look().state is State.STOPPED
        pid = start(address, tmp_path / "ollama.log", CancelToken())
        try:
            assert host.look().state is State.RUNNING
            assert host.look().model("practice") is not None
        finally:
            os.kill(pid, 9)
        wait_for(lambda: not listens(address))
        seen = host.look()
    assert (seen.state, seen.error is not None and seen.error.code) == (State.STOPPED, "ollama_stopped")


# ---------------------------------------------------------------- one that fails


class Replies(http.server.BaseHTTPRequestHandler):
    """Answers as it was told; `script` maps a path to what is written."""

    script: dict[str, Callable[[Any], None]] = {}

    def do_GET(self) -> None:
        self.script.get(self.path, missing)(self)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_args: object) -> None:
        pass


def missing(handler: Any) -> None:
    handler.send_error(404)


def lines(*parts: Any, status: int = 200, cut: bool = False) -> Callable[[Any], None]:
    def write(handler: Any) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        body = b"".join(json.dumps(part).encode() + b"\n" for part in parts)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) + (1000 if cut else 0)))
        handler.end_headers()
        handler.wfile.write(body)

    return write


@contextlib.contextmanager
def simulated(**script: Callable[[Any], None]) -> Iterator[str]:
    handler = type("Handler", (Replies,), {"script": {"/" + k.replace("_", "/"): v for k, v in script.items()}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}"
        finally:
            made.shutdown()


def pulled(address: str, name: str = "qwen3:4b") -> list[int]:
    with OllamaHost(address) as host:
        return [step.done for step in host.pull(name, CancelToken())]


@pytest.mark.parametrize(("said", "code"), [
    ("write /x/blobs/sha256-1-partial: no space left on device", "disk_full"),
    ("pull model manifest: file does not exist", "no_such_model"),
    ("max retries exceeded: Get ...: dial tcp: lookup registry.ollama.ai: no such host", "offline"),
    ("something nobody has seen", "ollama_failed"),
])  # fmt: skip
def test_an_error_in_the_middle_of_a_stream_says_what_to_do(said: str, code: str) -> None:
    steps = [{"status": "pulling", "digest": "sha256:1", "total": 10, "completed": 5}, {"error": said}]
    with simulated(api_pull=lines(*steps)) as address, pytest.raises(AppError) as caught:
        pulled(address)
    assert (caught.value.code, bool(caught.value.hint), said in caught.value.detail) == (code, True, True)


def test_a_pull_that_breaks_off_is_not_taken_for_its_end() -> None:
    with simulated(api_pull=lines({"status": "pulling", "total": 10, "completed": 5}, cut=True)) as address, \
            pytest.raises(AppError) as caught:  # fmt: skip
        pulled(address)
    assert caught.value.code == "ollama_broke_off"


def test_a_pull_without_its_last_word_is_not_taken_for_done() -> None:
    with simulated(api_pull=lines({"status": "pulling", "total": 10, "completed": 5})) as address, \
            pytest.raises(AppError) as caught:  # fmt: skip
        pulled(address)
    assert caught.value.code == "ollama_broke_off"
    with simulated(
        api_pull=lines({"status": "pulling", "total": 10, "completed": 5}, {"status": "success"})
    ) as address:
        assert pulled(address) == [5, 0]


@pytest.mark.parametrize("script", [lines(), lines({"status": None}), lines({"status": "writing manifest"})])
def test_a_model_that_is_not_said_to_be_made_is_not(script: Any) -> None:
    with simulated(api_create=script) as address, OllamaHost(address) as host, pytest.raises(AppError) as caught:
        host.create("loud", from_="practice")
    assert caught.value.code == "ollama_broke_off"


def drip(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(600):
            handler.wfile.write(b" ")
            time.sleep(0.05)


def flood(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b"[" * (1 << 20))


def deep(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"[" * 200_000)


@pytest.mark.parametrize(("script", "state"), [(drip, State.HUNG), (flood, State.OTHER), (deep, State.OTHER)])
def test_an_answer_without_end_is_ended(
    script: Callable[[Any], None], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "WHOLE_S", 0.5 if script is drip else 60.0)
    with simulated(api_version=script) as address, OllamaHost(address) as host:
        assert host.look().state is state


def test_a_pull_that_is_never_answered_is_stopped_at_once() -> None:
    asked, gone, token = threading.Event(), threading.Event(), CancelToken()

    def silent(handler: Any) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        asked.set()
        if handler.connection.recv(1) == b"":
            gone.set()

    def stop() -> None:
        asked.wait(PATIENCE_S)
        token.cancel("user")

    with simulated(api_pull=silent) as address, OllamaHost(address) as host:
        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(Cancelled):
            list(host.pull("qwen3:4b", token))
        assert gone.wait(PATIENCE_S)


def test_a_pull_that_is_stopped_while_a_download_begins_is_let_go_of_once_it_has() -> None:
    steps = [
        {"status": "pulling manifest"}, {"status": "pulling 1", "total": 9, "completed": 9},
        {"status": "pulling 2", "total": 9, "completed": 1}, {"status": "pulling 2", "total": 9, "completed": 2},
    ]  # fmt: skip
    token, seen = CancelToken(), list[str]()

    def pull(address: str) -> None:
        with OllamaHost(address) as host:
            for step in host.pull("qwen3:4b", token):
                seen.append(f"{step.said} {step.done}")
                token.cancel("user")

    with simulated(api_pull=lines(*steps)) as address, pytest.raises(Cancelled):
        pull(address)
    # The real one died here (a nil pointer in its blobDownload.release).
    assert seen == ["pulling manifest 0", "pulling 1 9"]


def test_a_pull_is_stopped_between_two_steps() -> None:
    token, seen = CancelToken(), []
    script = lines(*({"status": "pulling", "total": 10, "completed": n} for n in range(9)))

    def pull(address: str) -> None:
        with OllamaHost(address) as host:
            for step in host.pull("qwen3:4b", token):
                seen.append(step.done)
                if step.done == 3:
                    token.cancel("user")

    with simulated(api_pull=script) as address, pytest.raises(Cancelled):
        pull(address)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("script", [
    {}, {"api_version": lines({"name": "something else"})}, {"api_version": lines("Hello")},
    {"api_version": lines({"version": "1"}), "api_tags": lines({"nothing": 1}), "api_ps": lines({})},
])  # fmt: skip
def test_another_program_on_its_port_is_not_taken_for_it(script: dict[str, Any]) -> None:
    with simulated(**script) as address, OllamaHost(address) as host:
        seen = host.look()
    assert (seen.state, seen.error is not None and seen.error.code) == (State.OTHER, "not_ollama")


def test_one_that_accepts_and_never_answers_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "QUICK_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with OllamaHost(address) as host:
            seen = host.look()
        make_room(address, "practice")
    assert (seen.state, seen.error is not None and seen.error.code) == (State.HUNG, "ollama_hung")


def test_where_it_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hosts, "find_program", lambda: None)
    monkeypatch.setattr(seen_module, "find_program", lambda: None)
    address = f"http://127.0.0.1:{free_port()}"
    with OllamaHost(address) as host:
        seen = host.look()
    assert (seen.state, seen.error is not None and seen.error.code) == (State.ABSENT, "ollama_absent")
    with pytest.raises(AppError, match="not installed"):
        start(address, tmp_path / "log", CancelToken())


def test_a_program_that_will_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "ollama"
    script.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
    script.chmod(0o755)
    monkeypatch.setattr(hosts, "find_program", lambda: script)
    monkeypatch.setattr(hosts, "START_S", 0.3)
    monkeypatch.setattr(hosts, "TERM_S", 0.3)
    with pytest.raises(AppError, match="did not answer"):
        start(f"http://127.0.0.1:{free_port()}", tmp_path / "log", CancelToken())
    script.write_bytes(b"\x7fELF nonsense")
    with pytest.raises(AppError, match="did not answer"):
        start(f"http://127.0.0.1:{free_port()}", tmp_path / "log", CancelToken())


def test_a_program_that_does_not_become_a_server_is_said_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "ollama"
    script.write_text("#!/bin/sh\necho cannot do that >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(hosts, "find_program", lambda: script)
    with pytest.raises(AppError) as caught:
        start(f"http://127.0.0.1:{free_port()}", tmp_path / "log", CancelToken())
    assert (caught.value.code, "cannot do that" in caught.value.detail) == ("ollama_did_not_start", True)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(("typed", "address", "loopback"), [
    ("127.0.0.1:11434", "http://127.0.0.1:11434", True), ("localhost", "http://localhost:11434", True),
    ("0.0.0.0", "http://127.0.0.1:11434", True), ("[::1]:99", "http://[::1]:99", True),
    ("http://studio.local:8080/", "http://studio.local:8080", False), ("https://box", "https://box:443", False),
    ("10.0.0.7", "http://10.0.0.7:11434", False), ("127.0.0.1.evil.org", "http://127.0.0.1.evil.org:11434", False),
])  # fmt: skip
def test_addresses_are_read_as_people_write_them(typed: str, address: str, loopback: bool) -> None:
    assert read_address(typed) == address
    assert is_loopback(address) is loopback


@pytest.mark.parametrize(
    "typed", ["", "http://", "ftp://host", "host:port", "http://a:1/b", "http://u:p@h", "a:99999", "a:0"]
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(AppError) as caught:
        read_address(typed)
    assert caught.value.code == "bad_address"


def test_its_own_variable_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, address in (
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0:9", "http://127.0.0.1:9"),
        ("%%", "http://127.0.0.1:11434"),
        # Another computer is named in the settings, which ask first.
        ("192.0.2.7", "http://127.0.0.1:11434"),
    ):
        monkeypatch.setenv("OLLAMA_HOST", said)
        assert default_address() == address


def test_its_program_is_found_on_the_path_and_where_installers_put_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("core.inference.ollama.address.PLACES", (str(tmp_path / "app" / "ollama"),))
    assert find_program() is None
    for path in (tmp_path / "app" / "ollama", tmp_path / "ollama"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        assert find_program() != path
        path.chmod(0o755)
        assert find_program() == path


def test_names_get_the_tag_that_ollama_adds() -> None:
    names = ("qwen3", "qwen3:4b", "hf.co/a/b", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:x")
    assert [full_name(name) for name in names] == [
        "qwen3:latest", "qwen3:4b", "hf.co/a/b:latest", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:x",
    ]  # fmt: skip
