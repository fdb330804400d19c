"""What this machine is, and keeping it awake; the macOS parts are behind one small function each."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil


def describe() -> dict[str, Any]:
    """Chip, cores and memory (bytes), as recorded with a run."""
    return {
        "system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total, "python": platform.python_version(),
    }  # fmt: skip


@contextlib.contextmanager
def keep_awake(system: str = sys.platform) -> Iterator[None]:
    """Hold off idle sleep while the block runs: `caffeinate` on macOS, nothing elsewhere."""
    tool = shutil.which("caffeinate") if system == "darwin" else None
    if tool is None:
        yield
        return
    # -w ends caffeinate with this process, also after kill -9.
    helper = subprocess.Popen([tool, "-i", "-w", str(os.getpid())])
    try:
        yield
    finally:
        helper.kill()
        helper.wait()
