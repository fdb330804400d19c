"""PEFT's layout (adapter_model.safetensors, adapter_config.json), for transformers and whatever reads it.

The scale is written as lora_alpha / r. Modules are named by their last part where every block has them, else by their
whole paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.training.exports import Exported
from core.training.exports.lora import EMBEDDING, Lora, Pair, cannot_export, read_lora
from core.workspace.files import write_json

PREFIX = "base_model.model."
_BLOCK = re.compile(r"(?:^|\.)layers\.(\d+)\.")


class PeftLayout:
    """See `core.training.exports.AdapterFormat`."""

    name = "peft"
    title = "PEFT (transformers)"
    usage = (
        "With transformers and PEFT, on the base it was trained on in that library's format:", "",
        "    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), THIS_FOLDER)",
    )  # fmt: skip
    needs_base = True

    def write(self, adapter: Exported, folder: Path, token: CancelToken) -> None:
        """Write tensors and configuration."""
        from safetensors.numpy import save_file

        lora = read_lora(adapter.folder, adapter.name)
        if any(_leaf(path) == EMBEDDING for path in lora.pairs) and adapter.base_config.get("tie_word_embeddings"):
            raise cannot_export(
                adapter.name, "it adapts an embedding that is the output layer too, which PEFT adapts as input alone"
            )
        token.raise_if_cancelled()
        tensors = {name: value for path, pair in lora.pairs.items() for name, value in _named(path, pair)}
        save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
        write_json(folder / "adapter_config.json", _config(lora, adapter.base_name))


def _named(path: str, pair: Pair) -> Iterable[tuple[str, Any]]:
    if _leaf(path) == EMBEDDING:
        return [(f"{PREFIX}{path}.lora_embedding_A", pair.a), (f"{PREFIX}{path}.lora_embedding_B", pair.b)]
    out = [(f"{PREFIX}{path}.lora_A.weight", pair.a), (f"{PREFIX}{path}.lora_B.weight", pair.b)]
    return out if pair.magnitude is None else [*out, (f"{PREFIX}{path}.lora_magnitude_vector", pair.magnitude)]


def _config(lora: Lora, base_name: str) -> dict[str, Any]:
    # Some that read it take an integer alone.
    alpha = int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha
    return {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_name, "r": lora.rank,
        "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none", "use_dora": lora.dora, "use_rslora": False,
        "fan_in_fan_out": False, "init_lora_weights": True, "inference_mode": True, "modules_to_save": None,
        "target_modules": targets(lora.pairs),
    }  # fmt: skip


def targets(paths: Mapping[str, Any]) -> list[str]:
    """The modules' last parts, or their whole paths where not every block that is adapted has the same."""
    by_block: dict[str, set[str]] = {}
    outside = []
    for path in paths:
        found = _BLOCK.search(path)
        if found is None:
            outside.append(_leaf(path))
        else:
            by_block.setdefault(found[1], set()).add(_leaf(path))
    numbers = {int(number) for number in by_block}
    alike = len({frozenset(leaves) for leaves in by_block.values()}) <= 1
    # Blocks below the last one may be missing; above it nobody here can tell.
    if alike and numbers == set(range(len(numbers))) and not outside:
        return sorted(next(iter(by_block.values())))
    return sorted(paths)


def _leaf(path: str) -> str:
    return path.rpartition(".")[2]


FORMAT = PeftLayout()
