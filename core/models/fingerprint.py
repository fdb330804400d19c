"""What makes two base models the same: structure (dimensions), content (weights) and rendering (chats as tokens).

`structure` is equal across quantisations of one architecture and size; `content` hashes sampled blocks of
64 KiB of every weight file plus its size (1 to 3 ms a file); `rendering` hashes tokenizer and chat template whole.
Adapters are bound to structure and content; what is counted or trained in tokens also depends on the rendering.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

_STRUCTURE_KEYS = (
    "model_type", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
    "num_key_value_heads", "head_dim", "vocab_size", "tie_word_embeddings", "num_local_experts",
    "num_experts", "moe_intermediate_size",
)  # fmt: skip
# The files transformers reads a tokenizer and its chat template from.
RENDERING_FILES = (
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "merges.txt", "special_tokens_map.json",
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json",
)  # fmt: skip
_BLOCK = 64 * 1024
_SAMPLES = 16


def structure_fingerprint(config: Mapping[str, Any]) -> str:
    """Hex digest of the architecture's dimensions."""
    text = config.get("text_config", config)
    dims = {key: text.get(key) for key in _STRUCTURE_KEYS if text.get(key) is not None}
    return hashlib.sha256(orjson.dumps(dims, option=orjson.OPT_SORT_KEYS)).hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files mlx-lm would load, in order; of a base that is one file, that."""
    if folder.is_file():
        return [folder]
    return sorted(folder.glob("model*.safetensors"))


def content_fingerprint(folder: Path) -> str:
    """Hex digest over size, first, last and evenly spread blocks of every weight file of a base (`weight_files`)."""
    digest = hashlib.sha256()
    for path in weight_files(folder):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as handle:
            for number in range(_SAMPLES):
                handle.seek(max(0, (size - _BLOCK)) * number // (_SAMPLES - 1), os.SEEK_SET)
                digest.update(handle.read(_BLOCK))
    return digest.hexdigest()


def rendering_fingerprint(folder: Path) -> str:
    """Hex digest over the tokenizer's and the chat template's files; empty where there is none of them."""
    digest, found = hashlib.sha256(), False
    for name in RENDERING_FILES:
        path = folder / name
        if path.is_file():
            found = True
            data = path.read_bytes()
            digest.update(f"{name}:{len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest() if found else ""
