"""What is wrong with a record and where in its file, in words for the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError, Where
from core.reading.limits import RECORD_LIMIT

_SHOWN = 80


def megabytes(size: int) -> str:
    """A size for a message."""
    return f"{size / 1024 / 1024:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"


def too_long(line: int, size: int, path: Path) -> AppError:
    """A record beyond the limit."""
    return AppError(
        "record_too_long",
        f"This record is {megabytes(size)} long; a single record can have at most {megabytes(RECORD_LIMIT)}.",
        hint="Write one conversation per line (JSONL), or split the file.",
        where=Where(str(path), line),
    )


def json_type(value: Any) -> str:
    """What a value is called in JSON."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def shown(value: Any) -> str:
    """A value quoted in a message, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def wrong_shape(name: str, value: Any, wanted: str, hint: str) -> AppError:
    """A field whose value is missing, empty or of another type than `wanted` says."""
    found = "is missing or null" if value is None else f"is {json_type(value)}"
    if isinstance(value, str) and not value.strip():
        found = "is empty"
    return AppError("wrong_shape", f"“{name}” {found}; it must be {wanted}.", hint=hint, where=Where(field=name))


def truncated(path: Path, line: int, column: int) -> AppError:
    """A file or line that stops in the middle."""
    return AppError(
        "truncated_json",
        f"The end is missing: the file stops at line {line}, column {column}, in the middle of the JSON.",
        hint="It was cut off during copying or downloading. Copy or download it again.",
        where=Where(str(path), line),
    )


def syntax_error(exc: orjson.JSONDecodeError, path: Path, line: int, column: int) -> AppError:
    """What is wrong with a record that starts at this line and column, and where in the file."""
    at_line = line + exc.lineno - 1
    at_column = exc.colno + (column - 1 if exc.lineno == 1 else 0)
    reason = str(exc).split(":")[0]
    if "unexpected end" in reason:
        return truncated(path, at_line, at_column)
    if "str is not valid UTF-8" in reason:
        at_line, at_column = line, column
        reason = "some of its bytes are not UTF-8"
    return AppError(
        "not_json",
        f"It is not valid JSON at line {at_line}, column {at_column}: {reason}.",
        hint="Check there for a missing comma, quote, or bracket, or export the file again.",
        where=Where(str(path), at_line),
    )
