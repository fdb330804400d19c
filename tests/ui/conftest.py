"""Workspaces that several tests only read or change in their own copy: built once a session by real jobs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlite_utils import Database

from core.db.connection import open_database
from core.jobs import JobState
from core.projects import chats
from core.sample import sample_files
from core.scaffolding.seeding import seed
from core.workspace.lock import FileLock
from core.workspace.paths import Workspace
from tests.core.factories import KIND, Place, add_conversation, enrich, parsed, run_job
from tests.support import studio
from tests.support.patience import PATIENCE_S

Build = Callable[[Database, Workspace, Path], Any]


def _dataset(db: Database, workspace: Workspace, folder: Path) -> str:
    studio.add_practice_model(db)
    return studio.add_dataset(db, workspace, studio.dataset_file(folder, "planner", limit=8, broken=False, messages=3))


def _datasets(db: Database, workspace: Workspace, folder: Path) -> list[str]:
    return [
        studio.add_dataset(db, workspace, studio.dataset_file(folder, "planner", limit=6)),
        studio.add_dataset(db, workspace, studio.dataset_file(folder, "first steps", limit=4, broken=False)),
    ]


def _trained(db: Database, workspace: Workspace, folder: Path) -> str:
    studio.add_practice_model(db)
    file = studio.dataset_file(folder, "planner", limit=6, broken=False, messages=3)
    dataset = studio.add_dataset(db, workspace, file)
    job = studio.train(db, workspace, dataset, max_steps=2)
    assert job.status == JobState.COMPLETED, job.error
    return str(job.result["artifact_id"])


def _gathered(db: Database, workspace: Workspace, _folder: Path) -> str:
    seed(db)
    here = Place(workspace, db)
    idents = [add_conversation(here, parsed(KIND[:size], title=f"Talk {size}")) for size in (2, 4)]
    enrich(here, *idents)
    file = run_job(here, "build_training_file", {"name": "Spring", "description": "", "conversation_ids": idents[:1]})
    ident = str(file.result["training_file_id"])
    made = run_job(here, "build_dataset", {"training_file_id": ident, "name": "First set"})
    assert made.status == JobState.COMPLETED, made.error
    return ident


def _filled(db: Database, workspace: Workspace, folder: Path) -> str:
    """Something on every page: the whole line over six sample conversations, one of them not enriched, and a chat."""
    seed(db)
    studio.add_practice_model(db)
    files = [str(path) for path in sample_files()[:6]]
    imported = studio.run_job(db, workspace, "import", {"files": files}).result["conversations"]
    studio.run_job(db, workspace, "enrich", {"conversation_ids": imported[:-1]})
    built = studio.run_job(
        db, workspace, "build_training_file", {"name": "Planner", "description": "", "conversation_ids": imported[:-1]}
    ).result
    dataset = studio.run_job(
        db, workspace, "build_dataset", {"training_file_id": built["training_file_id"], "name": "Planner"}
    ).result["dataset_id"]
    job = studio.train(db, workspace, dataset, max_steps=2)
    assert job.status == JobState.COMPLETED, job.error
    chat = chats.create(db, "practice", str(job.result["artifact_id"]), "You are kind.")
    chats.add_message(db, chat.id, "user", "I am afraid of my debt. What should I do?")
    chats.add_message(db, chat.id, "assistant", "Breathe. Then let us look at one number.")
    return str(job.id)


# A test that asks for a fixture of this name gets its workspace filled so, and the ids as the fixture's value.
WORLDS: dict[str, Build] = {
    "dataset": _dataset,
    "datasets": _datasets,
    "trained": _trained,
    "gathered": _gathered,
    "everything": _filled,
}


class Worlds:
    """Built when they are first asked for, by one of the test workers for all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.values: dict[str, Any] = {}

    def copy(self, name: str, target: Path) -> Workspace:
        """A copy of that world of one's own."""
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        value = folder / "value.json"
        lock = FileLock(folder / "lock")
        assert lock.acquire(PATIENCE_S), f"nobody finishes building {name}"
        try:
            if not value.exists():
                value.write_bytes(orjson.dumps(self._build(name, Workspace(folder / "workspace"))))
        finally:
            lock.release()
        self.values[name] = orjson.loads(value.read_bytes())
        shutil.copytree(folder / "workspace", target)
        return Workspace(target)

    def _build(self, name: str, workspace: Workspace) -> Any:
        shutil.rmtree(workspace.root, ignore_errors=True)
        workspace.create()
        db = open_database(workspace.db_path, workspace.backups)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("BRIGHTRUN_MODELS", str(self._folder / "models"))
                return WORLDS[name](db, workspace, workspace.root.parent)
        finally:
            db.close()


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    base = tmp_path_factory.getbasetemp()
    # The folder of the whole run, above those of its workers.
    return Worlds((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "worlds")


@pytest.fixture
def workspace(request: pytest.FixtureRequest, tmp_path: Path, worlds: Worlds) -> Iterator[Workspace]:
    wanted = [name for name in WORLDS if name in request.fixturenames]
    if wanted:
        yield worlds.copy(wanted[0], tmp_path / "workspace")
        return
    made = Workspace(tmp_path / "workspace")
    made.create()
    open_database(made.db_path, made.backups).close()
    yield made


@pytest.fixture
def dataset(workspace: Workspace, worlds: Worlds) -> str:
    """A dataset of eight conversations, and the practice model; its id."""
    return str(worlds.values["dataset"])


@pytest.fixture
def datasets(workspace: Workspace, worlds: Worlds) -> list[str]:
    """Two datasets, the first with three lines left out; their ids."""
    return list(worlds.values["datasets"])


@pytest.fixture
def gathered(workspace: Workspace, worlds: Worlds) -> str:
    """Two enriched conversations, a training file of the first, a dataset of that; the file's id."""
    return str(worlds.values["gathered"])


@pytest.fixture
def trained(workspace: Workspace, worlds: Worlds) -> str:
    """A finished run of two steps on the practice model; the adapter's id."""
    return str(worlds.values["trained"])


@pytest.fixture
def everything(workspace: Workspace, worlds: Worlds) -> str:
    """Something to see on every page; the id of the finished run."""
    return str(worlds.values["everything"])
