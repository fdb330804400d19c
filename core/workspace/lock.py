"""File locks: one writer a workspace, one worker a run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from core.errors import AppError


class FileLock:
    """An advisory lock (flock) that ends with the process, also after kill -9."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; the holder's pid is written into the file."""
        if self._fd is not None:
            return True
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        with contextlib.suppress(OSError):
            # The pid is for people; a full disk has no room for it.
            os.ftruncate(fd, 0)
            os.write(fd, str(os.getpid()).encode())
        self._fd = fd
        return True

    def acquire(self, timeout_s: float) -> bool:
        """Wait for the lock for at most `timeout_s` seconds."""
        end = time.monotonic() + timeout_s
        while not self.try_acquire():
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        return True

    def release(self) -> None:
        """Release the lock; harmless when it is not acquired."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def holder(self) -> int:
        """The pid written into the file, 0 if unknown."""
        try:
            return int(self.path.read_text() or 0)
        except (OSError, ValueError):
            return 0

    def __enter__(self) -> FileLock:
        if not self.try_acquire():
            raise workspace_locked(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def workspace_locked(lock: FileLock) -> AppError:
    """The error for a workspace somebody else writes to."""
    return AppError(
        "workspace_locked",
        f"The workspace {lock.path.parent} is open in another Bright Run (process {lock.holder()}).",
        hint="Close that window, or use another folder with --workspace.",
    )
