"""The trash: delete and restore, purge what nothing uses, sweep folders that no row names."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from core.db import Database
from core.db.connection import now, transaction
from core.errors import AppError
from core.events import Changed
from core.workspace.files import sweep_temporary
from core.workspace.paths import HUB, QUANTISED, Workspace, models_cache


@dataclass(frozen=True)
class Use:
    """Rows that hold on to another: `sql` gives their names, `deleted` 1 when they are in the trash themselves."""

    sql: str
    noun: str


@dataclass(frozen=True)
class Kind:
    """One table of the user's. `stays` is SQL for the names of what was made of a row elsewhere and outlives it."""

    table: str
    noun: str
    label: str
    changed: Changed
    uses: tuple[Use, ...] = ()
    folder: str = ""
    extra: tuple[str, ...] = ()
    conflict: str = field(default="name")
    stays: str = field(default="null")


_ADAPTERS = "select name, deleted_at is not null as deleted from model_artifacts where {} = ?"
_RUNS = "select name, deleted_at is not null as deleted from training_jobs where {} = ?"
_CHATS = "select title as name, deleted_at is not null as deleted from chats where {} = ?"
_JOBS = Use(
    "select title as name, 0 as deleted from jobs where status in ('queued', 'initializing', 'running')"
    " and deleted_at is null and instr(params, ?) > 0", "job",
)  # fmt: skip
_INDEXES = "jobs.kind = 'index_project' and json_extract(jobs.params, '$.project.id') = {}"
_BY_CONVERSATIONS = "select title as name, deleted_at is not null as deleted from conversations where {} = ?"


def _scaffolding(table: str, noun: str, column: str) -> Kind:
    uses = (Use(_BY_CONVERSATIONS.format(column), "conversation"),)
    return Kind(table, noun, "name", Changed.SCAFFOLDING, uses, conflict="key")


_MEMBER = (
    "select f.name, f.deleted_at is not null as deleted from training_file_conversations m"
    " join training_files f on f.id = m.training_file_id where m.conversation_id = ?"
)
_DATASETS = "select name, deleted_at is not null as deleted from datasets where {} = ?"

KINDS: dict[str, Kind] = {
    kind.table: kind
    for kind in (
        Kind(
            "conversations", "conversation", "title", Changed.CONVERSATIONS, (Use(_MEMBER, "training file"),),
            folder="conversations", conflict="content",
        ),
        Kind(
            "training_files", "training file", "name", Changed.TRAINING_FILES,
            (Use(_DATASETS.format("training_file_id"), "dataset"),), folder="training_files",
        ),
        Kind(
            "datasets", "dataset", "name", Changed.DATASETS,
            (Use(_RUNS.format("dataset_id"), "training run"), Use(_ADAPTERS.format("dataset_id"), "adapter")),
            folder="datasets",
        ),
        Kind(
            "training_jobs", "training run", "name", Changed.JOBS | Changed.METRICS,
            (Use(_ADAPTERS.format("training_job_id"), "adapter"),), folder="runs",
            extra=("delete from jobs where id = ?",),
        ),
        Kind(
            "model_artifacts", "adapter", "name", Changed.ADAPTERS,
            (Use(_CHATS.format("artifact_id"), "chat"),), folder="adapters",
            extra=("update training_jobs set artifact_id = null where artifact_id = ?",),
            stays="(select group_concat(distinct name) from ollama_shares where artifact_id = model_artifacts.id)",
        ),
        Kind(
            "base_models", "base model", "name", Changed.MODELS,
            (
                Use(_ADAPTERS.format("base_model_id"), "adapter"), Use(_RUNS.format("base_model_id"), "training run"),
                Use(_CHATS.format("base_model_id"), "chat"),
            ), conflict="folder",
        ),
        Kind("chats", "chat", "title", Changed.CHATS),
        # Its chats stay, as chats without a project.
        Kind(
            "projects", "project", "name", Changed.PROJECTS | Changed.JOBS, folder="projects",
            extra=(f"delete from jobs where deleted_at is not null and {_INDEXES.format('?')}",),
            conflict="name or folder",
        ),
        Kind("corrections", "kept answer", "title", Changed.DATASETS | Changed.CHATS, conflict="answer"),
        Kind(
            "batch_jobs", "batch", "name", Changed.GENERATION | Changed.JOBS, folder="runs",
            extra=("delete from jobs where id = ?",),
        ),
        _scaffolding("personas", "persona", "persona_id"),
        _scaffolding("emotional_arcs", "emotional arc", "emotional_arc_id"),
        _scaffolding("training_topics", "training topic", "training_topic_id"),
        _scaffolding("prompt_templates", "prompt template", "template_id"),
    )
}  # fmt: skip


# Their rows have the ids of their jobs.
_ARE_JOBS = ("training_jobs", "batch_jobs")
# Which jobs go where a row goes. Of a project those that rest or wait: what is done says how quick the machine is.
_FOLLOW = dict.fromkeys(_ARE_JOBS, "jobs.id = t.id") | {
    "projects": _INDEXES.format("t.id")
    + " and jobs.status in ('queued', 'paused', 'interrupted', 'cancelled', 'failed')"
}


@dataclass(frozen=True)
class Trashed:
    """One thing in the trash. `stays` names what was made of it in Ollama, which is not deleted with it."""

    table: str
    id: str
    noun: str
    label: str
    deleted_at: str
    stays: str = ""


def _kind(table: str) -> Kind:
    if table not in KINDS:
        raise AppError("unknown_table", f"There is no trash for {table!r}.", hint="Known: " + ", ".join(KINDS) + ".")
    return KINDS[table]


def delete(db: Database, table: str, ids: Sequence[str]) -> Changed:
    """Put rows into the trash; their files stay. Raises AppError `job_active` for a run that is running."""
    kind = _kind(table)
    with transaction(db):
        if table in _ARE_JOBS:
            _refuse_active(db, ids)
        done = db.execute(
            f"update {table} set deleted_at = ? where deleted_at is null and id in (select value from json_each(?))",
            [now(), orjson.dumps(list(ids)).decode()],
        ).rowcount
        _follow(db, table, ids)
    return kind.changed if done else Changed.NOTHING


def _follow(db: Database, table: str, ids: Sequence[str]) -> None:
    """A run's job goes where the run goes, or it could be resumed, and paid for, out of the trash."""
    if table not in _FOLLOW:
        return
    db.execute(
        f"update jobs set deleted_at = t.deleted_at from {table} t"
        f" where {_FOLLOW[table]} and t.id in (select value from json_each(?))",
        [orjson.dumps(list(ids)).decode()],
    )


def _refuse_active(db: Database, ids: Sequence[str]) -> None:
    row = db.execute(
        "select title from jobs where status in ('queued', 'initializing', 'running')"
        " and id in (select value from json_each(?))",
        [orjson.dumps(list(ids)).decode()],
    ).fetchone()
    if row is not None:
        raise AppError("job_active", f"“{row['title']}” is running.", hint="Stop it first, then delete it.")


def restore(db: Database, table: str, ids: Sequence[str]) -> Changed:
    """Take rows out of the trash, all of them or none. Raises AppError `restore_conflict` naming the first."""
    kind = _kind(table)
    done = 0
    with transaction(db):
        for ident in ids:
            try:
                done += db.execute(
                    f"update {table} set deleted_at = null where deleted_at is not null and id = ?", [ident]
                ).rowcount
            except sqlite3.IntegrityError as exc:
                raise AppError(
                    "restore_conflict",
                    f"The {kind.noun} “{_label(db, kind, ident)}” can't be restored: another {kind.noun} with the same"
                    f" {kind.conflict} exists now.",
                    hint="Delete or rename the other one first.",
                    detail=repr(exc),
                ) from exc
        _follow(db, table, ids)
    return kind.changed if done else Changed.NOTHING


def _label(db: Database, kind: Kind, ident: str) -> str:
    row = db.execute(f"select {kind.label} from {kind.table} where id = ?", [ident]).fetchone()
    return str(row[0]) if row else ident


def listing(db: Database, table: str = "", *, limit: int = 1_000) -> list[Trashed]:
    """What is in the trash, last deleted first; of one table or of all."""
    out: list[Trashed] = []
    for kind in [_kind(table)] if table else KINDS.values():
        sql = (
            f"select id, {kind.label} as label, deleted_at, {kind.stays} as stays from {kind.table}"
            " where deleted_at is not null order by deleted_at desc limit ?"
        )
        rows = db.execute(sql, [limit]).fetchall()
        out += [
            Trashed(kind.table, row["id"], kind.noun, row["label"], row["deleted_at"], row["stays"] or "")
            for row in rows
        ]
    return sorted(out, key=lambda item: item.deleted_at, reverse=True)[:limit]


def used_by(db: Database, table: str, ident: str) -> list[str]:
    """What keeps a row from being purged, in words: "the training run Spring (in the trash)"."""
    out = []
    for use in (*_kind(table).uses, _JOBS):
        for row in db.execute(use.sql + " limit 20", [ident]).fetchall():
            out.append(f"the {use.noun} “{row['name']}”" + (" (in the trash)" if row["deleted"] else ""))
    return out


def purge(db: Database, workspace: Workspace, table: str, ids: Sequence[str]) -> Changed:
    """Delete rows of the trash and their files for good, all or none. Raises AppError `in_use` naming who uses one.

    Of a base model, what was downloaded or quantised here goes with the last workspace that has it; a folder that the
    user added stays.
    """
    kind = _kind(table)
    folders = []
    bases = []
    with transaction(db):
        for ident in ids:
            row = db.execute(f"select * from {table} where id = ? and deleted_at is not null", [ident]).fetchone()
            if row is None:
                continue
            if users := used_by(db, table, ident):
                raise AppError(
                    "in_use",
                    f"The {kind.noun} “{row[kind.label]}” can't be permanently deleted. "
                    f"It is used by {', '.join(users)}.",
                    hint="Permanently delete what uses it first, or leave it in the trash.",
                )
            db.execute(f"delete from {table} where id = ?", [ident])
            for sql in kind.extra:
                db.execute(sql, [ident])
            folders.append(ident)
            bases += [Path(row["path"])] if table == "base_models" else []
    # After the commit: a folder that outlives its row is swept, a row without its folder would be a fault.
    for ident in folders if kind.folder else ():
        shutil.rmtree(workspace.root / kind.folder / ident, ignore_errors=True)
    for view in bases:
        _release_base(view)
    return kind.changed if folders else Changed.NOTHING


def _release_base(view: Path) -> None:
    """Remove a base's folder of links, and what they lead to if that is ours and no other workspace's base needs it.

    Every base that was added, in whatever workspace, has a folder of links in the models folder that names its source.
    """
    cache = models_cache().resolve()
    source = _source_of(view)
    if source is None or view.resolve().parent != cache:
        return
    shutil.rmtree(view, ignore_errors=True)
    ours = source.parent in (cache / HUB, cache / QUANTISED)
    if ours and not any(_source_of(other) == source for other in cache.iterdir()):
        shutil.rmtree(source, ignore_errors=True)


def _source_of(view: Path) -> Path | None:
    """Where the links of a base's folder lead; None for a folder that is none."""
    try:
        return Path(orjson.loads((view / "source.json").read_bytes())["source"]).resolve()
    except (OSError, ValueError, LookupError, TypeError):
        return None


def purge_all(db: Database, workspace: Workspace) -> tuple[Changed, list[AppError]]:
    """Empty the trash as far as nothing uses it; the errors name what stays and why."""
    changed = Changed.NOTHING
    order = ["chats", "model_artifacts", "training_jobs", "datasets", "training_files", "conversations"]
    errors: list[AppError] = []
    for table in [*order, *(name for name in KINDS if name not in order)]:
        for item in listing(db, table, limit=1_000_000):
            try:
                changed |= purge(db, workspace, table, [item.id])
            except AppError as error:
                errors.append(error)
    return changed, errors


def sweep(db: Database, workspace: Workspace) -> list[Path]:
    """Remove leftovers of interrupted writes and folders no row names; returns what was removed.

    For start-up, after jobs were recovered. While a job is under way nothing is removed.
    """
    if db.execute("select 1 from jobs where status in ('initializing', 'running')").fetchone():
        return []
    gone: list[Path] = []
    for table in ("conversations", "training_files", "datasets", "model_artifacts", "projects"):
        folder = workspace.root / KINDS[table].folder
        if not folder.is_dir():
            continue
        gone += sweep_temporary(folder)
        named = {str(row[0]) for row in db.execute(f"select id from {table}").fetchall()}
        if table == "model_artifacts":
            named |= {Path(row[0]).name for row in db.execute("select path from model_artifacts").fetchall()}
        gone += _remove(path for path in folder.iterdir() if path.is_dir() and path.name not in named)
    for folder in workspace.runs.iterdir() if workspace.runs.is_dir() else ():
        gone += sweep_temporary(folder)
    gone += _sweep_inside(db, workspace)
    return gone


def _sweep_inside(db: Database, workspace: Workspace) -> list[Path]:
    """Leftovers one level down: half-written files of conversations, versions of training files without a row."""
    gone: list[Path] = []
    for folder in workspace.conversations.iterdir() if workspace.conversations.is_dir() else ():
        gone += sweep_temporary(folder)
    rows = db.execute("select json_file_path from training_file_versions").fetchall()
    versions = {workspace.absolute(row[0]).parent for row in rows}
    for folder in workspace.training_files.iterdir() if workspace.training_files.is_dir() else ():
        gone += sweep_temporary(folder)
        children = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        if any(path in versions for path in children):
            gone += _remove(path for path in children if path not in versions)
    return gone


def _remove(paths: Iterable[Path]) -> list[Path]:
    gone = []
    for path in list(paths):
        shutil.rmtree(path, ignore_errors=True)
        gone.append(path)
    return gone
