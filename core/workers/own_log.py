"""The last lines of what this process writes to its standard error, where that is a file: for error reports."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

TAIL_BYTES = 2_000


def last_lines(descriptor: int = 2) -> str:
    """Empty where it is no file, such as a terminal's."""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return ""
        with _path(descriptor).open("rb") as handle:
            handle.seek(max(0, found.st_size - TAIL_BYTES))
            data = handle.read(TAIL_BYTES)
    except OSError:
        return ""
    return data.decode("utf-8", "replace")


def _path(descriptor: int) -> Path:
    if sys.platform == "darwin":
        import fcntl

        return Path(os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
    return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
