"""What was said long ago as a summary: which messages it is due for, and what the model is asked for it.

The last `KEEP` exchanges stay as they were said. Older ones, and those that the model had no room for, are summarised
in steps, so that not every question changes what was read before.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.db import Database
from core.db.connection import transaction
from core.events import Changed
from core.inference.engine import GenerateRequest, Sampling
from core.projects.chats import Chat, Message, prompt_rows

KEEP, STEP = 50, 10
NEVER = -1
MOST_TOKENS = 256
INSTRUCTION = (
    "You keep the memory of a conversation. Write one short summary of everything so far: who the user is, what they"
    " want, facts, names and numbers, what was decided, what is still open. Write nothing else."
)
SPEAKERS = {"user": "User", "assistant": "Assistant"}


def due(chat: Chat, messages: Sequence[Message], left_out: int = 0) -> int:
    """The position up to which messages are to be summarised now, 0 for none.

    `left_out` is how many of the oldest messages of `chats.prompt_messages` the last answer had no room for. Who wanted
    the messages themselves gets no other summary (`NEVER`).
    """
    if chat.summary_upto == NEVER:
        return 0
    rows = [(message["role"], position) for message, position in prompt_rows(chat, messages) if position]
    questions = [number for number, (role, _) in enumerate(rows) if role == "user"]
    if left_out > 0:
        later = [number for number in questions if number >= left_out]
        first = later[0] if later else questions[-1] if questions else 0
    elif len(questions) >= KEEP + STEP:
        first = questions[-KEEP]
    else:
        return 0
    return rows[first - 1][1] if first > 0 else 0


def pieces(chat: Chat, messages: Sequence[Message], upto: int, most_characters: int) -> list[tuple[str, int]]:
    """What is to be summarised as text, in pieces that the model has room for, each with its last position.

    A message longer than a piece is cut in its middle.
    """
    out: list[tuple[str, int]] = []
    for message in messages:
        if not chat.summary_upto < message.position <= upto:
            continue
        said = message.asked.strip()
        if not said:
            continue
        said = f"{SPEAKERS.get(message.role, message.role)}: {said}"
        if len(said) > most_characters:
            half = max(1, most_characters // 2 - 3)
            said = f"{said[:half]} […] {said[-half:]}"
        if out and len(out[-1][0]) + len(said) + 2 <= most_characters:
            out[-1] = (f"{out[-1][0]}\n\n{said}", message.position)
        else:
            out.append((said, message.position))
    # The whole of it is summarised with the last piece, rows without words at the end too.
    return [*out[:-1], (out[-1][0], upto)] if out else []


def request(summary: str, piece: str) -> GenerateRequest:
    """What the base is asked: the summary so far with what was said next."""
    before = f"The summary so far:\n{summary}\n\n" if summary else ""
    messages = [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": f"{before}What was said next:\n{piece}\n\nWrite the summary of all of it."},
    ]
    return GenerateRequest(messages, None, Sampling(max_tokens=MOST_TOKENS))


def put(db: Database, chat_id: str, summary: str, upto: int, instead_of: tuple[str, int] | None = None) -> Changed:
    """Keep a summary, "" for none ever again; it does not count as using the chat.

    `instead_of`: nothing happens unless that (summary, upto) is still the one.
    """
    sql = "update chats set summary = ?, summary_upto = ? where id = ?"
    args: list[object] = [summary.strip(), upto if summary.strip() else NEVER, chat_id]
    if instead_of is not None:
        sql += " and summary = ? and summary_upto = ?"
        args += instead_of
    with transaction(db):
        done = db.execute(sql, args).rowcount
    return Changed.CHATS if done else Changed.NOTHING
