"""A real Ollama for tests: built once from its Go module into a cache, started with a home of its own on a free port.

In place of the llama-server that its installers bring stands `llama_server.py`, the same server as a Python library.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.inference.ollama.host import OllamaHost
from core.inference.ollama.seen import State
from core.workspace.lock import FileLock
from tests.support.patience import PATIENCE_S

# The newest, which refuses adapters, and the last that creates them.
NEW, OLD = "v0.34.4", "v0.33.0"
CACHE = Path(os.environ.get("BRIGHTRUN_TEST_CACHE") or Path.home() / ".cache" / "bright-run-tests")
STAND_IN = Path(__file__).with_name("llama_server.py")
BUILD_S, TRIED_S = 600, 7_200


def program(version: str) -> Path:
    """Ollama's program of that version, built by whoever comes first. Skips the test where it can't be built."""
    made, failed = CACHE / f"ollama-{version}" / "ollama", CACHE / f"ollama-{version}.failed"
    if made.is_file():
        return made
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go here to build a real Ollama with")
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = FileLock(CACHE / f"ollama-{version}.lock")
    assert lock.acquire(2 * BUILD_S)
    try:
        # Once a session: what takes minutes to fail is not tried by every test.
        if not made.is_file() and not (failed.exists() and time.time() - failed.stat().st_mtime < TRIED_S):
            _build(go, version, made, failed)
    finally:
        lock.release()
    if not made.is_file():
        pytest.skip(f"Ollama {version} could not be built here: {failed.read_text()[-300:]}")
    return made


def _build(go: str, version: str, made: Path, failed: Path) -> None:
    folder = made.parent.with_name(f".{made.parent.name}")
    shutil.rmtree(folder, ignore_errors=True)
    command = [go, "install", "-ldflags=-s", f"github.com/ollama/ollama@{version}"]
    # Its parts in C (a database for its own window) are not worth being optimised: 90 s in all instead of 117.
    env = {**os.environ, "GOBIN": str(folder), "CGO_CFLAGS": "-O0 -g0", "CGO_CXXFLAGS": "-O0 -g0"}
    try:
        subprocess.run(command, env=env, capture_output=True, text=True, timeout=BUILD_S, check=True)
        folder.rename(made.parent)
    except (OSError, subprocess.SubprocessError) as exc:
        failed.write_text(f"{exc} {getattr(exc, 'stderr', '') or ''}")


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class RealOllama:
    """A server of a version; `start` and `stop` as often as wanted, on its port and over its store."""

    def __init__(self, version: str, folder: Path, port: int = 0) -> None:
        self.version, self.folder = version, folder
        self.port = port or free_port()
        self._install(program(version))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def binary(self) -> Path:
        """Its program, as an installer would put it."""
        return self.folder / "bin" / "ollama"

    @property
    def store(self) -> Path:
        """Manifests and blobs."""
        return self.folder / "models"

    @property
    def blobs(self) -> set[str]:
        """The files in its store."""
        return {path.name for path in (self.store / "blobs").glob("sha256-*")}

    def _install(self, made: Path) -> None:
        for name in ("bin", "lib/ollama", "home", "models"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not self.binary.exists():
            try:
                os.link(made, self.binary)
            except OSError:
                shutil.copy2(made, self.binary)
        script = self.folder / "lib" / "ollama" / "llama-server"
        script.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
        script.chmod(0o755)
        # What creates a model has the file checked by copying it: --allow-requantize IN OUT COPY.
        copy = script.with_name("llama-quantize")
        copy.write_text('#!/bin/sh\nshift\ncp "$1" "$2"\n')
        copy.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """What it is started with."""
        return {
            **os.environ, "OLLAMA_HOST": f"127.0.0.1:{self.port}", "OLLAMA_MODELS": str(self.store),
            "HOME": str(self.folder / "home"), "OLLAMA_NO_CLOUD": "1",
        }  # fmt: skip

    def _command(self) -> list[str]:
        return [str(self.binary), "serve"]

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + PATIENCE_S
        with OllamaHost(self.address) as host:
            while (seen := host.look()).state is not State.RUNNING:
                assert time.monotonic() < end, (seen, (self.folder / "log").read_text()[-2000:])
                time.sleep(0.05)

    def stop(self) -> None:
        """End it, with whatever it started."""
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


class SmallStore(RealOllama):
    """One whose store is a disk of its own with half a megabyte. Skips the test where none can be mounted."""

    def _command(self) -> list[str]:
        alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
        mount = f"mount -t tmpfs -o size=512k tmpfs '{self.store}'"
        if shutil.which("unshare") is None or subprocess.run([*alone, mount], capture_output=True).returncode:
            pytest.skip("no small disk can be mounted here without being root")
        return [*alone, f"{mount} && exec '{self.binary}' serve"]


@contextmanager
def running(version: str, folder: Path) -> Iterator[RealOllama]:
    """One that runs meanwhile."""
    server = RealOllama(version, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def add_model(server: RealOllama, path: Path, name: str) -> None:
    """Bring a GGUF file into its store, as `ollama create` does."""
    from ollama import Client

    with Client(server.address) as client:
        client.create(name, files={path.name: client.create_blob(path)})
