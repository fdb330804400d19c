"""Bases and adapters as GGUF for tests: the product's own writer, with something written otherwise where wanted."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import orjson

from core.inference.gguf.writing import template, vocabulary, write_base
from core.models.practice import shipped_folder
from core.training.publish import ADAPTER_FILE, PASSPORT_FILE
from core.workspace.files import sha256_file, write_json

__all__ = ["practice_gguf", "template", "vocabulary", "write_gguf_base", "write_random_adapter"]


def practice_gguf(folder: Path, **changes: Any) -> Path:
    """The practice model as `practice.gguf` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_gguf_base(shipped_folder(), folder / "practice.gguf", **changes)


def write_random_adapter(folder: Path, seed: int = 0, rank: int = 8, sites: int = 5) -> Path:
    """An adapter for the practice model in mlx-lm's layout, with numbers by chance, so large that it is heard."""
    import mlx.core as mx

    config = orjson.loads((shipped_folder() / "config.json").read_bytes())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    square = {f"self_attn.{name}_proj": (hidden, hidden) for name in "qkv"}
    every = [*square.items(), ("mlp.up_proj", (hidden, inner)), ("mlp.down_proj", (inner, hidden))][:sites]
    mx.random.seed(seed)
    tensors: dict[str, Any] = {}
    for block, (site, (into, to)) in itertools.product(range(config["num_hidden_layers"]), every):
        path = f"model.layers.{block}.{site}"
        tensors[f"{path}.lora_a"] = mx.random.normal((into, rank)) * into**-0.5
        tensors[f"{path}.lora_b"] = mx.random.normal((rank, to)) * 0.1
    mx.eval(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / ADAPTER_FILE), tensors)
    parameters = {"rank": rank, "scale": 2.0, "dropout": 0.0, "keys": [site for site, _ in every]}
    (folder / "adapter_config.json").write_bytes(
        orjson.dumps({"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": parameters})
    )
    write_json(folder / PASSPORT_FILE, {"adapter_sha256": sha256_file(folder / ADAPTER_FILE)})
    return folder


def write_gguf_base(folder: Path, path: Path, **changes: Any) -> Path:
    """The base at `folder` as `path`; `changes` are written instead, and the tensor `louder` three times as large."""
    louder = f"tensor {changes.get('louder')}"

    def change(name: str, value: Any) -> Any:
        return value * 3 if name == louder else changes.get(name, value)

    return write_base(folder, path, change)
