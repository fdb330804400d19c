"""A training kind whose worker kills itself inside a checkpoint's rename: once before it, once behind it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.training import work
from core.training.jobs import TRAINING as REAL
from core.workers.host import JobContext
from core.workspace import files

TRAINING = replace(REAL, handler="tests.plugins.kill_in_rename:run")


def run(context: JobContext) -> dict[str, Any]:
    before, after = context.run_dir / "killed-before", context.run_dir / "killed-after"
    rename = os.rename

    def deadly(source: Path, target: Path) -> None:
        if target.name.isdigit() and not before.exists():
            before.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if target.name.isdigit() and not after.exists():
            after.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    files.os.rename = deadly  # type: ignore[attr-defined]
    return work.run(context)
