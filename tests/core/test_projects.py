"""Projects as rows, what they are left with, and answers that are given again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from core import trash
from core.errors import AppError
from core.events import Changed
from core.projects import analyses, chats, projects
from tests.core.factories import Place
from tests.support.studio import add_practice_model


@pytest.fixture
def db(here: Place) -> Database:
    return here.db


def test_a_folder_is_one_project(db: Database, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    first = projects.add(db, tmp_path / "shop")
    assert (first.name, first.root) == ("shop", tmp_path / "shop")
    with pytest.raises(AppError) as error:
        projects.add(db, tmp_path / "shop" / ".." / "shop", "Another")
    assert error.value.code == "project_exists"
    assert "shop" in error.value.message
    (tmp_path / "other" / "shop").mkdir(parents=True)
    assert projects.add(db, tmp_path / "other" / "shop").name == "shop 2"
    with pytest.raises(AppError, match="already"):
        projects.add(db, tmp_path / "other", "shop")


def test_names_are_checked_when_given_and_changed(db: Database, tmp_path: Path) -> None:
    one, two = projects.add(db, tmp_path / "a", "One"), projects.add(db, tmp_path / "b", "Two")
    for name, code in (("One", "name_taken"), ("  ", "bad_name"), ("x" * 121, "bad_name")):
        with pytest.raises(AppError) as error:
            projects.rename(db, two.id, name)
        assert error.value.code == code
    assert projects.rename(db, one.id, "One") is Changed.PROJECTS
    assert projects.find(db, "Two").id == two.id
    with pytest.raises(AppError) as error:
        projects.find(db, "Three")
    assert error.value.hint == "Known: One, Two."


def test_a_project_moves_to_a_folder_that_no_other_has(db: Database, tmp_path: Path) -> None:
    one, two = projects.add(db, tmp_path / "a"), projects.add(db, tmp_path / "b")
    projects.update(db, one.id, summary={"files": 3})
    assert projects.move(db, one.id, tmp_path / "c" / ".." / "d") == Changed.PROJECTS
    moved = projects.get(db, one.id)
    assert (moved.root, moved.summary) == (tmp_path / "d", {"files": 3})
    with pytest.raises(AppError) as error:
        projects.move(db, two.id, tmp_path / "d")
    assert error.value.code == "project_exists"
    projects.move(db, one.id, tmp_path / "d")
    trash.delete(db, "projects", [one.id])
    projects.move(db, two.id, tmp_path / "d")


def test_what_it_is_left_with_is_merged(db: Database, tmp_path: Path) -> None:
    project = projects.add(db, tmp_path)
    projects.keep_state(db, project.id, {"chat": "c", "draft": "half a quest"})
    projects.keep_state(db, project.id, {"draft": None, "scroll": 12})
    found = projects.get(db, project.id)
    assert found.state == {"chat": "c", "scroll": 12}
    assert found.opened_at is not None


def test_chats_stay_when_their_project_is_deleted_for_good(here: Place, tmp_path: Path) -> None:
    db, base = here.db, add_practice_model(here.db)
    project = projects.add(db, tmp_path / "code")
    project.folder(here.workspace).mkdir(parents=True)
    chat = chats.create(db, base, project_id=project.id)
    branch = chats.branch(db, chat.id, 1)
    assert (chat.project_id, branch.project_id) == (project.id, project.id)
    trash.delete(db, "projects", [project.id])
    assert projects.listing(db) == []
    # The folder may become a project again while the old one is in the trash.
    again = projects.add(db, tmp_path / "code")
    with pytest.raises(AppError) as error:
        trash.restore(db, "projects", [project.id])
    assert error.value.code == "restore_conflict"
    trash.purge(db, here.workspace, "projects", [project.id])
    assert not project.folder(here.workspace).exists()
    assert [p.id for p in projects.listing(db)] == [again.id]
    assert chats.get(db, chat.id).project_id is None


def test_folders_without_a_project_are_swept_those_in_the_trash_stay(here: Place, tmp_path: Path) -> None:
    project = projects.add(here.db, tmp_path / "code")
    trash.delete(here.db, "projects", [project.id])
    for name in (project.id, "nobody"):
        (here.workspace.projects / name).mkdir(parents=True)
    trash.sweep(here.db, here.workspace)
    assert [path.name for path in here.workspace.projects.iterdir()] == [project.id]


def keep(db: Database, project_id: str, question: str, index_state: str = "s1") -> str:
    key = analyses.key(project_id, question, index_state, None, "base")
    analyses.keep(db, key, project_id, question, f"about {question}", {"tokens": 3}, index_state, None)
    return key


def test_an_answer_is_given_again_for_the_same_code_and_adapter_alone(db: Database, tmp_path: Path) -> None:
    project = projects.add(db, tmp_path)
    keep(db, project.id, "Where  is it?")
    found = analyses.find(db, analyses.key(project.id, " Where is it? ", "s1", None, "base"))
    assert found is not None
    assert (found.answer, found.uses) == ("about Where  is it?", 2)
    for other in (
        analyses.key(project.id, "Where is it?", "s2", None, "base"),
        analyses.key(project.id, "Where is it?", "s1", "adapter", "base"),
        analyses.key(project.id, "Where is it?", "s1", None, "another"),
    ):
        assert analyses.find(db, other) is None


def test_answers_expire_later_the_more_often_they_are_asked_for(db: Database, tmp_path: Path) -> None:
    project = projects.add(db, tmp_path)
    once, often = keep(db, project.id, "once"), keep(db, project.id, "often")
    for _ in range(5):
        analyses.find(db, often)
    later = datetime.now(UTC) + timedelta(days=20)
    assert analyses.find(db, once, later) is None
    assert analyses.find(db, often, later) is not None


def test_of_too_many_those_used_least_go(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyses, "MOST", 3)
    project = projects.add(db, tmp_path)
    first = keep(db, project.id, "first")
    analyses.find(db, first)
    others = [keep(db, project.id, f"q{n}") for n in range(3)]
    assert analyses.find(db, first) is not None
    assert analyses.find(db, others[0]) is None
    assert analyses.find(db, others[2]) is not None
