"""Checkpoints: a folder each, renamed into place; the last two and the best are kept."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.models.folder import read_header
from core.workspace.files import new_folder, read_json, sweep_temporary, write_json

log = logging.getLogger(__name__)
ADAPTER, OPTIMIZER, STATE = "adapters.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """One folder `checkpoints/<step>` with everything a bit-identical continuation needs."""

    folder: Path
    state: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state["step"])

    def arrays(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Adapter and optimizer tensors by name."""
        import mlx.core as mx

        adapter: Any = mx.load(str(self.folder / ADAPTER))
        optimizer: Any = mx.load(str(self.folder / OPTIMIZER))
        return adapter, optimizer


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        sweep_temporary(folder)

    def _all(self) -> list[Path]:
        return sorted(p for p in self.folder.iterdir() if p.name.isdigit())

    def save(self, adapter: Mapping[str, Any], optimizer: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Write a checkpoint for `state["step"]`; an existing one of that step is the same and stays."""
        import mlx.core as mx

        final = self.folder / f"{state['step']:07d}"
        if final.exists():
            return
        with new_folder(final) as tmp:
            mx.save_safetensors(str(tmp / ADAPTER), dict(adapter))
            mx.save_safetensors(str(tmp / OPTIMIZER), dict(optimizer))
            write_json(tmp / STATE, dict(state))
        self._prune(int(state.get("best_step") or 0))

    def _prune(self, best_step: int) -> None:
        keep = set(self._all()[-2:]) | {self.folder / f"{best_step:07d}"}
        for path in self._all():
            if path not in keep:
                shutil.rmtree(path)

    def at(self, step: int) -> Checkpoint | None:
        """The checkpoint of that step if it is there and whole."""
        return _load(self.folder / f"{step:07d}")

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint; a damaged one is passed over for the one before."""
        for path in reversed(self._all()):
            found = _load(path)
            if found is not None:
                return found
            log.warning("checkpoint %s is damaged and passed over", path.name)
        return None


def _load(folder: Path) -> Checkpoint | None:
    try:
        state = read_json(folder / STATE)
        read_header(folder / ADAPTER)
        read_header(folder / OPTIMIZER)
    except AppError:
        return None
    return Checkpoint(folder, state)


def check_same_run(checkpoint: Checkpoint, identity: Mapping[str, str]) -> None:
    """Raise AppError `resume_mismatch` naming what is not as it was when the checkpoint was written."""
    words = {
        "dataset_hash": "the dataset", "template_hash": "the chat template", "base_fingerprint": "the base model",
        "config_hash": "the settings",
    }  # fmt: skip
    then = checkpoint.state.get("identity", {})
    changed = [word for key, word in words.items() if then.get(key) != identity[key]]
    if changed:
        raise AppError(
            "resume_mismatch",
            f"This run can't be resumed: {' and '.join(changed)} changed since its last checkpoint.",
            hint="Start a new run with the present data, or restore what was changed.",
        )
