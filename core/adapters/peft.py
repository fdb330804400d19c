"""PEFT's LoRA and DoRA as mlx-lm names and lays them out; what has no equal there is refused by its name.

A linear layer of PEFT has A (rank x in) and B (out x rank), mlx-lm has lora_a (in x rank) and lora_b (rank x out); both
add scale * B A x, with scale = lora_alpha / rank, or lora_alpha / sqrt(rank) for rank-stabilised LoRA.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.adapters.foreign import PEFT, PEFT_FILE, Foreign, refused
from core.training.publish import CONFIG_FILE

_PREFIX = "base_model.model."
_LEAVES = {
    "lora_A.weight": "lora_a", "lora_B.weight": "lora_b", "lora_embedding_A": "lora_a", "lora_embedding_B": "lora_b",
    "lora_magnitude_vector": "m", "lora_magnitude_vector.weight": "m",
}  # fmt: skip
_NAME = re.compile(rf"{re.escape(_PREFIX)}(.+?)\.({'|'.join(map(re.escape, sorted(_LEAVES, key=len, reverse=True)))})")
# Settings that say how it was made, not what it is.
_OF_NO_EFFECT = frozenset(
    (
        "auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config",
        "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha",
        "lora_dropout", "lora_ga_config", "megatron_core", "peft_type", "peft_version", "qalora_group_size", "r",
        "revision", "runtime_config", "target_modules", "task_type", "use_dora", "use_rslora", "init_lora_weights",
        "bias",
    )
)  # fmt: skip
# Ways to begin that change the base's own weights too; only those that leave them alone give the same answers here.
_INITS = (True, False, None, "gaussian", "eva", "orthogonal")


def converted(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Any], base_modules: Mapping[str, Any],
    hashes: Mapping[str, str],
) -> Foreign:  # fmt: skip
    """The adapter in mlx-lm's form. Raises AppError `foreign_adapter` naming setting or tensor."""
    _check_settings(folder, config)
    rank, scale = _rank_and_scale(folder, config)
    dora = bool(config.get("use_dora"))
    found: dict[str, Any] = {}
    for path, leaf, name in _names(folder, tensors):
        tensor = tensors[name]
        target = f"{_in_base(folder, path, base_modules, name)}.{leaf}"
        if target in found:
            raise refused(folder, f"{name} is there twice", file=PEFT_FILE, field=name)
        found[target] = tensor if leaf == "m" else _turned(folder, name, leaf, tensor, rank)
    _check_pairs(folder, found, dora=dora)
    return Foreign(PEFT, "dora" if dora else "lora", found, rank, scale, config, hashes)


def _check_settings(folder: Path, config: Mapping[str, Any]) -> None:
    def no(field: str, why: str) -> None:
        hint = "Train it without that setting, or merge it into its base and add that as a base model."
        raise refused(folder, why, file=CONFIG_FILE, field=field, hint=hint)

    if str(config.get("peft_type") or "").upper() != "LORA":
        no("peft_type", f"it is of the type {config.get('peft_type')!r}; LoRA and DoRA are supported")
    if config.get("task_type") not in (None, "", "CAUSAL_LM"):
        no("task_type", f"it is for the task {config['task_type']!r}, and chats need CAUSAL_LM")
    if config.get("bias", "none") != "none":
        no("bias", f"it trains biases (bias = {config['bias']!r}), which has no equal in mlx-lm")
    if config.get("init_lora_weights", True) not in _INITS:
        no("init_lora_weights", f"it began with {config['init_lora_weights']!r}, which changes the base's own weights")
    for field, value in config.items():
        if value and field not in _OF_NO_EFFECT:
            no(field, f"its setting {field} has no equal in mlx-lm")


def _rank_and_scale(folder: Path, config: Mapping[str, Any]) -> tuple[int, float]:
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 < rank <= 65_536:
        raise refused(folder, f"its rank (r) is {rank!r}", file=CONFIG_FILE, field="r")
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not math.isfinite(alpha):
        raise refused(folder, f"its lora_alpha is {alpha!r}", file=CONFIG_FILE, field="lora_alpha")
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _names(folder: Path, tensors: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in tensors:
        found = _NAME.fullmatch(name)
        if found is None:
            raise refused(
                folder, f"it contains the tensor {name}, which has no equal in mlx-lm", file=PEFT_FILE, field=name
            )
        yield found[1], _LEAVES[found[2]], name


def _in_base(folder: Path, path: str, base_modules: Mapping[str, Any], name: str) -> str:
    """The module's path in mlx-lm's model, which puts the text model of a larger one elsewhere than transformers."""
    inside = path.removeprefix("model.language_model.")
    for candidate in (path, f"language_model.{path}", f"language_model.model.{inside}", f"model.{inside}",
                      path.removeprefix("language_model.")):  # fmt: skip
        if candidate in base_modules:
            return candidate
    raise refused(folder, f"this base model has no module {path}", file=PEFT_FILE, field=name,
                  hint="Choose the base that it was trained on.")  # fmt: skip


def _turned(folder: Path, name: str, leaf: str, tensor: Any, rank: int) -> Any:
    if tensor.ndim != 2:
        raise refused(folder, f"{name} has {tensor.ndim} dimensions instead of 2", file=PEFT_FILE, field=name)
    if tensor.shape[0 if leaf == "lora_a" else 1] != rank:
        raise refused(folder, f"{name} has the shape {tuple(tensor.shape)}, but the rank is {rank}", file=PEFT_FILE,
                      field=name)  # fmt: skip
    return tensor.T


def _check_pairs(folder: Path, found: Mapping[str, Any], *, dora: bool) -> None:
    for site in sorted({name.rpartition(".")[0] for name in found}):
        has = {leaf for leaf in ("lora_a", "lora_b", "m") if f"{site}.{leaf}" in found}
        wanted = {"lora_a", "lora_b", "m"} if dora else {"lora_a", "lora_b"}
        if missing := sorted(wanted - has):
            raise refused(folder, f"{site} lacks its {missing[0]}", file=PEFT_FILE, field=site)
        if has - wanted:
            raise refused(folder, f"{site} has a magnitude, but use_dora is off", file=PEFT_FILE, field=site)
        if dora and found[f"{site}.m"].ndim != 1:
            raise refused(folder, f"DoRA on {site} (an embedding) has no equal in mlx-lm", file=PEFT_FILE, field=site)
