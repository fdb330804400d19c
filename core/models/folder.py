"""Inspect a folder with a base model: what it is, whether mlx-lm supports it, what must be fixed first."""

from __future__ import annotations

import importlib.util
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError, Where
from core.models.fingerprint import content_fingerprint, rendering_fingerprint, structure_fingerprint, weight_files
from core.workspace.files import new_folder, read_json, write_json


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json. Raises AppError `not_a_model`."""
    path = folder / "config.json"
    if not path.is_file():
        raise not_a_model(folder, "there is no config.json in it")
    config = read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise not_a_model(folder, "config.json names no model_type")
    if not weight_files(folder):
        raise not_a_model(folder, "there is no model*.safetensors in it")
    return config


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Somebody else's file may hold anything: what trips over its shape is AppError `not_a_model`, naming the file."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as exc:
        raise AppError(
            "not_a_model",
            f"{path.name} can't be read as a file of a base model ({type(exc).__name__}: {exc}).",
            hint="Copy or download the file again, or choose another base model.",
            where=Where(file=str(path)),
        ) from exc


def not_a_model(folder: Path, why: str) -> AppError:
    """The folder does not hold a base model in MLX or Hugging Face format."""
    return AppError(
        "not_a_model",
        f"{folder} is not a base model: {why}.",
        hint="Choose the folder with config.json, the .safetensors files, and the tokenizer.",
        where=Where(file=str(folder)),
    )


# What makes a library run Python out of the folder.
OWN_CODE = ("model_file", "auto_map")


def check_architecture(config: Mapping[str, Any], folder: Path) -> str:
    """The model type. Raises AppError `own_code`, or `unknown_architecture` when mlx-lm has no code for it."""
    from mlx_lm.utils import MODEL_REMAPPING

    for name in OWN_CODE:
        if config.get(name):
            raise AppError(
                "own_code",
                f"{folder.name} asks to run code of its own ({name}), and no code of a model is ever run here.",
                hint="Choose an MLX conversion of this model that needs none.",
                where=Where(file=str(folder / "config.json"), field=name),
            )
    name = str(config["model_type"])
    module = MODEL_REMAPPING.get(name, name)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", module) or not importlib.util.find_spec(f"mlx_lm.models.{module}"):
        raise AppError(
            "unknown_architecture",
            f"mlx-lm does not support the architecture “{name}”.",
            hint="Choose a model of another family (Llama, Qwen, Gemma, Mistral, Phi, and many more are supported).",
            where=Where(file=str(folder / "config.json"), field="model_type"),
        )
    return name


def mended_config(config: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """A config mlx-lm reads rightly, and notes on what was changed.

    transformers 5 writes `rope_parameters` and no top-level `rope_theta`; mlx-lm would take its own default
    and be wrong without a word (measured: argmax 36 to 68 % of the right one).
    """
    out, notes = dict(config), []
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" not in config:
        if "rope_theta" not in rope:
            raise AppError(
                "unreadable_rope",
                "rope_parameters differ from layer to layer, which mlx-lm would read incorrectly.",
                hint="Use an MLX conversion of this model.",
                where=Where(file=str(folder / "config.json"), field="rope_parameters"),
            )
        out["rope_theta"] = rope["rope_theta"]
        notes.append(f"rope_theta {rope['rope_theta']:g} taken from rope_parameters")
        if rope.get("rope_type", "default") != "default" and not config.get("rope_scaling"):
            out["rope_scaling"] = {k: v for k, v in rope.items() if k != "rope_theta"}
            notes.append(f"rope scaling “{rope['rope_type']}” taken from rope_parameters")
    return out, notes


def chat_template_in(folder: Path) -> bool:
    """Whether a base's folder says how a chat is rendered; cheap, without its tokenizer."""
    if any((folder / name).exists() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    path = folder / "tokenizer_config.json"
    try:
        return bool(path.exists() and orjson.loads(path.read_bytes()).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False


def slug(name: str) -> str:
    """A name as the beginning of a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100] or "base"


def make_view(source: Path, config: Mapping[str, Any], cache: Path) -> Path:
    """A folder in the models cache with its own config.json and links to the other files of `source`."""
    final = cache / f"{slug(source.name)}-{uuid.uuid4().hex[:8]}"
    cache.mkdir(parents=True, exist_ok=True)
    with new_folder(final) as tmp:
        write_json(tmp / "config.json", dict(config))
        write_json(tmp / "source.json", {"source": str(source)})
        for path in source.iterdir():
            if path.is_file() and path.name not in ("config.json", "source.json"):
                os.symlink(path.resolve(), tmp / path.name)
    return final


def parameter_count(folder: Path) -> int:
    """Number of stored elements, from the safetensors headers alone. Raises AppError `not_a_model`."""
    total = 0
    for path in weight_files(folder):
        for name, entry in read_header(path).items():
            if name != "__metadata__" and not name.endswith((".scales", ".biases")):
                count = 1
                for size in entry["shape"]:
                    count *= size
                # Quantised weights are packed into 32-bit words; the config says how many bits each has.
                total += count
    return total


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, checked against the file's size. Raises AppError `damaged_weights`."""
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if not 2 <= length <= min(size - 8, 100_000_000):
                raise ValueError("the header is longer than the file")
            header: dict[str, Any] = orjson.loads(handle.read(length))
        if any(not isinstance(v["shape"], list) for k, v in header.items() if k != "__metadata__"):
            raise ValueError("a tensor has no shape")
        ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        if max(ends, default=0) + 8 + length != size:
            raise ValueError("the file is truncated or has extra bytes")
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as exc:
        raise AppError(
            "damaged_weights",
            f"{path.name} is not a complete safetensors file: {exc}.",
            hint="Copy or download the file again.",
            where=Where(file=str(path)),
        ) from exc
    return header


def describe(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `base_models` that can be read off the folder."""
    text = config.get("text_config", config)
    quant = config.get("quantization") or {}
    bits = int(quant.get("bits", 0) or 0)
    count = parameter_count(folder)
    return {
        "architecture": config["model_type"],
        "parameter_count": count * 32 // bits if bits else count,
        "size_bytes": sum(p.stat().st_size for p in weight_files(folder)),
        "quantization": f"{bits}-bit" if bits else str(config.get("torch_dtype") or config.get("dtype") or ""),
        "vocab_size": int(text.get("vocab_size", 0)),
        "context_length": int(text.get("max_position_embeddings", 0) or 0),
        "structure_fingerprint": structure_fingerprint(config),
        "content_fingerprint": content_fingerprint(folder),
        "rendering_fingerprint": rendering_fingerprint(folder),
    }
