"""The tensors of an adapter as the other layouts count them: A (rank x in) and B (out x rank), in float32.

mlx-lm has lora_a (in x rank) and lora_b (rank x out) and adds scale * B A x; others scale by alpha / rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import AppError
from core.training.publish import ADAPTER_FILE, CONFIG_FILE
from core.workspace.files import read_json

if TYPE_CHECKING:
    import numpy as np

EMBEDDING, HEAD = "embed_tokens", "lm_head"


@dataclass(frozen=True)
class Pair:
    """What one module is adapted with: `a` (rank x in), `b` (out x rank), `magnitude` (out) for DoRA alone."""

    a: np.ndarray[Any, Any]
    b: np.ndarray[Any, Any]
    magnitude: np.ndarray[Any, Any] | None = None


@dataclass(frozen=True)
class Lora:
    """An adapter's pairs by the path of their module; one rank, one scale."""

    pairs: Mapping[str, Pair]
    rank: int
    scale: float

    @property
    def alpha(self) -> float:
        """The scale as others write it."""
        return self.scale * self.rank

    @property
    def dora(self) -> bool:
        """Whether it has magnitudes."""
        return any(pair.magnitude is not None for pair in self.pairs.values())


def cannot_export(name: str, why: str, hint: str = "Export it in mlx-lm's layout.") -> AppError:
    """The layout has no place for something of this adapter."""
    return AppError("can_not_export", f"The adapter {name} can't be exported in this format: {why}.", hint=hint)


def read_lora(folder: Path, name: str) -> Lora:
    """The adapter in `folder`. Raises AppError `can_not_export` for layers of experts, and for what is no adapter."""
    import mlx.core as mx
    import numpy as np

    parameters = read_json(folder / CONFIG_FILE)["lora_parameters"]
    try:
        loaded: dict[str, Any] = mx.load(str(folder / ADAPTER_FILE))  # type: ignore[assignment]
    except (RuntimeError, ValueError) as exc:
        raise cannot_export(name, f"{ADAPTER_FILE} can't be read", "Restore its folder, or train it again.") from exc
    tensors = {key: np.array(value.astype(mx.float32)) for key, value in loaded.items()}
    pairs: dict[str, Pair] = {}
    for path in sorted({key.rpartition(".")[0] for key in tensors}):
        a, b = tensors.get(f"{path}.lora_a"), tensors.get(f"{path}.lora_b")
        if a is None or b is None:
            raise cannot_export(name, f"{path} lacks half of its pair", "Train it again, or restore its folder.")
        if a.ndim != 2:
            raise cannot_export(name, f"{path} is a layer of experts, which other layouts name in other ways")
        pairs[path] = Pair(np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), tensors.get(f"{path}.m"))
    ranks = {pair.a.shape[0] for pair in pairs.values()}
    if len(ranks) != 1:
        raise cannot_export(name, f"its layers have different ranks ({', '.join(map(str, sorted(ranks)))})")
    return Lora(pairs, ranks.pop(), float(parameters["scale"]))
