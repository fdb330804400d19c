"""One file made into rows: read, hashed, parsed. What fails is said, and fails alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.code_index.columns import NONE, Columns
from core.code_index.records import FoundFile, Kind, Left, LeftOut, ParsedFile, digest
from core.code_index.rows import Words

# Each part has its version: rows that another one made are made again.
CHUNKER_VERSION, WORDS_VERSION = 1, 1
SOFT_LIMIT = 1600


@dataclass(frozen=True)
class Tools:
    """The parts a pass is made of.

    `scan(root, token, progress, known)` has `files` and `left_out`; `look(root, path)` is one of their entries or None;
    `read(root, path)` the bytes of a plain file, whose errors may carry `reason`, `detail` and `gone`.
    """

    scan: Callable[[Path, CancelToken, Callable[[int, str], None], Mapping[str, tuple[int, int]]], Any]
    look: Callable[[Path, str], FoundFile | LeftOut | None]
    read: Callable[[Path, str], bytes]
    parse: Callable[[str, bytes, int], ParsedFile]
    words: Words
    name_words: Words


@dataclass(frozen=True)
class Prepared:
    """A file as it was read. One of `left`, `failed` and `columns` says what became of it; `gone`: it isn't there."""

    file: FoundFile
    hash: str = ""
    columns: Columns = NONE
    imports: tuple[str, ...] = ()
    symbols: int = 0
    fallback: str = ""
    left: LeftOut | None = None
    failed: str = ""
    gone: bool = False
    same: bool = False


def prepare(tools: Tools, root: Path, file: FoundFile, known_hash: str = "", soft_limit: int = SOFT_LIMIT) -> Prepared:
    """Read a file and make its rows; `same` where its content has the hash that is known. Raises MemoryError."""
    try:
        data = tools.read(root, file.path)
    except Exception as exc:
        return _unread(file, exc)
    hash_ = digest(data)
    if hash_ == known_hash:
        return Prepared(file, hash_, same=True)
    try:
        parsed = tools.parse(file.path, data, soft_limit)
        columns = Columns.of_file(parsed, hash_, tools.words, tools.name_words)
    except MemoryError:
        raise
    except Exception as exc:
        return Prepared(file, hash_, failed=f"{type(exc).__name__}: {exc}")
    symbols = sum(chunk.part == 1 and chunk.kind not in (Kind.MODULE, Kind.TEXT) for chunk in parsed.chunks)
    return Prepared(file, hash_, columns, tuple(parsed.imports), symbols, parsed.fallback)


def _unread(file: FoundFile, exc: Exception) -> Prepared:
    """Why a file could not be read, in the reader's own words where it has some."""
    if isinstance(exc, FileNotFoundError) or getattr(exc, "gone", False):
        return Prepared(file, gone=True)
    reason = getattr(exc, "reason", None)
    if isinstance(reason, Left) and reason is not Left.UNREADABLE:
        return Prepared(file, left=LeftOut(file.path, reason, str(getattr(exc, "detail", ""))))
    return Prepared(file, failed=str(getattr(exc, "detail", "") or exc))
