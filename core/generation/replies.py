"""What a reply holds: a conversation or a turn, checked by our own rules; and the words for one that can't be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from core.errors import AppError
from core.generation.provider import Reply

CHARACTERS_A_TURN = 8_000
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\[(?:insert|name|amount|date)\b[^\]]*\]", re.IGNORECASE)
_SPEAKERS = ("client", "consultant", "user", "assistant", "advisor")


def read_conversation(text: str, wanted: int) -> tuple[str, tuple[Mapping[str, str], ...]]:
    """A structured reply as title and turns. Raises AppError `invalid_reply` naming the first thing that is wrong."""
    value = _object(text)
    title, listed = value.get("title"), value.get("turns")
    if not isinstance(title, str) or not isinstance(listed, list):
        raise invalid("it has no title or no list of turns")
    most = max(2 * wanted, wanted + 4)
    if not 2 <= len(listed) <= most or len(listed) % 2:
        raise invalid(f"{wanted} turns were asked for and {len(listed)} came")
    turns = []
    for index, turn in enumerate(listed):
        if not isinstance(turn, Mapping):
            raise invalid(f"turn {index + 1} is not an object")
        role = str(turn.get("role", "")).strip().lower()
        if role != ("user", "assistant")[index % 2]:
            raise invalid(f"turn {index + 1} is spoken by {role or 'nobody'}; client and consultant take turns")
        turns.append({"role": role, "content": _content(turn.get("content"), index + 1)})
    return " ".join(title.split()), tuple(turns)


@lru_cache(maxsize=16)
def _label(speakers: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in dict.fromkeys((*_SPEAKERS, *speakers)))
    return re.compile(rf"^\s*\**(?:{names})\**\s*:\s*", re.IGNORECASE)


def read_turn(text: str, speakers: tuple[str, ...], *, structured: bool) -> str:
    """One turn's words, without the name of one of the `speakers` in front. Raises AppError `invalid_reply`."""
    if not structured:
        return _content(_label(speakers).sub("", text.strip()), 0)
    return _content(_object(text).get("content"), 0)


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise invalid(f"it is not valid JSON ({str(exc).split(':')[0]})") from exc
    if not isinstance(value, dict):
        raise invalid("it is not an object")
    return value


def _content(value: Any, number: int) -> str:
    which = f"turn {number}" if number else "the turn"
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{which} is empty")
    if len(value) > CHARACTERS_A_TURN:
        raise invalid(f"{which} has {len(value):,} characters")
    if _PLACEHOLDER.search(value):
        raise invalid(f"{which} has a placeholder that was not filled in")
    return value.strip()


def invalid(what: str) -> AppError:
    """A reply that is not the conversation that was asked for."""
    return AppError(
        "invalid_reply", f"The reply can't be used: {what}.",
        hint="Retry it; if it happens again, change the template or use a stronger model.", action="generate:retry",
    )  # fmt: skip


def refused(reply: Reply) -> AppError:
    """The model declined; its category says where to look."""
    category = f" ({reply.category})" if reply.category else ""
    why = f" {reply.explanation.strip()}" if reply.explanation.strip() else ""
    hints = {
        "reasoning_extraction": "Look in the template for words that ask the model to write out its reasoning, and"
        " remove them.",
        "frontier_llm": "Look in template and topic for words about building AI models, and remove them. Use of"
        " Claude's output for training is subject to Anthropic's commercial terms.",
    }
    return AppError(
        "refused", f"Claude declined to write this conversation{category}.{why}",
        hint=hints.get(reply.category, "Change the template or the topic, then retry it."),
        action="page:scaffolding",
    )  # fmt: skip


def truncated(max_tokens: int) -> AppError:
    """Cut off at the largest allowance."""
    return AppError(
        "truncated", f"The reply was cut off at {max_tokens:,} tokens, the most that was allowed.",
        hint="Plan fewer turns for this conversation, or choose a model with a longer output.", action="generate:retry",
    )  # fmt: skip


def ended_early() -> AppError:
    """A stream without an end."""
    return AppError(
        "ended_early", "The reply broke off before its end.",
        hint="The network or the service dropped it. Retry it.", action="generate:retry",
    )  # fmt: skip


def too_long() -> AppError:
    """The context window is exceeded."""
    return AppError(
        "context_exceeded", "The request is longer than the model can read.",
        hint="Shorten the consultant's profile, the template or the topic.", action="page:scaffolding",
    )  # fmt: skip
