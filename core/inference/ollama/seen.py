"""What is known of an Ollama: its state, its models, what it holds in memory. Light."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.inference.ollama.address import find_program
from core.inference.ollama.faults import absent, passed_on, stopped
from core.loopback import is_loopback

# What the practice model is called in it.
PRACTICE_NAME = "bright-run-practice:latest"
# How an adapter is shared to it; see `sharing`.
CREATE, REGISTRY, FUSED = "create", "registry", "fused"


class State(StrEnum):
    """How an Ollama is: `HUNG` takes a connection and does not answer, `OTHER` answers as something else."""

    RUNNING = "running"
    STOPPED = "stopped"
    ABSENT = "absent"
    HUNG = "hung"
    OTHER = "other"


@dataclass(frozen=True)
class OllamaModel:
    """A model in its store. `size_bytes` are its files'; `format` is gguf, or safetensors for its MLX runner."""

    name: str
    digest: str
    size_bytes: int
    family: str = ""
    parameters: str = ""
    quantization: str = ""
    format: str = ""
    modified_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Held:
    """A model that it holds in memory, in bytes, with so many tokens of context."""

    name: str
    size_bytes: int
    context: int = 0


@dataclass(frozen=True)
class Seen:
    """Ollama as it was at one moment. `error` says why nothing more is known."""

    state: State
    address: str
    version: str = ""
    models: Sequence[OllamaModel] = ()
    held: Sequence[Held] = ()
    program: str = ""
    error: AppError | None = None

    @property
    def held_bytes(self) -> int:
        """What it holds in memory."""
        return sum(one.size_bytes for one in self.held)

    def model(self, name: str) -> OllamaModel | None:
        """A model by its name; without a tag the latest."""
        return next((one for one in self.models if one.name == full_name(name)), None)


@dataclass(frozen=True)
class Step:
    """How far a pull is: bytes of the file that comes, and Ollama's own word for what it does."""

    done: int
    total: int
    said: str


@dataclass(frozen=True)
class Details:
    """What `show` says of a model; `file` is the GGUF file it consists of, None for other formats or other machines.

    `adapted`: an adapter goes with it. `remote` is the computer that it would send every question to, of a model that
    Ollama only passes on to its cloud.
    """

    name: str
    format: str
    file: Path | None
    parameters: str
    info: Mapping[str, Any]
    adapted: bool
    template: str = ""
    quantization: str = ""
    remote: str = ""

    def number(self, key: str) -> int:
        """A number that belongs to its architecture, such as `context_length`; 0 where it is not said."""
        found = self.info.get(f"{self.info.get('general.architecture', '')}.{key}")
        return int(found) if isinstance(found, (int, float)) and math.isfinite(found) else 0


def refuse_cloud(found: Details) -> None:
    """Raise AppError `remote_model` for a model that Ollama only passes questions on for."""
    if found.remote:
        raise passed_on(found.name, found.remote)


def nobody(address: str, detail: str) -> Seen:
    """Where nobody takes a connection: it does not run, or is not even installed on this machine."""
    here = is_loopback(address)
    program = find_program() if here else None
    if here and program is None:
        return Seen(State.ABSENT, address, error=absent())
    return Seen(State.STOPPED, address, program=str(program or ""), error=stopped(address, detail))


def full_name(name: str) -> str:
    """With the tag that Ollama adds."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
