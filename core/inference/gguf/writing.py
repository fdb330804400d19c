"""A small base in Hugging Face's format as a GGUF file in float32, as llama.cpp's converter writes llama and qwen2.

For the practice model: whoever has no model of Ollama's yet tries the way with it. Byte-level BPE tokenizers alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from core.training.exports.gguf_layout import ARCHITECTURES, permuted
from core.workspace.files import read_json

# What is written for a name ("block_count", "tokens", "tensor blk.0.attn_q"): the value, or another one.
Change = Callable[[str, Any], Any]


def vocabulary(folder: Path) -> list[str]:
    """The tokens of tokenizer.json in order."""
    found = read_json(folder / "tokenizer.json")
    tokens = dict(found["model"]["vocab"]) | {one["content"]: one["id"] for one in found.get("added_tokens", ())}
    return [token for token, _ in sorted(tokens.items(), key=lambda item: item[1])]


def template(folder: Path) -> str:
    """The chat template, wherever it is."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    return str(read_json(folder / "tokenizer_config.json").get("chat_template", ""))


def write_base(folder: Path, path: Path, change: Change = lambda _name, value: value) -> Path:
    """The base at `folder` as the file `path`."""
    import gguf

    config = orjson.loads((folder / "config.json").read_bytes())
    architecture = ARCHITECTURES[config["model_type"]]
    writer = gguf.GGUFWriter(path, architecture.name)
    writer.add_type(change("type", gguf.GGUFType.MODEL))
    if parts := change("split", 0):
        writer.add_uint16("split.count", parts)
    _add_sizes(writer, config, change)
    _add_tokenizer(writer, folder, config, change)
    _add_tensors(writer, folder, config, change)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_sizes(writer: Any, config: dict[str, Any], change: Change) -> None:
    import gguf

    heads = config["num_attention_heads"]
    rope = config.get("rope_parameters", config)
    writer.add_block_count(change("block_count", config["num_hidden_layers"]))
    writer.add_context_length(change("context", config["max_position_embeddings"]))
    writer.add_embedding_length(change("embedding_length", config["hidden_size"]))
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _add_tokenizer(writer: Any, folder: Path, config: dict[str, Any], change: Change) -> None:
    import gguf

    found = read_json(folder / "tokenizer.json")
    tokens = list(change("tokens", vocabulary(folder)))
    tokens += [f"[PAD{number}]" for number in range(len(tokens), config["vocab_size"])]
    special = {one["content"] for one in found.get("added_tokens", ()) if one.get("special")}
    types = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [types.UNUSED if t.startswith("[PAD") else types.CONTROL if t in special else types.NORMAL for t in tokens]
    )
    merges = found["model"].get("merges", ())
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    end = config["eos_token_id"]
    writer.add_eos_token_id(end if isinstance(end, int) else end[0])
    writer.add_chat_template(change("template", template(folder)))


def _add_tensors(writer: Any, folder: Path, config: dict[str, Any], change: Change) -> None:
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    architecture = ARCHITECTURES[config["model_type"]]
    arch = next(found for found, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture.name)
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            data = tensor.astype(np.float32)
            known = names.get_name(name.removesuffix(".weight").removesuffix(".bias"))
            if known is None:
                raise ValueError(f"llama.cpp knows no {name} in {architecture.name}")
            if architecture.permutes and known.endswith(("attn_q", "attn_k")):
                of_keys = known.endswith("attn_k")
                heads = config["num_key_value_heads"] if of_keys else config["num_attention_heads"]
                data = permuted(data, heads, "base")
            writer.add_tensor(f"{known}.{name.rpartition('.')[2]}", change(f"tensor {known}", data))
