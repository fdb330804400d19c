"""What a training run takes of the memory, estimated before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.training.config import TrainingConfig

# Weights of the adapter, their gradients, and AdamW's two moments, in 32 bit each.
BYTES_A_PARAMETER = 4 * 4
# Logits in 32 bit, their softmax, and the gradient of both.
BYTES_A_LOGIT = 3 * 4
OVERHEAD_BYTES = 64 << 20
# Measured beside the formula, `make bench ARGS=training_memory`: the adapter's own activations are not in it.
MORE = 1.2
# What is known of a base whose config names no sizes: weights, and as much again.
UNKNOWN_SHARE = 1.0


def training_needs(
    model: Mapping[str, Any], weight_bytes: int, parameter_count: int, config: TrainingConfig, longest: int
) -> int:
    """Bytes for one run on a base of that config.json, whose longest row has `longest` tokens.

    Activations by the formula of Korthikanti et al. 2022 (arXiv:2205.05198), s*b*h*(34 + 5*a*s/h) bytes a layer in 16
    bit. `weight_bytes` are the files', which may be quantised; `parameter_count` elements tell whether they are.
    """
    sizes = model.get("text_config", model)
    hidden, layers = int(sizes.get("hidden_size") or 0), int(sizes.get("num_hidden_layers") or 0)
    heads, vocab = int(sizes.get("num_attention_heads") or 1), int(sizes.get("vocab_size") or 0)
    inner = int(sizes.get("intermediate_size") or 4 * hidden)
    if not hidden or not layers:
        return round(weight_bytes * (1 + UNKNOWN_SHARE)) + OVERHEAD_BYTES
    wide = 2 if weight_bytes > 3 * parameter_count else 1
    tokens = longest * config.batch_size
    layer = tokens * hidden * (34 + 5 * heads * longest / hidden) * wide
    kept = layer + 2 * wide * tokens * hidden * layers if config.grad_checkpoint else layer * layers
    adapter = layers * config.rank * _sites(config.targets, hidden, inner)
    if config.targets == "all_linear_and_embeddings":
        adapter += 2 * config.rank * (hidden + vocab)
    return round(
        weight_bytes + MORE * (kept + tokens * vocab * BYTES_A_LOGIT) + adapter * BYTES_A_PARAMETER + OVERHEAD_BYTES
    )  # fmt: skip


def _sites(targets: str, hidden: int, inner: int) -> int:
    """In plus out features of the adapted matrices of one layer, key and value taken as wide as query."""
    if targets == "attention":
        return 2 * 2 * hidden
    return 4 * 2 * hidden + 3 * (hidden + inner)
