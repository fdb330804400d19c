"""What the rooms of the index hand to each other: a file as it was found, a chunk of it, what was found again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from core.code_index.code_tokens import in_words

HASH_BYTES = 16
# With another title or weight of it (`chunk_vectors`) vectors are others: indexes and their cache have this in them.
VECTORS_VERSION = 2


def digest(*parts: str | bytes) -> str:
    """BLAKE2b of the parts, with their lengths between them, as hex."""
    made = hashlib.blake2b(digest_size=HASH_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "little"))
        made.update(data)
    return made.hexdigest()


class Kind(StrEnum):
    """What a chunk is a piece of: `MODULE` is a file outside of its symbols, `TEXT` a file without a grammar."""

    FUNCTION = "function"
    METHOD = "method"
    CLASS = "class"
    INTERFACE = "interface"
    ENUM = "enum"
    STRUCT = "struct"
    IMPL = "impl"
    TYPE = "type"
    MACRO = "macro"
    MODULE = "module"
    TEXT = "text"


_UNTITLED = frozenset({Kind.MODULE, Kind.TEXT})
_TITLED = f"title {VECTORS_VERSION}"


class Left(StrEnum):
    """Why a file or folder is not indexed."""

    IGNORED = "ignored"
    DEFAULT = "never wanted"
    LOCK_FILE = "lock file"
    TOO_LARGE = "too large"
    BINARY = "binary"
    GENERATED = "generated"
    SECRET = "holds a secret"
    LINK_OUT = "link out of the project"
    SPECIAL = "not a plain file"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to index: `path` below the project's root with "/", bytes, `language` "text" where there is no grammar."""

    path: str
    size: int
    mtime_ns: int
    language: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file (or a whole folder, its path ending in "/") that is not indexed; `detail` names the rule or the place."""

    path: str
    reason: Left
    detail: str = ""


class Chunk(NamedTuple):
    """A piece of a file. Lines are 1-based and inclusive, those of the decoded file; `part` is 1 of `parts`.

    `text` is the lines from `start_line` to `end_line`, with two exceptions. It is `abridged` where other chunks have
    some of them: in a class (or whatever else holds definitions) one line, the signature and " ...", stands for each
    definition, in a module one line "..." for those between two of its lines. And of a line that is longer than a
    chunk may be, each part has a piece; `joined_text` puts parts together.

    `qualified` is the dotted name in its file ("A > B" for headings), `parent` that of what it stands in. `references`
    are names it calls or uses, at most 64; `doc` its comment or docstring, at most 600 characters.
    """

    id: str
    path: str
    language: str
    kind: Kind
    name: str
    qualified: str
    parent: str
    part: int
    parts: int
    start_line: int
    end_line: int
    complexity: int
    signature: str
    doc: str
    references: tuple[str, ...]
    is_test: bool
    text: str

    @property
    def abridged(self) -> bool:
        """Whether lines between its first and its last are in other chunks and not in its text."""
        return self.text.count("\n") < self.end_line - self.start_line

    @property
    def header(self) -> str:
        """One line that says what it is; no line numbers, so that what stands above it may move."""
        what = f"{self.kind} {self.qualified}".rstrip()
        part = f" | part {self.part}/{self.parts} of {self.signature}" if self.parts > 1 else ""
        return f"# {self.path} | {what}{part}"

    @property
    def embedded(self) -> str:
        """What is searched, and embedded beside the title: header and text."""
        return f"{self.header}\n{self.text}"

    @property
    def title(self) -> str:
        """Its name and what it takes, in words, which are embedded beside the text; empty where it is no symbol."""
        if self.kind in _UNTITLED:
            return ""
        name = in_words(self.qualified)
        return f"{name}. {in_words(self.signature)}".rstrip() if name else ""

    @property
    def embed_hash(self) -> str:
        """Names its vector in the cache."""
        return self.hash_of(self.embedded)

    def hash_of(self, embedded: str) -> str:
        """The same, where what is embedded is at hand. The title, which stands in it, is not hashed."""
        return digest(embedded) if self.kind in _UNTITLED else digest(embedded, _TITLED)


def joined_text(parts: Sequence[Chunk]) -> str:
    """The text of a symbol from all its parts, in order."""
    out = [parts[0].text] if parts else []
    for before, part in pairwise(parts):
        out += ["" if part.start_line == before.end_line else "\n", part.text]
    return "".join(out)


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file in chunks. `fallback` says why it was cut by lines though its language has a grammar, else empty.

    `imports` are the modules or names it imports, as written; `errors` whether the grammar met what it can't read.
    """

    path: str
    language: str
    chunks: Sequence[Chunk]
    imports: Sequence[str] = ()
    errors: bool = False
    fallback: str = ""


@dataclass(frozen=True)
class Filters:
    """What a search is limited to; empty means everything. Paths are folders or files as prefixes, never patterns."""

    languages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    least_complexity: int = 0
    most_complexity: int = 0
    tests: bool | None = None


@dataclass(frozen=True)
class Hit:
    """A chunk that one leg found: its row as kept, and the leg's own score (higher is better)."""

    row: Mapping[str, Any]
    score: float


@dataclass(frozen=True)
class Found:
    """A symbol that was found: where, what, the text as it is on disk now, and what each leg said.

    `legs` maps a leg ("meaning", "words", "name", "exact") to (rank from 1, score). `stale` says that the file has
    changed since it was indexed and was read again. `context` is the signature of what it stands in, and its imports.
    """

    path: str
    start_line: int
    end_line: int
    kind: Kind
    qualified: str
    language: str
    score: float
    legs: Mapping[str, tuple[int, float]]
    text: str
    stale: bool = False
    signature: str = ""
    context: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
