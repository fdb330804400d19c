"""Adapter folders as PEFT and mlx-lm write them, for the random base of tests/support/hf_model.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

MODULES = {
    "model.layers.0.self_attn.q_proj": (48, 48), "model.layers.0.mlp.down_proj": (96, 48),
    "model.layers.1.self_attn.v_proj": (48, 24),
}  # fmt: skip
EMBEDDING = ("model.embed_tokens", 1536, 48)
# As PEFT 0.18 writes it, everything included that has no effect on the result.
PEFT_CONFIG: dict[str, Any] = {
    "alora_invocation_tokens": None, "alpha_pattern": {}, "arrow_config": None, "auto_mapping": None,
    "base_model_name_or_path": "tiny/Llama-it", "bias": "none", "corda_config": None, "ensure_weight_tying": False,
    "eva_config": None, "exclude_modules": None, "fan_in_fan_out": False, "inference_mode": True,
    "init_lora_weights": True, "layer_replication": None, "layers_pattern": None, "layers_to_transform": None,
    "loftq_config": {}, "lora_alpha": 12, "lora_bias": False, "lora_dropout": 0.05, "megatron_config": None,
    "megatron_core": "megatron.core", "modules_to_save": None, "peft_type": "LORA", "peft_version": "0.18.0",
    "qalora_group_size": 16, "r": 4, "rank_pattern": {}, "revision": None,
    "target_modules": ["q_proj", "v_proj", "down_proj"], "target_parameters": None, "task_type": "CAUSAL_LM",
    "trainable_token_indices": None, "use_dora": False, "use_qalora": False, "use_rslora": False,
}  # fmt: skip


def peft_tensors(rank: int = 4, *, dora: bool = False, embedding: bool = False) -> dict[str, Any]:
    """A is rank x in, B is out x rank."""
    import mlx.core as mx

    mx.random.seed(5)
    out: dict[str, Any] = {}
    for path, (inside, outside) in MODULES.items():
        at = f"base_model.model.{path}"
        out[f"{at}.lora_A.weight"] = mx.random.normal((rank, inside)) * 0.3
        out[f"{at}.lora_B.weight"] = mx.random.normal((outside, rank)) * 0.3
        if dora:
            out[f"{at}.lora_magnitude_vector"] = mx.abs(mx.random.normal((outside,))) + 0.2
    if embedding:
        path, words, wide = EMBEDDING
        out[f"base_model.model.{path}.lora_embedding_A"] = mx.random.normal((rank, words)) * 0.3
        out[f"base_model.model.{path}.lora_embedding_B"] = mx.random.normal((wide, rank)) * 0.3
    return out


def write_peft(folder: Path, tensors: dict[str, Any] | None = None, **changes: Any) -> Path:
    import mlx.core as mx

    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_bytes(orjson.dumps(PEFT_CONFIG | changes))
    tensors = peft_tensors() if tensors is None else tensors
    mx.save_safetensors(str(folder / "adapter_model.safetensors"), tensors, metadata={"format": "pt"})
    return folder


def by_hand(tensors: dict[str, Any]) -> dict[str, Any]:
    """The same tensors as mlx-lm names and lays them out."""
    leaves = {"lora_A.weight": "lora_a", "lora_B.weight": "lora_b", "lora_embedding_A": "lora_a",
              "lora_embedding_B": "lora_b", "lora_magnitude_vector": "m"}  # fmt: skip
    out = {}
    for name, tensor in tensors.items():
        (leaf,) = [leaf for leaf in leaves if name.endswith(f".{leaf}")]
        path = name.removeprefix("base_model.model.").removesuffix(f".{leaf}")
        out[f"{path}.{leaves[leaf]}"] = tensor.T if tensor.ndim == 2 else tensor
    return out


def write_mlx(folder: Path, tensors: dict[str, Any], scale: float, *, rank: int = 4, kind: str = "lora") -> Path:
    """As mlx_lm.lora writes it: keys inside of a block, blocks counted from the end, its own settings beside."""
    import mlx.core as mx

    folder.mkdir(parents=True)
    inside = {name.rpartition(".")[0].split(".", 3)[3] for name in tensors if ".layers." in name}
    outside = {name.rpartition(".")[0] for name in tensors if ".layers." not in name}
    config = {
        "model": "tiny/Llama-it", "fine_tune_type": kind, "num_layers": 2, "iters": 1000, "seed": 0,
        "lora_parameters": {"rank": rank, "scale": scale, "dropout": 0.0, "keys": sorted(inside | outside)},
    }  # fmt: skip
    (folder / "adapter_config.json").write_bytes(orjson.dumps(config))
    mx.save_safetensors(str(folder / "adapters.safetensors"), {k: mx.contiguous(v) for k, v in tensors.items()})
    return folder
