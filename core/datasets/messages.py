"""The messages of one conversation, checked and converted to the form the trainer reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import AppError, Where
from core.reading.errors import json_type, shown
from core.reading.limits import MAX_TURNS, SPLIT, too_many_turns

ROLES = ("system", "user", "assistant")
USED = ("role", "content", "weight")
Message = dict[str, Any]


def check(value: Any) -> list[Message]:
    """Clean messages. Raises AppError with `where.field` such as `messages[2].role`."""
    if not isinstance(value, list):
        found = "missing or null" if value is None else json_type(value)
        raise _wrong("wrong_shape", f"“messages” is {found}; it must be a list.", "messages", _EXAMPLE)
    system = bool(value) and isinstance(value[0], Mapping) and value[0].get("role") == "system"
    if (turns_given := len(value) - system) > MAX_TURNS:
        raise _wrong("too_many_turns", too_many_turns(turns_given), "messages", SPLIT)
    messages = [_message(item, index) for index, item in enumerate(value)]
    turns = messages[1:] if messages and messages[0]["role"] == "system" else messages
    if not turns:
        raise _wrong("empty_turns", "The conversation has no turns.", "messages", "Add a question and its answer.")
    _alternate(turns, len(messages) - len(turns))
    if turns[-1]["role"] == "user":
        messages.append({"role": "assistant", "content": "", "weight": 0})
    if not supervised(messages):
        raise _wrong(
            "no_supervised_turn", "No answer in it can be trained on: each is empty or has weight 0.", "messages",
            "Fill in an answer, or set the weight of one to 1.",
        )  # fmt: skip
    return messages


def supervised(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many answers train."""
    return sum(1 for message in messages if message.get("weight"))


_EXAMPLE = 'Write it as [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}].'


def _message(value: Any, index: int) -> Message:
    place, number = f"messages[{index}]", index + 1
    if not isinstance(value, Mapping):
        raise _wrong("wrong_shape", f"Message {number} is {json_type(value)}, not an object.", place, _EXAMPLE)
    role = value.get("role")
    if role not in ROLES:
        found = "no role" if "role" not in value else f"the role {shown(role)}"
        raise _wrong(
            "unknown_role", f"Message {number} has {found}.", f"{place}.role",
            "Known roles: " + ", ".join(ROLES) + ". Tool messages can't be trained on yet.",
        )  # fmt: skip
    content = _content(value, role, place, number)
    if role != "assistant":
        if not content.strip() and role == "user":
            raise _wrong("empty_content", f"Message {number} (user) is empty.", f"{place}.content", "Fill it in.")
        return {"role": role, "content": content}
    weight = value.get("weight", 1)
    if isinstance(weight, bool) or weight not in (0, 1):
        raise _wrong(
            "bad_weight", f"Message {number} has the weight {shown(weight)}.", f"{place}.weight",
            "Use 1 to train on the answer, 0 to keep it as context.",
        )  # fmt: skip
    return {"role": role, "content": content, "weight": int(weight) if content.strip() else 0}


def _content(value: Mapping[str, Any], role: str, place: str, number: int) -> str:
    content = value.get("content")
    if isinstance(content, str):
        return content
    if content is None and role == "assistant" and "content" in value:
        return ""
    if isinstance(content, list) and all(_is_text(part) for part in content):
        return "".join(part["text"] for part in content)
    found = "missing" if "content" not in value else json_type(content)
    raise _wrong(
        "wrong_shape", f"The content of message {number} is {found}, not text.", f"{place}.content",
        "Write the words there, in quotes. Images and files can't be trained on.",
    )  # fmt: skip


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _alternate(turns: Sequence[Message], shift: int) -> None:
    for index, turn in enumerate(turns):
        wanted = ROLES[1 + index % 2]
        if turn["role"] == wanted:
            continue
        number, role = index + shift + 1, turn["role"]
        if role == "system":
            message, hint = f"Message {number} is a system message.", "Only the first message can be a system message."
        elif index == 0:
            message = f"Message {number} is the assistant's; a conversation starts with the user."
            hint = "Swap the roles, or add the question before it."
        else:
            message = f"Message {number} is the {role}'s, like the one before it; user and assistant take turns."
            hint = "Join two messages of the same speaker, or fix the roles."
        raise _wrong("roles_swapped", message, f"messages[{number - 1}].role", hint)


def _wrong(code: str, message: str, place: str, hint: str) -> AppError:
    return AppError(code, message, hint=hint, where=Where(field=place))
