"""What is on disk now where the index found something: the same, or read and cut again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.code_index.chunking import parse_file
from core.code_index.plain import Unread, read_file
from core.code_index.records import Chunk, ParsedFile, digest
from core.code_index.symbols import Symbol, whole

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Current:
    """A symbol as it is now; `rows` are those of its file where it was read again."""

    symbol: Symbol
    stale: bool
    rows: Sequence[Row] = ()


class Sources:
    """The files of one search, each read once."""

    def __init__(self, root: Path, soft_limit: int) -> None:
        self._root = root
        self._soft_limit = soft_limit
        self._files: dict[str, bytes | str] = {}
        self._rows: dict[str, list[Row]] = {}

    def current(self, symbol: Symbol) -> Current | None:
        """The symbol with the lines and the text it has now; None where it is gone."""
        data = self._read(symbol.path)
        if isinstance(data, str):
            return None
        if digest(data) == symbol.row["file_hash"]:
            return Current(symbol, False)
        rows = self._cut(symbol.path, data)
        again = [
            row for row in rows if (row["kind"], row["qualified"]) == (symbol.row["kind"], symbol.row["qualified"])
        ]
        if symbol.loose:
            return self._loose(symbol, again, rows)
        if not again:
            return None
        # Of overloads the one nearest to where it stood.
        best = min(again, key=lambda row: (abs(row["start_line"] - symbol.start), row["part"]))
        return Current(Symbol(best, whole(best, rows), symbol.score, symbol.legs), True, rows)

    def _loose(self, symbol: Symbol, again: list[Row], rows: list[Row]) -> Current | None:
        """Parts of a file have no name to find them by: the ones with most of the same lines of text."""
        old = {line for line in symbol.text.splitlines() if line.strip()}
        scored = [(len(old & {*row["text"].splitlines()}), row) for row in again]
        most = max((count for count, _ in scored), default=0)
        if not most:
            return None
        best = next(row for count, row in scored if count == most)
        return Current(Symbol(best, [best], symbol.score, symbol.legs), True, rows)

    def why_not(self, symbol: Symbol) -> str:
        """A sentence on why there is no current text of it."""
        data = self._read(symbol.path)
        if isinstance(data, str) and not self._root.is_dir():
            return f"Nothing that was found can be shown: the folder {self._root} is not there."
        if isinstance(data, str):
            return f"{symbol.path} was left out: {data}."
        what = symbol.row["qualified"] or f"lines {symbol.start} to {symbol.end}"
        return f"{what} was left out: {symbol.path} has changed and no longer has it."

    def _read(self, path: str) -> bytes | str:
        if path not in self._files:
            try:
                self._files[path] = read_file(self._root, path)
            except Unread as exc:
                self._files[path] = exc.detail
        return self._files[path]

    def _cut(self, path: str, data: bytes) -> list[Row]:
        if path not in self._rows:
            parsed = parse_file(path, data, self._soft_limit)
            self._rows[path] = [row_of(chunk, parsed, first=n == 0) for n, chunk in enumerate(parsed.chunks)]
        return self._rows[path]


def row_of(chunk: Chunk, parsed: ParsedFile, *, first: bool) -> Row:
    """A chunk under the names its row has in the store, as far as results show them."""
    return {
        "id": chunk.id, "path": chunk.path, "lang": chunk.language, "kind": str(chunk.kind), "name": chunk.name,
        "qualified": chunk.qualified, "parent": chunk.parent, "part": chunk.part, "nparts": chunk.parts,
        "start_line": chunk.start_line, "end_line": chunk.end_line, "complexity": chunk.complexity,
        "signature": chunk.signature, "doc": chunk.doc, "refs": chunk.references, "is_test": chunk.is_test,
        "imports": parsed.imports if first else (), "text": chunk.text,
    }  # fmt: skip
