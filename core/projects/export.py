"""A chat as a file: Markdown to read, JSON to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.projects.chats import Chat, Message
from core.projects.compared import Compared, Side, compared_of
from core.workspace.files import atomic_write, dump_json

VERSION = 1


def as_markdown(chat: Chat, messages: Sequence[Message], names: Mapping[str, str], base: str) -> str:
    """To read: who said what. `names` are the adapters' by id, `base` is the base's name."""
    lines = [f"# {chat.title}", "", f"Base: {base}"]
    if chat.system_prompt:
        lines += ["", "## System prompt", "", chat.system_prompt]
    if chat.summary:
        lines += ["", "## Summary of the older messages", "", chat.summary]
    for message in messages:
        for who, text in _sides(message, names, base):
            lines += ["", f"## {who}", "", text.strip() or "(no answer)"]
    return "\n".join(lines) + "\n"


def as_json(chat: Chat, messages: Sequence[Message], names: Mapping[str, str], base: str) -> dict[str, Any]:
    """To use: messages with role and content, the adapter that answered, how it ended, and answers in its place."""
    return {
        "version": VERSION, "title": chat.title, "base": base, "system_prompt": chat.system_prompt,
        "summary": chat.summary, "summary_upto": chat.summary_upto, "sampling": dict(chat.sampling),
        "created_at": chat.created_at, "updated_at": chat.updated_at,
        "messages": [
            {
                "role": message.role,
                "attachments": [asdict(file) for file in message.attachments],
                **_answer(vars(_named(message)), names),
                "others": [_answer(other, names) for other in message.others],
            }
            for message in messages
        ],
    }  # fmt: skip


def _named(message: Message) -> Message:
    """Without what tells who is who, while nobody is to know."""
    shown = compared_of(message)
    if shown is None or not shown.blind:
        return message
    sides = tuple(Side(None, side.content, side.status) for side in shown.sides)
    return Compared(sides, shown.place, blind=True).put_into(message)


def _answer(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "content": fields["content"], "status": fields["status"], "adapter": names.get(fields["artifact_id"] or ""),
        "stats": dict(fields["stats"]),
    }  # fmt: skip


def write(path: Path, chat: Chat, messages: Sequence[Message], names: Mapping[str, str], base: str) -> None:
    """JSON for a file whose name says so, else Markdown; whole or not at all. Raises AppError `file_error`."""
    if path.suffix.lower() == ".json":
        atomic_write(path, dump_json(as_json(chat, messages, names, base)))
    else:
        atomic_write(path, as_markdown(chat, messages, names, base).encode())


def _sides(message: Message, names: Mapping[str, str], base: str) -> list[tuple[str, str]]:
    if message.role == "user":
        return [("You", message.asked)]
    shown = compared_of(message)
    if shown is not None and shown.blind:
        return [(f"Answer {number}", side.content) for number, side in enumerate(shown.sides, start=1)]
    sides = [(side.artifact_id, side.content) for side in shown.sides] if shown else []
    return [
        (names.get(who, "Unknown adapter") if who else base, text)
        for who, text in sides or [(message.artifact_id, message.content)]
    ]
