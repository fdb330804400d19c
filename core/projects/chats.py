"""Chats and their messages; a question is stored before it is sent, a partial answer is kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from core.db import Database
from core.db.connection import fold, free_name, new_id, now, transaction
from core.errors import AppError
from core.events import Changed
from core.projects.attachments import Attachment, asked

COMPLETE, STOPPED, INTERRUPTED, FAILED = "complete", "stopped", "interrupted", "failed"
SUMMARY_OPENS = "What was said before, in short:"
# In an answer's stats: the system prompt it was given with, which may be another one by now.
PROMPT = "system_prompt"
# And the name of the base that gave it: a chat may go on with another one.
ANSWERED_BY = "base"


@dataclass(frozen=True)
class Chat:
    """One row of `chats`. A prompt that is not pinned follows the adapter: each answers with its own.

    `summary` stands for the messages up to the position `summary_upto`; `branched_from` is the chat it was copied out
    of, where it still exists.
    """

    id: str
    title: str
    base_model_id: str
    artifact_id: str | None
    system_prompt: str
    prompt_pinned: bool
    sampling: Mapping[str, Any]
    created_at: str
    updated_at: str
    pinned: bool = False
    summary: str = ""
    summary_upto: int = 0
    branched_from: str | None = None
    project_id: str | None = None


@dataclass(frozen=True)
class Message:
    """One row of `chat_messages`; `artifact_id` is the adapter that answered, None for the base alone.

    `others` are answers that were given in its place, `place` is its own among all of them, from 0.
    """

    id: str
    chat_id: str
    position: int
    role: str
    content: str
    status: str
    artifact_id: str | None
    stats: Mapping[str, Any]
    others: Sequence[Mapping[str, Any]] = ()
    place: int = 0
    attachments: Sequence[Attachment] = ()

    @property
    def has_words(self) -> bool:
        """Whether anybody answered anything, also one of those side by side."""
        kept = self.stats.get("compared")
        others = kept.get("others", [kept]) if isinstance(kept, Mapping) else []
        return bool(self.content.strip()) or any(str(side.get("content", "")).strip() for side in others)

    @property
    def asked(self) -> str:
        """The content with the files that go with it, as the model gets it."""
        return asked(self.content, self.attachments)

    def all_answers(self) -> list[Mapping[str, Any]]:
        """Every answer given here, oldest first, as the fields that differ."""
        own = {name: getattr(self, name) for name in _ANSWER}
        return [*self.others[: self.place], own, *self.others[self.place :]]


_ANSWER = ("content", "status", "artifact_id", "stats")


def create(
    db: Database,
    base_model_id: str,
    artifact_id: str | None = None,
    system_prompt: str = "",
    sampling: Mapping[str, Any] | None = None,
    *,
    prompt_pinned: bool = False,
    project_id: str | None = None,
) -> Chat:
    """A new, empty chat."""
    ident, moment = new_id(), now()
    with transaction(db):
        db.execute(
            "insert into chats(id, title, base_model_id, artifact_id, system_prompt, prompt_pinned, sampling,"
            " project_id, created_at, updated_at) values(?, 'New chat', ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ident, base_model_id, artifact_id, system_prompt, int(prompt_pinned),
                orjson.dumps(dict(sampling or {})).decode(), project_id, moment, moment,
            ],
        )  # fmt: skip
    return get(db, ident)


def _chat(row: Mapping[str, Any]) -> Chat:
    fields = {key: row[key] for key in Chat.__dataclass_fields__}
    values = {"sampling": orjson.loads(row["sampling"]), "prompt_pinned": bool(row["prompt_pinned"])}
    values["pinned"] = bool(row["pinned"])
    return Chat(**fields | values)


def get(db: Database, chat_id: str) -> Chat:
    """One chat. Raises AppError `no_such_chat`."""
    row = db.execute("select * from chats where id = ?", [chat_id]).fetchone()
    if row is None:
        raise AppError("no_such_chat", "That chat no longer exists.", hint="Look in the trash.")
    return _chat(row)


def listing(db: Database, limit: int = 2_000, search: str = "", project_id: str = "") -> list[Chat]:
    """Pinned ones first, then those used last; `search` looks into titles and messages, `project_id` limits them."""
    where, args = "deleted_at is null and (?2 = '' or project_id = ?2)", ["", project_id]
    if search.strip():
        where += (
            " and (instr(fold(title), ?1) or exists("
            "select 1 from chat_messages m where m.chat_id = chats.id and instr(fold(m.content), ?1)))"
        )
        args[0] = str(fold(search.strip()))
    rows = db.execute(
        f"select * from chats where {where} order by pinned desc, updated_at desc, rowid desc limit {int(limit)}", args
    ).fetchall()
    return [_chat(row) for row in rows]


def last_used(db: Database, project_id: str = "") -> str:
    """The id of the chat that was used last, pinned or not, of a project or of all; empty where there is none."""
    row = db.execute(
        "select id from chats where deleted_at is null and (?1 = '' or project_id = ?1)"
        " order by updated_at desc, rowid desc limit 1",
        [project_id],
    ).fetchone()
    return str(row[0]) if row else ""


def exists(db: Database, chat_id: str) -> bool:
    """Whether the chat is there and not in the trash."""
    return db.execute("select 1 from chats where id = ? and deleted_at is null", [chat_id]).fetchone() is not None


def update(db: Database, chat_id: str, **values: Any) -> Changed:
    """Change title, base_model_id, artifact_id, system_prompt, prompt_pinned, sampling, summary or summary_upto."""
    allowed = {
        "title", "base_model_id", "artifact_id", "system_prompt", "prompt_pinned", "sampling", "summary",
        "summary_upto",
    }  # fmt: skip
    unknown = values.keys() - allowed
    if unknown:
        raise ValueError(f"not columns of a chat: {unknown}")
    if "sampling" in values:
        values["sampling"] = orjson.dumps(dict(values["sampling"])).decode()
    with transaction(db):
        db.execute(
            f"update chats set {', '.join(f'{k} = ?' for k in values)}, updated_at = ? where id = ?",
            [*values.values(), now(), chat_id],
        )
    return Changed.CHATS


def set_pinned(db: Database, chat_id: str, pinned: bool) -> Changed:
    """Keep a chat at the top of the list, or no more; it does not count as used."""
    with transaction(db):
        db.execute("update chats set pinned = ? where id = ?", [int(pinned), chat_id])
    return Changed.CHATS


def messages(db: Database, chat_id: str) -> list[Message]:
    """In order."""
    rows = db.execute("select * from chat_messages where chat_id = ? order by position", [chat_id]).fetchall()
    return [_message(row) for row in rows]


def _message(row: Mapping[str, Any]) -> Message:
    fields = {k: row[k] for k in Message.__dataclass_fields__}
    values = {
        "stats": orjson.loads(row["stats"]), "others": tuple(orjson.loads(row["others"])),
        "attachments": tuple(Attachment(**file) for file in orjson.loads(row["attachments"])),
    }  # fmt: skip
    return Message(**fields | values)


def add_message(
    db: Database,
    chat_id: str,
    role: str,
    content: str,
    *,
    status: str = COMPLETE,
    artifact_id: str | None = None,
    stats: Mapping[str, Any] | None = None,
    attachments: Sequence[Attachment] = (),
) -> Message:
    """Append a message; the first question, or the first file that goes with it, names the chat."""
    ident, moment = new_id(), now()
    with transaction(db):
        row = db.execute(
            "select coalesce(max(position), 0) + 1 as n from chat_messages where chat_id = ?", [chat_id]
        ).fetchone()
        db.execute(
            "insert into chat_messages(id, chat_id, position, role, content, status, artifact_id, stats, attachments,"
            " created_at) values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ident, chat_id, row["n"], role, content, status, artifact_id,
                orjson.dumps(dict(stats or {})).decode(), _dump(attachments), moment,
            ],
        )  # fmt: skip
        if row["n"] == 1 and role == "user":
            title = " ".join(content.split()) or next((file.name for file in attachments), "")
            db.execute(
                "update chats set title = ? where id = ?", [title if len(title) <= 60 else f"{title[:59]}…", chat_id]
            )
        db.execute("update chats set updated_at = ? where id = ?", [moment, chat_id])
        made = db.execute("select * from chat_messages where id = ?", [ident]).fetchone()
    return _message(made)


def _dump(attachments: Sequence[Attachment]) -> str:
    return orjson.dumps([asdict(file) for file in attachments]).decode()


def ask(
    db: Database,
    chat_id: str,
    question: str,
    artifact_id: str | None,
    stats: Mapping[str, Any] | None = None,
    attachments: Sequence[Attachment] = (),
) -> tuple[Message, Message]:
    """Store a question and the place of its answer in one step, before anything is sent.

    The place starts as `interrupted`: whatever ends the program, the row says what is true then.
    """
    with transaction(db):
        question_ = add_message(db, chat_id, "user", question, attachments=attachments)
        answer = add_message(db, chat_id, "assistant", "", status=INTERRUPTED, artifact_id=artifact_id, stats=stats)
    return question_, answer


def ask_again(
    db: Database, message_id: str, artifact_id: str | None, stats: Mapping[str, Any] | None = None
) -> Message:
    """Empty an answer to write another one in its place, maybe by another adapter; the one that was there is kept.

    Raises AppError `no_such_message`.
    """
    found = message(db, message_id)
    before = found.all_answers() if found.has_words else list(found.others)
    fresh = replace(
        found, content="", status=INTERRUPTED, artifact_id=artifact_id, stats=dict(stats or {}), others=tuple(before),
        place=len(before),
    )  # fmt: skip
    write_answer(db, fresh)
    return fresh


def message(db: Database, message_id: str) -> Message:
    """One message. Raises AppError `no_such_message`."""
    row = db.execute("select * from chat_messages where id = ?", [message_id]).fetchone()
    if row is None:
        raise AppError("no_such_message", "That answer no longer exists.", hint="Open the chat again.")
    return _message(row)


def choose_answer(db: Database, message_id: str, place: int) -> Changed:
    """Let another of the answers given there count. Raises AppError `no_such_message`."""
    found = message(db, message_id)
    known = found.all_answers()
    if not 0 <= place < len(known):
        raise AppError("no_such_message", f"There is no answer {place + 1} there.", hint="Open the chat again.")
    others = (*known[:place], *known[place + 1 :])
    return write_answer(db, replace(found, **known[place], others=others, place=place))


def write_answer(db: Database, message: Message) -> Changed:
    """Write an answer as it is now: while it streams, when it ends, or as it was before `ask_again`."""
    with transaction(db):
        db.execute(
            "update chat_messages set content = ?, status = ?, artifact_id = ?, stats = ?, others = ?, place = ?"
            " where id = ?",
            [
                message.content, message.status, message.artifact_id, orjson.dumps(dict(message.stats)).decode(),
                orjson.dumps(list(message.others)).decode(), message.place, message.id,
            ],
        )  # fmt: skip
    return Changed.CHATS


def prompt_messages(chat: Chat, history: Sequence[Message]) -> list[dict[str, str]]:
    """What the engine is asked: the system prompt and the turns that have text, in turn."""
    return [message for message, _ in prompt_rows(chat, history)]


def prompt_rows(chat: Chat, history: Sequence[Message]) -> list[tuple[dict[str, str], int]]:
    """`prompt_messages`, each with the position of the last row that is in it; 0 for the system prompt.

    A question that got no answer because it failed, as one that is too long does, is not asked again with the next.
    """
    system = "\n\n".join(part for part in (chat.system_prompt, _summary(chat)) if part)
    out = [({"role": "system", "content": system}, 0)] if system else []
    vain = {
        asked.id for asked, answer in itertools.pairwise(history)
        if asked.role == "user" and answer.status == FAILED and not answer.content.strip()
    }  # fmt: skip
    for message in history:
        if message.id in vain or message.position <= chat.summary_upto:
            continue
        text = message.asked
        if not text.strip():
            continue
        if out and out[-1][0]["role"] == message.role:
            before = out[-1][0]["content"]
            out[-1] = ({"role": message.role, "content": f"{before}\n\n{text}"}, message.position)
        else:
            out.append(({"role": message.role, "content": text}, message.position))
    return out


def _summary(chat: Chat) -> str:
    return f"{SUMMARY_OPENS}\n{chat.summary}" if chat.summary and chat.summary_upto > 0 else ""


def branch(db: Database, chat_id: str, before: int) -> Chat:
    """A copy of a chat with its messages before that position, to go on from there another way.

    Raises AppError `no_such_chat`.
    """
    chat = get(db, chat_id)
    with transaction(db):
        made = create(
            db, chat.base_model_id, chat.artifact_id, chat.system_prompt, chat.sampling,
            prompt_pinned=chat.prompt_pinned, project_id=chat.project_id,
        )  # fmt: skip
        reached = chat.summary_upto if chat.summary_upto < before else 0
        db.execute(
            "update chats set title = ?, branched_from = ?, summary = ?, summary_upto = ? where id = ?",
            [
                free_name(db, "chats", chat.title, column="title"),
                chat.id,
                chat.summary if reached else "",
                reached,
                made.id,
            ],
        )
        for row in db.execute(
            "select * from chat_messages where chat_id = ? and position < ? order by position", [chat_id, before]
        ).fetchall():
            values = {**dict(row), "id": new_id(), "chat_id": made.id}
            db.execute(
                f"insert into chat_messages({', '.join(values)}) values({', '.join('?' * len(values))})",
                list(values.values()),
            )
    return get(db, made.id)
