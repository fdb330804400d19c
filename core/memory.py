"""How much memory the machine has left, and whether that is too little; the macOS part is one small function.

On macOS the kernel says it (`kern.memorystatus_vm_pressure_level`, what Activity Monitor colours its graph by);
elsewhere what is available (Linux: MemAvailable) is compared with the whole.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import psutil

# Shares of the whole that are still available.
SHORT, CRITICAL = 0.05, 0.025


class Pressure(IntEnum):
    """In the values of macOS."""

    NORMAL = 1
    SHORT = 2
    CRITICAL = 4


@dataclass(frozen=True)
class Memory:
    """Bytes of this machine, and how short they are."""

    total: int
    available: int
    pressure: Pressure


def _kernel_level() -> int:
    """The kernel's level on macOS. Raises OSError where it has none."""
    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    libc: Any = ctypes.CDLL(None, use_errno=True)
    name = b"kern.memorystatus_vm_pressure_level"
    if libc.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        raise OSError(ctypes.get_errno(), name.decode())
    return value.value


def read(system: str = sys.platform, level: Callable[[], int] = _kernel_level) -> Memory:
    """As it is now; takes a fraction of a millisecond."""
    found = psutil.virtual_memory()
    total, available = int(found.total), int(found.available)
    if system == "darwin":
        try:
            return Memory(total, available, Pressure(level()))
        except (OSError, ValueError):
            # A kernel without that name, or with a level that is new: judged as elsewhere.
            pass
    return Memory(total, available, judge(total, available))


def judge(total: int, available: int) -> Pressure:
    """By the share that is available."""
    if available < CRITICAL * total:
        return Pressure.CRITICAL
    return Pressure.SHORT if available < SHORT * total else Pressure.NORMAL
