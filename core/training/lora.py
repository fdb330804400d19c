"""LoRA layers on a loaded model, through mlx-lm's own code, with the checks it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.training.config import TrainingConfig

NUM_LAYERS = -1


def load_base(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Model and config of a base folder, weights frozen. Raises AppError `base_does_not_load`."""
    from mlx_lm.utils import load_model

    try:
        model, config = load_model(folder)
    except Exception as exc:
        raise AppError(
            "base_does_not_load",
            f"The base model {folder.name} can't be loaded.",
            hint="Its files may be damaged or of an unknown type; add it again from its folder.",
            detail=repr(exc),
        ) from exc
    model.freeze()
    return model, config


def target_keys(model: Any, targets: str) -> list[str]:
    """Names of the modules that get an adapter: paths inside a block, full paths outside of blocks."""
    import mlx.nn as nn

    inside = {
        name for layer in model.layers for name, module in layer.named_modules()
        if isinstance(module, (nn.Linear, nn.QuantizedLinear)) or type(module).__name__.endswith("SwitchLinear")
    }  # fmt: skip
    if targets == "attention":
        inside = {k for k in inside if k.endswith(("q_proj", "v_proj", "qkv_proj"))}
    keys = sorted(inside)
    if targets == "all_linear_and_embeddings":
        outside = {
            name for name, module in model.named_modules()
            if isinstance(module, (nn.Embedding, nn.QuantizedEmbedding)) or name.split(".")[-1] == "lm_head"
        }  # fmt: skip
        keys += sorted(outside)
    return keys


def attach(model: Any, config: TrainingConfig) -> dict[str, Any]:
    """Put LoRA layers in; returns `lora_parameters` as mlx-lm reads them. Raises AppError `no_target_modules`."""
    from mlx_lm.tuner.utils import linear_to_lora_layers

    parameters = {
        "rank": config.rank, "scale": config.scale, "dropout": config.dropout,
        "keys": target_keys(model, config.targets),
    }  # fmt: skip
    linear_to_lora_layers(model, NUM_LAYERS, parameters)
    model.train()
    if not trainable(model):
        raise AppError(
            "no_target_modules",
            "This base model has none of the chosen trained layers (targets).",
            hint="Choose all linear layers (targets “all_linear”).",
        )
    return parameters


def trainable(model: Any) -> dict[str, Any]:
    """Adapter tensors by name."""
    from mlx.utils import tree_flatten

    return dict(tree_flatten(model.trainable_parameters()))


def set_tensors(model: Any, tensors: Mapping[str, Any]) -> None:
    """Load adapter tensors into attached layers; names and shapes must agree."""
    own = trainable(model)
    if own.keys() != tensors.keys() or any(own[k].shape != tensors[k].shape for k in own):
        raise AppError(
            "adapter_mismatch", "The saved adapter does not match this model.", hint="Start a new run for this base."
        )
    model.load_weights(list(tensors.items()), strict=False)
