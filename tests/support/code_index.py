"""Stand-ins of what an index is fed by: a parser of `def`, a scan of everything, an embedder that counts."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from core.cancel import CancelToken
from core.code_index.active import places
from core.code_index.chunk_vectors import chunk_vectors
from core.code_index.columns import Columns, arrow
from core.code_index.index import Indexer
from core.code_index.reading import Tools
from core.code_index.records import Chunk, FoundFile, Kind, Left, LeftOut, ParsedFile, digest
from core.code_index.report import Report, Step
from core.code_index.rows import VECTOR, Row, Words, rows_from
from core.code_index.state import IndexState
from core.code_index.store import ChunkStore

DIMENSION = 16
_DEFINITION = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)


def words(text: str) -> list[str]:
    return [
        part for word in re.findall(r"\w+", text.lower()) for part in dict.fromkeys([word, *word.split("_")]) if part
    ]


def searchable(text: str) -> str:
    return " ".join(words(text))


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


def look(root: Path, path: str) -> FoundFile | LeftOut | None:
    place = root / path
    try:
        found = place.stat()
    except FileNotFoundError:
        return None
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
            if isinstance(found, FoundFile):
                out.files.append(found)
            elif found is not None:
                out.left_out.append(found)
    return out


class StubEmbedder:
    """Vectors by the words of a text, so that what shares words is near; keeps which code it was asked for."""

    def __init__(self, slug: str = "stub-16", dimension: int = DIMENSION) -> None:
        self.slug, self.name, self.dimension = slug, slug, dimension
        self.max_tokens, self.soft_limit, self.bytes_needed = 512, 1600, 0
        self.texts: list[str] = []
        self.titles: list[str] = []
        self.before: Callable[[Sequence[str]], None] = lambda _texts: None

    def embed(self, texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        self.before(texts)
        for text in texts:
            (self.texts if text.startswith("# ") else self.titles).append(text)
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


def rows_of(parsed: ParsedFile, file_hash: str, words: Words, name_words: Words) -> list[Row]:
    """The rows of a file as they are read from a store without vectors, with room for one."""
    made = arrow(Columns.of_file(parsed, file_hash, words, name_words), None)
    return [row | {VECTOR: None} for row in rows_from(made.to_pylist())]


def rows(chunks: Iterable[Chunk], embedder: StubEmbedder | None = None) -> list[Row]:
    out = []
    for one in chunks:
        row = rows_of(ParsedFile(one.path, one.language, [one], ("os",)), "h", searchable, searchable)[0]
        if embedder is not None:
            row["vector"] = chunk_vectors([one], partial(StubEmbedder.embed, embedder))[0].astype(np.float16)
        out.append(row)
    return out


TOOLS = Tools(
    scan=lambda root, token, tell, known: scan(root, token, tell), look=look,
    read=lambda root, path: (root / path).read_bytes(), parse=parse, words=searchable, name_words=searchable,
)  # fmt: skip


def odd_parse(path: str, data: bytes, soft_limit: int = 1600) -> ParsedFile:
    """For a process that may be lost."""
    if path == "hang.py":
        time.sleep(3600)
    if path == "die.py":
        os._exit(3)
    if path in ("half.py", "halt.py"):
        _hand_over_half(Path(data.decode()) if path == "halt.py" else None)
    return parse(path, data, soft_limit)


def _hand_over_half(hang: Path | None) -> None:
    """The process ends in the midst of its next message, or says in a file that it is there and hangs."""

    def half(connection: Connection, data: Any, write: object = None) -> None:
        os.write(connection.fileno(), bytes(data)[: len(data) // 2])
        if hang is None:
            os._exit(3)
        hang.touch()
        time.sleep(3600)

    Connection._send = half  # type: ignore[attr-defined]


def read(root: Path, path: str) -> bytes:
    return (root / path).read_bytes()


PLAIN_TOOLS = replace(TOOLS, read=read)


class Project:
    """A folder of code with an index of it."""

    def __init__(self, place: Path, embedder: StubEmbedder | None = None, tools: Tools = TOOLS) -> None:
        self.root, self.folder, self.cache = place / "code", place / "project", place / "embeddings"
        self.root.mkdir(parents=True, exist_ok=True)
        self.embedder = embedder
        self.tools = tools
        self.steps: list[Step] = []
        self.indexer = self.new_indexer()

    def new_indexer(self) -> Indexer:
        return Indexer(self.folder, self.root, self.embedder, self.cache, self.tools)

    def write(self, path: str, *names: str, body: str = "return 1") -> str:
        """A file with one function a name."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("import os\n" + "".join(f"def {name}():\n    {body}\n" for name in names))
        return path

    def refresh(self, paths: set[str] | None = None, token: CancelToken | None = None) -> Report:
        return self.indexer.refresh(token or CancelToken(), self.steps.append, paths)

    def reader(self) -> ChunkStore:
        found = places(self.folder)
        assert found is not None
        return ChunkStore.open(found.lance)

    def state(self) -> IndexState:
        found = places(self.folder)
        assert found is not None
        return IndexState(found.state, read_only=True)

    def state_of(self, slug: str) -> IndexState:
        return IndexState(self.folder / slug / "state.db", read_only=True)

    def restart(self) -> None:
        """As after a crash: nothing is closed in order."""
        self.indexer._let_go()
        self.indexer = self.new_indexer()

    def content(self) -> set[tuple[str, str, str]]:
        return set(self.reader().pairs())

    def expected(self) -> set[tuple[str, str, str]]:
        """What an index of the files as they are has to hold."""
        out = set()
        for file in scan(self.root, CancelToken()).files:
            with contextlib.suppress(ValueError):
                parsed = parse(file.path, (self.root / file.path).read_bytes())
                out |= {(file.path, one.id, one.embed_hash) for one in parsed.chunks}
        return out
