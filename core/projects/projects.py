"""Projects as rows: a folder of code, the adapter that was trained on it, and where the user left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.db import Database
from core.db.connection import free_name, new_id, now, transaction
from core.errors import AppError, Where
from core.events import Changed
from core.workspace.paths import Workspace

LONGEST_NAME = 120


@dataclass(frozen=True)
class Project:
    """One row of `projects`. `root` is the absolute path of its folder.

    `embedder` names the model that its code is embedded with, empty for the workspace's. `summary` is its index as it
    was last seen, `state` what it was left with: chat, draft, place in the conversation, search.
    """

    id: str
    name: str
    root: Path
    embedder: str
    base_model_id: str | None
    artifact_id: str | None
    settings: Mapping[str, Any]
    summary: Mapping[str, Any]
    state: Mapping[str, Any]
    indexed_at: str | None
    opened_at: str | None
    created_at: str
    updated_at: str

    def folder(self, workspace: Workspace) -> Path:
        """Where its index is."""
        return workspace.projects / self.id


_JSON = ("settings", "summary", "state")
_CHANGEABLE = ("embedder", "base_model_id", "artifact_id", "settings", "summary", "state", "indexed_at", "opened_at")


def _project(row: Mapping[str, Any]) -> Project:
    fields = {name: row[name] for name in Project.__dataclass_fields__}
    return Project(**fields | {name: orjson.loads(row[name]) for name in _JSON} | {"root": Path(row["root"])})


def add(db: Database, root: Path, name: str = "", *, project_id: str = "", embedder: str = "") -> Project:
    """A new project over a folder; without a name it gets the folder's, made free.

    Raises AppError `project_exists` naming the one that has the folder, `name_taken` or `bad_name`.
    """
    root = root.resolve()
    name = " ".join(name.split())
    moment, ident = now(), project_id or new_id()
    with transaction(db):
        _refuse_root(db, root)
        if name:
            _refuse_name(db, name)
        else:
            name = free_name(db, "projects", root.name[:LONGEST_NAME] or "Project")
        db.execute(
            "insert into projects(id, name, root, embedder, created_at, updated_at) values(?, ?, ?, ?, ?, ?)",
            [ident, name, str(root), embedder, moment, moment],
        )
    return get(db, ident)


def _refuse_root(db: Database, root: Path, but: str = "") -> None:
    there = db.execute(
        "select name from projects where root = ? and id <> ? and deleted_at is null", [str(root), but]
    ).fetchone()
    if there is not None:
        raise AppError(
            "project_exists", f"The folder {root} is the project “{there['name']}” already.",
            hint="Open that project, or choose another folder.", where=Where(file=str(root)),
        )  # fmt: skip


def _refuse_name(db: Database, name: str, but: str = "") -> None:
    if not name or len(name) > LONGEST_NAME:
        raise AppError(
            "bad_name", f"A project's name has 1 to {LONGEST_NAME} characters; this one has {len(name)}.",
            hint="Choose a shorter one." if name else "Write one.", where=Where(field="name"),
        )  # fmt: skip
    taken = db.execute("select 1 from projects where name = ? and id <> ? and deleted_at is null", [name, but])
    if taken.fetchone() is not None:
        raise AppError(
            "name_taken", f"There is a project “{name}” already.", hint="Choose another name.",
            where=Where(field="name"),
        )  # fmt: skip


def rename(db: Database, project_id: str, name: str) -> Changed:
    """Raises AppError `name_taken` or `bad_name`."""
    name = " ".join(name.split())
    with transaction(db):
        _refuse_name(db, name, project_id)
        db.execute("update projects set name = ?, updated_at = ? where id = ?", [name, now(), project_id])
    return Changed.PROJECTS


def move(db: Database, project_id: str, root: Path) -> Changed:
    """Its code is in another folder now; its index and all else stay. Raises AppError `project_exists`."""
    root = root.resolve()
    with transaction(db):
        _refuse_root(db, root, project_id)
        db.execute("update projects set root = ?, updated_at = ? where id = ?", [str(root), now(), project_id])
    return Changed.PROJECTS


def get(db: Database, project_id: str) -> Project:
    """One project, also from the trash. Raises AppError `no_such_project`."""
    row = db.execute("select * from projects where id = ?", [project_id]).fetchone()
    if row is None:
        raise AppError("no_such_project", "That project no longer exists.", hint="Look in the trash.")
    return _project(row)


def find(db: Database, name: str) -> Project:
    """The project of that name or id. Raises AppError `no_such_project` naming those there are."""
    listed = listing(db)
    for project in listed:
        # As `add` keeps it.
        if " ".join(name.split()) in (project.name, project.id):
            return project
    known = ", ".join(project.name for project in listed) or "none yet"
    raise AppError("no_such_project", f"There is no project “{name}” in this workspace.", hint=f"Known: {known}.")


def listing(db: Database) -> list[Project]:
    """By name."""
    rows = db.execute("select * from projects where deleted_at is null order by name collate nocase, rowid").fetchall()
    return [_project(row) for row in rows]


def update(db: Database, project_id: str, **values: Any) -> Changed:
    """Change embedder, base_model_id, artifact_id, settings, summary, state, indexed_at or opened_at."""
    if unknown := values.keys() - set(_CHANGEABLE):
        raise ValueError(f"not columns of a project: {unknown}")
    stored = {key: orjson.dumps(dict(value)).decode() if key in _JSON else value for key, value in values.items()}
    with transaction(db):
        db.execute(
            f"update projects set {', '.join(f'{key} = ?' for key in stored)}, updated_at = ? where id = ?",
            [*stored.values(), now(), project_id],
        )
    return Changed.PROJECTS


def keep_settings(db: Database, project_id: str, values: Mapping[str, Any]) -> Changed:
    """Merge into a project's settings; values that are None are forgotten."""
    with transaction(db):
        before = get(db, project_id).settings
        merged = {key: value for key, value in {**before, **values}.items() if value is not None}
        return update(db, project_id, settings=merged)


def keep_state(db: Database, project_id: str, state: Mapping[str, Any]) -> Changed:
    """What the project is left with; values that are None are forgotten, others are merged into what was there."""
    with transaction(db):
        before = get(db, project_id).state
        merged = {key: value for key, value in {**before, **state}.items() if value is not None}
        return update(db, project_id, state=merged, opened_at=now())
