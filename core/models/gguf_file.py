"""What a GGUF file says of itself, read without loading it: header, metadata, the shapes of its tensors.

Blobs in Ollama's store are such files. Shapes are as numpy has them: (rows, columns), the reverse of the file's own.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import AppError, Where

MODEL, ADAPTER = "model", "adapter"
# The largest vocabularies have 300,000 tokens, as many types and twice as many merges.
MOST_TENSORS, MOST_PAIRS, MOST_ITEMS = 100_000, 10_000, 5_000_000
_HEAD_BYTES, _TEXT, _ARRAY = 24, 8, 9
# Bytes of a value by the number of its type: integers, float, bool, double; no lists in lists.
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


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
        return int(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

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
        if path.exists() and not path.is_file():
            raise bad_gguf(path, "it can't be read (it is no file)")
        _check_header(path)
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


def _check_header(path: Path) -> None:
    """Raise AppError `bad_gguf` for counts and lengths that the file has no room for: whoever believes them takes all
    memory there is."""
    with path.open("rb") as handle:
        if handle.read(4) != b"GGUF":
            raise bad_gguf(path, "it does not begin as a GGUF file does")
        if path.stat().st_size < _HEAD_BYTES:
            raise bad_gguf(path, "it is cut off")
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                _walk(data)
            except (struct.error, IndexError, ValueError, KeyError) as exc:
                raise bad_gguf(path, "it is cut off or damaged", repr(exc)) from exc


def _walk(data: mmap.mmap) -> None:
    tensors, pairs = struct.unpack_from("<QQ", data, 8)
    if tensors > MOST_TENSORS or pairs > MOST_PAIRS:
        raise ValueError(f"{tensors:,} tensors and {pairs:,} settings")
    at, items = _HEAD_BYTES, 0
    for _ in range(pairs):
        at = _past_text(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        at += 4
        if kind != _ARRAY:
            at = _past_text(data, at) if kind == _TEXT else at + _WIDTHS[kind]
            continue
        kind, count = struct.unpack_from("<IQ", data, at)
        at, items = at + 12, items + count
        if items > MOST_ITEMS:
            raise ValueError(f"lists of {items:,} entries")
        if kind == _TEXT:
            for _ in range(count):
                at = _past_text(data, at)
        else:
            at += count * _WIDTHS[kind]
        if at > len(data):
            raise ValueError("a list goes beyond the end of the file")


def _past_text(data: mmap.mmap, at: int) -> int:
    (length,) = struct.unpack_from("<Q", data, at)
    if at + 8 + length > len(data):
        raise ValueError("a text goes beyond the end of the file")
    return at + 8 + int(length)


def bad_gguf(path: Path, why: str, detail: str = "") -> AppError:
    """The file can't be used, with the reason."""
    return AppError(
        "bad_gguf", f"{path.name} is no usable GGUF file: {why}.",
        hint="Fetch or export it again.", detail=detail[:500], where=Where(file=str(path)),
    )  # fmt: skip
