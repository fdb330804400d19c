"""The estimate of what a training run takes, against the peak that mlx measured, over shapes, types and targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.training.config import TrainingConfig
from core.training.lora import attach
from core.training.memory import training_needs

# hidden, layers, heads, vocabulary, inner, tokens of a row, rows of a batch.
SHAPES = (
    (64, 2, 4, 2000, 256, 256, 4), (256, 4, 8, 8000, 1024, 256, 2), (256, 4, 8, 8000, 1024, 512, 1),
    (512, 8, 8, 32000, 2048, 256, 1),
)  # fmt: skip


def measure(shape: tuple[int, ...], dtype: Any, targets: str, checkpoint: bool) -> tuple[int, int]:
    """(estimated, measured) bytes."""
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim
    from mlx.utils import tree_flatten
    from mlx_lm.models.llama import Model, ModelArgs

    hidden, layers, heads, vocab, inner, tokens, rows = shape
    config = {
        "model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": heads, "vocab_size": vocab, "intermediate_size": inner, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    model = Model(ModelArgs.from_dict(config))
    model.set_dtype(dtype)
    model.freeze()
    mx.eval(model.parameters())
    weights = [tensor for _, tensor in tree_flatten(model.parameters())]
    how = TrainingConfig(batch_size=rows, targets=targets, grad_checkpoint=checkpoint)
    attach(model, how)
    if checkpoint:
        from mlx_lm.tuner.trainer import grad_checkpoint

        grad_checkpoint(model.layers[0])
    mx.eval(model.parameters())
    optimizer = optim.AdamW(learning_rate=1e-4)
    optimizer.init(model.trainable_parameters())

    def loss(model: Any, inputs: Any) -> Any:
        return nn.losses.cross_entropy(model(inputs).astype(mx.float32), inputs).sum()

    step = nn.value_and_grad(model, loss)
    mx.reset_peak_memory()
    for _ in range(2):
        value, grads = step(model, mx.random.randint(0, vocab, (rows, tokens)))
        optimizer.update(model, grads)
        mx.eval(value, model.trainable_parameters(), optimizer.state)
    needs = training_needs(config, sum(w.nbytes for w in weights), sum(w.size for w in weights), how, tokens)
    return needs, int(mx.get_peak_memory())


def run(_folder: Path) -> dict[str, Any]:
    import mlx.core as mx

    out: dict[str, Any] = {}
    ratios = []
    for shape in SHAPES:
        for dtype in (mx.float32, mx.bfloat16):
            for targets in ("attention", "all_linear"):
                estimated, measured = measure(shape, dtype, targets, checkpoint=False)
                ratios.append(estimated / measured)
        name = f"hidden {shape[0]}, {shape[1]} layers, {shape[5]} tokens, {shape[6]} rows: peak, MB"
        out[name] = round(measured / 1e6)
    for shape in SHAPES[2:]:
        estimated, measured = measure(shape, mx.bfloat16, "all_linear", checkpoint=True)
        ratios.append(estimated / measured)
    out["estimate / measured peak, least and most"] = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return out
