"""The log: a rotating file in the workspace, and the last records in memory for the log window."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from collections import deque
from pathlib import Path

from core.redact import RedactingFormatter

RING_SIZE = 2000
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
QUIET = ("PIL", "urllib3", "httpx", "httpcore", "asyncio", "qtpy", "anthropic", "httpx2", "httpcore2")


class RingHandler(logging.Handler):
    """Keeps the newest records as text; `count` grows by one a record, from any thread."""

    def __init__(self, size: int = RING_SIZE) -> None:
        super().__init__()
        self.lines: deque[tuple[int, str]] = deque(maxlen=size)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Format and keep."""
        self.lines.append((record.levelno, self.format(record)))
        self.count += 1

    def snapshot(self, since: int = 0) -> list[tuple[int, str]]:
        """Level and text of the records kept after number `since`, oldest first."""
        fresh = max(0, self.count - since)
        lines = list(self.lines)
        return lines[-fresh:] if fresh else []


class LogFile(logging.handlers.RotatingFileHandler):
    """A file that can't be written loses its records; they are in the ring, and no reader of stderr is to blame."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing."""


class Logs:
    """Installs the handlers on the root logger; one workspace's file at a time."""

    def __init__(self) -> None:
        self.ring = RingHandler()
        self.ring.setFormatter(RedactingFormatter(FORMAT))
        self._file: LogFile | None = None
        self._console: logging.Handler | None = None

    def install(self) -> None:
        """Start to keep records; stderr too when `BRIGHTRUN_DEV` is set."""
        root = logging.getLogger()
        root.setLevel(logging.INFO)
        root.addHandler(self.ring)
        if os.environ.get("BRIGHTRUN_DEV"):
            self._console = logging.StreamHandler(sys.stderr)
            self._console.setFormatter(RedactingFormatter(FORMAT))
            root.addHandler(self._console)
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)

    def open_file(self, folder: Path) -> None:
        """Write to `folder`/brightrun.log from now on."""
        self.close_file()
        self._file = LogFile(folder / "brightrun.log", maxBytes=2_000_000, backupCount=3, encoding="utf-8", delay=True)
        self._file.setFormatter(RedactingFormatter(FORMAT))
        logging.getLogger().addHandler(self._file)

    def close_file(self) -> None:
        """Stop writing to the file."""
        if self._file is not None:
            logging.getLogger().removeHandler(self._file)
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Take all handlers off again."""
        self.close_file()
        for handler in (self.ring, self._console):
            if handler is not None:
                logging.getLogger().removeHandler(handler)
