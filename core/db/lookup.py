"""Rows of any table of the user's by their name: what the command palette asks."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database

from core.db.connection import fold


def by_name(db: Database, table: str, title: str, text: str, limit: int, *columns: str) -> list[sqlite3.Row]:
    """At most `limit` rows out of the trash whose column `title` has all words of `text`.

    A row has `title` and `columns`. Those that begin with the first word come first, then the newest.
    """
    words = (fold(text) or "").split()
    if not words:
        return []
    where = " and ".join(["deleted_at is null", *(f"instr(fold({title}), ?)" for _ in words)])
    order = f"instr(fold({title}), ?) = 1 desc, rowid desc"
    sql = f"select {', '.join(('id', title, *columns))} from {table} where {where} order by {order} limit ?"
    return list(db.execute(sql, [*words, words[0], limit]).fetchall())
