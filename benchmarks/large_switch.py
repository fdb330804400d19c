"""Switching on a base of 190 M parameters with as many adapted layers as one of 8 B has (224), against loading anew."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from core.inference.engine import AdapterRef
from core.inference.mlx.pool import AdapterPool
from core.inference.residency import Limits
from core.models.practice import shipped_folder

LAYERS, RANK, TIMES = 32, 12, 200
CONFIG = {
    "model_type": "llama", "hidden_size": 704, "num_hidden_layers": LAYERS, "intermediate_size": 1792,
    "num_attention_heads": 11, "num_key_value_heads": 11, "rms_norm_eps": 1e-5, "vocab_size": 1536,
    "max_position_embeddings": 1024, "rope_theta": 10000.0, "tie_word_embeddings": True,
}  # fmt: skip
PROJECTIONS = (*(f"self_attn.{name}_proj" for name in "qkvo"), "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


def write_base(folder: Path, dtype: str = "bfloat16") -> tuple[Path, int]:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.models import llama

    mx.random.seed(7)
    model = llama.Model(llama.ModelArgs.from_dict(CONFIG))
    model.set_dtype(getattr(mx, dtype))
    tensors = dict(tree_flatten(model.parameters()))
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(shipped_folder() / name, folder / name)
    (folder / "config.json").write_bytes(orjson.dumps(CONFIG))
    mx.save_safetensors(str(folder / "model.safetensors"), tensors)
    return folder, sum(tensor.size for tensor in tensors.values())


def write_adapter(folder: Path, rank: int = RANK) -> AdapterRef:
    import mlx.core as mx

    hidden, inner = int(CONFIG["hidden_size"]), int(CONFIG["intermediate_size"])
    tensors = {}
    for layer in range(LAYERS):
        for name in PROJECTIONS:
            path = f"model.layers.{layer}.{name}"
            width_in, width_out = inner if name.startswith("mlp.down") else hidden, hidden
            if name in ("mlp.gate_proj", "mlp.up_proj"):
                width_out = inner
            tensors[f"{path}.lora_a"] = mx.random.normal((width_in, rank))
            tensors[f"{path}.lora_b"] = mx.random.normal((rank, width_out)) * 0.01
    folder.mkdir()
    parameters = {"rank": rank, "scale": 2.0, "dropout": 0.0, "keys": list(PROJECTIONS)}
    config = {"fine_tune_type": "lora", "num_layers": LAYERS, "lora_parameters": parameters}
    (folder / "adapter_config.json").write_bytes(orjson.dumps(config))
    mx.save_safetensors(str(folder / "adapters.safetensors"), tensors)
    return AdapterRef(folder.name, str(folder), folder.name)


def seconds(do: Callable[[int], object], times: int) -> list[float]:
    out = []
    for number in range(times):
        begun = time.perf_counter()
        do(number)
        out.append(time.perf_counter() - begun)
    return out


def run(folder: Path) -> dict[str, Any]:
    from mlx_lm import load
    from mlx_lm.utils import load_model

    base, parameters = write_base(folder / "base")
    adapters = [write_adapter(folder / name) for name in ("one", "two")]
    size = (folder / "one" / "adapters.safetensors").stat().st_size
    model, _ = load_model(base)
    pool = AdapterPool(model, "", "", Limits(2))
    for adapter in adapters:
        pool.activate(adapter)
    resident = seconds(lambda number: pool.activate(adapters[number % 2]), TIMES)
    off = seconds(lambda number: pool.activate(None if number % 2 else adapters[0]), TIMES)[1::2]

    def read_again(number: int) -> None:
        pool.activate(None)
        pool.relieve()
        begun = time.perf_counter()
        pool.activate(adapters[number % 2])
        cold.append(time.perf_counter() - begun)

    cold: list[float] = []
    seconds(read_again, 10)
    reload = seconds(lambda number: load(str(base), adapter_path=adapters[number % 2].path), 4)
    switch, again = statistics.median(resident), statistics.median(reload)
    return {
        "base, parameters": f"{parameters / 1e6:.0f} M",
        "adapted layers, adapter file": f"{LAYERS * len(PROJECTIONS)}, {size / 1e6:.0f} MB",
        "resident switch, microseconds (median of 200)": f"{switch * 1e6:.0f}",
        "to the base, microseconds (median of 100)": f"{statistics.median(off) * 1e6:.0f}",
        "switch that reads the file, ms (median of 10)": f"{statistics.median(cold) * 1e3:.0f}",
        "mlx_lm.load(base, adapter_path), ms (median of 4)": f"{again * 1e3:.0f}",
        "times faster": f"{again / switch:,.0f}",
    }
