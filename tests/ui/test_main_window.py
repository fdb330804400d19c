"""The window: pages, shortcuts, messages, undo, tray, drop, theme, the close flow, another workspace."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication, QMouseEvent
from PySide6.QtWidgets import QDialog, QPushButton
from pytestqt.qtbot import QtBot

from app.bootstrap import Application, Options
from app.services import Services
from core import jobs, trash
from core.db.connection import connect, now
from core.errors import AppError
from core.jobs import Job, JobState
from core.sample import sample_files
from core.workers.session import JobSession
from core.workspace import settings
from core.workspace.lock import FileLock
from core.workspace.paths import Workspace
from tests.plugins.demo_page import DemoPage
from tests.support.pages import take_back
from ui.dialogs.workspaces import StartDialog
from ui.pages.home.page import JobRow
from ui.registry import PAGES, PageSpec
from ui.theme import theme
from ui.window.log_window import LogWindow
from ui.window.main_window import MainWindow
from ui.window.tray import MOST_PAUSED


@pytest.fixture
def demo() -> Iterator[PageSpec]:
    """A page registered by its dotted path, as a plug-in would."""
    yield PAGES.register("tests.plugins.demo_page:PAGE")
    PAGES.unregister("demo")


def click(qtbot: QtBot, parent: Any, name: str) -> None:
    button = parent.findChild(QPushButton, name)
    assert button is not None, name
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def until_it_ticks(qtbot: QtBot, window: MainWindow, job_id: str) -> None:
    """That job runs, and has told the tray how far it is."""
    tray = window.tray
    qtbot.waitUntil(lambda: job_id in tray.lines and "tick" in tray.lines[job_id].accessibleName())


def press(qtbot: QtBot, window: MainWindow, key: Qt.Key) -> None:
    # Shortcuts are for the active window, and the offscreen platform takes that away now and then.
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)


def test_a_registered_page_appears_and_is_made_when_opened(qtbot: QtBot, demo: PageSpec, window: MainWindow) -> None:
    assert "demo" in window.sidebar.buttons
    assert "demo" not in window._pages
    click(qtbot, window, "nav_demo")
    assert isinstance(window.current_page, DemoPage)
    assert window.sidebar.buttons["demo"].isChecked()
    assert window.current_page.reloads == 1


def test_pages_open_by_key_and_the_cheat_sheet_tells_so(qtbot: QtBot, demo: PageSpec, window: MainWindow) -> None:
    for number, spec in enumerate(PAGES.specs()[:9], start=1):
        press(qtbot, window, getattr(Qt.Key, f"Key_{number}"))
        assert window.current_page is window.page(spec.name)
    window.actions_["shortcuts"].trigger()
    sheet = window.findChild(QDialog, "shortcuts_dialog")
    assert sheet is not None
    assert sheet.isVisible()
    sheet.close()


def test_a_page_that_can_t_be_loaded_is_said_and_the_old_one_stays(qtbot: QtBot, services: Services) -> None:
    PAGES.register(PageSpec("broken", "Broken", "TOOLS", "ph.square", "tests.plugins.nowhere:Page"))
    try:
        from app.logs import RingHandler

        window = MainWindow(services, RingHandler())
        qtbot.addWidget(window)
        window.show()
        click(qtbot, window, "nav_broken")
        assert window.banners.banners[0].text.startswith("The registered part")
        assert window.sidebar.buttons["home"].isChecked()
    finally:
        PAGES.unregister("broken")


def test_an_expected_error_is_a_banner_on_its_page(qtbot: QtBot, demo: PageSpec, window: MainWindow) -> None:
    window.open_page("demo")
    page = window.current_page
    assert page is not None
    error = AppError("bad", "It can't be.", hint="Open the other page.", detail="line 3", action="page:settings")
    page.services.notifier.report(error, page)
    page.services.notifier.report(error, page)
    assert [banner.text for banner in page.banners.banners] == ["It can't be."]
    banner = page.banners.banners[0]
    assert "Open the other page." in banner.accessibleName()
    click(qtbot, banner, "copy_details")
    assert QGuiApplication.clipboard().text() == "bad: It can't be.\nOpen the other page.\nline 3"
    click(qtbot, banner, "banner_action")
    assert window.sidebar.buttons["settings"].isChecked()
    assert page.banners.banners == []


def test_an_error_of_nobody_is_a_banner_of_the_window(qtbot: QtBot, window: MainWindow) -> None:
    window.services.notifier.report(AppError("disk_full", "The disk is full."))
    assert window.banners.isVisible()
    click(qtbot, window.banners, "banner_close")
    assert not window.banners.isVisible()


def test_bugs_share_one_dialog(qtbot: QtBot, window: MainWindow) -> None:
    window.services.notifier.report(ValueError("first"))
    window.services.notifier.report(KeyError("second"))
    dialogs = [d for d in window.findChildren(QDialog) if d.isVisible()]
    assert len(dialogs) == 1
    click(qtbot, dialogs[0], "copy_details")
    copied = QGuiApplication.clipboard().text()
    assert "first" in copied
    assert "second" in copied
    dialogs[0].close()
    qtbot.waitUntil(lambda: window.messages._dialog is None)
    window.services.notifier.report(ValueError("third"))
    again = [d for d in window.findChildren(QDialog) if d.isVisible()]
    assert len(again) == 1
    again[0].close()


def persona(db: Any, ident: str) -> None:
    db.execute(
        "insert into personas(id, persona_key, name, created_at, updated_at) values(?, ?, 'Elena', ?, ?)",
        [ident, ident, now(), now()],
    )
    db.conn.commit()


def test_deleting_is_undone_from_the_toast_and_by_key(qtbot: QtBot, demo: PageSpec, window: MainWindow) -> None:
    services = window.services
    window.open_page("demo")
    page = window.current_page
    assert page is not None
    db = services.connections.db
    persona(db, "p1")

    def deleted() -> bool:
        return bool(trash.listing(db))

    page.delete("personas", ["p1"], "Deleted “Elena”")
    qtbot.waitUntil(lambda: window.toast.isVisible())
    assert deleted()
    assert window.actions_["undo"].text() == "Undo: Deleted “Elena”"
    take_back(qtbot, window, "Deleted")
    qtbot.waitUntil(lambda: not deleted())
    assert not window.actions_["undo"].isEnabled()
    page.delete("personas", ["p1"], "Deleted “Elena”")
    qtbot.waitUntil(deleted)
    qtbot.waitUntil(lambda: window.actions_["undo"].isEnabled())
    press(qtbot, window, Qt.Key.Key_Z)
    qtbot.waitUntil(lambda: not deleted())


def test_the_trash_restores_and_purges(qtbot: QtBot, window: MainWindow) -> None:
    db = window.services.connections.db
    for ident in ("p1", "p2"):
        persona(db, ident)
    trash.delete(db, "personas", ["p1", "p2"])
    window.actions_["trash"].trigger()
    dialog: Any = window.findChild(QDialog, "trash_dialog")
    qtbot.waitUntil(lambda: dialog.model.rowCount() == 2)
    assert not dialog.restore.isEnabled()
    dialog.table.select_id(("personas", "p1"))
    click(qtbot, dialog, "restore")
    qtbot.waitUntil(lambda: dialog.model.rowCount() == 1)
    dialog.table.select_id(("personas", "p2"))
    click(qtbot, dialog, "purge")
    question = dialog.findChild(QDialog, "confirm_dialog")
    click(qtbot, question, "confirm")
    qtbot.waitUntil(lambda: dialog.model.rowCount() == 0)
    assert [row[0] for row in db.execute("select id from personas").fetchall()] == ["p1"]
    dialog.close()


@pytest.mark.usefixtures("tiny_jobs")
def test_the_tray_shows_stops_and_says_what_became_of_it(qtbot: QtBot, demo: PageSpec, window: MainWindow) -> None:
    services = window.services
    job_id = services.start_job("tiny", "Tiny job", {"mode": "loop", "n": 5})
    qtbot.waitUntil(lambda: job_id in window.tray.lines)
    line = window.tray.lines[job_id]
    qtbot.waitUntil(lambda: line.bar.value() == line.bar.maximum() > 0)
    assert "tick 5" in line.accessibleName()
    qtbot.mouseClick(line, Qt.MouseButton.LeftButton)
    assert isinstance(window.current_page, DemoPage)
    with qtbot.waitSignal(services.queue.finished) as heard:
        window.actions_["stop"].trigger()
    assert heard.args[0].status == JobState.CANCELLED
    assert window.tray.lines == {}
    with qtbot.waitSignal(services.queue.finished):
        services.start_job("tiny", "Counting", {"n": 4})
    assert window.toast.text.text() == "Counting: 4 in, 4 used"


@pytest.mark.usefixtures("tiny_jobs")
def test_a_job_that_is_paused_waits_in_the_tray_to_be_resumed_or_hidden(
    qtbot: QtBot, demo: PageSpec, window: MainWindow
) -> None:
    services, tray = window.services, window.tray
    job_id = services.start_job("tiny_gpu", "Tiny job", {"mode": "loop", "n": 5})

    def shown(name: str) -> QPushButton:
        return tray.lines[job_id].findChild(QPushButton, name)

    def pause() -> None:
        until_it_ticks(qtbot, window, job_id)
        shown("job_pause").setFocus()
        with qtbot.waitSignal(services.queue.finished) as heard:
            # Hit twice, it is not Stop that is hit the second time.
            for _ in range(2):
                qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Space)
        assert heard.args[0].status == JobState.PAUSED
        assert tray.lines[job_id].accessibleName() == "Tiny job: Paused"
        assert [shown(f"job_{name}").isVisible() for name in ("pause", "stop", "resume", "hide")] == [0, 0, 1, 1]
        assert window.focusWidget() is shown("job_resume")

    pause()
    assert not tray.stop_newest()
    for _ in range(2):
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: shown("job_pause").isVisible() and window.focusWidget() is shown("job_pause"))
    # A double click on Resume ends on Pause, which has come to its place.
    until_it_ticks(qtbot, window, job_id)
    second = QMouseEvent(
        QEvent.Type.MouseButtonDblClick, QPointF(5, 5), QPointF(5, 5), Qt.MouseButton.LeftButton,
        Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    pages: list[str] = []
    line = tray.lines[job_id]
    line.job = replace(line.job, page="demo")
    line.clicked.connect(pages.append)
    QGuiApplication.sendEvent(shown("job_pause"), second)
    qtbot.mouseRelease(shown("job_pause"), Qt.MouseButton.LeftButton)
    assert pages == []
    qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    assert pages == ["demo"]
    assert "Pausing" not in tray.lines[job_id].accessibleName()
    pause()
    qtbot.mouseClick(shown("job_hide"), Qt.MouseButton.LeftButton)
    assert tray.lines == {}
    services.queue.resume(job_id)
    until_it_ticks(qtbot, window, job_id)
    with qtbot.waitSignal(services.queue.finished):
        shown("job_stop").click()
    assert tray.lines == {}


@pytest.mark.usefixtures("tiny_jobs")
def test_a_paused_batch_that_is_put_in_the_trash_leaves_the_tray_and_is_resumed_once_it_is_back(
    qtbot: QtBot, demo: PageSpec, window: MainWindow
) -> None:
    services, tray = window.services, window.tray
    job_id = services.start_job("tiny_gpu", "Tiny batch", {"mode": "loop", "n": 5})
    until_it_ticks(qtbot, window, job_id)
    with qtbot.waitSignal(services.queue.finished):
        tray.lines[job_id].pause.click()
    services.connections.db.execute(
        "insert into batch_jobs(id, name, status, total_items, provider, model, mode, settings, library, created_at,"
        " updated_at) values(?, 'Tiny batch', 'paused', 1, 'claude', 'm', 'live', '{}', '{}', ?, ?)",
        [job_id, now(), now()],
    )
    services.write(window, lambda db: trash.delete(db, "batch_jobs", [job_id]))
    qtbot.waitUntil(lambda: tray.lines == {})
    with qtbot.waitSignal(services.queue.failed) as heard:
        services.queue.resume(job_id)
    assert heard.args[0].code == "in_the_trash"
    services.write(window, lambda db: trash.restore(db, "batch_jobs", [job_id]))
    with qtbot.waitSignal(services.queue.job_changed):
        services.queue.resume(job_id)
    until_it_ticks(qtbot, window, job_id)
    with qtbot.waitSignal(services.queue.finished):
        tray.lines[job_id].stop.click()


@pytest.mark.usefixtures("tiny_jobs")
def test_the_tray_keeps_the_jobs_that_were_paused_last_and_one_that_can_not_go_on_may_be_asked_again(
    qtbot: QtBot, demo: PageSpec, window: MainWindow
) -> None:
    services, tray, ids = window.services, window.tray, []
    for number in range(MOST_PAUSED + 1):
        ids.append(services.start_job("tiny_gpu", f"Job {number}", {"mode": "loop", "n": 5}))
        until_it_ticks(qtbot, window, ids[-1])
        with qtbot.waitSignal(services.queue.finished):
            tray.lines[ids[-1]].pause.click()
    assert list(tray.lines) == ids[1:]
    tray.lines[ids[1]].resume.click()
    until_it_ticks(qtbot, window, ids[1])
    with qtbot.waitSignal(services.queue.finished):
        tray.lines[ids[1]].pause.click()
    ids = [ids[0], *ids[2:], ids[1]]
    assert list(tray.lines) == ids[1:]
    db = services.connections.db
    db.execute("update jobs set deleted_at = ? where id = ?", [now(), ids[1]])
    for _ in range(2):
        with qtbot.waitSignal(services.queue.failed):
            tray.lines[ids[1]].resume.click()
    assert tray.lines[ids[1]].paused
    for _ in range(2):
        tray.lines[ids[2]].resume.click()
    until_it_ticks(qtbot, window, ids[2])
    with qtbot.waitSignal(services.queue.finished) as heard:
        assert tray.stop_newest()
    assert (heard.args[0].id, heard.args[0].status) == (ids[2], JobState.CANCELLED)
    # What is in the trash leaves with the next change of jobs.
    qtbot.waitUntil(lambda: list(tray.lines) == [ids[3]])


@pytest.mark.usefixtures("tiny_jobs")
def test_a_failed_job_is_a_banner(qtbot: QtBot, window: MainWindow) -> None:
    with qtbot.waitSignal(window.services.queue.finished):
        window.services.start_job("tiny", "Tiny job", {"mode": "fail"})
    assert window.banners.banners[0].text == "The tiny job failed as it was told."


def test_files_dropped_anywhere_become_one_import_job(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, Any]] = []
    monkeypatch.setattr(
        window.services.queue, "submit", lambda kind, title, params, *_rest: asked.append((kind, title, params))
    )
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in ("a.json", "b.jsonl")])
    event = QDropEvent(
        QPointF(50, 50), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    with qtbot.waitSignal(window.files_dropped):
        window.dropEvent(event)
    files = [str((tmp_path / name).resolve()) for name in ("a.json", "b.jsonl")]
    assert asked == [("import", "Importing 2 files", {"files": files})]


def test_theme_and_text_size_are_kept(qtbot: QtBot, window: MainWindow) -> None:
    window.actions_["theme_dark"].trigger()
    assert theme().tokens.dark
    db = window.services.connections.db
    qtbot.waitUntil(lambda: settings.get(db, "theme") == "dark")
    window.actions_["larger"].trigger()
    assert theme().scale == 1.15
    assert window.services.state.number("window/scale", 1.0) == 1.15
    window.actions_["actual_size"].trigger()
    assert theme().scale == 1.0


def test_the_sidebar_folds_and_keeps_names_for_screen_readers(qtbot: QtBot, window: MainWindow) -> None:
    click(qtbot, window, "fold")
    assert window.sidebar.width() < 80
    button = window.sidebar.buttons["home"]
    assert button.text() == ""
    assert button.accessibleName() == "Home"
    assert window.services.state.flag("window/folded")
    button.set_badge(3)
    assert button.accessibleName() == "Home, 3 need attention"


def test_every_control_has_a_name(qtbot: QtBot, demo: PageSpec, window: MainWindow) -> None:
    for name in ("home", "demo", "settings"):
        window.open_page(name)
    for button in window.findChildren(QPushButton):
        assert button.accessibleName() or button.text(), button.objectName()
        if button.isVisible() and button.isEnabled():
            assert button.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_the_log_window_follows_and_filters(qtbot: QtBot, window: MainWindow) -> None:
    import logging

    logger = logging.getLogger("tests.log_window")
    logger.addHandler(window.ring)
    try:
        logger.warning("a warning")
        window.actions_["log"].trigger()
        window.actions_["log"].trigger()
        shown = window.findChildren(LogWindow)
        assert len(shown) == 1
        assert "a warning" in shown[0].text.toPlainText()
        logger.error("an error")
        qtbot.waitUntil(lambda: "an error" in shown[0].text.toPlainText())
        shown[0].level.setCurrentIndex(2)
        assert shown[0].text.toPlainText() == "an error"
    finally:
        logger.removeHandler(window.ring)
        shown[0].close()


def test_home_starts_with_a_welcome_then_shows_the_line(qtbot: QtBot, window: MainWindow) -> None:
    home: Any = window.page("home")
    qtbot.waitUntil(lambda: home.shown_state == "content")
    assert home.welcome.isVisible()
    click(qtbot, home, "start_own")
    (asked,) = home.welcome.findChildren(StartDialog)
    qtbot.waitUntil(lambda: asked.primary.isEnabled())
    click(qtbot, asked, "start")
    qtbot.waitUntil(lambda: not home.welcome.isVisible())
    assert home.next_title.text() == "Import conversations"
    assert [card.count.text() for card in home.steps.values()] == ["0"] * 6


@pytest.mark.usefixtures("tiny_jobs")
def test_an_interrupted_job_is_offered_for_resumption(qtbot: QtBot, window: MainWindow) -> None:
    db = window.services.connections.db
    job = jobs.create(db, "tiny_gpu", "Interrupted job", {"n": 2})
    jobs.set_state(db, job.id, JobState.INTERRUPTED)
    window.services.hub.announce(jobs.Changed.JOBS)
    home: Any = window.page("home")
    qtbot.waitUntil(lambda: job.id in home._rows and home._rows[job.id].resume.isVisible())
    with qtbot.waitSignal(window.services.queue.finished) as heard:
        click(qtbot, home, f"resume_{job.id}")
    assert heard.args[0].status == JobState.COMPLETED


def test_settings_show_the_folder_and_store_the_share(qtbot: QtBot, window: MainWindow) -> None:
    window.open_page("settings")
    page: Any = window.current_page
    qtbot.waitUntil(lambda: not page._loading)
    qtbot.waitUntil(lambda: page.vertical.text() == "Financial planning consultant")
    assert page.share.value() == 12
    page.share.spin.setValue(20)
    db = window.services.connections.db
    qtbot.waitUntil(lambda: settings.get(db, "validation_share") == 0.2)


def test_settings_store_how_many_network_jobs_run(qtbot: QtBot, window: MainWindow) -> None:
    db = window.services.connections.db
    settings.put(db, "network_jobs", 2)
    window.open_page("settings")
    page: Any = window.current_page
    qtbot.waitUntil(lambda: page.network.value() == 2)
    assert (page.network.minimum(), page.network.maximum()) == (1, 8)
    page.network.setValue(4)
    page.share.spin.setValue(20)
    qtbot.waitUntil(lambda: (settings.get(db, "network_jobs"), settings.get(db, "validation_share")) == (4, 0.2))


# The whole application


@pytest.fixture
def application(qtbot: QtBot, tmp_path: Path) -> Iterator[Application]:
    made = Application(Options(Workspace(tmp_path / "first")))
    yield made
    session = made.session
    if session is not None and session.services.queue.busy:
        with qtbot.waitSignal(session.services.queue.idle):
            session.services.queue.shutdown()
    made.stop()
    if made.fatal is not None:
        made.fatal.close()
    qtbot.wait(0)


def test_another_workspace_opens_in_the_same_process(qtbot: QtBot, application: Application, tmp_path: Path) -> None:
    assert application.start()
    first = application.session
    assert first is not None
    opened: list[Services] = []
    second = Workspace(tmp_path / "second")
    first.services.navigator.open_workspace(second, opened.append)
    qtbot.waitUntil(lambda: bool(opened))
    assert opened[0].workspace == second
    assert application.session is not None
    assert application.session.window.isVisible()
    lock = FileLock(tmp_path / "first" / ".lock")
    assert lock.try_acquire()
    lock.release()
    assert not FileLock(second.root / ".lock").try_acquire()
    assert not (tmp_path / "first" / "logs" / "crash.log").exists()


def test_the_sample_workspace_opens_and_imports_its_conversations_once(qtbot: QtBot, application: Application) -> None:
    assert application.start()
    first = application.session
    assert first is not None
    home: Any = first.window.page("home")
    qtbot.waitUntil(lambda: home.welcome.isVisible())
    click(qtbot, home, "open_sample")
    qtbot.waitUntil(lambda: application.session is not first and application.session is not None)
    session = application.session
    assert session is not None
    ended: dict[str, Any] = {}
    session.services.queue.finished.connect(lambda job: ended.__setitem__(job.kind, job))
    qtbot.waitUntil(lambda: "import" in ended)
    job = ended["import"]
    assert ended["add_base_model"].status == job.status == JobState.COMPLETED
    assert job.result["in"] == job.result["used"] == len(sample_files())
    line: Any = session.window.page("home")
    qtbot.waitUntil(lambda: line.steps["conversations"].count.text() == str(len(sample_files())))
    assert not line.welcome.isVisible()
    session.window.actions_["open_own"].trigger()
    qtbot.waitUntil(lambda: application.session is not session and application.session is not None)
    again = application.session
    assert again is not None
    again.window.actions_["open_sample"].trigger()
    qtbot.waitUntil(lambda: application.session is not again and application.session is not None)
    third = application.session
    assert third is not None
    qtbot.waitUntil(lambda: not third.services.tasks.busy)
    assert len(jobs.listing(third.services.connections.db, kind="import")) == 1


def test_a_workspace_in_use_leaves_this_one_open(qtbot: QtBot, application: Application, tmp_path: Path) -> None:
    assert application.start()
    session = application.session
    assert session is not None
    held = Workspace(tmp_path / "held")
    held.create()
    with FileLock(held.root / ".lock"):
        session.services.navigator.open_workspace(held)
        qtbot.waitUntil(lambda: bool(session.window.banners.banners))
    assert str(os.getpid()) in session.window.banners.banners[0].text
    assert application.session is session


@pytest.mark.usefixtures("tiny_jobs")
def test_a_job_under_way_is_interrupted_when_the_workspace_changes(
    qtbot: QtBot, application: Application, tmp_path: Path
) -> None:
    assert application.start()
    session = application.session
    assert session is not None
    job_id = session.services.start_job("tiny_gpu", "Running", {"mode": "loop"})
    qtbot.waitUntil(lambda: job_id in session.window.tray.lines)
    session.services.navigator.open_workspace(Workspace(tmp_path / "second"))
    qtbot.waitUntil(lambda: application.session is not None and application.session is not session)
    db = connect(tmp_path / "first" / "workspace.db", read_only=True)
    assert jobs.get(db, job_id).status == JobState.INTERRUPTED
    db.close()


def test_a_held_workspace_is_said_in_a_small_window(qtbot: QtBot, application: Application, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    with FileLock(tmp_path / "first" / ".lock"):
        assert not application.start()
    assert application.fatal is not None
    assert application.fatal.isVisible()


@pytest.mark.usefixtures("tiny_jobs")
def test_what_the_last_run_left_is_recovered_and_told(qtbot: QtBot, application: Application, tmp_path: Path) -> None:
    from core.db.connection import open_database

    workspace = Workspace(tmp_path / "first")
    workspace.create()
    db = open_database(workspace.db_path, workspace.backups)
    job = jobs.create(db, "tiny_gpu", "Was running", {"n": 1})
    jobs.claim_next(db)
    db.close()
    (workspace.logs / "crash.log").write_text("Bright Run started\nFatal Python error: Segmentation fault\n")
    assert application.start()
    session = application.session
    assert session is not None
    qtbot.waitUntil(lambda: session.window.toast.text.text() == "1 job was interrupted")
    assert jobs.get(session.services.connections.db, job.id).status == JobState.INTERRUPTED
    assert session.window.banners.banners[0].text == "Bright Run quit unexpectedly last time."
    assert "Segmentation fault" in session.window.banners.banners[0].details


def test_home_says_of_an_ended_job_whether_all_was_used(
    qtbot: QtBot, window: MainWindow, services: Services, tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text("{")
    good, broken = str(sample_files()[0]), str(tmp_path / "broken.json")
    words = {(good,): "Done", (str(sample_files()[1]), broken): "Partly used", (broken,): "Nothing used"}
    window.open_page("home")
    for files, word in words.items():
        ended: list[Job] = []
        ident = services.start_job("import", "Importing", {"files": list(files)}, then=ended.append)
        qtbot.waitUntil(lambda ended=ended: bool(ended))

        def shown(ident: str = ident) -> str:
            row = window.findChild(JobRow, f"recent_{ident}")
            return row.pill.status.word if row is not None else ""

        qtbot.waitUntil(lambda shown=shown, word=word: shown() == word)


def test_the_window_closes_though_a_jobs_end_can_not_be_written(
    qtbot: QtBot, window: MainWindow, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: JobSession, *args: Any) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(JobSession, "finish", full)
    with qtbot.waitSignal(services.queue.failed):
        services.start_job("import", "Importing", {"files": [str(sample_files()[0])]})
    assert services.queue.busy
    qtbot.wait(50)
    with qtbot.waitSignal(window.closed):
        window.close()
    assert not window.isVisible()
