"""Whether a GGUF base is the sibling of an MLX base: an adapter of the one fits the other.

Architecture, sizes, vocabulary and chat template have to agree, quantisation may differ. Each point is a line for the
user: what it is here, what it is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.models.gguf_file import GgufFile
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


# What two templates are compared by, where their texts differ: with and without a system message, several turns,
# blank space at the ends, and the header of the answer to come.
_TURNS = ("Hello", "  Two lines,\nand blank space at the ends \n", "Grüße, 你好 <b>&amp;</b>")


@dataclass(frozen=True)
class Point:
    """One line of the comparison. `matters` is False where a difference does no harm."""

    name: str
    here: str
    there: str
    same: bool
    matters: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are kept."""
        return asdict(self)


def probes() -> list[tuple[list[dict[str, str]], bool]]:
    """Conversations that chat templates are tried on, and whether the header of an answer follows."""
    out = []
    for system in ("", "Be brief."):
        for turns in (1, 2, 3):
            talk = [{"role": "system", "content": system}] if system else []
            for place in range(2 * turns - 1):
                talk.append({"role": ("user", "assistant")[place % 2], "content": _TURNS[place % len(_TURNS)]})
            out += [(talk, True), ([*talk, {"role": "assistant", "content": "Yes."}], False)]
    return out


# The texts of all probes by the template that is given.
Renders = Callable[[str], Sequence[str]]


def compare(
    config: Mapping[str, Any], tokens: Sequence[str], template: str, other: GgufFile, renders: Renders | None = None
) -> list[Point]:
    """An MLX base (its config.json, vocabulary in order, chat template) beside a GGUF file, point by point.

    With `renders` templates that are written otherwise and say the same are the same.
    """
    known = ARCHITECTURES.get(str(config.get("model_type", "")))
    here = known.name if known else str(config.get("model_type", "unknown"))
    out = [Point("Architecture", here, other.architecture, known is not None and here == other.architecture)]
    for key, (name, theirs) in _SIZES.items():
        own = config.get(key) or (config.get("num_attention_heads") if key == "num_key_value_heads" else None)
        found = other.number(theirs)
        found = other.number("attention.head_count") if found is None and key == "num_key_value_heads" else found
        out.append(Point(name, str(own), str(found), own is not None and own == found))
    return [*out, _vocabulary(tokens, other.tokens), _template(template, other.chat_template, renders)]


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


def _template(here: str, there: str, renders: Renders | None) -> Point:
    """By their text, blank space aside, else by what they make of the probes."""
    if _BLANK.sub("", here) == _BLANK.sub("", there):
        return Point("Chat template", _short(here), _short(there), True)
    if renders is None or not there:
        return Point("Chat template", _short(here), _short(there), False)
    try:
        own, theirs = renders(here), renders(there)
    except Exception as exc:
        return Point("Chat template", _short(here), f"fails with “{exc}”"[:200], False)
    same = sum(a == b for a, b in zip(own, theirs, strict=True))
    return Point("Chat template", _short(here), f"the same on {same} of {len(own)} probes", same == len(own))


def _short(template: str) -> str:
    return f"{len(template):,} characters" if template else "none"
