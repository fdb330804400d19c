"""The protocol of all workers: JSON lines, one envelope `{v, id, type, ...}` both ways.

Events a worker appends to `events.jsonl` before it sends them carry `seq` (1, 2, ...); `progress` and
`heartbeat` are sent only. An unknown type is an error on either side.

Memory: a worker that is about to take much asks with `memory {asks, words}` and waits; the parent answers with
`memory {granted, words}`, as often as its answer changes. `memory {holds}` tells what it has by now. Bytes.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError

VERSION = 1
COMMANDS = ("stop", "pause", "memory")
TRANSIENT = ("hello", "progress", "heartbeat", "memory", "error")
FINAL = ("done", "failed", "stopped")
HEARTBEAT_S = 2.0
SILENCE_S = 60.0
TAIL_BYTES = 64 * 1024


def encode(ident: str, kind: str, fields: Mapping[str, Any]) -> bytes:
    """One message as a line."""
    return orjson.dumps({"v": VERSION, "id": ident, "type": kind, **fields}, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Parse one line. Raises AppError `protocol_error` for anything but our envelope."""
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise protocol_error("a line that is not JSON", repr(line[:200])) from exc
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise protocol_error("a message without a type", repr(line[:200]))
    if message.get("v") != VERSION:
        raise protocol_error(f"protocol version {message.get('v')!r} instead of {VERSION}", repr(line[:200]))
    return message


def protocol_error(what: str, detail: str = "") -> AppError:
    """A worker and its parent do not understand each other."""
    return AppError(
        "protocol_error",
        f"A background worker sent {what}.",
        hint="Restart Bright Run. If it happens again, the installation mixes two versions; install Bright Run again.",
        detail=detail,
    )


class EventLog:
    """The worker's append-only record of its events; survives kill -9 of either side.

    `make_room` is asked once when the disk is full, and says whether it made some.
    """

    def __init__(self, path: Path, applied: int = 0) -> None:
        """Numbers continue after those in the file, and behind `applied`: a damaged file must not use one twice."""
        self.path = path
        self.seq = 0
        self.make_room: Callable[[], bool] | None = None
        self._size = 0
        if path.exists():
            for message, end in read_events(path):
                self.seq = int(message["seq"])
                self._size = end
        self.seq = max(self.seq, applied)
        self._file = path.open("ab", buffering=0)
        # A line torn by a kill was never sent in full; cut it, or the next event would be glued to it.
        self._file.truncate(self._size)

    def append(self, ident: str, kind: str, fields: Mapping[str, Any]) -> bytes:
        """Number and write one event; returns the line to send. When it fails, nothing of it stays in the file."""
        line = encode(ident, kind, {"seq": self.seq + 1, **fields})
        try:
            self._write(line)
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise
        self.seq += 1
        self._size += len(line)
        return line

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            try:
                view = view[self._file.write(view) or 0 :]
            except OSError as exc:
                full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
                make_room, self.make_room = self.make_room, None
                if not full or make_room is None or not make_room():
                    raise

    def sync(self) -> None:
        """Force to disk: at checkpoints and at the end."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        self._file.close()


def last_seq(path: Path) -> int:
    """Number of the last event of a log but the one that ends the job; 0 where there is none. Reads the end alone."""
    if not path.exists():
        return 0
    with path.open("rb") as handle:
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - TAIL_BYTES))
        lines = handle.read().split(b"\n")[:-1]
    for line in reversed(lines):
        with contextlib.suppress(AppError):
            event = decode(line)
            if event["type"] not in FINAL:
                return int(event["seq"])
    return max((int(e["seq"]) for e, _ in read_events(path) if e["type"] not in FINAL), default=0)


def read_events(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Complete events of a log with the byte offset after each; a torn last line is left out."""
    offset = 0
    with path.open("rb") as handle:
        for line in handle:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                message = decode(line)
            except AppError:
                return
            yield message, offset
