"""Answers that are worth training on: kept as they were given, or in better words, and made into a dataset.

A correction is a copy of the conversation up to that answer: it stays as it is whatever becomes of the chat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from core.db import Database
from core.db.connection import fold, new_id, now, transaction
from core.errors import AppError, Where
from core.events import Changed
from core.projects import chats
from core.projects.chats import Message
from core.workspace.files import atomic_write


@dataclass(frozen=True)
class Correction:
    """One row of `corrections`; `messages` end with the question, `original` is the answer as it was given."""

    id: str
    title: str
    system_prompt: str
    messages: Sequence[Mapping[str, str]]
    original: str
    answer: str
    chat_id: str | None
    message_id: str | None
    base_model_id: str | None
    artifact_id: str | None
    dataset_name: str
    created_at: str
    updated_at: str

    @property
    def corrected(self) -> bool:
        """Whether the words are others than the model's."""
        return self.answer != self.original

    def row(self) -> dict[str, Any]:
        """As a row of a dataset: only the last answer trains."""
        said = [
            {**message, "weight": 0} if message["role"] == "assistant" else dict(message) for message in self.messages
        ]
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        return {"id": self.id, "messages": [*system, *said, {"role": "assistant", "content": self.answer, "weight": 1}]}


_COLUMNS = tuple(Correction.__dataclass_fields__)


def _value(row: Mapping[str, Any]) -> Correction:
    found = Correction(**{name: row[name] for name in _COLUMNS})
    return replace(found, messages=tuple(orjson.loads(row["messages"])))


def keep(db: Database, message_id: str, answer: str | None = None) -> tuple[Changed, Correction]:
    """Keep an answer, in other words if `answer` gives some; one that is kept already is changed.

    Raises AppError `no_such_message`, or `empty_content`.
    """
    found = chats.message(db, message_id)
    chat = chats.get(db, found.chat_id)
    text = (found.content if answer is None else answer).strip()
    if not text:
        raise AppError("empty_content", "The answer would be empty.", hint="Write what the answer should have been.",
                       where=Where(field="answer"))  # fmt: skip
    before = [m for m in chats.messages(db, chat.id) if m.position < found.position]
    said = chats.prompt_messages(replace(chat, system_prompt="", summary="", summary_upto=0), before)
    stamp = now()
    values = {
        "id": new_id(), "title": _title(before, chat.title),
        "system_prompt": str(found.stats.get(chats.PROMPT, chat.system_prompt)),
        "messages": orjson.dumps(said).decode(), "words": _words(said, text), "original": found.content.strip(),
        "answer": text, "chat_id": chat.id, "message_id": message_id, "base_model_id": chat.base_model_id,
        "artifact_id": found.artifact_id, "dataset_name": "", "created_at": stamp, "updated_at": stamp,
    }  # fmt: skip
    with transaction(db):
        there = of_answer(db, message_id, found.content)
        if there is not None:
            values |= {"id": there.id, "created_at": there.created_at, "dataset_name": there.dataset_name}
            db.execute("delete from corrections where id = ?", [there.id])
        db.execute(
            f"insert into corrections({', '.join(values)}) values({', '.join('?' * len(values))})",
            list(values.values()),
        )
    return Changed.DATASETS | Changed.CHATS, get(db, str(values["id"]))


def _words(said: Sequence[Mapping[str, str]], answer: str) -> str:
    """What the search looks into."""
    return fold("\n".join([*(message["content"] for message in said), answer])) or ""


def _title(before: Sequence[Message], fallback: str) -> str:
    text = " ".join(next((m.content for m in reversed(before) if m.role == "user"), "").split()) or fallback
    return text if len(text) <= 80 else f"{text[:79]}…"


def get(db: Database, ident: str) -> Correction:
    """One correction. Raises AppError `no_such_correction`."""
    row = db.execute("select * from corrections where id = ?", [ident]).fetchone()
    if row is None:
        raise AppError("no_such_correction", "That answer is no longer kept.", hint="Refresh the list.")
    return _value(row)


def of_answer(db: Database, message_id: str, content: str) -> Correction | None:
    """What is kept of an answer; another one given in its place is another one."""
    row = db.execute(
        "select * from corrections where message_id = ? and original = ? and deleted_at is null",
        [message_id, content.strip()],
    ).fetchone()
    return _value(row) if row else None


def of_chat(db: Database, chat_id: str) -> dict[tuple[str, str], Correction]:
    """What is kept of a chat's answers, by message and the words it had."""
    rows = db.execute("select * from corrections where chat_id = ? and deleted_at is null", [chat_id]).fetchall()
    return {(str(row["message_id"]), str(row["original"])): _value(row) for row in rows}


def listing(db: Database, search: str = "") -> list[Correction]:
    """Newest first, without their conversations, which can be long; `search` looks into everything that was said."""
    where, args = "deleted_at is null", []
    if search.strip():
        where += " and instr(words, ?1)"
        args.append(fold(search.strip()))
    columns = ", ".join("'[]' as messages" if name == "messages" else name for name in _COLUMNS)
    rows = db.execute(
        f"select {columns} from corrections where {where} order by created_at desc, rowid desc", args
    ).fetchall()
    return [_value(row) for row in rows]


def whole(db: Database, idents: Iterable[str]) -> list[Correction]:
    """These with their conversations, oldest first."""
    rows = db.execute(
        "select * from corrections where id in (select value from json_each(?)) order by created_at, rowid",
        [orjson.dumps(list(idents)).decode()],
    ).fetchall()
    return [_value(row) for row in rows]


def count(db: Database) -> int:
    """How many are kept."""
    return int(db.execute("select count(*) from corrections where deleted_at is null").fetchone()[0])


def rewrite(db: Database, ident: str, answer: str) -> Changed:
    """Other words. Raises AppError `empty_content`."""
    if not answer.strip():
        raise AppError("empty_content", "The answer would be empty.", hint="Write what the answer should have been.",
                       where=Where(field="answer"))  # fmt: skip
    with transaction(db):
        words = _words(get(db, ident).messages, answer)
        db.execute(
            "update corrections set answer = ?, words = ?, updated_at = ? where id = ?",
            [answer.strip(), words, now(), ident],
        )
    return Changed.DATASETS | Changed.CHATS


def write_file(path: Path, found: Iterable[Correction]) -> int:
    """Write them as JSONL of chat messages, whole or not at all; returns how many. Raises AppError `file_error`."""
    lines = [orjson.dumps(correction.row()) for correction in found]
    atomic_write(path, b"\n".join(lines) + b"\n")
    return len(lines)


def note_dataset(db: Database, idents: Iterable[str], name: str) -> Changed:
    """Remember which dataset they went into last."""
    with transaction(db):
        db.execute(
            "update corrections set dataset_name = ? where id in (select value from json_each(?))",
            [name, orjson.dumps(list(idents)).decode()],
        )
    return Changed.DATASETS
