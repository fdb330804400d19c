"""Rows of any table of the user's by their name: what the command palette asks."""

from __future__ import annotations

import sqlite3

from core.db import Database
from core.db.connection import fold


def folded(column: str) -> str:
    """SQL for `fold(column)` that calls Python only for texts that need it.

    Python's `fold` for each of 20,000 rows holds the window up, since only one thread runs Python at a time.
    """
    return f"case when length({column}) = length(cast({column} as blob)) then lower({column}) else fold({column}) end"


def by_name(db: Database, table: str, title: str, text: str, limit: int, *columns: str) -> list[sqlite3.Row]:
    """At most `limit` rows out of the trash whose column `title` has all words of `text`.

    A row has `title` and `columns`. Those that begin with the first word come first, then the newest.
    """
    words = (fold(text) or "").split()
    if not words:
        return []
    # No index helps to look inside names, and one of rows out of the trash would be walked row by row.
    name = folded(title)
    where = " and ".join(["deleted_at is null", *(f"instr({name}, ?)" for _ in words)])
    order = f"instr({name}, ?) = 1 desc, rowid desc"
    sql = f"select {', '.join(('id', title, *columns))} from {table} not indexed where {where} order by {order} limit ?"
    return list(db.execute(sql, [*words, words[0], limit]).fetchall())
