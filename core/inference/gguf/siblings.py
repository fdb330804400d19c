"""Whether a GGUF base is the sibling of an MLX base: an adapter of the one fits the other.

Architecture, sizes, vocabulary and chat template have to agree, quantisation may differ. Each point is a line for the
user: what it is here, what it is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.inference.gguf.files import GgufFile
from core.training.exports.gguf_layout import ARCHITECTURES

# config.json → GGUF's key behind the architecture; what GGUF leaves out follows from the others.
_SIZES = {
    "num_hidden_layers": ("Layers", "block_count"),
    "hidden_size": ("Hidden size", "embedding_length"),
    "intermediate_size": ("Inner size", "feed_forward_length"),
    "num_attention_heads": ("Heads", "attention.head_count"),
    "num_key_value_heads": ("Key-value heads", "attention.head_count_kv"),
}
_BLANK = re.compile(r"\s+")


@dataclass(frozen=True)
class Point:
    """One line of the comparison. `matters` is False where a difference does no harm."""

    name: str
    here: str
    there: str
    same: bool
    matters: bool = True


def compare(config: Mapping[str, Any], tokens: Sequence[str], template: str, other: GgufFile) -> list[Point]:
    """An MLX base (its config.json, vocabulary in order, chat template) beside a GGUF file, point by point."""
    known = ARCHITECTURES.get(str(config.get("model_type", "")))
    here = known.name if known else str(config.get("model_type", "unknown"))
    out = [Point("Architecture", here, other.architecture, known is not None and here == other.architecture)]
    for key, (name, theirs) in _SIZES.items():
        own = config.get(key) or (config.get("num_attention_heads") if key == "num_key_value_heads" else None)
        found = other.number(theirs)
        found = other.number("attention.head_count") if found is None and key == "num_key_value_heads" else found
        out.append(Point(name, str(own), str(found), own is not None and own == found))
    return [*out, _vocabulary(tokens, other.tokens), _template(template, other.chat_template)]


def fits(points: Sequence[Point]) -> bool:
    """Whether an adapter of the one is used on the other."""
    return all(point.same or not point.matters for point in points)


def _vocabulary(here: Sequence[str], there: Sequence[str]) -> Point:
    """Token by token; what either has beyond the other are fillers at the end."""
    shared = min(len(here), len(there))
    differs = next((place for place in range(shared) if here[place] != there[place]), None)
    words = [f"{len(tokens):,} tokens" for tokens in (here, there)]
    if differs is not None:
        words = [f"{text}, token {differs:,} is {tokens[differs]!r}"
                 for text, tokens in zip(words, (here, there), strict=True)]  # fmt: skip
    rest = [*here[shared:], *there[shared:]]
    same = shared > 0 and differs is None and all(_is_filler(token) for token in rest)
    return Point("Vocabulary", words[0], words[1], same)


def _is_filler(token: str) -> bool:
    # llama.cpp's converter fills the vocabulary up to the rows of the embedding.
    return bool(re.fullmatch(r"\[PAD\d+\]|<\|?(?:unused|reserved|extra|dummy)\w*\|?>|", token))


def _template(here: str, there: str) -> Point:
    """By what they say; blank space aside. Without one there, ours is sent along and it does no harm."""
    same = _BLANK.sub("", here) == _BLANK.sub("", there)
    return Point("Chat template", _short(here), _short(there), same, matters=bool(there))


def _short(template: str) -> str:
    return f"{len(template):,} characters" if template else "none"
