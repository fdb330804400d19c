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

BEAT_S, CONNECT_S = 0.05, 10.0
MOST_LINE, MOST_REFUSAL, MOST_WAITING = 8 << 20, 64 << 10, 256


class Refused(Exception):  # noqa: N818 - an answer of the server's, which the caller explains
    """Another status than 200, with what was said."""

    def __init__(self, status: int, said: bytes) -> None:
        super().__init__(f"status {status}")
        self.status, self.said = status, said


def streamed(
    connection: http.client.HTTPConnection, path: str, body: Mapping[str, Any], headers: Mapping[str, str],
    quiet_s: float,
) -> Iterator[bytes | None]:  # fmt: skip
    """POST `body` as JSON and give the answer's lines as they come, None after each `BEAT_S` without one.

    The server may be quiet for `quiet_s` seconds. Closing the iterator ends the connection at once, also while it is
    made or the server still reads the question: that is how it learns that nobody waits. Raises `Refused`, OSError,
    HTTPException.
    """
    reader = _Reader(connection, path, json.dumps(body), dict(headers), quiet_s)
    reader.start()
    try:
        while True:
            try:
                item = reader.came.get(timeout=BEAT_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, Exception):
                raise item
            if not item:
                return
            yield item
    finally:
        reader.end()


class _Reader(threading.Thread):
    """Puts every line into `came`, then an empty one, or what went wrong."""

    def __init__(
        self, connection: http.client.HTTPConnection, path: str, data: str, headers: dict[str, str], quiet_s: float
    ) -> None:
        super().__init__(name="answer", daemon=True)
        self.came: queue.Queue[bytes | Exception] = queue.Queue(MOST_WAITING)
        self._connection, self._path, self._data, self._headers = connection, path, data, headers
        self._quiet_s = quiet_s
        self._over = threading.Event()

    def end(self) -> None:
        """Nobody reads any more."""
        self._over.set()
        line: socket.socket | None = self._connection.sock
        if line is not None:
            # Closing alone does not wake a thread that reads.
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            self.join(CONNECT_S)
        # One that still connects sees that it is over, and ends.

    def run(self) -> None:
        response = None
        try:
            self._connection.timeout = CONNECT_S
            self._connection.connect()
            self._connection.sock.settimeout(self._quiet_s)
            if not self._over.is_set():
                self._connection.request("POST", self._path, self._data, self._headers)
                response = self._connection.getresponse()
                self._read(response)
        except Exception as exc:
            self._put(exc)
        finally:
            if response is not None:
                response.close()
            self._connection.close()

    def _read(self, response: http.client.HTTPResponse) -> None:
        if response.status != http.client.OK:
            raise Refused(response.status, response.read(MOST_REFUSAL))
        while line := response.readline(MOST_LINE):
            if not line.endswith(b"\n") and len(line) == MOST_LINE:
                raise http.client.LineTooLong("answer")
            self._put(line)
        self._put(b"")

    def _put(self, item: bytes | Exception) -> None:
        """Wait where whoever reads is slower."""
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self.came.put(item, timeout=BEAT_S)
                return
