"""Projects, Train an adapter from it: the plan is counted by a real worker, and the chain is queued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shiboken6

from core import jobs
from core.models import store as models
from core.models.practice import PRACTICE_ID
from core.models.work import practice_row
from core.projects import projects
from tests.support.chat import add_adapter
from tests.support.codebase import files, write
from tests.support.pages import click, dialog, until
from tests.support.project_page import Projecting

pytestmark = [pytest.mark.slow]


@pytest.fixture
def studio(qtbot: Any, services: Any, window: Any, tmp_path: Path) -> Projecting:
    models.upsert(services.connections.db, practice_row())
    services.queue.start()
    return Projecting(qtbot, window, services, tmp_path)


def test_too_little_code_is_said_before_anything_is_queued(qtbot: Any, qapp: Any, studio: Projecting) -> None:
    project = studio.add(studio.root)
    page = studio.open(project.id)
    click(qtbot, page, "train_from_project")
    made = dialog(qapp, "train_dialog")
    until(qtbot, lambda: bool(made.banners.banners))
    assert "are needed at least" in made.state.text()
    assert not made.go.isEnabled()
    assert "No adapter was trained on this code yet." in made.words.text()
    assert jobs.listing(studio.db, kind="training") == []
    made.leave()


def test_the_plan_is_shown_and_the_chain_is_queued(qtbot: Any, qapp: Any, studio: Projecting, tmp_path: Path) -> None:
    root = write(tmp_path / "large", files(60))
    project = studio.add(root, "Large")
    page = studio.open(project.id)
    click(qtbot, page, "train_from_project")
    made = dialog(qapp, "train_dialog")
    until(qtbot, lambda: made.go.isEnabled(), "the plan")
    facts = made.facts.facts
    assert int(facts["Held-out files"]) >= 1
    assert "Steps" in facts
    # Nothing may begin while the test looks: the jobs themselves are tested elsewhere.
    studio.services.queue.shutdown()
    click(qtbot, made, "start_training")
    until(qtbot, lambda: bool(jobs.listing(studio.db, kind="training")))
    (training,) = jobs.listing(studio.db, kind="training")
    (examples,) = jobs.listing(studio.db, kind="project_examples")
    assert training.waits_for == (examples.id,)
    until(qtbot, lambda: not shiboken6.isValid(made) or not made.isVisible())


def test_the_choice_of_an_adapter_can_be_changed(qtbot: Any, qapp: Any, studio: Projecting) -> None:
    project = studio.add(studio.root)
    add_adapter(studio.db, studio.services.workspace, "a", "Shop code", base=PRACTICE_ID)
    record = {"decision": "not better", "artifact_id": "a", "before": 2.0, "after": 2.01, "held_out": 41}
    projects.keep_settings(studio.db, project.id, {"adapter": record})
    studio.announce()
    page = studio.open(project.id)
    click(qtbot, page, "train_from_project")
    made = dialog(qapp, "train_dialog")
    until(qtbot, made.use.isVisible)
    assert "not better than the base" in made.words.text()
    click(qtbot, made, "use_all_the_same")
    until(qtbot, lambda: projects.get(studio.db, project.id).artifact_id == "a")
    until(qtbot, made.none.isVisible)
    until(qtbot, lambda: page.tiles.adapter.value.text() == "Shop code")
    assert page.tiles.adapter.remark.text().endswith(" on 41 held-out files")
    click(qtbot, made, "use_none")
    until(qtbot, lambda: projects.get(studio.db, project.id).artifact_id is None)
    until(qtbot, lambda: not made.none.isVisible())
    made.leave()


def test_a_look_nobody_waits_for_is_stopped(qtbot: Any, qapp: Any, studio: Projecting) -> None:
    project = studio.add(studio.root)
    page = studio.open(project.id)
    # Its jobs stay queued.
    studio.services.queue.shutdown()
    click(qtbot, page, "train_from_project")
    made = dialog(qapp, "train_dialog")
    until(qtbot, lambda: [job.status.active for job in jobs.listing(studio.db, kind="look_at_examples")] == [True])
    made.leave()
    until(qtbot, lambda: not any(job.status.active for job in jobs.listing(studio.db, kind="look_at_examples")))
