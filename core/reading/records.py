"""Records of a JSON or JSONL file, one at a time, in flat memory however large the file is.

A file is either lines (JSONL) or one document: an array of records, an object with a list of records
(`training_pairs`), or an object that is itself the record. A single record is parsed up to `RECORD_LIMIT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.cancel import CancelToken
from core.errors import AppError, Where
from core.reading.encoding import Encoding, utf8_blocks
from core.reading.errors import json_type, megabytes, syntax_error, too_long
from core.reading.limits import DEPTH_LIMIT, RECORD_LIMIT
from core.reading.scanner import Scanner

LIST_KEYS = ("training_pairs",)
_LOOK_LINES = 20
_LOOK_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Record:
    """One record: the line it starts on, the position of its last byte, its bytes in UTF-8 and their value."""

    line: int
    offset: int
    raw: bytes
    value: dict[str, Any]


@dataclass(frozen=True)
class Broken:
    """Something found where a record should be."""

    line: int
    offset: int
    error: AppError


@dataclass(frozen=True)
class Layout:
    """How a file's records are arranged: `lines`, `array`, `object` (the record itself) or `list` in an object."""

    kind: str

    @property
    def single(self) -> bool:
        """Whether the whole file is one record."""
        return self.kind == "object"


Read = Record | Broken


def lines(
    path: Path, encoding: Encoding, token: CancelToken | None = None, limit: int = RECORD_LIMIT
) -> Iterator[tuple[int, bytes | None, int, int]]:
    """(line number, bytes or None when longer than `limit`, length, offset of its end) of every line."""
    number, size, offset, parts = 1, 0, 0, list[bytes]()
    for block in utf8_blocks(path, encoding, token):
        *ended, rest = block.split(b"\n")
        for piece in ended:
            size, offset = size + len(piece), offset + len(piece) + 1
            yield number, b"".join([*parts, piece]) if size <= limit else None, size, offset
            number, size, parts = number + 1, 0, []
        size, offset = size + len(rest), offset + len(rest)
        parts = [*parts, rest] if size <= limit else []
    if size:
        yield number, b"".join(parts) if size <= limit else None, size, offset


def layout(path: Path, encoding: Encoding, token: CancelToken | None = None) -> Layout:
    """Tell lines from a document by content. Raises AppError `not_json` or `empty_file`."""
    total = good = seen = 0
    first, first_size, first_whole = b"", 0, False
    for number, line, size, _ in lines(path, encoding, token):
        text = b"" if line is None else line.strip()
        if line is not None and not text:
            continue
        if not total:
            first, first_size = text[:1] if text else _first_byte(path, encoding), size
        elif total == 1 and first_size > RECORD_LIMIT:
            # A line too long to parse, followed by more: lines, of which this one is rejected.
            return Layout("lines")
        whole = _is_object(text)
        first_whole = first_whole or (whole and not total)
        total, seen, good = total + 1, seen + size, good + whole
        if number >= _LOOK_LINES or seen > _LOOK_BYTES:
            break
    if not total:
        raise AppError("empty_file", "The file is blank.", hint="Export it again.", where=Where(str(path)))
    # A document may hold a line that is an object of its own, but hardly as every second one of the first.
    if total > 1 and (first_whole or good * 2 >= total):
        return Layout("lines")
    return _document_layout(path, encoding, first, first_size)


def _document_layout(path: Path, encoding: Encoding, first: bytes, first_size: int) -> Layout:
    if first == b"[":
        return Layout("array")
    if first != b"{":
        limit = f" (a record can have at most {megabytes(RECORD_LIMIT)})" if first_size > RECORD_LIMIT else ""
        start = first.decode("utf-8", "replace")
        raise AppError(
            "not_json",
            f"It is not JSON: it starts with {start!r}, and line 1 is {megabytes(first_size)} long{limit}.",
            hint="A conversation file starts with {, a list of them with [; a JSONL file has one {...} per line.",
            where=Where(str(path), 1),
        )
    return Layout("list" if _has_list(path, encoding) else "object")


def _first_byte(path: Path, encoding: Encoding) -> bytes:
    for block in utf8_blocks(path, encoding):
        if block.strip():
            return block.strip()[:1]
    return b""


def _is_object(text: bytes) -> bool:
    if not text.startswith(b"{"):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _has_list(path: Path, encoding: Encoding) -> bool:
    """Whether the object has one of `LIST_KEYS` with a list, as a member of its own."""
    scanner = Scanner(utf8_blocks(path, encoding), path, RECORD_LIMIT)
    try:
        scanner.expect(b"{")
        for key in scanner.members():
            if key in LIST_KEYS and scanner.peek() == b"[":
                return True
            scanner.skip_value()
    except AppError:
        return False
    return False


def records(path: Path, encoding: Encoding, shape: Layout, token: CancelToken | None = None) -> Iterator[Read]:
    """Every record of the file, and in its place everything that is none."""
    if shape.kind == "lines":
        yield from _from_lines(path, encoding, token)
        return
    scanner = Scanner(utf8_blocks(path, encoding, token), path, RECORD_LIMIT)
    try:
        if shape.kind == "array":
            scanner.expect(b"[")
            yield from _elements(scanner, path)
        elif shape.kind == "list":
            yield from _listed(scanner, path)
        else:
            line, raw, size = scanner.value()
            yield _parsed(line, scanner.offset, raw, size, path, scanner.column)
        scanner.expect_end()
    except AppError as error:
        yield Broken(error.where.line, scanner.offset, error)


def _listed(scanner: Scanner, path: Path) -> Iterator[Read]:
    scanner.expect(b"{")
    for key in scanner.members():
        if key in LIST_KEYS and scanner.peek() == b"[":
            scanner.expect(b"[")
            yield from _elements(scanner, path)
        else:
            scanner.skip_value()


def _elements(scanner: Scanner, path: Path) -> Iterator[Read]:
    for _ in scanner.items():
        line, raw, size = scanner.value()
        yield _parsed(line, scanner.offset, raw, size, path, scanner.column)


def _from_lines(path: Path, encoding: Encoding, token: CancelToken | None) -> Iterator[Read]:
    for number, line, size, offset in lines(path, encoding, token):
        if line is None:
            yield Broken(number, offset, too_long(number, size, path))
        elif text := line.strip():
            yield _parsed(number, offset, text, size, path, 1)


def _parsed(line: int, offset: int, raw: bytes | None, size: int, path: Path, column: int) -> Read:
    if raw is None:
        return Broken(line, offset, too_long(line, size, path))
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        return Broken(line, offset, syntax_error(exc, path, line, column))
    if not isinstance(value, dict):
        error = AppError(
            "wrong_shape",
            f"A record must be an object in braces; this is {json_type(value)}.",
            hint="Write each conversation as {...}.",
            where=Where(str(path), line),
        )
        return Broken(line, offset, error)
    if raw.count(b"[") + raw.count(b"{") > DEPTH_LIMIT and _deeper(value, DEPTH_LIMIT):
        error = AppError(
            "too_deep",
            f"Its lists and objects are nested more than {DEPTH_LIMIT} deep.",
            hint="Flatten the deeply nested part, or leave it out.",
            where=Where(str(path), line),
        )
        return Broken(line, offset, error)
    return Record(line, offset, raw, value)


def _deeper(value: Any, limit: int) -> bool:
    """Whether a value is nested deeper than `limit`; what is read has to be written again, which has a limit too."""
    level = [value]
    for _ in range(limit):
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]  # fmt: skip
        if not level:
            return False
    return True
