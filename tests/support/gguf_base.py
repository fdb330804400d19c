"""A base in Hugging Face's format as a GGUF file: what llama.cpp's converter does for llama and qwen2, by hand."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import orjson

from core.models.practice import shipped_folder
from core.training.exports.gguf_layout import ARCHITECTURES, permuted


def vocabulary(folder: Path) -> list[str]:
    """The tokens of tokenizer.json in order."""
    found = orjson.loads((folder / "tokenizer.json").read_bytes())
    tokens = dict(found["model"]["vocab"]) | {one["content"]: one["id"] for one in found.get("added_tokens", ())}
    return [token for token, _ in sorted(tokens.items(), key=lambda item: item[1])]


def template(folder: Path) -> str:
    """The chat template, wherever it is."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text()
    return str(orjson.loads((folder / "tokenizer_config.json").read_bytes()).get("chat_template", ""))


def practice_gguf(folder: Path, **changes: Any) -> Path:
    """The practice model as `practice.gguf` in a folder."""
    shutil.copytree(shipped_folder(), folder / "hf", dirs_exist_ok=True)
    config = orjson.loads((folder / "hf" / "config.json").read_bytes())
    more = {
        "head_dim": config["hidden_size"] // config["num_attention_heads"],
        "rope_parameters": {"rope_theta": config["rope_theta"]},
    }
    (folder / "hf" / "config.json").write_bytes(orjson.dumps(config | more))
    return write_gguf_base(folder / "hf", folder / "practice.gguf", **changes)


def write_random_adapter(folder: Path, seed: int = 0, rank: int = 8, sites: int = 5) -> Path:
    """An adapter for the practice model in mlx-lm's layout, with numbers by chance, so large that it is heard."""
    import mlx.core as mx

    config = orjson.loads((shipped_folder() / "config.json").read_bytes())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    square = {f"self_attn.{name}_proj": (hidden, hidden) for name in "qkv"}
    every = [*square.items(), ("mlp.up_proj", (hidden, inner)), ("mlp.down_proj", (inner, hidden))][:sites]
    mx.random.seed(seed)
    tensors: dict[str, Any] = {}
    for block, (site, (into, to)) in itertools.product(range(config["num_hidden_layers"]), every):
        path = f"model.layers.{block}.{site}"
        tensors[f"{path}.lora_a"] = mx.random.normal((into, rank)) * into**-0.5
        tensors[f"{path}.lora_b"] = mx.random.normal((rank, to)) * 0.1
    mx.eval(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / "adapters.safetensors"), tensors)
    parameters = {"rank": rank, "scale": 2.0, "dropout": 0.0, "keys": [site for site, _ in every]}
    (folder / "adapter_config.json").write_bytes(
        orjson.dumps({"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": parameters})
    )
    return folder


def write_gguf_base(folder: Path, path: Path, **changes: Any) -> Path:
    """The base at `folder` as `path`; `changes` are metadata that is written otherwise."""
    from safetensors.numpy import load_file

    config = orjson.loads((folder / "config.json").read_bytes())
    architecture = ARCHITECTURES[config["model_type"]]
    arch = next(found for found, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture.name)
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    writer = gguf.GGUFWriter(path, architecture.name)
    writer.add_type(changes.get("type", gguf.GGUFType.MODEL))
    if "split" in changes:
        writer.add_uint16("split.count", changes["split"])
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer.add_block_count(changes.get("block_count", config["num_hidden_layers"]))
    writer.add_context_length(changes.get("context", config["max_position_embeddings"]))
    writer.add_embedding_length(changes.get("embedding_length", config["hidden_size"]))
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, folder, config, changes)
    for name, tensor in load_file(next(folder.glob("*.safetensors"))).items():
        data = tensor.astype(np.float32)
        known = names.get_name(name.removesuffix(".weight").removesuffix(".bias"))
        assert known is not None, name
        if architecture.permutes and known.endswith(("attn_q", "attn_k")):
            data = permuted(data, kv_heads if known.endswith("attn_k") else heads, "base")
        if known == changes.get("louder"):
            data = data * 3
        writer.add_tensor(f"{known}.{name.rpartition('.')[2]}", data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path, config: dict[str, Any], changes: dict[str, Any]) -> None:
    found = orjson.loads((folder / "tokenizer.json").read_bytes())
    tokens = list(changes.get("tokens") or vocabulary(folder))
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
    writer.add_chat_template(changes.get("template", template(folder)))
