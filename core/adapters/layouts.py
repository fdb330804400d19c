"""Read an adapter folder in the layout of mlx-lm or PEFT, without running anything of it."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.adapters.foreign import MLX, PEFT, PEFT_FILE, Foreign, refused
from core.adapters.peft import converted
from core.errors import AppError
from core.models.folder import read_header
from core.training.publish import ADAPTER_FILE, CONFIG_FILE, PASSPORT_FILE
from core.workspace.files import read_json, sha256_file

MOST_CONFIG_BYTES = 4 << 20
_PICKLES = ("adapter_model.bin", "adapter_model.pt", "adapters.npz", "pytorch_model.bin")


def layout_of(folder: Path) -> str:
    """`MLX` or `PEFT`, by what is in it; "" for anything else. Cheap enough for a drag over the window."""
    if not (folder / CONFIG_FILE).is_file():
        return ""
    if (folder / PEFT_FILE).is_file():
        return PEFT
    return MLX if (folder / ADAPTER_FILE).is_file() else ""


def own_prompt(folder: Path) -> str:
    """The system prompt it was trained with, where it was exported from a Bright Run; "" elsewhere."""
    path = folder / PASSPORT_FILE
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_CONFIG_BYTES:
        return ""
    try:
        return str(read_json(path)["system_prompt"] or "")
    except (AppError, LookupError, TypeError):
        return ""


def read_foreign(folder: Path, base_modules: Mapping[str, Any]) -> Foreign:
    """The adapter, with its names found among the base's modules. Raises AppError `foreign_adapter`.

    `base_modules` are the modules of the base by path; only their names and kinds are looked at here.
    """
    if not folder.is_dir():
        raise refused(folder, "it is not a folder" if folder.exists() else "there is no such folder")
    weights = _weights_file(folder)
    for name in (CONFIG_FILE, weights):
        _check_file(folder, name)
    if (folder / CONFIG_FILE).stat().st_size > MOST_CONFIG_BYTES:
        raise refused(folder, "adapter_config.json is too large", file=CONFIG_FILE)
    try:
        config = read_json(folder / CONFIG_FILE)
        read_header(folder / weights)
    except AppError as error:
        raise refused(
            folder, error.message.rstrip("."), file=error.where.file and Path(error.where.file).name
        ) from error
    if not isinstance(config, dict):
        raise refused(folder, "adapter_config.json holds no settings", file=CONFIG_FILE)
    hashes = {name: sha256_file(folder / name) for name in (CONFIG_FILE, weights)}
    tensors = _load(folder, weights)
    if weights == PEFT_FILE:
        return converted(folder, config, tensors, base_modules, hashes)
    return _mlx(folder, config, tensors, hashes)


def _weights_file(folder: Path) -> str:
    if not (folder / CONFIG_FILE).exists():
        raise refused(folder, "there is no adapter_config.json in it")
    for name in (PEFT_FILE, ADAPTER_FILE):
        if (folder / name).is_symlink() or (folder / name).exists():
            return name
    pickled = next((name for name in _PICKLES if (folder / name).exists()), "")
    if pickled:
        raise refused(
            folder, f"its weights are pickled ({pickled}), which could run code and is never loaded", file=pickled,
            hint="Save it again as safetensors, which is what PEFT does by default.",
        )  # fmt: skip
    raise refused(folder, "there is neither adapters.safetensors nor adapter_model.safetensors in it")


def _check_file(folder: Path, name: str) -> None:
    path = folder / name
    root = folder.resolve()
    if path.is_symlink() and root not in path.resolve().parents:
        raise refused(folder, f"{name} is a link out of its folder", file=name, hint="Copy the file itself into it.")
    if not path.exists() or not stat.S_ISREG(path.stat().st_mode):
        raise refused(folder, f"{name} is not a file", file=name)


def _load(folder: Path, name: str) -> dict[str, Any]:
    import mlx.core as mx

    try:
        tensors: dict[str, Any] = mx.load(str(folder / name))  # type: ignore[assignment]
        if not tensors:
            raise refused(folder, f"{name} is empty", file=name)
        bad = [key for key, value in tensors.items() if not mx.all(mx.isfinite(value)).item()]
    except (RuntimeError, ValueError) as exc:
        raise refused(folder, f"{name} can't be read ({exc})", file=name) from exc
    if bad:
        raise refused(folder, f"{bad[0]} contains values that are not numbers", file=name, field=bad[0])
    if odd := [key for key, value in tensors.items() if not mx.issubdtype(value.dtype, mx.floating)]:
        raise refused(folder, f"{odd[0]} is of the type {tensors[odd[0]].dtype}", file=name, field=odd[0])
    return tensors


def _mlx(folder: Path, config: dict[str, Any], tensors: dict[str, Any], hashes: Mapping[str, str]) -> Foreign:
    kind = config.get("fine_tune_type", "lora")
    if kind not in ("lora", "dora"):
        raise refused(folder, f"it is of the type {kind!r}; LoRA and DoRA are supported", file=CONFIG_FILE,
                      field="fine_tune_type")  # fmt: skip
    try:
        parameters = config["lora_parameters"]
        rank, scale = int(parameters["rank"]), float(parameters["scale"])
    except (LookupError, TypeError, ValueError) as exc:
        raise refused(folder, "adapter_config.json lacks lora_parameters with rank and scale", file=CONFIG_FILE,
                      field="lora_parameters") from exc  # fmt: skip
    for name, tensor in tensors.items():
        # A switch layer has its rank at another place; the base's own shapes say the rest.
        if name.endswith(".lora_a") and rank not in tensor.shape:
            raise refused(folder, f"{name} has the shape {tuple(tensor.shape)}, but the rank is {rank}",
                          file=ADAPTER_FILE, field=name)  # fmt: skip
    return Foreign(MLX, kind, tensors, rank, scale, config, hashes)


@dataclass(frozen=True)
class Glance:
    """What an adapter's folder says of itself, for the dialog that imports it; empty where it says nothing."""

    layout: str
    name: str
    base_name: str
    structure: str
    content: str
    rank: int | None


def glance(folder: Path) -> Glance:
    """A first look at the configuration alone. Raises AppError `foreign_adapter`."""
    if not folder.is_dir():
        raise refused(folder, "it is not a folder" if folder.exists() else "there is no such folder")
    weights = _weights_file(folder)
    config: dict[str, Any] = {}
    path = folder / CONFIG_FILE
    if path.stat().st_size <= MOST_CONFIG_BYTES:
        try:
            found = read_json(path)
        except AppError as error:
            raise refused(folder, error.message.rstrip("."), file=CONFIG_FILE) from error
        config = found if isinstance(found, dict) else {}
    parameters = config.get("lora_parameters")
    rank = config.get("r", parameters.get("rank") if isinstance(parameters, dict) else None)
    return Glance(
        PEFT if weights == PEFT_FILE else MLX, folder.name,
        str(config.get("base_model_name_or_path") or config.get("model") or ""),
        str(config.get("base_fingerprint") or ""), str(config.get("base_content_fingerprint") or ""),
        rank if isinstance(rank, int) else None,
    )  # fmt: skip
