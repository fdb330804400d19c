"""Process start to first paint, and which heavy libraries were imported on the way."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RUNS = 10


def run(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "app", "--workspace", str(folder / "w"), "--self-exit-after-paint"]
    times, heavy, bare = [], set(), []
    for number in range(RUNS + 1):
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "from PySide6.QtWidgets import QApplication; QApplication([])"], check=True
        )
        bare.append(time.perf_counter() - begun)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        report = json.loads(done.stdout.strip().splitlines()[-1])
        heavy |= set(report["heavy"])
        if number:  # the first start makes the workspace
            times.append(report["seconds"])
    middle, plain = statistics.median(times), statistics.median(bare)
    return {
        "first paint, s: median of 10 (min to max)": f"{middle:.2f} ({min(times):.2f} to {max(times):.2f})",
        "a bare QApplication process, start to exit, s": f"{plain:.2f}",
        "ratio to the bare process": f"{middle / plain:.1f}",
        "heavy libraries imported": ", ".join(sorted(heavy)) or "none",
    }
