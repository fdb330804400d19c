"""Rows of `datasets`, and paging through a dataset's conversations."""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from core.datasets.build import INDEX
from core.db import Database, connection
from core.db.connection import fold, free_name, now, transaction
from core.errors import AppError
from core.events import Changed
from core.reading.report import ImportItem
from core.workspace.files import disk_error
from core.workspace.paths import Workspace

_JSON = ("counts", "stats", "sample", "validation_errors")
_ORDERS = (
    "created_at", "name", "format", "total_conversations", "total_training_pairs", "total_validation_pairs",
    "total_tokens", "file_size", "status",
)  # fmt: skip


class DatasetStatus(StrEnum):
    """States of a dataset. What is under way is a job; its row appears once the files are complete."""

    UPLOADING = "uploading"
    VALIDATING = "validating"
    READY = "ready"
    ERROR = "error"


@dataclass(frozen=True)
class Dataset:
    """One row of `datasets`. Token figures are None where no base model could count them."""

    id: str
    name: str
    format: str
    source_path: str
    training_file_id: str | None
    training_file_version: int | None
    file_path: str | None
    file_size: int
    content_hash: str | None
    status: DatasetStatus
    training_ready: bool
    total_conversations: int
    total_validation_conversations: int
    total_training_pairs: int
    total_validation_pairs: int
    total_tokens: int | None
    average_tokens: float | None
    max_tokens: int | None
    counts: Mapping[str, int]
    stats: Mapping[str, Any]
    sample: list[dict[str, Any]]
    validation_errors: list[dict[str, Any]]
    system_prompt: str
    created_at: str
    updated_at: str

    @property
    def usable(self) -> bool:
        """Whether it can be trained on."""
        return self.status is DatasetStatus.READY and self.training_ready


def by_content(db: Database, workspace: Workspace, content_hash: str) -> str | None:
    """The id of a dataset with that content that can be trained on, is not in the trash, and whose files are there."""
    rows = db.execute(
        "select id, file_path from datasets where content_hash = ? and status = 'ready' and training_ready = 1"
        " and deleted_at is null order by created_at", [content_hash],
    ).fetchall()  # fmt: skip
    return next((str(row["id"]) for row in rows if workspace.absolute(row["file_path"]).exists()), None)


def _value(row: Mapping[str, Any]) -> Dataset:
    values = {name: row[name] for name in Dataset.__dataclass_fields__}
    values |= {name: orjson.loads(values[name]) for name in _JSON}
    values["status"] = DatasetStatus(values["status"])
    values["training_ready"] = bool(values["training_ready"])
    return Dataset(**values)


def _where(search: str, usable_only: bool) -> tuple[str, list[Any]]:
    where, args = ["deleted_at is null"], list[Any]()
    if search.strip():
        where.append("instr(fold(name), ?)")
        args.append(fold(search.strip()))
    if usable_only:
        where.append("status = 'ready' and training_ready = 1")
    return " and ".join(where), args


def listing(
    db: Database, *, search: str = "", usable_only: bool = False, order_by: str = "created_at",
    descending: bool = True, limit: int = 100, offset: int = 0,
) -> list[Dataset]:  # fmt: skip
    """A page of datasets, newest first by default."""
    where, args = _where(search, usable_only)
    order = order_by if order_by in _ORDERS else "created_at"
    direction = "desc" if descending else "asc"
    sql = f"select * from datasets where {where} order by {order} {direction}, id limit ? offset ?"
    return [_value(row) for row in db.execute(sql, [*args, limit, offset]).fetchall()]


def count(db: Database, *, search: str = "", usable_only: bool = False) -> int:
    """How many `listing` would give without paging."""
    where, args = _where(search, usable_only)
    return int(db.execute(f"select count(*) from datasets where {where}", args).fetchone()[0])


def get(db: Database, dataset_id: str) -> Dataset:
    """One dataset, also one in the trash. Raises AppError `no_such_dataset`."""
    row = db.execute("select * from datasets where id = ?", [dataset_id]).fetchone()
    if row is None:
        raise AppError(
            "no_such_dataset", "That dataset is not in this workspace.", hint="It may have been permanently deleted."
        )
    return _value(row)


def unique_name(db: Database, wanted: str, taken: frozenset[str] = frozenset()) -> str:
    """`wanted`, with a number appended when a dataset of that name exists."""
    return free_name(db, "datasets", " ".join(wanted.split()) or "Dataset", taken)


def rename(db: Database, dataset_id: str, name: str) -> Changed:
    """Give it another name. Raises AppError `name_missing` or `name_taken`."""
    text = " ".join(name.split())
    if not text:
        raise AppError("name_missing", "The dataset has no name.", hint="Enter a name.")
    with transaction(db):
        taken = "select 1 from datasets where name = ? and id <> ? and deleted_at is null"
        if db.execute(taken, [text, dataset_id]).fetchone():
            raise AppError("name_taken", f"There is already a dataset named {text}.", hint="Choose another name.")
        db.execute("update datasets set name = ?, updated_at = ? where id = ?", [text, now(), dataset_id])
    return Changed.DATASETS


def upsert(db: Database, row: Mapping[str, Any]) -> Changed:
    """Insert or replace by id; called with the row a worker reported."""
    stamp = now()
    values = {k: orjson.dumps(v).decode() if k in _JSON else v for k, v in row.items()}
    values |= {"created_at": stamp, "updated_at": stamp}
    connection.upsert(db, "datasets", values)
    return Changed.DATASETS


def problems(db: Database, dataset: Dataset, *, limit: int = 500) -> list[ImportItem]:
    """What was left out of it and why: lines of the report of the import or build that made it."""
    made_by = (
        "select job_id, file from import_items where target = ?1 and code = 'dataset'"
        " union select i.job_id, i.file from import_items i join jobs j on j.id = i.job_id"
        " where j.kind = 'build_dataset' and json_extract(j.result, '$.dataset_id') = ?1"
    )
    sql = (
        f"select * from import_items where outcome <> 'used' and (job_id, file) in ({made_by}) order by job_id, seq"
        " limit ?2"
    )
    names = ImportItem.__dataclass_fields__
    rows = db.execute(sql, [dataset.id, limit]).fetchall()
    own = [_own_problem(dataset, n, error) for n, error in enumerate(dataset.validation_errors, start=1)]
    known = {(item.line, item.field, item.code) for item in own}
    reported = [ImportItem(**{name: row[name] for name in names}) for row in rows]
    return [*own, *(item for item in reported if (item.line, item.field, item.code) not in known)][:limit]


def _own_problem(dataset: Dataset, number: int, error: Mapping[str, Any]) -> ImportItem:
    words = {name: str(error.get(name, "")) for name in ("field", "code", "message", "hint")}
    return ImportItem(
        seq=-number, file=dataset.source_path, line=int(error.get("line") or 0), outcome="rejected", target="", **words
    )


def data_path(workspace: Workspace, dataset: Dataset) -> Path:
    """The file data.jsonl. Raises AppError `dataset_missing` when it is gone."""
    path = workspace.absolute(dataset.file_path) if dataset.file_path else None
    if path is None or not path.exists():
        raise AppError(
            "dataset_missing",
            f"The file of the dataset {dataset.name} is missing.",
            hint="Restore the workspace from a backup, or build or import the dataset again.",
            action="page:datasets",
        )
    return path


def rows(
    workspace: Workspace, dataset: Dataset, *, split: str = "", offset: int = 0, limit: int = 50
) -> list[dict[str, Any]]:
    """A page of conversations as they are on disk; `split` is "train", "validation" or empty for both."""
    path = data_path(workspace, dataset)
    out = []
    try:
        index = path.with_name(INDEX)
        starts = _starts(index, split, offset, limit) if index.exists() else _scan(path, split)[offset : offset + limit]
        with path.open("rb") as handle:
            for start in starts:
                handle.seek(start)
                out.append(orjson.loads(handle.readline()))
    except OSError as exc:
        raise disk_error(exc, path) from exc
    return out


def _starts(index: Path, split: str, offset: int, limit: int) -> list[int]:
    entries: array[int] = array("Q")
    with index.open("rb") as handle:
        if not split:
            handle.seek(offset * entries.itemsize)
            entries.frombytes(handle.read(limit * entries.itemsize))
            return [entry >> 1 for entry in entries]
        entries.frombytes(handle.read(os.fstat(handle.fileno()).st_size))
    wanted = int(split == "validation")
    return [entry >> 1 for entry in entries if entry & 1 == wanted][offset : offset + limit]


def _scan(path: Path, split: str) -> list[int]:
    """Where rows start, for a file that came without its index."""
    starts, at = [], 0
    with path.open("rb") as handle:
        for line in handle:
            if not split or orjson.loads(line)["split"] == split:
                starts.append(at)
            at += len(line)
    return starts
