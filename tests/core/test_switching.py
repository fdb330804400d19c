"""An adapter switched on is what mlx-lm makes of base and adapter loaded anew; off is a base that was never touched.

Five hundred random switches: six architectures, four kinds of weights, ranks 4 to 64, other layers each, DoRA.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from core.inference.engine import AdapterRef
from core.inference.mlx.pool import AdapterPool
from core.inference.residency import Limits

SWITCHES = 21
COMMON = {
    "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6, "vocab_size": 96, "max_position_embeddings": 128,
    "rope_theta": 10_000.0, "tie_word_embeddings": False,
}  # fmt: skip
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {}, "qwen2": {}, "qwen3": {}, "phi3": {}, "olmo2": {},
    "granite": {
        "logits_scaling": 1.0, "attention_multiplier": 0.25, "embedding_multiplier": 1.0, "residual_multiplier": 1.0,
        "attention_bias": False, "mlp_bias": False,
    },
}  # fmt: skip
WEIGHTS = ("float32", "bfloat16", "4-bit", "8-bit")
# name: (rank, last layers, keys in a layer or None for all, DoRA)
ADAPTERS: dict[str, tuple[int, int, list[str] | None, bool]] = {
    "all": (4, 2, None, False), "wide": (64, 1, None, False), "output": (16, 2, ["self_attn.o_proj"], False),
    "mlp": (8, 1, ["mlp.down_proj"], False), "dora": (8, 2, None, True),
}  # fmt: skip
IDS = [3, 14, 15, 92, 65, 35, 89, 79]


def write_base(folder: Path, architecture: str, weights: str) -> Path:
    import importlib

    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    config: dict[str, Any] = {**COMMON, **ARCHITECTURES[architecture], "model_type": architecture}
    module = importlib.import_module(f"mlx_lm.models.{architecture}")
    mx.random.seed(7)
    model = module.Model(module.ModelArgs.from_dict(config))
    if weights == "bfloat16":
        model.set_dtype(mx.bfloat16)
    if weights.endswith("-bit"):
        config["quantization"] = {"group_size": 32, "bits": int(weights[0])}
        nn.quantize(model, **config["quantization"])
    folder.mkdir()
    (folder / "config.json").write_bytes(orjson.dumps(config))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())))
    return folder


def write_adapter(folder: Path, base: Path, name: str, seed: int) -> AdapterRef:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load_model

    rank, layers, keys, dora = ADAPTERS[name]
    parameters: dict[str, Any] = {"rank": rank, "scale": 2.0, "dropout": 0.0}
    if keys is not None:
        parameters["keys"] = keys
    model, _ = load_model(base)
    mx.random.seed(seed)
    model.freeze()
    linear_to_lora_layers(model, layers, parameters, use_dora=dora)
    tensors = dict(tree_flatten(model.trainable_parameters()))
    for path in tensors:
        if path.endswith(".lora_b"):
            tensors[path] = mx.random.normal(tensors[path].shape) * 0.1
    folder.mkdir()
    config = {"fine_tune_type": "dora" if dora else "lora", "num_layers": layers, "lora_parameters": parameters}
    (folder / "adapter_config.json").write_bytes(orjson.dumps(config))
    mx.save_safetensors(str(folder / "adapters.safetensors"), tensors)
    return AdapterRef(name, str(folder), name)


def logits(model: Any) -> Any:
    import mlx.core as mx

    return np.array(model(mx.array([IDS])).astype(mx.float32))


def fresh(base: Path, adapter: AdapterRef | None) -> Any:
    """As mlx-lm loads it."""
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    model, _ = load_model(base)
    if adapter is not None:
        model = load_adapters(model, adapter.path)
    model.eval()
    return logits(model)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_switch_is_exact(tmp_path: Path, architecture: str, weights: str) -> None:
    from mlx_lm.utils import load_model

    base = write_base(tmp_path / "base", architecture, weights)
    adapters = [write_adapter(tmp_path / name, base, name, n) for n, name in enumerate(ADAPTERS)]
    expected = {ref.id if ref else None: fresh(base, ref) for ref in (None, *adapters)}
    assert all(not np.array_equal(expected[None], found) for ident, found in expected.items() if ident)
    model, _ = load_model(base)
    model.eval()
    names = [name for name, _ in model.named_modules()]
    pool = AdapterPool(model, "", "", Limits(3))
    dice = random.Random(f"{architecture} {weights}")
    for _ in range(SWITCHES):
        chosen = dice.choice([None, *adapters])
        pool.activate(chosen)
        assert np.array_equal(logits(model), expected[chosen.id if chosen else None])
        assert len(pool.sizes()) <= 3
    pool.activate(None)
    assert np.array_equal(logits(model), expected[None])
    assert [name for name, _ in model.named_modules()] == names
