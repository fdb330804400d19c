"""The page Projects over the real worker and the real indexing job: from a dropped folder to an edited file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.code_index import embedders
from core.jobs import JobState
from core.projects import projects
from tests.support.pages import click, dialog, settle, shown_text, until
from tests.support.refund_project import write_project
from ui.pages.projects.page import ProjectsPage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("code_service")]


class Real:
    """The page, a folder, and waiting for what is shown."""

    def __init__(self, qtbot: Any, window: Any, root: Path) -> None:
        self.qtbot, self.window, self.root = qtbot, window, root
        window.open_page("projects")
        page = window.current_page
        assert isinstance(page, ProjectsPage)
        self.page = page
        self.db = window.services.connections.db

    def until(self, check: Any, what: str = "") -> None:
        until(self.qtbot, check, what)

    def add(self, qapp: Any, model: str) -> None:
        self.page.dropped([self.root])
        shown = dialog(qapp, "add_project_dialog")
        self.until(lambda: shown.primary.isEnabled() and shown.embedder.option is not None)
        shown.embedder.combo.setCurrentIndex(shown.embedder.combo.findData(model))
        click(self.qtbot, shown, "start_project")
        self.until(lambda: self.state.startswith("indexed"), "it is not indexed")
        settle(self.qtbot, self.window)

    @property
    def state(self) -> str:
        """What the list says of the only project."""
        return next(iter(self.page.list.states().values()), "")

    def search(self, text: str) -> list[str]:
        self.page.box.field.clear()
        self.qtbot.keyClicks(self.page.box.field, text)
        self.until(lambda: not self.page.searching.under_way)
        settle(self.qtbot, self.window)
        return self.places()

    def places(self) -> list[str]:
        return [hit.place for hit in self.page.answers.list.hit_model.hits]

    def source(self) -> str:
        self.until(lambda: not self.page.source.under_way)
        settle(self.qtbot, self.window)
        return str(self.page.source.title.text())


@pytest.fixture
def real(qtbot: Any, window: Any, tmp_path: Path) -> Real:
    return Real(qtbot, window, write_project(tmp_path / "brightrun-api"))


def test_from_a_dropped_folder_to_an_edited_file(real: Real, qapp: Any) -> None:
    real.add(qapp, embedders.WORDS_ONLY)
    page = real.page
    assert page.tiles.files.value.text() == "8"
    assert "not embedded" in page.tiles.symbols.remark.text()
    assert page.left_out.title.text() == "Left out: 5"
    assert real.search("needs_second_approval")[0] == "core/refunds/policy.py:13-17"
    assert page.answers.caption.text().endswith("words and names, merged by rank")
    assert "no embedding model" in shown_text(page, "search_notices")
    assert real.source() == "policy.py"
    assert page.source.text.marked == (13, 17)
    assert "RefundService.submit" in page.source.called_by.texts()
    assert "core/settings.py:1" in real.search("text: limit")
    assert page.source.place.path
    page.box.regex.click()
    real.search("text:(")
    assert "missing" in shown_text(page, "nothing_found")
    page.box.regex.click()
    new = "core/refunds/service.py:17-18"
    assert new not in real.search("approve_by_phone")
    with (real.root / "core/refunds/service.py").open("a") as file:
        file.write("\n\ndef approve_by_phone(refund):\n    return refund.phone\n")
    # The folder is watched: what is searched for comes by itself.
    real.until(lambda: real.places()[:1] == [new], str(real.places()))
    (project,) = projects.listing(real.db)
    real.until(lambda: page.tiles.changed.value.text() == "8")
    page.show_files("")
    files = dialog(qapp, "files_dialog")
    real.until(lambda: files.model.rowCount() == 13)
    files.reject()
    # The tick was on, and without a base there is nothing to train: the project says so.
    real.until(lambda: "adapter" in projects.get(real.db, project.id).settings)
    settings = projects.get(real.db, project.id).settings
    assert settings["train_adapter"] is True
    assert settings["adapter"]["decision"] == "not started"


def test_meaning_is_searched_with_a_model(real: Real, qapp: Any) -> None:
    real.add(qapp, "minilm")
    page = real.page
    assert page.tiles.symbols.remark.text().startswith("all embedded · ")
    (job,) = jobs.listing(real.db, kind="index_project")
    # What the next one is promised is learned from these.
    assert 0 < job.result["embed_s"] < job.result["seconds"] - job.result["first_s"]
    assert job.result["first_bytes"] == sum(size for _, size in page.overview.entries[0].summary.languages.values())
    found = real.search("who has to say yes when much money is given back")
    assert found
    # The model may still be on its way; words and names answer until then.
    real.until(lambda: page.answers.caption.text().split(" · ")[1].startswith("meaning"))
    assert any(leg.startswith("meaning") for hit in page.answers.list.hit_model.hits for leg in hit.legs)


def test_a_folder_that_goes_while_it_is_watched_is_told_and_comes_back(real: Real, qapp: Any, tmp_path: Path) -> None:
    real.add(qapp, embedders.WORDS_ONLY)
    page = real.page
    moved = tmp_path / "elsewhere"
    real.root.rename(moved)
    real.until(lambda: any(banner.topic == "gone" for banner in page.banners.banners), "nobody says that it is gone")
    real.until(lambda: real.state == "folder is gone")
    # What a search shows is what is on the disk.
    assert real.search("needs_second_approval") == []
    (project,) = projects.listing(real.db)
    page.commands_.move(project.id, moved)
    real.until(lambda: real.state.startswith("indexed"))
    real.until(lambda: not any(banner.topic == "gone" for banner in page.banners.banners))
    done = (JobState.COMPLETED,)
    real.until(lambda: len(jobs.listing(real.db, kind="index_project", states=done)) >= 2)
    assert real.search("same_person")[0].startswith("core/refunds/policy.py:")
    assert real.source() == "policy.py"
