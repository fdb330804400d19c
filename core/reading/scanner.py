"""Walk through one large JSON document without holding it: values are cut out by balancing brackets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import orjson

from core.errors import AppError, Where
from core.reading.errors import truncated

_SPACE = re.compile(rb"[ \t\r\n]*+")
_ATOM = rb'[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"'
_NESTED = 8


def _run(levels: int) -> bytes:
    """Pattern of all that follows without an open bracket or string, containers nested up to `levels` deep included."""
    return rb"(?:" + _ATOM + (rb"|[{\[]" + _run(levels - 1) + rb"[}\]]" if levels else rb"") + rb")*+"


# Most records are one match, in C; what is nested deeper, or continues in the next block, is walked bracket by bracket.
_RUN = re.compile(_run(_NESTED), re.DOTALL)
_CONTAINER = re.compile(rb"[{\[]" + _run(_NESTED) + rb"[}\]]", re.DOTALL)
_STRING_REST = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SCALAR_END = re.compile(rb"[,\]}\s]")


class Scanner:
    """A cursor over UTF-8 blocks. Values longer than `limit` are passed over and only measured."""

    def __init__(self, blocks: Iterator[bytes], path: Path, limit: int) -> None:
        self._blocks = blocks
        self._path = path
        self._limit = limit
        self._buffer = b""
        self._at = 0
        self._base = 0
        self._line = 1
        self._line_start = 0
        self.column = 1

    @property
    def offset(self) -> int:
        """Bytes before the cursor."""
        return self._base + self._at

    def peek(self) -> bytes:
        """The next byte that is not blank; empty at the end."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            self._advance(match.end() if match else self._at)
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if not self._more():
                return b""

    def expect(self, byte: bytes) -> None:
        """Step over one structural character. Raises AppError `truncated_json` or `not_json`."""
        found = self.peek()
        if found != byte:
            raise self._fault(f"{byte.decode()!r} was expected")
        self._advance(self._at + 1)

    def expect_end(self) -> None:
        """Raise AppError `not_json` when more follows."""
        if self.peek():
            raise self._fault("there is text after the end of the JSON")

    def members(self) -> Iterator[str]:
        """Names of the members of the object whose brace was stepped over; the caller takes each value."""
        for _ in self._separated(b"}"):
            if self.peek() != b'"':
                raise self._fault("a name in quotes was expected")
            _, raw, _ = self.value()
            self.expect(b":")
            try:
                yield str(orjson.loads(raw or b'""'))
            except orjson.JSONDecodeError:
                raise self._fault("the name of a field is damaged") from None

    def items(self) -> Iterator[None]:
        """One step an element of the list whose bracket was stepped over; the caller takes each value."""
        return self._separated(b"]")

    def _separated(self, end: bytes) -> Iterator[None]:
        if self.peek() == end:
            self._advance(self._at + 1)
            return
        while True:
            yield
            found = self.peek()
            if found not in (b",", end):
                raise self._fault(f"a comma or {end.decode()!r} was expected")
            self._advance(self._at + 1)
            if found == end:
                return

    def skip_value(self) -> None:
        """Step over a value without keeping it."""
        self._scan(keep=False)

    def value(self) -> tuple[int, bytes | None, int]:
        """The next value: line it starts on, its bytes (None when beyond the limit), its length."""
        return self._scan(keep=True)

    def _scan(self, *, keep: bool) -> tuple[int, bytes | None, int]:
        first = self.peek()
        if not first or first in b",:]}":
            raise self._fault("a value was expected")
        line, start = self._line, self.offset
        self.column = start - self._line_start + 1
        parts: list[bytes] = []
        depth, in_string = 0, False
        ends = first not in b'"{[' and self._scalar(parts)
        while not ends:
            end, depth, in_string, ends = self._piece(depth, in_string)
            parts.append(self._buffer[self._at : end])
            self._advance(end)
            if not keep or self.offset - start > self._limit:
                parts.clear()
            if not ends and not self._more():
                raise self._truncated()
        size = self.offset - start
        return line, b"".join(parts) if keep and size <= self._limit else None, size

    def _piece(self, depth: int, in_string: bool) -> tuple[int, int, bool, bool]:
        """Continue through the buffer: (end, depth, inside a string, value ended)."""
        data, at = self._buffer, self._at
        if not depth and not in_string and (whole := _CONTAINER.match(data, at)):
            return whole.end(), 0, False, True
        while at < len(data):
            if in_string:
                match = _STRING_REST.match(data, at)
                at = match.end() if match else at
                if data[at : at + 1] != b'"':
                    # A lone backslash at the end of the buffer is read again with the next block.
                    return at, depth, True, False
                at, in_string = at + 1, False
                if depth == 0:
                    return at, 0, False, True
                continue
            if depth and (run := _RUN.match(data, at)):
                at = run.end()
            mark = data[at : at + 1]
            if not mark:
                break
            at += 1
            if mark == b'"':
                in_string = True
            else:
                depth += 1 if mark in b"{[" else -1
                if depth <= 0:
                    return at, 0, False, True
        return at, depth, in_string, False

    def _scalar(self, parts: list[bytes]) -> bool:
        while True:
            found = _SCALAR_END.search(self._buffer, self._at)
            end = found.start() if found else len(self._buffer)
            parts.append(self._buffer[self._at : end])
            self._advance(end)
            if sum(map(len, parts)) > 4096:
                raise self._fault("a value without quotes is not a number, true, false or null")
            if found or not self._more():
                return True

    def _advance(self, to: int) -> None:
        newlines = self._buffer.count(b"\n", self._at, to)
        if newlines:
            self._line += newlines
            self._line_start = self._base + self._buffer.rfind(b"\n", self._at, to) + 1
        self._at = to

    def _more(self) -> bool:
        """Append the next block to what is left; False at the end of the file."""
        rest = self._buffer[self._at :]
        for block in self._blocks:
            if block:
                self._base += self._at
                self._buffer, self._at = rest + block, 0
                return True
        return False

    def _fault(self, what: str) -> AppError:
        if not self.peek():
            return self._truncated()
        column = self.offset - self._line_start + 1
        return AppError(
            "not_json",
            f"It is not valid JSON at line {self._line}, column {column}: {what}.",
            hint="Check there for a missing comma, quote, or bracket.",
            where=Where(str(self._path), self._line),
        )

    def _truncated(self) -> AppError:
        column = self.offset - self._line_start + 1
        return truncated(self._path, self._line, column)
