"""What a folder with an embedding model holds, told without loading it: files, sizes, pooling, prefixes, what is odd.

No code of a model is ever run: custom code that a config names is answered by the library's own class where there is
one (`nomic_bert`), refused otherwise. Only safetensors are read, never pickles.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.code_index.records import digest
from core.errors import AppError, Where
from core.models.fingerprint import content_fingerprint, rendering_fingerprint, weight_files
from core.models.folder import read_header, reading
from core.workspace.files import read_json, write_json

# What a sentence-transformers folder may consist of here; "Dense" and others would be left out without a word.
_MODULES = ("Transformer", "Pooling", "Normalize")
_POOLINGS = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
_OLD_POOLINGS = {
    "pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean", "pooling_mode_lasttoken": "lasttoken",
}  # fmt: skip
# Nothing that is code, and no pickles.
_LINKED = (".json", ".safetensors", ".txt", ".model")
_UNLIMITED = 1_000_000
USUAL_TOKENS = 512


@dataclass(frozen=True)
class Defaults:
    """What a folder may not say of a known model. What it says of pooling wins; `most_tokens` caps what it reads."""

    pooling: str = ""
    query_prefix: str = ""
    most_tokens: int = 0


@dataclass(frozen=True)
class ModelFolder:
    """A folder that can be loaded. `config` is that of `root`, mended; `revision` names the content of the weights.

    `parameters` counts stored elements, `stored_bytes` is their size on disk. `splits_words` says that it is given
    "format Relative Time" for "formatRelativeTime": its tokenizer knows no capitals and would read one odd word.
    """

    root: Path
    config: Mapping[str, Any]
    dimension: int
    max_tokens: int
    pooling: str
    query_prefix: str
    document_prefix: str
    lower_case: bool
    splits_words: bool
    parameters: int
    stored_bytes: int
    revision: str
    notes: tuple[str, ...] = field(default=())

    @property
    def model_type(self) -> str:
        """The architecture's name."""
        return str(self.config["model_type"])


def inspect(folder: Path, known: Defaults | None = None) -> ModelFolder:
    """Read what it says. Raises AppError `not_an_embedder`, `own_code`, `unsupported_embedder`, `damaged_weights`."""
    known = known or Defaults()
    modules = _modules(folder)
    root = folder / modules.get("Transformer", "")
    config = _read(root / "config.json") if (root / "config.json").is_file() else {}
    if not isinstance(config.get("model_type"), str):
        raise not_an_embedder(folder, "it has no config.json that names a model_type")
    if not weight_files(root):
        raise not_an_embedder(folder, "it has no model*.safetensors (other weights may hold code and are never read)")
    with reading(root / "config.json"):
        config, notes = _native(config, root)
        dimension = int(config.get("hidden_size") or 0)
    if dimension <= 0:
        raise not_an_embedder(folder, "config.json names no hidden_size")
    pooling, said = _pooling(folder, modules, known)
    query_prefix, document_prefix = _prefixes(folder)
    limits = _read(root / "sentence_bert_config.json")
    # Code models were trained on identifiers as they stand.
    splits = config["model_type"] != "nomic_bert" and _knows_no_capitals(root)
    return ModelFolder(
        root, config, dimension, _max_tokens(root, config, limits, known), pooling,
        query_prefix or known.query_prefix, document_prefix, bool(limits.get("do_lower_case")), splits, *_sizes(root),
        digest(content_fingerprint(root), rendering_fingerprint(root)),
        (*notes, said, *(["camelCase is given to it as words"] if splits else [])),
    )  # fmt: skip


def not_an_embedder(folder: Path, why: str) -> AppError:
    """The folder holds no embedding model that can be loaded."""
    return AppError(
        "not_an_embedder",
        f"{folder} is not an embedding model: {why}.",
        hint="Choose the folder with config.json, model.safetensors, and the tokenizer.",
        where=Where(file=str(folder)),
    )


@contextmanager
def loadable(found: ModelFolder) -> Iterator[Path]:
    """A temporary folder with the mended config and links to the other files, without any code. May go once loaded."""
    with tempfile.TemporaryDirectory(prefix="brightrun-embedder-") as name:
        view = Path(name)
        write_json(view / "config.json", dict(found.config))
        for path in found.root.iterdir():
            if (
                path.is_file()
                and path.name != "config.json"
                and path.suffix in (".json", ".safetensors", ".txt", ".model")
            ):
                os.symlink(path.resolve(), view / path.name)
        yield view


def _read(path: Path) -> dict[str, Any]:
    value = read_json(path) if path.is_file() else {}
    if not isinstance(value, dict):
        raise not_an_embedder(path.parent, f"{path.name} is not a JSON object")
    return value


def _modules(folder: Path) -> dict[str, str]:
    path = folder / "modules.json"
    if not path.is_file():
        return {}
    with reading(path):
        # Dotted names are matched by their end and never imported: the folder can't choose what runs.
        found = {str(entry["type"]).rpartition(".")[2]: str(entry["path"]) for entry in read_json(path)}
    for name, place in found.items():
        if name not in _MODULES:
            raise _unsupported(path, name, "a part of sentence-transformers that is not supported here")
        if not (folder / place).resolve().is_relative_to(folder.resolve()):
            raise not_an_embedder(folder, f"modules.json points out of the folder ({place})")
    return found


def _pooling(folder: Path, modules: Mapping[str, str], known: Defaults) -> tuple[str, str]:
    path = folder / modules.get("Pooling", "1_Pooling") / "config.json"
    config = _read(path)
    value = config.get("pooling_mode") or [name for key, name in _OLD_POOLINGS.items() if config.get(key)]
    names = [value] if isinstance(value, str) else list(value)
    if len(names) > 1 or any(name not in _POOLINGS for name in names):
        raise _unsupported(path, str(value), "a way of pooling that is not supported here")
    if names:
        return names[0], f"{names[0]} pooling, as its folder says"
    if known.pooling:
        return known.pooling, f"{known.pooling} pooling, as its authors use it"
    return "mean", "mean pooling, for its folder names none"


def _prefixes(folder: Path) -> tuple[str, str]:
    with reading(folder / "config_sentence_transformers.json"):
        prompts = _read(folder / "config_sentence_transformers.json").get("prompts") or {}
        query = next((prompts[key] for key in ("query", "search_query") if prompts.get(key)), "")
        document = next((prompts[key] for key in ("document", "passage", "search_document") if prompts.get(key)), "")
    return str(query), str(document)


def _max_tokens(root: Path, config: Mapping[str, Any], limits: Mapping[str, Any], known: Defaults) -> int:
    said = (
        limits.get("max_seq_length"), _read(root / "tokenizer_config.json").get("model_max_length"),
        config.get("max_position_embeddings"), known.most_tokens,
    )  # fmt: skip
    limit = min((int(n) for n in said if isinstance(n, (int, float)) and 0 < n < _UNLIMITED), default=USUAL_TOKENS)
    # RoBERTa-like models count positions from the padding token on.
    return limit - 2 if limit == config.get("max_position_embeddings") and limit % 16 == 2 else limit


def _knows_no_capitals(root: Path) -> bool:
    with reading(root / "tokenizer.json"):
        normalizer = _read(root / "tokenizer.json").get("normalizer") or {}
        steps = [normalizer, *(normalizer.get("normalizers") or ())]
        return any(step.get("lowercase") is True or step.get("type") == "Lowercase" for step in steps)


def _sizes(root: Path) -> tuple[int, int]:
    parameters = size = 0
    for path in weight_files(root):
        for name, entry in read_header(path).items():
            if name != "__metadata__":
                count = 1
                for length in entry["shape"]:
                    count *= length
                parameters += count
                size += entry["data_offsets"][1] - entry["data_offsets"][0]
    return parameters, size


def _native(config: Mapping[str, Any], root: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A config that the library's own classes read rightly, and what was changed."""
    if config["model_type"] == "nomic_bert":
        return _native_nomic(config, root)
    if config.get("auto_map"):
        raise AppError(
            "own_code",
            f"{root.name} asks to run code of its own (auto_map), and no code of a model is ever run here.",
            hint="Choose a model whose architecture the library has, for example CodeRankEmbed or MiniLM.",
            where=Where(file=str(root / "config.json"), field="auto_map"),
        )
    return dict(config), ()


# Names of the code that came with the checkpoints, and those of transformers' own class.
_NOMIC_NAMES = {
    "n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads",
    "n_inner": "intermediate_size", "layer_norm_epsilon": "layer_norm_eps", "vocab_size": "vocab_size",
    "type_vocab_size": "type_vocab_size", "pad_token_id": "pad_token_id",
}  # fmt: skip
# What the class does not do; a checkpoint that needs it would be computed wrongly without a word.
_NOMIC_FIXED: dict[str, tuple[Any, ...]] = {
    "prenorm": (False,), "parallel_block": (False,), "causal": (False,), "use_rms_norm": (False, None),
    "qkv_proj_bias": (False,), "mlp_fc1_bias": (False,), "mlp_fc2_bias": (False,), "num_experts": (0, None),
    "rotary_emb_fraction": (1, 1.0), "rotary_emb_interleaved": (False,), "rotary_emb_scale_base": (None,),
    "activation_function": ("swiglu",),
}  # fmt: skip
_NOMIC_KEPT = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "layer_norm_eps", "vocab_size",
    "type_vocab_size", "pad_token_id", "hidden_act", "head_dim", "rope_parameters", "max_position_embeddings",
)  # fmt: skip
NOMIC_POSITIONS, _NOMIC_THETA = 2048, 1000.0


def _native_nomic(config: Mapping[str, Any], root: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    for key, right in _NOMIC_FIXED.items():
        if key in config and config[key] not in right:
            raise _unsupported(root / "config.json", f"{key} = {config[key]}", "a variant of nomic_bert")
    out: dict[str, Any] = {"model_type": "nomic_bert", "architectures": ["NomicBertModel"]}
    for old, new in _NOMIC_NAMES.items():
        if config.get(old) is not None:
            out[new] = config[old]
    out |= {key: config[key] for key in _NOMIC_KEPT if config.get(key) is not None}
    out.setdefault("max_position_embeddings", int(config.get("max_trained_positions") or NOMIC_POSITIONS))
    out.setdefault("hidden_act", "silu")
    theta = float(config.get("rotary_emb_base") or _NOMIC_THETA)
    out.setdefault("rope_parameters", {"rope_type": "default", "rope_theta": theta})
    notes = ("its own code is not run: transformers' nomic_bert reads it",) if config.get("auto_map") else ()
    return out, notes


def _unsupported(path: Path, what: str, why: str) -> AppError:
    return AppError(
        "unsupported_embedder",
        f"{path.parent.name or path} can't be used as an embedding model: {what} is {why}.",
        hint="Choose another embedding model; search by words works meanwhile.",
        where=Where(file=str(path)),
    )
