"""The lines of a streamed HTTP answer, with a beat while none comes, so that whoever reads can stop at any moment."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

BEAT_S = 0.05
MOST_LINE, MOST_REFUSAL = 8 << 20, 64 << 10


class Refused(Exception):  # noqa: N818 - an answer of the server's, which the caller explains
    """Another status than 200, with what was said."""

    def __init__(self, status: int, said: bytes) -> None:
        super().__init__(f"status {status}")
        self.status, self.said = status, said


def streamed(
    connection: http.client.HTTPConnection, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> Iterator[bytes | None]:
    """POST `body` as JSON and give the answer's lines as they come, None after each `BEAT_S` without one.

    Closing the iterator ends the connection at once, also while the server still reads the question: that is how it
    learns that nobody waits. Raises `Refused`, OSError, HTTPException.
    """
    connection.connect()
    line: socket.socket = connection.sock
    came: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    data = json.dumps(body)
    reader = threading.Thread(target=_read, args=(connection, path, data, dict(headers), came.put), daemon=True)
    reader.start()
    try:
        while True:
            try:
                item = came.get(timeout=BEAT_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, Exception):
                raise item
            if not item:
                return
            yield item
    finally:
        # Closing alone does not wake a thread that reads.
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        reader.join()
        connection.close()


def _read(connection: http.client.HTTPConnection, path: str, data: str, headers: dict[str, str], put: Any) -> None:
    """Every line, then an empty one, or what went wrong."""
    try:
        connection.request("POST", path, data, headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            put(Refused(response.status, response.read(MOST_REFUSAL)))
            return
        while line := response.readline(MOST_LINE):
            if not line.endswith(b"\n") and len(line) == MOST_LINE:
                put(http.client.LineTooLong("answer"))
                return
            put(line)
        put(b"")
    except Exception as exc:
        put(exc)
