"""A small random base in Hugging Face format, written by hand: config.json as transformers 5 writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from core.models.practice import shipped_folder

THETA = 50_000.0


def hf_config(model_type: str = "llama", **changes: Any) -> dict[str, Any]:
    """`rope_parameters` and no top-level `rope_theta`, as today's transformers writes them."""
    return {
        "architectures": ["LlamaForCausalLM" if model_type == "llama" else "Qwen2ForCausalLM"],
        "model_type": model_type, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12, "vocab_size": 1536, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 512, "rope_parameters": {"rope_theta": THETA, "rope_type": "default"},
        "tie_word_embeddings": False, "dtype": "float32", "hidden_act": "silu", "attention_bias": False,
        "mlp_bias": False, "eos_token_id": 0, "transformers_version": "5.23.0",
    } | changes  # fmt: skip


def write_hf_model(folder: Path, seed: int = 1, **changes: Any) -> Path:
    """Random weights under Hugging Face's names, the practice model's tokenizer beside them."""
    import mlx.core as mx

    folder.mkdir(parents=True)
    config = hf_config(**changes)
    (folder / "config.json").write_bytes(orjson.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((shipped_folder() / name).read_bytes())
    mx.random.seed(seed)
    hidden, inter, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = config["num_key_value_heads"] * config["head_dim"]

    def weight(*shape: int) -> Any:
        return mx.random.normal(shape) * 0.08

    tensors = {
        "model.embed_tokens.weight": weight(vocab, hidden), "model.norm.weight": mx.ones(hidden),
        "lm_head.weight": weight(vocab, hidden),
    }  # fmt: skip
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        tensors |= {
            f"{at}.self_attn.q_proj.weight": weight(hidden, hidden),
            f"{at}.self_attn.k_proj.weight": weight(kv, hidden),
            f"{at}.self_attn.v_proj.weight": weight(kv, hidden),
            f"{at}.self_attn.o_proj.weight": weight(hidden, hidden),
            f"{at}.mlp.gate_proj.weight": weight(inter, hidden), f"{at}.mlp.up_proj.weight": weight(inter, hidden),
            f"{at}.mlp.down_proj.weight": weight(hidden, inter), f"{at}.input_layernorm.weight": mx.ones(hidden),
            f"{at}.post_attention_layernorm.weight": mx.ones(hidden),
        }  # fmt: skip
        if config["model_type"] == "qwen2":
            tensors |= {f"{at}.self_attn.{p}_proj.bias": weight(hidden if p == "q" else kv) for p in "qkv"}
    mx.eval(tensors)
    mx.save_safetensors(str(folder / "model.safetensors"), tensors, metadata={"format": "pt"})
    return folder
