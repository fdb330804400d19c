"""What a page shows of an index: its sums, and its files one by one with why each is as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.code_index.seal import total
from core.code_index.state import FileState, IndexState, Stage, file_of


@dataclass(frozen=True)
class Summary:
    """The sums of an index. `languages` are files and bytes of those indexed, by language, the largest first.

    `stages` counts files by state, `left_out` by reason, `errors` by reason; `last_change` is in seconds since 1970,
    None of an index that nothing was written to.
    """

    files: int
    bytes: int
    symbols: int
    chunks: int
    embedded: int
    stages: Mapping[Stage, int]
    left_out: Mapping[str, int]
    errors: Mapping[str, int]
    languages: Mapping[str, tuple[int, int]]
    changed_today: int
    disk_bytes: int
    last_change: float | None
    index_state: str

    @property
    def embedded_share(self) -> float:
        """The share of the chunks that are found by meaning, 0 to 1."""
        return self.embedded / self.chunks if self.chunks else 0.0


def summary(state: IndexState, folder: Path | None = None) -> Summary:
    """The sums of a state; with the folder of the index what it takes on disk."""
    ask = state.db.conn.execute
    total_row = ask(
        "select count(*), coalesce(sum(size), 0), coalesce(sum(symbols), 0), coalesce(sum(chunks), 0),"
        " coalesce(sum(embedded), 0) from files where state in ('lexical', 'embedded')"
    ).fetchone()
    midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    today = ask("select count(*) from files where state != 'left_out' and mtime_ns >= ?", [int(midnight * 1e9)])
    languages = ask(
        "select language, count(*), sum(size) from files where state in ('lexical', 'embedded')"
        " group by language order by sum(size) desc, language"
    )
    return Summary(
        files=total_row[0], bytes=total_row[1], symbols=total_row[2], chunks=total_row[3], embedded=total_row[4],
        stages={Stage(row[0]): row[1] for row in ask("select state, count(*) from files group by state")},
        left_out=_by_reason(state, Stage.LEFT_OUT), errors=_by_reason(state, Stage.ERROR),
        languages={row[0]: (row[1], row[2]) for row in languages}, changed_today=today.fetchone()[0],
        disk_bytes=total(folder) if folder else 0, last_change=state.meta("changed_at"),
        index_state=state.index_state(),
    )  # fmt: skip


def _by_reason(state: IndexState, stage: Stage) -> dict[str, int]:
    rows = state.db.conn.execute(
        "select reason, count(*) from files where state = ? group by reason order by count(*) desc, reason",
        [str(stage)],
    )
    return {row[0]: row[1] for row in rows}


def file_states(
    state: IndexState,
    *,
    stages: tuple[Stage, ...] = (),
    reason: str = "",
    language: str = "",
    search: str = "",
    limit: int = 200,
    offset: int = 0,
) -> tuple[list[FileState], int]:
    """One page of the files, by path, and how many there are in all; `search` is looked for in the path."""
    where, values = ["1"], list[Any]()
    if stages:
        where.append(f"state in ({', '.join('?' * len(stages))})")
        values += map(str, stages)
    for column, value in (("reason", reason), ("language", language)):
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    if search:
        # Not LIKE, which takes _ and % for more than signs.
        where.append("instr(fold(path), fold(?)) > 0")
        values.append(search)
    chosen = " and ".join(where)
    count = state.db.conn.execute(f"select count(*) from files where {chosen}", values).fetchone()[0]
    rows = state.db.conn.execute(
        f"select * from files where {chosen} order by path limit ? offset ?", [*values, limit, offset]
    )
    return [file_of(row) for row in rows], int(count)
