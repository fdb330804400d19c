"""Stand-ins of what an index is fed by: a parser of `def`, a scan of everything, an embedder that counts."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.cancel import CancelToken
from core.code_index.records import Chunk, FoundFile, Kind, Left, LeftOut, ParsedFile, digest
from core.code_index.rows import Row, rows_of

DIMENSION = 16
_DEFINITION = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)


def words(text: str) -> list[str]:
    return [
        part for word in re.findall(r"\w+", text.lower()) for part in dict.fromkeys([word, *word.split("_")]) if part
    ]


def parse(path: str, data: bytes, soft_limit: int = 1600) -> ParsedFile:
    """One chunk a `def` or `class` at the margin, and one for what stands before the first."""
    text = data.decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if _DEFINITION.match(line)]
    cuts = sorted({0, *starts, len(lines)})
    chunks, seen = [], dict[str, int]()
    for begin, end in itertools.pairwise(cuts):
        body = "".join(lines[begin:end])
        found = _DEFINITION.match(body)
        name = found.group(1) if found else ""
        kind = (Kind.CLASS if body.startswith("class") else Kind.FUNCTION) if found else Kind.MODULE
        ordinal = seen[name] = seen.get(name, -1) + 1
        chunks.append(Chunk(
            digest(path, name, kind, str(ordinal), "1"), path, "python" if path.endswith(".py") else "text", kind, name,
            name, "", 1, 1, begin + 1, end, 1 + body.count(" if "), body.splitlines()[0], "",
            tuple(re.findall(r"(\w+)\(", body))[:64], "test" in path, body,
        ))  # fmt: skip
    if b"boom" in data:
        raise ValueError("this file can't be cut")
    return ParsedFile(path, "python", chunks, re.findall(r"^import (\w+)", text, re.MULTILINE))


@dataclass
class Scan:
    files: list[FoundFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def look(root: Path, path: str) -> FoundFile | LeftOut:
    place = root / path
    try:
        found = place.stat()
    except FileNotFoundError:
        return LeftOut(path, Left.UNREADABLE, "it no longer exists")
    ignore = root / ".gitignore"
    if ignore.exists() and any(path.startswith(line) for line in ignore.read_text().split()):
        return LeftOut(path, Left.IGNORED, ".gitignore")
    return FoundFile(path, found.st_size, found.st_mtime_ns, "python" if path.endswith(".py") else "text")


def scan(root: Path, token: CancelToken, progress: Callable[..., None] | None = None) -> Scan:
    out = Scan()
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        for name in names:
            if name == ".gitignore":
                continue
            found = look(root, (Path(folder) / name).relative_to(root).as_posix())
            (out.files if isinstance(found, FoundFile) else out.left_out).append(found)  # type: ignore[arg-type]
    return out


class StubEmbedder:
    """Vectors by the words of a text, so that what shares words is near; counts what it was asked for."""

    def __init__(self, slug: str = "stub-16", dimension: int = DIMENSION) -> None:
        self.slug, self.name, self.dimension = slug, slug, dimension
        self.max_tokens, self.soft_limit, self.bytes_needed = 512, 1600, 0
        self.texts: list[str] = []
        self.before: Callable[[Sequence[str]], None] = lambda _texts: None

    def embed(self, texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        self.before(texts)
        self.texts += texts
        out = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in words(text):
                out[row, hashlib.md5(word.encode("utf-8", "replace")).digest()[0] % self.dimension] += 1
        return out / np.maximum(1e-6, np.linalg.norm(out, axis=1, keepdims=True))

    def embed_query(self, text: str) -> np.ndarray:
        return StubEmbedder.embed(self, [text])[0]


def chunk(number: int, **other: Any) -> Chunk:
    values: dict[str, Any] = {
        "id": digest(str(number)), "path": f"src/a_b/m{number // 10}.py", "language": "python", "kind": Kind.FUNCTION,
        "name": f"get_item_{number}", "qualified": f"Box.get_item_{number}", "parent": "Box", "part": 1, "parts": 1,
        "start_line": 1 + number % 10 * 3, "end_line": 3 + number % 10 * 3, "complexity": 1 + number % 7,
        "signature": f"def get_item_{number}()", "doc": "", "references": ("len",), "is_test": False,
        "text": f"def get_item_{number}():\n    return shelf_{number % 5}\n",
    }  # fmt: skip
    return Chunk(**{**values, **other})


def rows(chunks: Iterable[Chunk], embedder: StubEmbedder | None = None) -> list[Row]:
    out = []
    for one in chunks:
        row = rows_of(ParsedFile(one.path, one.language, [one], ("os",)), "h", words, words)[0]
        if embedder is not None:
            row["vector"] = StubEmbedder.embed(embedder, [one.embedded])[0].astype(np.float16)
        out.append(row)
    return out
