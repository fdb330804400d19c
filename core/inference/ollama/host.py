"""Ollama's server through its own client library: what it has, what it holds in memory, pulls, deletions.

A version is never asked what it can do (source builds say 0.0.0). An answer 200 may end with an error in its last line;
that is an error like any other (notes/ollama.md). Any thread; each call waits no longer than its limit.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.errors import AppError
from core.inference.ollama.address import find_program
from core.inference.ollama.events import QUIET_S, events
from core.inference.ollama.faults import absent, broke_off, did_not_start, hung, other, refused, stopped
from core.inference.ollama.seen import Details, Held, OllamaModel, Seen, State, Step, full_name, nobody
from core.loopback import is_loopback

CONNECT_S, QUICK_S, START_S, TERM_S, BEGINS_S = 1.0, 5.0, 20.0, 5.0, 1.0
# Of a whole answer that somebody waits for, and of any: no answer of Ollama's comes near to it.
WHOLE_S, MOST_BYTES, MOST_STREAMED = 15.0, 64 << 20, 1 << 30
_FROM = re.compile(r"^FROM\s+(.+?)\s*$", re.MULTILINE)
_ADAPTER = re.compile(r"^ADAPTER\s", re.MULTILINE)
_HELD = ("size", "context_length")


class OllamaHost:
    """One server. `close` lets its connections go; they are kept between calls."""

    def __init__(self, address: str) -> None:
        import httpx
        from ollama import Client

        self.address = address
        # No proxy and no way to another host: what is sent to a machine goes there and nowhere else.
        alone: dict[str, Any] = {
            "follow_redirects": False, "trust_env": False,
            # Without TLS there is nothing to verify, and reading the certificates takes a tenth of a second.
            "verify": address.startswith("https"),
        }  # fmt: skip
        quick, patient = (httpx.Timeout(seconds, connect=CONNECT_S) for seconds in (QUICK_S, QUIET_S))
        self._client, self._patient = Client(address, timeout=quick, **alone), Client(address, timeout=patient, **alone)
        self._plain = httpx.Client(base_url=address, timeout=quick, **alone)
        self._slow = httpx.Client(base_url=address, timeout=patient, **alone)
        for client, seconds, most in (
            (self._client._client, WHOLE_S, MOST_BYTES), (self._plain, WHOLE_S, MOST_BYTES),
            (self._patient._client, 0.0, MOST_STREAMED), (self._slow, 0.0, MOST_STREAMED),
        ):  # fmt: skip
            client.event_hooks = {"response": [partial(_bounded, seconds, most)]}

    def __enter__(self) -> OllamaHost:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of its connections."""
        for client in (self._client, self._patient, self._plain, self._slow):
            client.close()

    # How it is

    def look(self) -> Seen:
        """What can be known of it now. Never raises AppError."""
        try:
            with self._explained("be asked"):
                version = str(self._plain.get("/api/version").raise_for_status().json()["version"])
            program = find_program() if is_loopback(self.address) else None
            return Seen(State.RUNNING, self.address, version, self.models(), self.held(), str(program or ""))
        except AppError as error:
            if error.code == "ollama_stopped":
                return nobody(self.address, error.detail)
            state = State.HUNG if error.code == "ollama_hung" else State.OTHER
            return Seen(state, self.address, error=error)

    def models(self) -> list[OllamaModel]:
        """Everything in its store, by name. Raises AppError."""
        with self._explained("list its models"):
            found = self._client.list().models
        out = []
        for one in found:
            about = partial(_text, one.details)
            out.append(OllamaModel(
                str(one.model or ""), str(one.digest or ""), int(one.size or 0), about("family"),
                about("parameter_size"), about("quantization_level"), about("format"),
                one.modified_at.isoformat() if one.modified_at else "",
            ))  # fmt: skip
        return sorted(out, key=lambda one: one.name)

    def held(self) -> list[Held]:
        """What it holds in memory. Raises AppError."""
        with self._explained("say what it holds"):
            found = self._client.ps().models
        return [
            Held(_text(one, "name") or _text(one, "model"), *(int(getattr(one, key) or 0) for key in _HELD))
            for one in found
        ]

    # Models

    def details(self, name: str) -> Details:
        """What it says of a model. Raises AppError `no_such_model`."""
        with self._explained(f"show {name}"):
            # As it is: the client library passes over where a model of the cloud runs.
            response = self._plain.post("/api/show", json={"model": name})
            found = response.json()
            if response.status_code >= 400:
                raise refused(f"show {name}", str(found.get("error", "")), response.status_code)
            said = str(found.get("modelfile") or "")
            file, about = _FROM.search(said), dict(found.get("details") or {})
            path, kind = Path(file[1].strip('"')) if file else None, str(about.get("format") or "")
            whole = path is not None and kind == "gguf" and path.is_absolute() and path.exists()
            return Details(
                full_name(name), kind, path if whole else None, str(found.get("parameters") or ""),
                dict(found.get("model_info") or {}), bool(_ADAPTER.search(said)), str(found.get("template") or ""),
                str(about.get("quantization_level") or ""), str(found.get("remote_host") or ""),
            )  # fmt: skip

    def file(self, name: str) -> Path:
        """The GGUF file that a model consists of.

        Raises AppError `no_such_model`, or `not_a_file` where Ollama alone can run it.
        """
        found = self.details(name)
        if found.adapted:
            raise AppError(
                "not_a_file", f"{name} is a base with an adapter in it, not a base.",
                hint="Use the model that it was made from, and the adapter from here or from a file.",
            )  # fmt: skip
        if found.file is not None:
            if not os.access(found.file, os.R_OK):
                raise AppError(
                    "not_a_file", f"The file of {name} in Ollama's store can't be read by you: {found.file}.",
                    hint="Ollama runs as another user here. Join its group (usermod -aG ollama), then log in again.",
                )  # fmt: skip
            return found.file
        why = (
            "is not on this machine"
            if not is_loopback(self.address)
            else f"is in the format {found.format or 'unknown'}"
        )
        raise AppError(
            "not_a_file", f"{name} {why}, so that Ollama alone can run it, without adapters.",
            hint="Pull the model in GGUF format to answer with adapters on it.",
        )  # fmt: skip

    def pull(self, name: str, token: CancelToken, *, insecure: bool = False) -> Iterator[Step]:
        """Fetch a model; what came before stays when it is stopped, and goes on there. Raises AppError, Cancelled.

        Ollama v0.34.4 ends with a nil pointer where a pull is let go of while a download begins: one that is stopped
        then is let go of once it says how far that is, or after a second.
        """
        said, asked, body = "", 0.0, {"model": name, "insecure": insecure, "stream": True}
        with contextlib.closing(events(self.address, "/api/pull", body, f"pull {name}")) as parts:  # type: ignore[type-var]
            begins = True
            for part in parts:
                if part:
                    said = str(part.get("status") or "")
                    done, total = (int(part.get(key) or 0) for key in ("completed", "total"))
                    begins = done >= total and said.startswith("pulling")
                if token.cancelled:
                    asked = asked or time.monotonic()
                    if not begins or time.monotonic() - asked > BEGINS_S:
                        token.raise_if_cancelled()
                if part:
                    yield Step(done, total, said)
        if said != "success":
            raise broke_off(f"pull {name}", f"its last word was {said!r}")

    def delete(self, name: str) -> None:
        """Delete a model; files that another one uses stay. Raises AppError `no_such_model`."""
        with self._explained(f"delete {name}"):
            self._client.delete(name)

    def put_blob(self, path: Path) -> str:
        """Bring a file into its store; returns its digest. Raises AppError."""
        with self._explained(f"take the file {path.name}"):
            return str(self._patient.create_blob(path))

    def create(self, name: str, **fields: Any) -> None:
        """Make a model of what is in its store; `fields` as its API names them (`from_`). Raises AppError."""
        said = ""
        with self._explained(f"create {name}"):
            for part in self._patient.create(name, stream=True, **fields):
                said = _text(part, "status")
        if said != "success":
            raise broke_off(f"create {name}", f"its last word was {said!r}")

    def copy(self, source: str, name: str) -> None:
        """Give a model another name. Raises AppError `no_such_model`."""
        with self._explained(f"copy {source}"):
            self._client.copy(source, name)

    def answer(self, name: str, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any]) -> str:
        """One whole answer, for comparisons; its memory is given back soon after. Raises AppError."""
        body = {
            "model": name, "messages": list(messages), "stream": False, "options": dict(options), "keep_alive": 30,
            "truncate": False, "shift": False,
        }  # fmt: skip
        with self._explained(f"answer as {name}"):
            found = self._slow.post("/api/chat", json=body)
            if found.status_code >= 400:
                raise refused(f"answer as {name}", str(found.json().get("error", "")), found.status_code)
            return str(found.json()["message"]["content"])

    def preload(self, name: str, context: int, keep_s: int) -> Iterator[None]:
        """Have it load a model with room for `context` tokens, and keep it that long: beats until it has.

        Raises AppError.
        """
        body = {"model": name, "keep_alive": keep_s, "options": {"num_ctx": context}}
        with contextlib.closing(events(self.address, "/api/generate", body, f"load {name}")) as parts:  # type: ignore[type-var]
            for _ in parts:
                yield

    def unload(self, name: str) -> None:
        """Ask it to give a model's memory back."""
        with self._explained(f"unload {name}"):
            self._client.generate(name, keep_alive=0)

    # What went wrong

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        import httpx
        from ollama import ResponseError

        try:
            yield
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise stopped(self.address, repr(exc)) from exc
        except httpx.TimeoutException as exc:
            raise hung(self.address, doing, repr(exc)) from exc
        except ResponseError as exc:
            raise refused(doing, str(exc.error), exc.status_code) from exc
        except httpx.HTTPStatusError as exc:
            raise other(self.address, repr(exc)) from exc
        except httpx.HTTPError as exc:
            raise broke_off(doing, repr(exc)) from exc
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as exc:
            raise other(self.address, repr(exc)) from exc


def start(address: str, log: Path, token: CancelToken) -> int:
    """Start Ollama on this machine and wait until it answers; it goes on when this program ends.

    Returns its process id. Raises AppError `ollama_absent`, `ollama_did_not_start` with its log's end, or Cancelled.
    """
    program = find_program()
    if program is None:
        raise absent()
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OLLAMA_HOST": address.partition("://")[2]}
    with log.open("ab") as out:
        try:
            process = subprocess.Popen(
                [str(program), "serve"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as exc:
            raise did_not_start(f"{program}: {exc}") from exc
    end = time.monotonic() + START_S
    with OllamaHost(address) as host:
        while time.monotonic() < end:
            if host.look().state is State.RUNNING:
                # Its end is taken note of, whenever that is.
                threading.Thread(target=process.wait, name="ollama", daemon=True).start()
                return process.pid
            if process.poll() is not None or token.cancelled:
                break
            time.sleep(0.1)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(TERM_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    token.raise_if_cancelled()
    raise did_not_start(_tail(log))


def make_room(address: str, name: str) -> None:
    """Ask an Ollama that runs to give a model's memory back; that there is none is no fault."""
    with contextlib.suppress(AppError), OllamaHost(address) as host:
        if any(one.name == full_name(name) for one in host.held()):
            host.unload(name)


def give_back(address: str, keep: Collection[str] = ()) -> tuple[int, dict[str, int]]:
    """Ask an Ollama that runs for the memory of all models but `keep`: the bytes that became free, what it holds then.

    It loads them again for whoever asks. Nothing is a fault here: what it does not give back it keeps. Raises AppError
    where it does not say what it holds.
    """
    kept = {full_name(name) for name in keep}
    with OllamaHost(address) as host:
        before = {one.name: one.size_bytes for one in host.held()}
        for name in before.keys() - kept:
            with contextlib.suppress(AppError):
                host.unload(name)
        end = time.monotonic() + QUICK_S
        while True:
            left = {one.name: one.size_bytes for one in host.held()}
            if not (left.keys() & before.keys()) - kept or time.monotonic() > end:
                return sum(size for name, size in before.items() if name not in left), left
            time.sleep(0.05)


def _bounded(seconds: float, most: int, response: Any) -> None:
    """Let the answer end with an error once it is too long, or where it drips."""
    import httpx

    stream, end = response.stream, time.monotonic() + seconds

    class Bounded(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for part in stream:
                size += len(part)
                if size > most:
                    raise ValueError(f"an answer of more than {most:,} bytes")
                if seconds and time.monotonic() > end:
                    raise httpx.ReadTimeout(f"not whole after {seconds:g} s")
                yield part

        def close(self) -> None:
            stream.close()

    response.stream = Bounded()


def _text(found: Any, name: str) -> str:
    return str(getattr(found, name, "") or "")


def _tail(log: Path) -> str:
    try:
        return log.read_bytes()[-2000:].decode("utf-8", "replace")
    except OSError:
        return ""
