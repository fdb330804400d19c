"""Projects are added, indexed, paused, renamed, moved and deleted on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QMenu, QPushButton

from app.project_indexes import Progress
from core import jobs
from core.code_index import embedders
from core.db.connection import now
from core.jobs import JobState
from core.projects import projects
from tests.support.pages import click, dialog, find, shown_text, take_back
from tests.support.project_page import Projecting
from tests.support.refund_project import write_project
from ui import format as fmt
from ui.pages.projects import find as palette


@pytest.fixture
def at(qtbot: Any, services: Any, window: Any, tmp_path: Path) -> Projecting:
    return Projecting(qtbot, window, services, tmp_path)


def drop(at: Projecting, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    at.window.dropEvent(QDropEvent(QPointF(QPoint(500, 400)), Qt.DropAction.CopyAction, data, buttons, keys))


def ready(at: Projecting, qapp: Any) -> Any:
    """The dialog, once it has looked at its folder."""
    shown = dialog(qapp, "add_project_dialog")
    at.until(lambda: shown.primary.isEnabled())
    at.until(lambda: shown.embedder.option is not None)
    return shown


def test_a_dropped_folder_is_looked_at_named_and_indexed(at: Projecting, qapp: Any) -> None:
    at.open()
    drop(at, at.root)
    shown = ready(at, qapp)
    assert shown.name.text() == "brightrun-api"
    assert shown_text(shown, "look_found").startswith("8 files to index")
    assert "Python" in shown.languages.words[0]
    left = shown_text(shown, "look_left_out")
    assert left.startswith("Left out: 5\n")
    assert "holds a secret: 1" in left
    assert "Searchable by words and names in about 1 s" in shown_text(shown, "look_estimate")
    assert shown.train.isChecked()
    shown.train.click()
    click(at.qtbot, shown, "start_project")
    at.until(lambda: bool(at.states()))
    (project,) = projects.listing(at.db)
    assert project.root == at.root
    assert project.settings == {"train_adapter": False}
    at.until(lambda: at.states().get("brightrun-api", "").startswith("indexed"))
    at.settle()
    assert at.page.tiles.files.value.text() == "8"
    assert list(at.code.watched) == [project.id]
    assert at.code.asked_for("job_ended") == [project.id]
    (job,) = jobs.listing(at.db, kind="index_project")
    assert (job.title, job.status) == ("Indexing brightrun-api", JobState.COMPLETED)


def test_the_dialog_promises_the_time_that_it_took_here_before(at: Projecting, qapp: Any) -> None:
    at.open()
    drop(at, at.root)
    shown = ready(at, qapp)
    shown.embedder.combo.setCurrentIndex(shown.embedder.combo.findData("minilm"))
    assert "by words and names in about 1 s; by meaning about 1 s later" in shown_text(shown, "look_estimate")
    shown.reject()
    # As slow as no machine is: 20 bytes and 0.1 chunks a second.
    took = {"first_bytes": 4_000_000, "first_s": 200_000.0, "embedded": 100, "embed_s": 1000.0,
            "slug": embedders.choose("minilm").slug}  # fmt: skip
    job = jobs.create(at.db, "index_project", "Indexing", {"project": {"id": "another"}})
    jobs.set_state(at.db, job.id, JobState.COMPLETED, result=took)
    drop(at, at.root)
    again = ready(at, qapp)
    again.embedder.combo.setCurrentIndex(again.embedder.combo.findData("minilm"))
    # Of 8 small files.
    words_s, vectors_s = (round(n / 10) * 10 for n in (again._looked.scan.bytes / 20, 10 * 8))
    expected = f"by words and names in about {fmt.duration(words_s)}; by meaning about {fmt.duration(vectors_s)} later"
    at.until(lambda: expected in shown_text(again, "look_estimate"), expected)
    again.reject()


def test_what_can_not_be_a_project_is_told_in_the_dialog(
    at: Projecting, qapp: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    at.open()
    drop(at, at.root / "core/settings.py")
    shown = dialog(qapp, "add_project_dialog")
    at.until(lambda: bool(shown.banners.banners))
    assert "is a file, not a folder" in shown.banners.banners[0].text
    for folder, words in (
        (at.services.workspace.root, "inside the workspace"), (tmp_path, "your home folder"),
        (tmp_path / "nowhere", "does not exist"),
    ):  # fmt: skip
        shown.look_at(str(folder))
        at.until(lambda words=words: bool(shown.banners.banners) and words in shown.banners.banners[0].text, words)
        assert not shown.primary.isEnabled()
    (tmp_path / "hollow").mkdir()
    shown.look_at(str(tmp_path / "hollow"))
    at.until(lambda: "0 files" in shown_text(shown, "look_warnings"))
    assert not shown.primary.isEnabled()
    assert shown.primary.toolTip() == "There is nothing to index in this folder."
    shown.reject()
    assert projects.listing(at.db) == []


def test_a_folder_that_is_a_project_already_is_opened(at: Projecting, qapp: Any, tmp_path: Path) -> None:
    first = at.add()
    other = at.add(write_project(tmp_path / "ledger-web"))
    page = at.open(other.id)
    assert page.current == other.id
    drop(at, at.root)
    at.until(lambda: page.current == first.id)
    at.until(
        lambda: not [w for w in qapp.topLevelWidgets() if w.objectName() == "add_project_dialog" and w.isVisible()]
    )
    assert len(projects.listing(at.db)) == 2


def test_a_name_that_is_taken_is_told_at_its_field_and_a_proposed_one_is_made_free(
    at: Projecting, qapp: Any, tmp_path: Path
) -> None:
    at.add(name="ledger-web")
    at.open()
    drop(at, write_project(tmp_path / "ledger-web"))
    shown = ready(at, qapp)
    field = find(shown, QLineEdit, "field_name")
    field.selectAll()
    at.qtbot.keyClicks(field, "ledger-web")
    click(at.qtbot, shown, "start_project")
    at.until(lambda: any("There is a project" in w.text() for w in shown.form.findChildren(type(shown.far))))
    field.clear()
    assert not shown.form.valid
    shown.look_at(str(tmp_path / "ledger-web"))
    field.setModified(False)
    at.until(lambda: field.text() == "ledger-web")
    at.until(lambda: shown.primary.isEnabled())
    click(at.qtbot, shown, "start_project")
    at.until(lambda: len(projects.listing(at.db)) == 2)
    assert {p.name for p in projects.listing(at.db)} == {"ledger-web", "ledger-web 2"}
    at.until(lambda: at.states().get("ledger-web 2", "").startswith("indexed"))


def test_closing_the_dialog_ends_the_look(at: Projecting, qapp: Any) -> None:
    at.open()
    drop(at, at.root)
    shown = dialog(qapp, "add_project_dialog")
    token = shown._token
    shown.reject()
    assert token.cancelled
    at.settle()
    assert projects.listing(at.db) == []


def double_click(qtbot: Any, button: QPushButton) -> None:
    """As the system sends it; the one of QTest is a single event."""
    left, where = Qt.MouseButton.LeftButton, QPointF(button.rect().center())
    qtbot.mouseClick(button, left)
    event = QMouseEvent(
        QEvent.Type.MouseButtonDblClick, where, button.mapToGlobal(where), left, left, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(button, event)
    qtbot.mouseRelease(button, left)


def test_a_whole_index_that_another_model_makes_again_is_embedded_anew(at: Projecting) -> None:
    ident = at.add().id
    shown = at.open().overview.entry(ident)  # type: ignore[union-attr]
    page = at.page
    for chunks, embedded, verb in ((10, 5, "embedding"), (10, 10, "embedding anew"), (0, 0, "embedding")):
        summary = {"files": 8, "chunks": chunks, "embedded": embedded, "embedder": "Old"}
        entry = replace(shown, project=replace(shown.project, summary=summary))
        page.overview = replace(page.overview, entries=[entry])
        for said, words in (("Embedding", verb), ("Reading files", "reading")):
            at.services.indexes.progress[ident] = Progress(29, 100, said)
            at.services.indexes.progressed.emit(ident)
            assert page.tiles.files.remark.text() == f"{words} 29%"


def test_indexing_is_followed_paused_and_resumed(at: Projecting) -> None:
    (at.root / ".hold").touch()
    project = projects.add(at.db, at.root)
    page = at.open()
    assert at.states() == {"brightrun-api": "not indexed yet"}
    assert not page.pause.isVisible()
    at.services.indexes.start(project.id)
    at.services.indexes.start(project.id)
    at.until(lambda: at.states()["brightrun-api"] == "reading 2 of 4 files")
    assert page.tiles.files.remark.text() == "reading 50%"
    at.until(lambda: page.pause.isVisible())
    assert page.pause.text() == "Pause indexing"
    assert len(jobs.listing(at.db, kind="index_project")) == 1
    clicks: list[int] = []
    page.pause.clicked.connect(lambda: clicks.append(1))
    double_click(at.qtbot, page.pause)
    assert len(clicks) == 1
    at.until(lambda: at.states()["brightrun-api"] == "indexing is paused")
    assert page.pause.text() == "Resume indexing"
    # Chunks that wait for their vectors start nothing while the user lets it rest.
    at.code.behind.emit(project.id, 5000)
    at.settle()
    assert len(jobs.listing(at.db, kind="index_project")) == 1
    (at.root / ".hold").unlink()
    # By the second half of a double click it says Pause again.
    double_click(at.qtbot, page.pause)
    at.until(lambda: at.states()["brightrun-api"].startswith("indexed"))
    at.until(lambda: not page.pause.isVisible())


def test_stop_ends_the_indexing_and_it_can_go_on(at: Projecting) -> None:
    (at.root / ".hold").touch()
    project = projects.add(at.db, at.root)
    page = at.open()
    at.services.indexes.start(project.id)
    at.until(lambda: page.entry is not None and page.entry.running is not None)
    at.until(lambda: bool(at.services.queue.running()))
    assert page.stop()
    at.until(lambda: page.pause.isVisible() and page.pause.text() == "Resume indexing")
    assert not page.stop()
    summary = {"files": 4, "chunks": 1000, "embedded": 999, "embedder": "MiniLM"}
    at.services.hub.announce(projects.update(at.db, project.id, summary=summary, indexed_at=now()))
    at.until(lambda: at.states()["brightrun-api"] == "stopped · embedded 99%")
    (at.root / ".hold").unlink()


def test_a_job_that_failed_is_told_with_a_way_on(at: Projecting) -> None:
    (at.root / ".fail").touch()
    project = projects.add(at.db, at.root)
    page = at.open()
    at.services.indexes.start(project.id)
    at.until(lambda: at.states()["brightrun-api"] == "indexing failed")
    at.until(lambda: any("could not be written" in banner.text for banner in page.banners.banners))
    (at.root / ".fail").unlink()
    click(at.qtbot, page, "pause_indexing")
    at.until(lambda: at.states()["brightrun-api"].startswith("indexed"))
    at.until(lambda: not any(banner.topic == "job" for banner in page.banners.banners))


def test_chunks_that_are_behind_start_a_job_and_a_change_is_kept_and_shown(at: Projecting) -> None:
    project = at.add()
    page = at.open()
    at.code.behind.emit(project.id, 2000)
    at.code.behind.emit(project.id, 2100)
    at.until(lambda: len(jobs.listing(at.db, kind="index_project", states=(JobState.COMPLETED,))) == 1)
    at.settle()
    at.search("approval")
    asked = len(at.code.asked_for("search"))
    summary = {**projects.get(at.db, project.id).summary, "files": 1204, "changed_today": 3}
    at.code.changed.emit(project.id, summary)
    at.until(lambda: page.tiles.files.value.text() == "1,204")
    assert page.tiles.changed.value.text() == "3"
    assert projects.get(at.db, project.id).summary["files"] == 1204
    at.until(lambda: len(at.code.asked_for("search")) == asked + 1)


def test_a_chosen_model_that_is_not_here_is_said_and_another_can_be_chosen(at: Projecting, qapp: Any) -> None:
    project = at.add(embedder="elsewhere")
    missing = "The embedding model elsewhere is not here."
    projects.update(at.db, project.id, embedder="elsewhere", summary={**project.summary, "notices": [missing]})
    page = at.open(project.id)
    assert [banner.text for banner in page.banners.banners] == [missing]
    click(at.qtbot, page, "banner_action")
    dialog(qapp, "embedder_dialog").leave()
    projects.update(at.db, project.id, summary={**project.summary, "notices": []})
    at.announce()
    at.until(lambda: page.banners.banners == [])
    # Who named none is told where he searches.
    projects.update(at.db, project.id, embedder="", summary={**project.summary, "notices": [missing]})
    at.announce()
    assert page.banners.banners == []


def test_what_the_worker_tells_is_a_banner_of_its_project(at: Projecting, tmp_path: Path) -> None:
    from core.errors import AppError

    first = at.add()
    other = at.add(write_project(tmp_path / "ledger-web"))
    page = at.open(first.id)
    at.code.told.emit(other.id, AppError("index_damaged", "The index was damaged.", hint="It is made again."))
    assert page.banners.banners == []
    page.open_project(other.id)
    assert [banner.text for banner in page.banners.banners] == ["The index was damaged."]


def test_a_folder_that_is_gone_can_be_named_anew(at: Projecting, qapp: Any, tmp_path: Path) -> None:
    project = at.add()
    moved = tmp_path / "elsewhere"
    at.root.rename(moved)
    page = at.open()
    assert at.states() == {"brightrun-api": "folder is gone"}
    assert at.code.watched == {}
    assert [banner.text for banner in page.banners.banners] == [f"The folder {at.root} is not there."]
    click(at.qtbot, page, "banner_action")
    chooser = dialog(qapp, "new_root_dialog")
    assert isinstance(chooser, QFileDialog)
    chooser.fileSelected.emit(str(moved))
    chooser.close()
    at.until(lambda: projects.get(at.db, project.id).root == moved)
    at.until(lambda: at.states()["brightrun-api"].startswith("indexed"))
    at.until(lambda: at.code.watched.get(project.id) is not None)
    assert at.code.watched[project.id].root == str(moved)
    assert page.banners.banners == []


def test_rename_in_place_and_a_taken_name(at: Projecting, tmp_path: Path) -> None:
    at.add()
    at.add(write_project(tmp_path / "ledger-web"))
    page = at.open()

    def item(name: str) -> Any:
        return next(page.list.list.item(n) for n in range(2) if page.list.list.item(n).text() == name)

    page.list.list.setCurrentItem(item("brightrun-api"))
    item("brightrun-api").setText("Refunds")
    at.until(lambda: set(at.states()) == {"Refunds", "ledger-web"})
    at.until(lambda: page._title.text() == "Refunds")
    at.settle()
    item("Refunds").setText("ledger-web")
    at.until(lambda: bool(page.banners.banners))
    assert "There is a project “ledger-web” already" in page.banners.banners[0].text
    at.until(lambda: set(at.states()) == {"Refunds", "ledger-web"})


def test_a_project_is_deleted_with_undo_and_its_folder_stays(at: Projecting, tmp_path: Path) -> None:
    project = at.add()
    at.add(write_project(tmp_path / "ledger-web"))
    page = at.open(project.id)
    page.list.list.setFocus()
    at.key(page.list.list, Qt.Key.Key_Delete)
    at.until(lambda: set(at.states()) == {"ledger-web"})
    assert page._title.text() == "ledger-web"
    assert project.id not in at.code.watched
    assert at.root.is_dir()
    # What the worker said before it let go of it starts nothing.
    at.code.behind.emit(project.id, 5000)
    at.settle()
    assert jobs.listing(at.db, kind="index_project") == []
    take_back(at.qtbot, at.window, "Deleted “brightrun-api”")
    at.until(lambda: set(at.states()) == {"brightrun-api", "ledger-web"})


def test_the_context_menu_comes_by_mouse_and_by_keyboard(at: Projecting) -> None:
    at.add()
    page = at.open()
    page.list.list.setFocus()
    page.list.list.customContextMenuRequested.emit(QPoint(-1, -1))
    menu = find(page.list, QMenu, "project_menu")
    assert [a.text() for a in menu.actions()] == list(page.list.MENU.values())
    next(a for a in menu.actions() if a.objectName() == "reindex").trigger()
    menu.close()
    at.until(lambda: bool(jobs.listing(at.db, kind="index_project", states=(JobState.COMPLETED,))))


def test_another_model_is_chosen_and_the_index_made_with_it(at: Projecting, qapp: Any) -> None:
    project = at.add()
    page = at.open()
    page.commands_.choose_embedder()
    shown = dialog(qapp, "embedder_dialog")
    at.until(lambda: shown.choice.option is not None)
    combo = shown.choice.combo
    words = [combo.itemText(n) for n in range(combo.count())]
    assert words[0].startswith("As in Settings")
    assert "Nomic Embed Code (not here)" in words
    combo.setCurrentIndex(words.index("Nomic Embed Code (not here)"))
    assert "Download nomic-ai/nomic-embed-code" in shown.choice.about.text()
    # None of its lines is cut.
    at.until(lambda: shown.choice.height() >= shown.choice.minimumSizeHint().height())
    combo.setCurrentIndex(combo.findData(embedders.WORDS_ONLY))
    click(at.qtbot, shown, "use_embedder")
    at.until(lambda: projects.get(at.db, project.id).embedder == embedders.WORDS_ONLY)
    at.until(lambda: bool(jobs.listing(at.db, kind="index_project", states=(JobState.COMPLETED,))))
    (job,) = jobs.listing(at.db, kind="index_project")
    assert job.params["project"]["embedder"] == embedders.WORDS_ONLY
    at.until(lambda: at.code.watched[project.id].embedder == embedders.WORDS_ONLY)


def test_every_file_is_listed_with_its_state_and_why(at: Projecting, qapp: Any) -> None:
    at.add()
    page = at.open()
    click(at.qtbot, page, "all_files")
    shown = dialog(qapp, "files_dialog")
    at.until(lambda: shown.model.rowCount() == 13)
    assert shown_text(shown, "files_caption") == "13 files and folders"
    at.qtbot.keyClicks(shown.search, "ENV")
    at.until(lambda: shown.model.rowCount() == 1)
    assert [str(shown.model.index(0, n).data()) for n in range(3)] == [
        ".env",
        "Left out",
        "holds a secret: the name .env",
    ]
    shown.search.clear()
    shown.states.buttons["indexed"].click()
    at.until(lambda: shown.model.rowCount() == 8)
    shown.search.setText("no such file")
    at.until(lambda: "No file matches" in shown_text(shown, "files_caption"))
    shown.reject()
    page.left_out.asked.emit("lock file")
    shown = dialog(qapp, "files_dialog")
    at.until(lambda: [row.id for row in shown.model.rows] == ["package-lock.json"])
    shown.reject()


def test_many_files_are_read_in_pages(at: Projecting, qapp: Any) -> None:
    write_project(at.root, {f"many/file_{number:04}.txt": f"{number}\n" for number in range(450)})
    at.add()
    page = at.open()
    page.show_files("")
    shown = dialog(qapp, "files_dialog")
    at.until(lambda: shown.model.rowCount() == 200)
    for wanted in (400, 463):
        shown.table.scrollToBottom()
        at.until(lambda wanted=wanted: shown.model.rowCount() == wanted)
    assert len({row.id for row in shown.model.rows}) == 463
    shown.reject()


def test_projects_are_found_by_name_in_the_palette(at: Projecting) -> None:
    project = at.add()
    assert [row[:2] for row in palette.find(at.db, "bright", 5)] == [(project.id, "brightrun-api")]
    assert palette.find(at.db, "ledger", 5) == []


def test_names_with_markup_and_without_end_are_shown_as_they_are(at: Projecting, tmp_path: Path) -> None:
    odd = "web/<b>bold<i> & “long” " + "w" * 120 + ".py"
    write_project(at.root, {odd: "def shown_as_it_is():\n    return 1\n"})
    at.add(name="<i>" + "N" * 110 + "</i>")
    page = at.open()
    at.window.resize(1100, 700)
    at.settle()
    (place, *_rest) = at.search("shown_as_it_is")
    assert place.startswith("web/<b>bold<i> & ")
    assert at.source().startswith("<b>bold<i> & ")
    assert at.window.width() == 1100
    assert at.window.minimumSizeHint().width() <= 1100
    assert page._title.text().startswith("<i>N")
