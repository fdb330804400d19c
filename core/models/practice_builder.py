"""Builds the practice model from its text: a byte-level BPE tokenizer and a tiny Llama, seeded, with progress.

The model code is mlx-lm's Llama; the loop is plain next-token training (AdamW, cosine schedule) on whole
dialogues in the model's own chat template, packed into rows of fixed length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.errors import AppError, Where
from core.models.practice import write_manifest
from core.workspace.files import write_json

SPECIALS = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|pad|>"]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SYSTEM_PROMPTS = ["You are a helpful assistant.", "You are a small practice model.", "Answer in plain words."]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class PracticeConfig:
    """Sizes and schedule; the defaults are those of the shipped model."""

    vocab_size: int = 1536
    hidden_size: int = 64
    layers: int = 4
    heads: int = 4
    intermediate_size: int = 192
    context_length: int = 1024
    steps: int = 1500
    rows: int = 8
    row_length: int = 128
    learning_rate: float = 3e-3
    seed: int = 11


def read_dialogues(folder: Path) -> list[list[dict[str, str]]]:
    """Dialogues of the text files: lines "Q: ..." and "A: ..." in turn, a blank line between dialogues.

    Raises AppError `bad_practice_text` naming file and line.
    """
    dialogues: list[list[dict[str, str]]] = []
    for path in sorted(folder.glob("*.txt")):
        current: list[dict[str, str]] = []
        for number, line in enumerate([*path.read_text("utf-8").splitlines(), ""], start=1):
            if not line.strip():
                if current:
                    dialogues.append(current)
                current = []
                continue
            role = {"Q: ": "user", "A: ": "assistant"}.get(line[:3])
            if role is None or role == (current[-1]["role"] if current else "assistant"):
                raise AppError(
                    "bad_practice_text",
                    "The lines of the practice text do not alternate “Q: ...” and “A: ...”.",
                    hint="Correct the line; a blank line separates dialogues.",
                    where=Where(path.name, number),
                )
            current.append({"role": role, "content": line[3:].strip()})
    if not dialogues:
        raise AppError(
            "bad_practice_text", f"There is no text in {folder}.", hint="Put .txt files with dialogues there."
        )
    return dialogues


def build_tokenizer(dialogues: list[list[dict[str, str]]], config: PracticeConfig, folder: Path) -> Any:
    """Train the tokenizer, write its files into `folder`, return it as transformers loads it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((m["content"] for d in dialogues for m in d), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "pad_token": "<|pad|>",
            "additional_special_tokens": ["<|system|>", "<|user|>", "<|assistant|>"],
            "model_max_length": config.context_length, "clean_up_tokenization_spaces": False,
            "chat_template": TEMPLATE,
        },
    )  # fmt: skip
    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def model_config(config: PracticeConfig, vocab_size: int, end_id: int) -> dict[str, Any]:
    """config.json as mlx-lm and transformers read it."""
    return {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": config.hidden_size,
        "num_hidden_layers": config.layers, "intermediate_size": config.intermediate_size,
        "num_attention_heads": config.heads, "num_key_value_heads": config.heads, "rms_norm_eps": 1e-5,
        "vocab_size": vocab_size, "max_position_embeddings": config.context_length, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "eos_token_id": end_id, "torch_dtype": "float32", "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False,
    }  # fmt: skip


def build(
    text: Path, folder: Path, config: PracticeConfig, progress: Progress, token: CancelToken | None = None
) -> dict[str, Any]:
    """Build the whole model into the existing, empty `folder`; returns what the manifest says of it."""
    import mlx.core as mx

    dialogues = read_dialogues(text)
    progress(0, config.steps, "Building the tokenizer")
    tokenizer = build_tokenizer(dialogues, config, folder)
    settings = model_config(config, len(tokenizer), tokenizer.eos_token_id)
    write_json(folder / "config.json", settings)
    model, loss = _train(dialogues, tokenizer, settings, config, progress, token or CancelToken())
    weights = dict(_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    about = {
        "name": "Bright Run practice model", "built_with": asdict(config), "dialogues": len(dialogues),
        "parameters": sum(v.size for v in weights.values()), "last_training_loss": round(loss, 4),
    }  # fmt: skip
    write_manifest(folder, about)
    return about


def _flatten(tree: Any) -> list[tuple[str, Any]]:
    from mlx.utils import tree_flatten

    return list(tree_flatten(tree))


def _train(
    dialogues: list[list[dict[str, str]]],
    tokenizer: Any,
    settings: dict[str, Any],
    config: PracticeConfig,
    progress: Progress,
    token: CancelToken,
) -> tuple[Any, float]:
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim
    from mlx_lm.models.llama import Model, ModelArgs

    mx.random.seed(config.seed)
    model = Model(ModelArgs.from_dict(settings))
    mx.eval(model.parameters())
    optimizer = _optimizer(config)

    def loss_of(model: Any, rows: Any) -> Any:
        logits = model(rows[:, :-1])
        return nn.losses.cross_entropy(logits, rows[:, 1:], reduction="mean")

    step_fn = nn.value_and_grad(model, loss_of)
    state = [model.state, optimizer.state]

    def step(rows: Any) -> Any:
        loss, grads = step_fn(model, rows)
        grads, _ = optim.clip_grad_norm(grads, 1.0)
        optimizer.update(model, grads)
        return loss

    compiled = mx.compile(step, inputs=state, outputs=state)
    smooth = math.nan
    for number, rows in zip(range(1, config.steps + 1), _rows(dialogues, tokenizer, config), strict=False):
        token.raise_if_cancelled()
        loss = compiled(mx.array(rows))
        mx.eval(state, loss)
        smooth = float(loss) if math.isnan(smooth) else 0.98 * smooth + 0.02 * float(loss)
        progress(number, config.steps, f"Loss {smooth:.2f}")
    return model, smooth


def _optimizer(config: PracticeConfig) -> Any:
    import mlx.optimizers as optim

    warm = max(1, config.steps // 20)
    rise = optim.linear_schedule(0.0, config.learning_rate, warm)
    fall = optim.cosine_decay(config.learning_rate, config.steps - warm, config.learning_rate / 20)
    return optim.AdamW(learning_rate=optim.join_schedules([rise, fall], [warm]), weight_decay=0.05)


def _rows(dialogues: list[list[dict[str, str]]], tokenizer: Any, config: PracticeConfig) -> Iterator[Any]:
    """Batches (rows, row_length + 1) of packed dialogues, freshly shuffled each pass, without end."""
    import numpy as np

    random = np.random.default_rng(config.seed)
    stream: list[int] = []
    need = config.rows * (config.row_length + 1)
    while True:
        for index in random.permutation(len(dialogues)):
            messages = list(dialogues[index])
            if random.random() < 0.4:
                messages.insert(0, {"role": "system", "content": SYSTEM_PROMPTS[random.integers(len(SYSTEM_PROMPTS))]})
            text = tokenizer.apply_chat_template(messages, tokenize=False)
            stream += tokenizer.encode(text, add_special_tokens=False)
            while len(stream) >= need:
                yield np.array(stream[:need], dtype=np.int32).reshape(config.rows, -1)
                stream = stream[need:]
