"""What was said long ago as a summary: which messages it is due for, and what the model is asked for it.

The last `KEEP` exchanges stay as they were said. Older ones, and those that the model had no room for, are summarised
in steps, so that not every question changes what was read before.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlite_utils import Database

from core.db.connection import transaction
from core.events import Changed
from core.inference.engine import GenerateRequest, Sampling
from core.projects.chats import Chat, Message

KEEP, STEP = 50, 10
MOST_TOKENS = 256
INSTRUCTION = (
    "You keep the memory of a conversation. Write one short summary of everything so far: who the user is, what they"
    " want, facts, names and numbers, what was decided, what is still open. Write nothing else."
)
SPEAKERS = {"user": "User", "assistant": "Assistant"}


def due(chat: Chat, messages: Sequence[Message], left_out: int = 0) -> int:
    """The position up to which messages are to be summarised now, 0 for none.

    `left_out` is how many of the oldest messages the last answer had no room for.
    """
    rest = [message for message in messages if message.position > chat.summary_upto]
    questions = [number for number, message in enumerate(rest) if message.role == "user"]
    if left_out > 0:
        later = [number for number in questions if number >= left_out]
        first = later[0] if later else questions[-1] if questions else 0
    elif len(questions) >= KEEP + STEP:
        first = questions[-KEEP]
    else:
        return 0
    return rest[first - 1].position if first > 0 else 0


def pieces(chat: Chat, messages: Sequence[Message], upto: int, most_characters: int) -> list[str]:
    """What is to be summarised as text, in pieces that the model has room for; a message longer than one is cut."""
    out: list[str] = []
    for message in messages:
        if not chat.summary_upto < message.position <= upto or not message.asked.strip():
            continue
        said = f"{SPEAKERS.get(message.role, message.role)}: {message.asked.strip()}"
        if len(said) > most_characters:
            half = max(1, most_characters // 2 - 3)
            said = f"{said[:half]} […] {said[-half:]}"
        if out and len(out[-1]) + len(said) + 2 <= most_characters:
            out[-1] = f"{out[-1]}\n\n{said}"
        else:
            out.append(said)
    return out


def request(summary: str, piece: str) -> GenerateRequest:
    """What the base is asked: the summary so far with what was said next."""
    before = f"The summary so far:\n{summary}\n\n" if summary else ""
    messages = [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": f"{before}What was said next:\n{piece}\n\nWrite the summary of all of it."},
    ]
    return GenerateRequest(messages, None, Sampling(max_tokens=MOST_TOKENS))


def put(db: Database, chat_id: str, summary: str, upto: int, instead_of: int | None = None) -> Changed:
    """Keep a summary; it does not count as using the chat. Nothing happens if another one was kept meanwhile."""
    sql = "update chats set summary = ?, summary_upto = ? where id = ?"
    args: list[object] = [summary.strip(), upto if summary.strip() else 0, chat_id]
    if instead_of is not None:
        sql += " and summary_upto = ?"
        args.append(instead_of)
    with transaction(db):
        done = db.execute(sql, args).rowcount
    return Changed.CHATS if done else Changed.NOTHING
