"""What this machine is, and keeping it awake; the macOS part is behind one small function."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil


def describe() -> dict[str, Any]:
    """Chip, cores and memory (bytes), as recorded with a run."""
    return {
        "system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count() or 1,
        "memory_bytes": total_memory(), "python": platform.python_version(),
    }  # fmt: skip


def total_memory() -> int:
    """Bytes of memory of this machine."""
    return int(psutil.virtual_memory().total)


def resident_memory() -> int:
    """Resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


def _launch(command: Sequence[str]) -> Any:
    return subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@contextlib.contextmanager
def keep_awake(system: str = sys.platform, launch: Callable[[Sequence[str]], Any] = _launch) -> Iterator[None]:
    """Hold off idle sleep while a worker works: `caffeinate` on macOS, nothing elsewhere."""
    helper = None
    if system == "darwin":
        # -w ends caffeinate with this process, also after kill -9; without it the work continues all the same.
        with contextlib.suppress(OSError):
            helper = launch(["/usr/bin/caffeinate", "-i", "-w", str(os.getpid())])
    try:
        yield
    finally:
        if helper is not None:
            helper.kill()
            helper.wait()
