"""A training kind whose worker waits for the test: at the step that the file `hold` of the workspace names."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from core.training import work
from core.training.jobs import TRAINING as REAL
from core.training.trainer import Trainer
from core.workers.host import JobContext
from core.workspace.paths import Workspace

TRAINING = replace(REAL, handler="tests.plugins.held_training:run")


def hold(workspace: Workspace, step: int) -> Callable[[], None]:
    """Let runs of this workspace get as far as `step`; returns what lets them go on to the end."""
    path = workspace.root / "hold"
    path.write_text(str(step))
    return partial(path.unlink, missing_ok=True)


class HeldTrainer(Trainer):
    def __init__(self, hold_file: Path, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hold_file = hold_file

    def _train_step(self, number: int, *args: Any) -> None:
        super()._train_step(number, *args)
        while self._held(number) and not self.token.cancelled:
            time.sleep(0.01)

    def _held(self, number: int) -> bool:
        try:
            return number >= int(self._hold_file.read_text() or 0)
        except OSError:
            return False


def run(context: JobContext) -> dict[str, Any]:
    work.Trainer = partial(HeldTrainer, context.workspace.root / "hold")  # type: ignore[assignment, misc]
    return work.run(context)
