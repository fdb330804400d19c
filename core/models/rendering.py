"""One rendering of a conversation for viewer, trainer and chat: token ids and the loss weight of each.

Every assistant turn is supervised on its own: the chat template's prompt for that turn must be, token for
token, a prefix of the full rendering, and the turn ends with an end-of-turn token, which is supervised too.
A template where this fails is refused by name instead of being trained on the wrong tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.models.folder import reading
from core.workspace.files import read_json

Message = Mapping[str, Any]
_ROLES = ("user", "assistant", "user", "assistant")


@dataclass(frozen=True)
class Rendered:
    """Token ids (n,) and weights (n,): weight of token i as a prediction target, 0 for context."""

    ids: list[int]
    weights: list[float]

    @property
    def supervised(self) -> int:
        """Number of tokens that train."""
        return sum(1 for weight in self.weights if weight)


class ChatTokenizer:
    """A base model's tokenizer with its chat template."""

    def __init__(self, folder: Path, tokenizer: Any, end_ids: frozenset[int]) -> None:
        self.folder = folder
        self.raw = tokenizer
        self.end_ids = end_ids
        self._specials = tuple(t for t in tokenizer.all_special_tokens if len(t) > 2)

    @property
    def template(self) -> str:
        """The chat template's source."""
        return str(self.raw.chat_template or "")

    @cached_property
    def template_hash(self) -> str:
        """sha256 of the template: part of an adapter's passport."""
        return hashlib.sha256(self.template.encode()).hexdigest()

    def count(self, text: str) -> int:
        """Number of tokens of a plain text."""
        return len(self.raw.encode(text, add_special_tokens=False))

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of the conversation so far plus the header of the answer to come, as the chat sends it."""
        return self._encode(self._text(self._plain(messages), generation=True))

    def render(self, messages: Sequence[Message]) -> Rendered:
        """Ids of the whole conversation with a weight each.

        A message may carry `weight` (0 or 1, assistant turns only; default 1). Raises AppError
        `special_token_in_text` or `template_unsupported`.
        """
        plain = self._plain(messages)
        self._refuse_specials(plain)
        if not self._ends_each_turn:
            raise self._unsupported("only the last turn has an end-of-turn token that the model could learn to stop at")
        ids = self._encode(self._text(plain, generation=False))
        weights = [0.0] * len(ids)
        shift = len(messages) - len(plain)
        for index, message in enumerate(plain):
            weight = messages[index + shift].get("weight", 1)
            if message["role"] == "assistant" and weight:
                start, end = self._span(plain, index, ids)
                weights[start:end] = [float(weight)] * (end - start)
        return Rendered(ids, weights)

    def texts(self, probes: Sequence[tuple[Sequence[Message], bool]], template: str) -> list[str]:
        """What another chat template makes of conversations, each with or without the header of an answer.

        Raises whatever the template raises.
        """
        return [
            str(self.raw.apply_chat_template(
                self._plain(talk), chat_template=template, tokenize=False, add_generation_prompt=header
            )) for talk, header in probes
        ]  # fmt: skip

    @property
    def vocabulary(self) -> list[str]:
        """All tokens in the order of their ids."""
        known = self.raw.get_vocab()
        found = [""] * (max(known.values(), default=-1) + 1)
        for token, ident in known.items():
            found[ident] = token
        return found

    def _span(self, plain: Sequence[Message], index: int, ids: list[int]) -> tuple[int, int]:
        prefix = self._encode(self._text(plain[:index], generation=True))
        if ids[: len(prefix)] != prefix:
            raise self._unsupported(f"the prompt of turn {index + 1} is not a prefix of the whole conversation")
        start = len(prefix)
        for position in range(start, len(ids)):
            if ids[position] in self.end_ids:
                return start, position + 1
        raise self._unsupported(f"turn {index + 1} has no end-of-turn token that the model could learn to stop at")

    def _plain(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        plain = [{"role": str(m["role"]), "content": str(m["content"] or "")} for m in messages]
        if plain and plain[0]["role"] == "system" and not self._takes_system:
            system = plain.pop(0)["content"]
            if plain:
                plain[0] = {"role": plain[0]["role"], "content": f"{system}\n\n{plain[0]['content']}"}
        return plain

    @cached_property
    def _takes_system(self) -> bool:
        # Gemma-like templates raise on a system message; others leave it out without a word.
        probe = [{"role": "system", "content": "zqx"}, {"role": "user", "content": "a"}]
        try:
            return "zqx" in self.raw.apply_chat_template(probe, tokenize=False, add_generation_prompt=True)
        except Exception:
            return False

    @cached_property
    def _ends_each_turn(self) -> bool:
        """Whether an answer in the middle ends before what the user says next."""
        talks = ([{"role": r, "content": c} for r, c in zip(_ROLES, ("a", "b", next_, "d"), strict=True)]
                 for next_ in ("zqx", "qxz"))  # fmt: skip
        one, other = (self._encode(self._text(talk, generation=False)) for talk in talks)
        same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
        start = len(self._encode(self._text([{"role": "user", "content": "a"}], generation=True)))
        return any(ident in self.end_ids for ident in one[start:same])

    def _refuse_specials(self, plain: Sequence[Message]) -> None:
        for number, message in enumerate(plain, start=1):
            for special in self._specials:
                if special in message["content"]:
                    raise AppError(
                        "special_token_in_text",
                        f"Turn {number} contains {special!r}, which this model reads as a control token.",
                        hint="Remove it from the text, or put a space inside it.",
                    )

    def _text(self, plain: Sequence[Message], *, generation: bool) -> str:
        try:
            return str(self.raw.apply_chat_template(list(plain), tokenize=False, add_generation_prompt=generation))
        except Exception as exc:
            raise self._unsupported(f"it fails with “{exc}”") from exc

    def _encode(self, text: str) -> list[int]:
        return list(self.raw.encode(text, add_special_tokens=False))

    def _unsupported(self, why: str) -> AppError:
        return AppError(
            "template_unsupported",
            f"The chat template of {self.folder.name} can't be trained on turn by turn: {why}.",
            hint="Choose another base model, or add a chat template that keeps earlier turns unchanged to its folder.",
        )


def load_tokenizer(folder: Path) -> ChatTokenizer:
    """The tokenizer of a base-model folder. Raises AppError `tokenizer_missing` or `no_chat_template`."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as exc:
        raise AppError(
            "tokenizer_missing",
            f"The tokenizer in {folder} can't be loaded ({type(exc).__name__}: {_first_line(exc)}).",
            hint="The folder needs tokenizer.json (or tokenizer.model), tokenizer_config.json, and a config.json that "
            "matches them. Copy or download them again.",
            detail=repr(exc),
        ) from exc
    if not tokenizer.chat_template:
        raise AppError(
            "no_chat_template",
            f"{folder.name} has no chat template, so conversations can't be rendered for it.",
            hint="Use the instruct version of the model, or add chat_template.jinja to the folder.",
        )
    return ChatTokenizer(folder, tokenizer, _end_ids(folder, tokenizer))


def _end_ids(folder: Path, tokenizer: Any) -> frozenset[int]:
    found: set[int] = set()
    if tokenizer.eos_token_id is not None:
        found.add(int(tokenizer.eos_token_id))
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        with reading(path):
            value = read_json(path).get("eos_token_id") if path.exists() else None
            found |= {int(v) for v in (value if isinstance(value, list) else [value]) if v is not None}
    return frozenset(found)


def _first_line(exc: Exception) -> str:
    return next(iter(str(exc).strip().splitlines()), "no reason given")[:200]
