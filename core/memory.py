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
PRESSURE_LEVEL, WIRED_LIMIT = "kern.memorystatus_vm_pressure_level", "iogpu.wired_limit_mb"
SMALL_MAC = 36 << 30


class Pressure(IntEnum):
    """In the values of macOS."""

    NORMAL = 1
    SHORT = 2
    CRITICAL = 4


@dataclass(frozen=True)
class Memory:
    """Bytes of this machine, how short they are, and how many a model may use at most."""

    total: int
    available: int
    pressure: Pressure
    limit: int = 0

    @property
    def budget(self) -> int:
        """What models may use together: the whole where there is no limit."""
        return self.limit or self.total


def _sysctl(name: str) -> int:
    """A number of macOS's kernel. Raises OSError where it has none of that name."""
    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    libc: Any = ctypes.CDLL(None, use_errno=True)
    if libc.sysctlbyname(name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        raise OSError(ctypes.get_errno(), name)
    return value.value


def read(system: str = sys.platform, number: Callable[[str], int] = _sysctl) -> Memory:
    """As it is now; takes a fraction of a millisecond."""
    found = psutil.virtual_memory()
    total, available = int(found.total), int(found.available)
    if system != "darwin":
        return Memory(total, available, judge(total, available))
    try:
        pressure = Pressure(number(PRESSURE_LEVEL))
    except (OSError, ValueError):
        # A kernel without that name, or with a level that is new: judged as elsewhere.
        pressure = judge(total, available)
    return Memory(total, available, pressure, metal_limit(total, number))


def metal_limit(total: int, number: Callable[[str], int]) -> int:
    """What Metal may wire: as set by hand, else what it recommends by default, two thirds, or three quarters."""
    try:
        if set_by_hand := number(WIRED_LIMIT):
            return set_by_hand << 20
    except OSError:
        pass
    return total * 2 // 3 if total <= SMALL_MAC else total * 3 // 4


def judge(total: int, available: int) -> Pressure:
    """By the share that is available."""
    if available < CRITICAL * total:
        return Pressure.CRITICAL
    return Pressure.SHORT if available < SHORT * total else Pressure.NORMAL
