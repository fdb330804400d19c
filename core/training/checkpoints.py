"""Checkpoints: a folder each, renamed into place; the last two and the best are kept."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.workspace.files import new_folder, read_json, sha256_file, sweep_temporary, write_json

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

    def _best_is_damaged(self, checkpoint: Checkpoint) -> bool:
        # One that is not there was pruned for a better one, which comes again.
        best = int(checkpoint.state["best_step"])
        return (self.folder / f"{best:07d}").exists() and self.at(best) is None

    def _all(self) -> list[Path]:
        return sorted(p for p in self.folder.iterdir() if p.name.isdigit())

    def save(self, adapter: Mapping[str, Any], optimizer: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Write a checkpoint for `state["step"]`; a whole one of that step is the same and stays."""
        final = self.folder / f"{state['step']:07d}"
        if self.at(int(state["step"])) is not None:
            return
        shutil.rmtree(final, ignore_errors=True)
        with new_folder(final) as tmp:
            for name, tensors in ((ADAPTER, adapter), (OPTIMIZER, optimizer)):
                _save_tensors(tmp / name, tensors)
            files = {name: sha256_file(tmp / name) for name in (ADAPTER, OPTIMIZER)}
            write_json(tmp / STATE, {**state, "files": files})
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
        """The newest whole checkpoint; a damaged one is passed over for the one before, so that it is made again."""
        for path in reversed(self._all()):
            found = _load(path)
            if found is not None and not self._best_is_damaged(found):
                return found
            log.warning("checkpoint %s is damaged and skipped", path.name)
        return None


def _save_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    import mlx.core as mx

    try:
        mx.save_safetensors(str(path), dict(tensors))
    except RuntimeError as exc:
        # mlx does not say why it could not write.
        needed = sum(int(tensor.nbytes) for tensor in tensors.values())
        full = shutil.disk_usage(path.parent).free < needed
        raise OSError(errno.ENOSPC if full else errno.EIO, str(exc)) from exc


def _load(folder: Path) -> Checkpoint | None:
    """The checkpoint if every file of it is as it was written."""
    try:
        state = read_json(folder / STATE)
        whole = all(sha256_file(folder / name) == state["files"][name] for name in (ADAPTER, OPTIMIZER))
    except (AppError, OSError, KeyError, TypeError):
        return None
    return Checkpoint(folder, state) if whole else None


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
            hint="Start a new run with the current data, or restore what was changed.",
        )
