"""Lanes: jobs of one lane run one after the other, lanes run beside each other. What a lane's worker may use.

This table is the one place that says it. Threads are set by the environment, before a library reads it; niceness and
memory are applied by the worker itself (`core/workers/host.py`), in ways that Linux and macOS share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

from core import hardware

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)  # fmt: skip
LEAST_BYTES = 1 << 30


class Lane(StrEnum):
    """Where a kind of job runs."""

    GPU = "gpu"
    DATA = "data"
    NETWORK = "network"
    QUESTION = "question"
    INDEX = "index"


@dataclass(frozen=True)
class Allowance:
    """What one worker of a lane may use.

    `cores` and `memory` are shares of the machine's; None leaves them to the libraries. `nice` is added to the
    worker's niceness.
    """

    cores: float | None
    memory: float | None
    nice: int

    @property
    def threads(self) -> int:
        """How many threads a library may start; 0 for as many as it likes."""
        return max(1, round(self.cores * (os.cpu_count() or 1))) if self.cores else 0

    @property
    def memory_bytes(self) -> int:
        """Resident bytes at most, never under 1 GiB; 0 for no limit."""
        return max(LEAST_BYTES, int(self.memory * hardware.total_memory())) if self.memory else 0

    def environment(self) -> dict[str, str]:
        """The environment variables that keep libraries to `threads`."""
        return dict.fromkeys(THREAD_VARIABLES, str(self.threads)) if self.threads else {}


# Training takes the machine; what reads files leaves half of it to training and the window; requests wait for others.
ALLOWANCES: dict[Lane, Allowance] = {
    Lane.GPU: Allowance(cores=None, memory=None, nice=0),
    Lane.DATA: Allowance(cores=0.5, memory=0.5, nice=5),
    Lane.NETWORK: Allowance(cores=0.25, memory=0.25, nice=5),
    # One or a few requests that somebody looks at: they do not wait behind a batch of an hour.
    Lane.QUESTION: Allowance(cores=0.25, memory=0.25, nice=0),
    Lane.INDEX: Allowance(cores=0.5, memory=0.5, nice=10),
}
