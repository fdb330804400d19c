"""What a GGUF file says of itself, read without loading it: header, metadata, the shapes of its tensors.

Blobs in Ollama's store are such files. Shapes are as numpy has them: (rows, columns), the reverse of the file's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import AppError, Where

MODEL, ADAPTER = "model", "adapter"


@dataclass(frozen=True)
class GgufFile:
    """A file's metadata by key and its tensors' shapes by name. `reader` gives their data."""

    path: Path
    metadata: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    reader: Any = field(repr=False, compare=False)

    @property
    def kind(self) -> str:
        """`MODEL` or `ADAPTER`; a file that does not say is a model."""
        return str(self.metadata.get("general.type", MODEL))

    @property
    def architecture(self) -> str:
        """As llama.cpp calls it."""
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str) -> int | None:
        """A number of its architecture ("block_count"), None where it is not there."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        # A number a block is possible; one of them all alike is the usual case.
        if isinstance(value, list):
            return int(value[0]) if value and len(set(value)) == 1 else None
        return int(value) if isinstance(value, (int, float)) else None

    @property
    def tokens(self) -> Sequence[str]:
        """The vocabulary in order."""
        found = self.metadata.get("tokenizer.ggml.tokens", ())
        return found if isinstance(found, list) else ()

    @property
    def chat_template(self) -> str:
        """Empty where it has none."""
        return str(self.metadata.get("tokenizer.chat_template", ""))


def read_gguf(path: Path) -> GgufFile:
    """Read a file's header; its data stays on the disk. Raises AppError `bad_gguf`, naming what is wrong."""
    import gguf

    try:
        with path.open("rb") as handle:
            magic = handle.read(4)
        if magic != b"GGUF":
            raise bad_gguf(path, "it does not begin as a GGUF file does")
        reader = gguf.GGUFReader(path)
        metadata = {name: found.contents() for name, found in reader.fields.items() if not name.startswith("GGUF.")}
        shapes = {tensor.name: tuple(int(n) for n in reversed(tensor.shape)) for tensor in reader.tensors}
        end = max((int(tensor.data_offset) + int(tensor.n_bytes) for tensor in reader.tensors), default=0)
    except AppError:
        raise
    except OSError as exc:
        raise bad_gguf(path, f"it can't be read ({exc.strerror or exc})") from exc
    except Exception as exc:
        raise bad_gguf(path, "it is cut off or damaged", repr(exc)) from exc
    if end > path.stat().st_size:
        raise bad_gguf(path, "it is cut off")
    return GgufFile(path, metadata, shapes, reader)


def bad_gguf(path: Path, why: str, detail: str = "") -> AppError:
    """The file can't be used, with the reason."""
    return AppError(
        "bad_gguf", f"{path.name} is no usable GGUF file: {why}.",
        hint="Fetch or export it again.", detail=detail[:500], where=Where(file=str(path)),
    )  # fmt: skip
