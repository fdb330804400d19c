"""An adapter that somebody else made, in one common form whatever its layout, and the error that refuses one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AppError, Where

PEFT_FILE = "adapter_model.safetensors"
MLX, PEFT = "mlx-lm", "PEFT"


@dataclass(frozen=True)
class Foreign:
    """An adapter as mlx-lm names it: tensors by path, one rank, one scale; `kind` is lora or dora."""

    layout: str
    kind: str
    tensors: Mapping[str, Any]
    rank: int
    scale: float
    config: Mapping[str, Any]
    hashes: Mapping[str, str]

    @property
    def sites(self) -> list[str]:
        """Paths of the adapted modules."""
        return sorted({name.rpartition(".")[0] for name in self.tensors})


def refused(folder: Path, why: str, *, file: str = "", field: str = "", hint: str = "") -> AppError:
    """The folder can't be used as an adapter, with the reason."""
    return AppError(
        "foreign_adapter",
        f"The adapter in {folder.name} can't be imported: {why}.",
        hint=hint
        or "Choose a folder with adapter_config.json and adapters.safetensors (mlx-lm) or "
        "adapter_model.safetensors (PEFT).",
        where=Where(file=str(folder / file) if file else str(folder), field=field),
    )
