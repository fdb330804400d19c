"""A base model that a server runs (Ollama's MLX runner, an Ollama on another computer): a small file says which one.

It lies where other bases have their weights, so that a base has a path whoever answers with it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import AppError, Where
from core.loopback import is_loopback
from core.models.fingerprint import weight_files
from core.workspace.files import read_json, write_json
from core.workspace.paths import models_cache

ENGINE = "ollama"
SUFFIX = ".served"


@dataclass(frozen=True)
class Served:
    """Where it is asked, by which name, and the bytes of its files."""

    address: str
    name: str
    size_bytes: int

    @property
    def here_bytes(self) -> int:
        """What it takes of this machine's memory: nothing where it runs on another one."""
        return self.size_bytes if is_loopback(self.address) else 0


def place(base_id: str) -> Path:
    """The file of a base."""
    return models_cache() / "served" / f"{base_id}{SUFFIX}"


def write(base_id: str, served: Served) -> Path:
    """Write it down, in place of what was there."""
    path = place(base_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(served))
    return path


def read(path: Path) -> Served:
    """What the file of a base says. Raises AppError `base_missing`."""
    try:
        found = read_json(path)
        return Served(str(found["address"]), str(found["name"]), int(found["size_bytes"]))
    except (AppError, OSError, ValueError, TypeError, LookupError) as exc:
        raise AppError(
            "base_missing", f"What was noted of a base model in Ollama is missing or damaged: {path.name}.",
            hint="Take the model from Ollama again on the Adapters page.", where=Where(file=str(path)),
            detail=repr(exc), action="page:adapters",
        ) from exc  # fmt: skip


def model_of(path: Path) -> str:
    """The name of the model that the file of a base names; empty for other bases and what can't be read."""
    try:
        return read(path).name if path.suffix == SUFFIX else ""
    except AppError:
        return ""


def point(path: Path, address: str) -> Path:
    """Have it asked at that address from now on; returns `path`. Raises AppError `base_missing`."""
    found = read(path)
    if found.address != address:
        write_json(path, asdict(found) | {"address": address})
    return path


def weight_bytes(base: Path) -> int:
    """What the weights of a base take in this machine's memory: those of its files, or what a server loads here."""
    if base.suffix == SUFFIX:
        return read(base).here_bytes
    return sum(path.stat().st_size for path in weight_files(base))
