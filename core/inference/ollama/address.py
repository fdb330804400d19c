"""Where Ollama is: its address, and its program on this machine. Light."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

from core.db import Database
from core.errors import AppError
from core.loopback import is_loopback
from core.workspace import settings

DEFAULT_ADDRESS = "http://127.0.0.1:11434"
SETTING, VARIABLE = "ollama_address", "OLLAMA_HOST"
# Where its installers put it on macOS and Linux, behind whatever is on the PATH.
PLACES = (
    "/usr/local/bin/ollama", "/opt/homebrew/bin/ollama", "/Applications/Ollama.app/Contents/Resources/ollama",
    "~/Applications/Ollama.app/Contents/Resources/ollama", "~/.local/bin/ollama", "/usr/bin/ollama",
    "/opt/ollama/bin/ollama",
)  # fmt: skip
_PORT = 11434
_HOST = re.compile(r"[\w.-]+|[0-9a-fA-F:.]+")


def default_address() -> str:
    """What Ollama itself goes by, OLLAMA_HOST, else its usual port on this machine.

    Another computer is named in the settings alone, which ask before anything is sent there.
    """
    said = os.environ.get(VARIABLE, "").strip()
    try:
        found = read_address(said) if said else DEFAULT_ADDRESS
    except AppError:
        return DEFAULT_ADDRESS
    return found if is_loopback(found) else DEFAULT_ADDRESS


def address_of(db: Database) -> str:
    """That of a workspace's settings, else the usual one."""
    return str(settings.get(db, SETTING, "")) or default_address()


def read_address(text: str) -> str:
    """An address as it was typed ("host", "host:port", "http://host:port") in full. Raises AppError `bad_address`."""
    plain = text.strip()
    try:
        parts = urlsplit(plain if "://" in plain else f"http://{plain}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    rest = parts.path.strip("/") or parts.query or parts.username or port == 0
    if not host or not _HOST.fullmatch(host) or parts.scheme not in ("http", "https") or rest:
        raise AppError(
            "bad_address", f"“{text}” is no address of an Ollama server.",
            hint=f"Write it as host:port, such as {DEFAULT_ADDRESS.removeprefix('http://')}.",
        )  # fmt: skip
    # What a server listens on everywhere is reached here.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    port = port or (443 if parts.scheme == "https" else _PORT)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are the same server: this machine has several names."""
    return one == other or (is_loopback(one) and is_loopback(other) and urlsplit(one).port == urlsplit(other).port)


def listens(address: str, timeout_s: float = 0.5) -> bool:
    """Whether anybody takes a connection there: asked before its library is loaded."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or _PORT), timeout_s).close()
    except OSError:
        return False
    return True


def find_program() -> Path | None:
    """The program `ollama`, None where it is not installed."""
    found = shutil.which("ollama")
    for place in ([found] if found else []) + [str(Path(place).expanduser()) for place in PLACES]:
        if os.access(place, os.X_OK) and Path(place).is_file():
            return Path(place)
    return None
