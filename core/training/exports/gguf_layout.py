"""llama.cpp's layout: one GGUF file with LoRA pairs, for its server, for Ollama, and for this program's own engine.

As llama.cpp's converter writes it (convert_lora_to_gguf.py, MIT): tensors under llama.cpp's names for the architecture,
A (rank x in) and B (out x rank) in float32, alpha = scale * rank. For llama-like architectures the rows of B of q and k
are permuted, as the weights of those bases are, since llama.cpp rotates neighbouring pairs where others rotate halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cancel import CancelToken
from core.training.exports import Exported
from core.training.exports.lora import EMBEDDING, HEAD, Lora, cannot_export, read_lora

if TYPE_CHECKING:
    import numpy as np

FILE = "adapter.gguf"


@dataclass(frozen=True)
class Architecture:
    """What llama.cpp calls it, and whether it permutes q and k."""

    name: str
    permutes: bool = False


# By the base's model_type. Each was compared with llama.cpp's own converter: tests/fixtures/gguf_lora.
ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture("llama", permutes=True),
    "mistral": Architecture("llama", permutes=True),
    "qwen2": Architecture("qwen2"),
    "qwen3": Architecture("qwen3"),
}


class GgufLayout:
    """See `core.training.exports.AdapterFormat`."""

    name = "gguf"
    title = "GGUF (llama.cpp, Ollama)"
    usage = (
        "With llama.cpp, on the same base as GGUF, whatever its quantisation:", "",
        f"    llama-server --model BASE.gguf --lora THIS_FOLDER/{FILE}",
    )  # fmt: skip
    needs_base = True

    def write(self, adapter: Exported, folder: Path, token: CancelToken) -> None:
        """Write the one file."""
        token.raise_if_cancelled()
        write_gguf(adapter, folder / FILE)


def architecture_of(config: Mapping[str, Any], name: str) -> Architecture:
    """That of a base. Raises AppError `can_not_export` for one that was not compared with llama.cpp."""
    found = ARCHITECTURES.get(str(config.get("model_type", "")))
    if found is None:
        known = ", ".join(sorted(ARCHITECTURES))
        raise cannot_export(
            name, f"its base is of the type {config.get('model_type')!r}; known are {known}",
            "Export it in mlx-lm's or PEFT's layout.",
        )  # fmt: skip
    return found


def write_gguf(adapter: Exported, path: Path) -> None:
    """Write the adapter as one GGUF file. Raises AppError `can_not_export`."""
    import gguf

    config = adapter.base_config
    architecture = architecture_of(config, adapter.name)
    lora = read_lora(adapter.folder, adapter.name)
    tensors = named(lora, config, architecture, adapter.name)
    writer = gguf.GGUFWriter(path, architecture.name)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.alpha)
    writer.add_name(adapter.name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    if adapter.sha256:
        # Says which adapter this was made of.
        writer.add_string("bright_run.adapter_sha256", adapter.sha256)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def named(
    lora: Lora, config: Mapping[str, Any], architecture: Architecture, name: str
) -> dict[str, np.ndarray[Any, Any]]:
    """Its tensors under llama.cpp's names. Raises AppError `can_not_export` for DoRA, embeddings, unknown modules."""
    import gguf

    if lora.dora:
        raise cannot_export(name, "it is a DoRA, whose magnitudes llama.cpp does not know",
                            "Export it in mlx-lm's or PEFT's layout.")  # fmt: skip
    arch = next(arch for arch, known in gguf.MODEL_ARCH_NAMES.items() if known == architecture.name)
    names = gguf.get_tensor_name_map(arch, int(config["num_hidden_layers"]))
    out: dict[str, Any] = {}
    for path, pair in lora.pairs.items():
        if path.rpartition(".")[2] in (EMBEDDING, HEAD):
            raise cannot_export(name, f"it adapts {path}, which llama.cpp applies in another way",
                                "Train it without the embeddings, or export it in mlx-lm's layout.")  # fmt: skip
        known = names.get_name(path)
        if known is None:
            raise cannot_export(name, f"llama.cpp knows no module {path} in this architecture")
        b = pair.b
        if architecture.permutes and known.endswith(("attn_q", "attn_k")):
            b = permuted(b, _heads(config, key=known.endswith("attn_k")), name)
        out[f"{known}.weight.lora_a"], out[f"{known}.weight.lora_b"] = pair.a, b
    return out


def _heads(config: Mapping[str, Any], *, key: bool) -> int:
    heads = int(config["num_attention_heads"])
    return int(config.get("num_key_value_heads") or heads) if key else heads


def permuted(rows: np.ndarray[Any, Any], heads: int, name: str) -> np.ndarray[Any, Any]:
    """The rows of each head, its two halves interleaved. Source: llama.cpp, conversion/llama.py `permute`."""
    import numpy as np

    count = rows.shape[0]
    if count % (2 * heads):
        raise cannot_export(name, f"{count} rows don't divide into {heads} heads")
    halves = rows.reshape(heads, 2, count // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))


FORMAT = GgufLayout()
