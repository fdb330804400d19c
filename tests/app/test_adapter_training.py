"""From a folder of code to the project's adapter, by real workers on the practice model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app import adapter_training
from app.services import Services
from core import jobs
from core.events import Changed
from core.models import store as models
from core.models.work import practice_row
from core.projects import adapter_state, projects
from core.projects.adapter_state import AdapterState, Decision
from core.projects.adapters import Wanted
from core.projects.examples.plan import Plan
from core.projects.projects import Project
from tests.support.codebase import files, write

LIMITS = {"total": 12, "most_validation": 3, "least_training": 5}
STEPS = {"max_steps": 2, "validate_every": 2, "batch_size": 2}
BETTER = Wanted(overrides={**STEPS, "learning_rate": 1e-3, "alpha": 128, "warmup_share": 0.0,
                           "targets": "all_linear_and_embeddings"}, limits=LIMITS)  # fmt: skip
HARDLY = Wanted(overrides={**STEPS, "max_steps": 1, "validate_every": 1, "learning_rate": 1e-5}, limits=LIMITS)


@pytest.fixture
def project(qtbot: QtBot, services: Services, tmp_path: Path) -> Project:
    root, made = write(tmp_path / "brightrun-api", files(6)), list[Project]()
    row = practice_row()

    def add(db: Any) -> Any:
        models.upsert(db, row)
        return Changed.PROJECTS, projects.add(db, root)

    services.write(services.root, add, made.append)
    qtbot.waitUntil(lambda: bool(made))
    adapter_training.tell_decisions(services)
    return made[0]


def state(services: Services, project: Project) -> AdapterState:
    db = services.connections.db
    return adapter_state.state(db, projects.get(db, project.id))


@pytest.mark.slow
def test_a_folder_of_code_becomes_the_projects_adapter(qtbot: QtBot, services: Services, project: Project) -> None:
    plans: list[Plan] = []
    owner = QObject()
    adapter_training.look(services, owner, project.id, plans.append, wanted=BETTER)
    qtbot.waitUntil(lambda: bool(plans))
    assert plans[0].problem is None
    assert plans[0].training == 12
    assert jobs.listing(services.connections.db, kind="training") == []
    said: list[str] = []
    services.notifier.toast.connect(lambda text, _undo: said.append(text))
    adapter_training.train(services, owner, project.id, plans[0].counts, BETTER)
    qtbot.waitUntil(lambda: state(services, project).decision not in (None, Decision.PENDING))
    found = state(services, project)
    assert found.decision is Decision.IN_USE, found.words
    assert found.before is not None
    assert found.after is not None
    assert found.after < found.before
    assert projects.get(services.connections.db, project.id).artifact_id == found.adapter_id is not None
    qtbot.waitUntil(lambda: any("better than the base" in text for text in said))
    assert said[-1].startswith("brightrun-api: ")


@pytest.mark.slow
def test_an_automatic_run_that_is_no_better_leaves_the_project_without(
    qtbot: QtBot, services: Services, project: Project
) -> None:
    adapter_training.when_added(services, project.id, automatic=False, wanted=HARDLY)
    assert state(services, project).decision is None
    adapter_training.when_added(services, project.id, automatic=True, wanted=HARDLY)
    qtbot.waitUntil(lambda: state(services, project).decision not in (None, Decision.PENDING))
    found = state(services, project)
    assert found.decision is Decision.NOT_BETTER, found.words
    assert found.can_use_all_the_same
    assert found.adapter_id is None


def test_what_can_not_begin_is_said_to_who_asked(qtbot: QtBot, services: Services, tmp_path: Path) -> None:
    made: list[Project] = []
    root = write(tmp_path / "code", files(1))
    services.write(services.root, lambda db: (Changed.PROJECTS, projects.add(db, root)), made.append)
    qtbot.waitUntil(lambda: bool(made))
    said: list[str] = []

    def failed(exc: Exception) -> None:
        said.append(getattr(exc, "code", ""))

    owner = QObject()
    adapter_training.train(services, owner, made[0].id, failed=failed)
    adapter_training.look(services, owner, made[0].id, lambda _plan: None, failed)
    adapter_training.when_added(services, made[0].id, automatic=True)
    qtbot.waitUntil(lambda: said == ["no_base", "no_base"])
    qtbot.waitUntil(lambda: state(services, made[0]).decision is Decision.NOT_STARTED)
    assert "no base model" in state(services, made[0]).words
    assert jobs.listing(services.connections.db) == []
