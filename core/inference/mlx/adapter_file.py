"""Check an adapter folder before a model is touched: header, names, pairs, shapes, base, finite values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.inference.engine import AdapterRef
from core.models.folder import read_header
from core.workspace.files import read_json

MAX_SCALE = 1e4
# fine_tune_type → the tensors that every adapted module has.
LEAVES = {"lora": ("lora_a", "lora_b"), "dora": ("lora_a", "lora_b", "m")}


@dataclass(frozen=True)
class Tensors:
    """What one module is adapted with; `magnitude` for DoRA alone."""

    lora_a: Any
    lora_b: Any
    magnitude: Any = None

    def named(self) -> list[tuple[str, Any]]:
        """Under the names that mlx-lm's modules give them."""
        found = [("lora_a", self.lora_a), ("lora_b", self.lora_b)]
        return found if self.magnitude is None else [*found, ("m", self.magnitude)]


@dataclass(frozen=True)
class AdapterFile:
    """A checked adapter: module path → tensors, and its scale."""

    sites: Mapping[str, Tensors]
    scale: float
    size_bytes: int


def bad_adapter(adapter: AdapterRef, why: str) -> AppError:
    """The adapter is refused; the one before stays active."""
    return AppError(
        "bad_adapter",
        f"The adapter {_named(adapter)} can't be used: {why}.",
        hint="Train it again, or choose another adapter.",
        detail=adapter.path,
    )


def _named(adapter: AdapterRef) -> str:
    return adapter.name or Path(adapter.path).name


def stamp(adapter: AdapterRef) -> tuple[int, ...]:
    """mtime_ns and size of the tensors and of the configuration: changes when the adapter was trained again."""
    try:
        stat = os.stat(f"{adapter.path}/adapters.safetensors")
    except OSError as exc:
        raise bad_adapter(adapter, "its files are missing") from exc
    try:
        config = os.stat(f"{adapter.path}/adapter_config.json")
    except OSError:
        # Whoever reads it says what is wrong.
        return stat.st_mtime_ns, stat.st_size
    return stat.st_mtime_ns, stat.st_size, config.st_mtime_ns, config.st_size


def read_adapter(adapter: AdapterRef, base_structure: str, base_content: str) -> AdapterFile:
    """Load and check. Raises AppError `bad_adapter` or `wrong_base` without having changed anything."""
    import mlx.core as mx

    folder = Path(adapter.path)
    try:
        config = read_json(folder / "adapter_config.json")
        header = read_header(folder / "adapters.safetensors")
        parameters = config["lora_parameters"]
        scale = float(parameters["scale"])
    except AppError as error:
        raise bad_adapter(adapter, error.message.rstrip(".")) from error
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise bad_adapter(adapter, "adapter_config.json lacks lora_parameters with rank and scale") from exc
    if not abs(scale) <= MAX_SCALE:
        raise bad_adapter(adapter, f"its scale {scale:g} is not a usable number")
    kind = config.get("fine_tune_type", "lora")
    if not isinstance(kind, str) or kind not in LEAVES:
        raise bad_adapter(adapter, f"it is of the type {kind!r}; LoRA and DoRA are supported")
    _check_base(adapter, config, base_structure, base_content)
    try:
        tensors: dict[str, Any] = mx.load(str(folder / "adapters.safetensors"))  # type: ignore[assignment]
    except (RuntimeError, ValueError) as exc:
        raise bad_adapter(adapter, f"adapters.safetensors can't be read ({exc})") from exc
    sites = _sites(adapter, tensors, LEAVES[kind])
    finite = mx.stack([mx.all(mx.isfinite(v)) for v in tensors.values()])
    if not mx.all(finite).item():
        raise bad_adapter(adapter, "it contains values that are not numbers")
    size = sum(e["data_offsets"][1] - e["data_offsets"][0] for k, e in header.items() if k != "__metadata__")
    return AdapterFile(sites, scale, size)


def _sites(adapter: AdapterRef, tensors: Mapping[str, Any], leaves: Sequence[str]) -> dict[str, Tensors]:
    """The tensors by module: none is unknown, none is missing."""
    paths: dict[str, None] = {}
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        if leaf not in leaves:
            raise bad_adapter(adapter, f"it contains an unknown tensor {name}")
        wanted = 1 if leaf == "m" else 2
        if tensor.ndim < wanted:
            raise bad_adapter(adapter, f"{name} has {tensor.ndim} dimensions instead of {wanted}")
        paths[path] = None
    for path in paths:
        if missing := [leaf for leaf in leaves if f"{path}.{leaf}" not in tensors]:
            raise bad_adapter(adapter, f"{path} lacks its {missing[0]}")
    if not paths:
        raise bad_adapter(adapter, "it is empty")
    return {path: Tensors(*(tensors[f"{path}.{leaf}"] for leaf in leaves)) for path in paths}


def _check_base(adapter: AdapterRef, config: Mapping[str, Any], structure: str, content: str) -> None:
    for key, own, what in (
        ("base_fingerprint", structure, "another architecture or size"),
        ("base_content_fingerprint", content, "other weights of the same architecture"),
    ):
        if config.get(key) and config[key] != own:
            raise AppError(
                "wrong_base",
                f"The adapter {_named(adapter)} was trained on another base model ({what}).",
                hint="Choose the base it was trained on, or train it again on this one.",
            )
