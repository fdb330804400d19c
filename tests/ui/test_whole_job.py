"""The main job as a consultant does it: mouse, keyboard and drops on visible widgets, real workers, real MLX."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QPlainTextEdit, QPushButton, QTableView, QWidget
from pytestqt.qtbot import QtBot

from app.bootstrap import Application, Options
from core import jobs
from core.sample import sample_files
from core.training import config
from core.training import store as training
from core.workspace.paths import Workspace
from tests.support.pages import click, dialog, find, until

pytestmark = pytest.mark.slow

QUESTION = "I am afraid of my debt. What should I do?"


@pytest.fixture
def application(qtbot: QtBot, tmp_path: Path) -> Iterator[Application]:
    made = Application(Options(Workspace(tmp_path / "own")))
    yield made
    session = made.session
    if session is not None:
        session.services.queue.shutdown()
        if session.services.queue.busy:
            with qtbot.waitSignal(session.services.queue.idle):
                pass
    made.stop()


class Consultant:
    """Drives the window; everything it touches must be visible."""

    def __init__(self, qtbot: QtBot, application: Application, qapp: Any) -> None:
        self.qtbot, self.application, self.qapp = qtbot, application, qapp
        self.clicks = 0

    @property
    def window(self) -> Any:
        assert self.application.session is not None
        return self.application.session.window

    @property
    def page(self) -> Any:
        return self.window.current_page

    def go(self, name: str) -> None:
        self.clicks += 1
        click(self.qtbot, self.window, f"nav_{name}")

    def press(self, name: str, parent: QWidget | None = None) -> None:
        until(self.qtbot, lambda: self._ready(parent or self.page, name), f"{name} can't be pressed")
        self.clicks += 1
        click(self.qtbot, parent or self.page, name)

    def _ready(self, parent: QWidget, name: str) -> bool:
        return any(b.isVisible() and b.isEnabled() for b in parent.findChildren(QPushButton, name))

    def write(self, field: QWidget, text: str) -> None:
        assert field.isVisible()
        self.qtbot.mouseClick(field, Qt.MouseButton.LeftButton)
        self.qtbot.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        self.qtbot.keyClicks(field, text)

    def rows(self, table: str) -> int:
        view = find(self.page, QTableView, table)
        return int(view.model().rowCount())

    def drop(self, *paths: Path) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(p)) for p in paths])
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        enter = QDragEnterEvent(QPoint(600, 400), Qt.DropAction.CopyAction, data, left, none)
        self.qapp.sendEvent(self.window, enter)
        assert enter.isAccepted()
        drop = QDropEvent(QPointF(600, 400), Qt.DropAction.CopyAction, data, left, none)
        self.qapp.sendEvent(self.window, drop)

    def wait_for(self, check: Any, what: str) -> None:
        try:
            until(self.qtbot, check, what)
        except Exception as exc:
            raise AssertionError(f"{what} did not come; the page says: {words(self.page)}") from exc

    def shown(self, name: str) -> str:
        return str(find(self.page, QLabel, name).text())

    def answers(self) -> list[str]:
        texts = []
        for turn in self.page.findChildren(QWidget):
            if turn.objectName().startswith("turn_") and turn.isVisible():
                body = [w for w in turn.findChildren(QWidget, "message_text") if w.isVisible()]
                if body and turn.findChildren(QLabel, "answered_by"):
                    texts.append(" ".join(w.text() for w in body[0].findChildren(QLabel) if w.isVisible()))
        return texts


def test_from_raw_conversations_to_an_assistant_with_its_own_adapter(
    qtbot: QtBot, qapp: Any, application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of what those settings do is a visible effect already.
    monkeypatch.setitem(config.PRACTICE_OVERRIDES, "epochs", 2)
    assert application.start()
    me = Consultant(qtbot, application, qapp)
    open_the_sample(me)
    drop_one_more(me, tmp_path)
    enrich_and_gather(me)
    make_a_dataset(me)
    fast_alone_reports_its_small_effect(me)
    before, after = train_with_a_visible_effect(me)
    assert after <= 0.7 * before
    talk_and_switch(me)


def test_home_leads_to_the_first_answer_in_eight_clicks(
    qtbot: QtBot, qapp: Any, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is trained is the other test's matter; here one time through the data is enough.
    monkeypatch.setitem(config.PRACTICE_OVERRIDES, "epochs", 1)
    assert application.start()
    me = Consultant(qtbot, application, qapp)
    me.wait_for(lambda: me.page.welcome.isVisible(), "the welcome")
    first = me.window
    me.press("open_sample")
    me.wait_for(lambda: me.application.session is not None and me.window is not first, "the sample workspace")
    me.wait_for(lambda: me.window.isVisible(), "its window")
    for title in ("Enrich conversations", "Build training file", "Build dataset"):
        next_is(me, title)
        me.press("next_step")
        # Hit twice, it is done once.
        click(me.qtbot, me.page, "next_step")
    next_is(me, "Train adapter")
    me.press("next_step")
    me.press("start_training")
    me.wait_for(lambda: find_text(me, "result_words") != "", "the result")
    before, after = losses(me)
    assert after <= 0.7 * before, "the settings with a visible effect were not chosen"
    me.press("talk")
    me.wait_for(lambda: isinstance(me.qapp.focusWidget(), QPlainTextEdit), "the cursor in the question")
    question = me.qapp.focusWidget()
    me.qtbot.keyClicks(question, QUESTION)
    me.clicks += 1
    me.qtbot.keyClick(question, Qt.Key.Key_Return)
    assert finished_answer(me, "")
    assert me.clicks == 8
    session = me.application.session
    assert session is not None
    db = session.services.connections.db
    made = {
        kind: len(jobs.listing(db, kind=kind))
        for kind in ("enrich", "build_training_file", "build_dataset", "training")
    }
    assert set(made.values()) == {1}, made
    me.go("home")
    next_is(me, "Chat with your adapter")


def next_is(me: Consultant, title: str) -> None:
    me.wait_for(lambda: find_text(me, "next_title") == title and me._ready(me.page, "next_step"), f"“{title}” as Next")


def open_the_sample(me: Consultant) -> None:
    first = me.window
    me.wait_for(lambda: me.page.welcome.isVisible(), "the welcome")
    me.press("open_sample")
    me.wait_for(lambda: me.application.session is not None and me.window is not first, "the sample workspace")
    me.wait_for(lambda: me.window.isVisible(), "its window")
    me.go("conversations")
    me.wait_for(lambda: me.rows("conversations") == len(sample_files()), "the sample's conversations")


def drop_one_more(me: Consultant, folder: Path) -> None:
    talk = json.loads(sample_files()[0].read_bytes())
    talk["title"] = "Dropped on the window"
    talk["turns"][0]["content"] += " And one more thing keeps me awake."
    (folder / "good.json").write_text(json.dumps(talk), encoding="utf-8")
    (folder / "broken.json").write_text(json.dumps(talk)[:-30], encoding="utf-8")
    me.drop(folder / "good.json", folder / "broken.json")
    me.wait_for(lambda: me.rows("conversations") == len(sample_files()) + 1, "the dropped one")
    me.wait_for(lambda: "1 of 2 used" in words(me.page), "what was rejected")


def words(widget: QWidget) -> str:
    return " | ".join(w.text() for w in widget.findChildren(QLabel) if w.isVisible())


def enrich_and_gather(me: Consultant) -> None:
    me.press("enrich")
    me.wait_for(lambda: "No jobs running" not in words(me.window), "the job in the tray")
    me.wait_for(lambda: "No jobs running" in words(me.window), "the end of the enrichment")
    me.press("add_to_training_file")
    me.wait_for(lambda: bool([w for w in me.qapp.topLevelWidgets() if w.objectName() == "add_dialog"]), "the dialog")
    asked = dialog(me.qapp, "add_dialog")
    me.write(find(asked, QLineEdit, "field_name"), "Planner")
    me.press("build", asked)
    me.go("training_files")
    me.wait_for(lambda: me.page.shown_state == "content" and me.rows("training_files") == 1, "the training file")


def make_a_dataset(me: Consultant) -> None:
    me.press("make_a_dataset")
    me.wait_for(
        lambda: bool([w for w in me.qapp.topLevelWidgets() if w.objectName() == "dataset_dialog"]), "the dialog"
    )
    me.press("make", dialog(me.qapp, "dataset_dialog"))
    me.go("datasets")
    me.wait_for(lambda: "22 train, 3 validation" in words(me.page), "the dataset with three held-out conversations")


def fast_alone_reports_its_small_effect(me: Consultant) -> None:
    me.press("train_an_adapter")
    qtbot_click(me, "preset_fast")
    me.press("start_training")
    me.wait_for(lambda: find_text(me, "result_words") != "", "the result of Fast")
    before, after = losses(me)
    assert 0.95 * before < after <= 1.01 * before
    assert "better than the base" not in words(me.page).lower() or "not better" in words(me.page).lower()


def qtbot_click(me: Consultant, name: str) -> None:
    me.wait_for(lambda: any(w.isVisible() for w in me.page.findChildren(QWidget, name)), f"{name} to be shown")
    widget = next(w for w in me.page.findChildren(QWidget, name) if w.isVisible())
    me.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def find_text(me: Consultant, name: str) -> str:
    found = [w for w in me.page.findChildren(QLabel, name) if w.isVisible()]
    return found[-1].text() if found else ""


def losses(me: Consultant) -> tuple[float, float]:
    before, after = find_text(me, "result_losses").split(" → ")
    return float(before), float(after)


def train_with_a_visible_effect(me: Consultant) -> tuple[float, float]:
    me.press("new_run")
    qtbot_click(me, "preset_balanced")
    me.press("practice_settings")
    me.press("start_training")
    session = me.application.session
    assert session is not None
    db = session.services.connections.db
    drawn: list[int] = []

    def curve_moves() -> bool:
        runs = training.list_runs(db)
        points = len(training.metrics(db, runs[0].id)) if len(runs) == 2 else 0
        if points and (not drawn or points > drawn[-1]):
            drawn.append(points)
        return len(runs) == 2 and runs[0].job.status == "completed" and find_text(me, "result_words") != ""

    me.wait_for(curve_moves, "the result")
    assert len(drawn) > 5
    return losses(me)


def talk_and_switch(me: Consultant) -> None:
    me.press("talk")
    me.wait_for(lambda: bool(me.page.findChildren(QPlainTextEdit, "question_field")), "the chat")
    me.wait_for(lambda: bool(chip(me, "base")), "the chips")
    me.press(chip(me, "base"))
    me.write(find(me.page, QPlainTextEdit, "question_field"), QUESTION)
    me.qtbot.keyClick(find(me.page, QPlainTextEdit, "question_field"), Qt.Key.Key_Return)
    base = finished_answer(me, "")
    me.press(chip(me, "adapter"))
    me.press("ask_again")
    adapted = finished_answer(me, base)
    me.press(chip(me, "base"))
    me.press("ask_again")
    again = finished_answer(me, adapted)
    assert adapted != base
    assert again == base


def chip(me: Consultant, which: str) -> str:
    names = [b.objectName() for b in me.page.findChildren(QPushButton) if b.objectName().startswith("adapter_")]
    if which == "base":
        return "adapter_base" if "adapter_base" in names else ""
    session = me.application.session
    assert session is not None
    newest = training.list_adapters(session.services.connections.db)[0]
    return f"adapter_{newest.id}"


def finished_answer(me: Consultant, other_than: str) -> str:
    me.wait_for(lambda: bool(me.answers()) and me.answers()[-1] not in ("", other_than), "an answer")
    me.wait_for(lambda: me._ready(me.page, "ask_again"), "the end of the answer")
    return me.answers()[-1]
