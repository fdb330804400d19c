"""The Training page: the form, a real run followed live, states that were made through the stores."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs
from core.errors import AppError
from core.events import Changed
from core.jobs import JobState
from core.registries import JOB_KINDS
from core.training import store
from core.training.config import PRACTICE_OVERRIDES, PRESETS
from core.workspace.paths import Workspace
from tests.plugins.held_training import hold
from tests.support import studio
from tests.support.pages import click, open_page, settle, take_back
from tests.support.pages import shown_text as text
from ui.pages.training.page import TrainingPage
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=TrainingPage)


def form(qtbot: QtBot, window: MainWindow, dataset_id: str) -> TrainingPage:
    page = opened(qtbot, window)
    window.services.navigator.open_page("training", {"dataset": dataset_id})
    qtbot.waitUntil(lambda: page.form.isVisible() and page.form.chosen_dataset is not None)
    return page


def show_run(qtbot: QtBot, page: TrainingPage, run_id: str) -> None:
    page.open_run(run_id)
    qtbot.waitUntil(lambda: page.run.shown is not None and page.run.shown.run.id == run_id)


def test_without_a_dataset_the_page_says_what_to_do(qtbot: QtBot, window: MainWindow) -> None:
    page = opened(qtbot, window)
    assert page.shown_state == "empty"
    assert not page.start.isVisible()
    assert not page.new.isVisible()


def test_without_a_base_the_practice_model_is_offered_and_added(
    qtbot: QtBot, window: MainWindow, services: Services, workspace: Workspace, tmp_path: Path
) -> None:
    studio.add_dataset(services.connections.db, workspace, studio.dataset_file(tmp_path, limit=4, broken=False))
    page = opened(qtbot, window)
    click(qtbot, page, "empty_button")
    qtbot.waitUntil(lambda: bool(page.form.base.count()))
    assert page.shown_state == "empty"
    click(qtbot, page, "empty_button")
    qtbot.waitUntil(page.form.isVisible)


def test_presets_fill_the_form_and_the_estimate_follows(qtbot: QtBot, dataset: str, window: MainWindow) -> None:
    page = form(qtbot, window, dataset)
    assert page.form.config() == PRESETS["balanced"].config
    assert text(page, "expect_steps") == "6"
    assert page.form.expect.facts.facts["Duration"] == "Not yet measured on this machine"
    click(qtbot, page, "preset_fast")
    assert page.form.config() == PRESETS["fast"].config
    assert "Fast makes 1 step over 7 conversations: expect a small effect." in text(page, "expect_verdict")
    page.form.settings.field("epochs").spin.setValue(4)  # type: ignore[attr-defined]
    assert text(page, "expect_steps") == "4"
    assert "epochs" in text(page, "changed_from")
    click(qtbot, page, "back_to_preset")
    assert page.form.config() == PRESETS["fast"].config


def test_values_beyond_the_slider_can_be_typed_and_wrong_ones_are_told(
    qtbot: QtBot, dataset: str, window: MainWindow
) -> None:
    page = form(qtbot, window, dataset)
    batch: Any = page.form.settings.field("batch_size")
    batch.spin.selectAll()
    qtbot.keyClicks(batch.spin, "40")
    assert page.form.config().batch_size == 40
    assert page.start.isEnabled()
    rank: Any = page.form.settings.field("rank")
    rank.spin.selectAll()
    qtbot.keyClicks(rank.spin, "10")
    assert not page.start.isEnabled()
    assert any(label.text() == "Must be a multiple of 4." for label in page.form.settings.findChildren(QLabel))
    rank.spin.selectAll()
    qtbot.keyClicks(rank.spin, "500")
    assert any("between 4 and 128" in label.text() for label in page.form.settings.findChildren(QLabel))
    rank.slider.setValue(7)
    assert page.form.config().rank == 32
    assert page.form.config().alpha == 64
    assert page.start.isEnabled()


def test_the_practice_model_comes_with_settings_that_show(qtbot: QtBot, dataset: str, window: MainWindow) -> None:
    page = form(qtbot, window, dataset)
    click(qtbot, page, "practice_settings")
    config = page.form.config().to_json()
    assert {key: config[key] for key in PRACTICE_OVERRIDES} == PRACTICE_OVERRIDES
    assert not page.form.expect.practice.isEnabled()


def test_a_run_from_the_form_to_its_result(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services
) -> None:  # fmt: skip
    page = form(qtbot, window, dataset)
    click(qtbot, page, "practice_settings")
    page.form.settings.field("max_steps").set_value(6)  # type: ignore[attr-defined]
    click(qtbot, page, "start_training")
    qtbot.waitUntil(page.run.isVisible)
    qtbot.waitUntil(lambda: len(page.run.points) >= 2)
    assert page.run.curves.loss.points("train")[0][0] == 1.0
    qtbot.waitUntil(lambda: page.run.side.result.isVisible())
    qtbot.waitUntil(lambda: page.run.curves.last_step == 6)
    assert text(page, "run_sum") == "8 in = 8 used + 0 rejected + 0 cut"
    assert "validation" in text(page, "result_words")
    qtbot.waitUntil(lambda: "finished" in text(page, "run_log"))
    assert 'step,"train, each step"' in page.run.curves.loss.csv()
    asked: list[Any] = []
    services.navigator.page_requested.connect(lambda name, argument: asked.append((name, argument)))
    click(qtbot, page.run.side, "talk")
    shown = page.run.shown
    assert shown is not None
    assert asked == [("chat", {"adapter": shown.run.artifact_id})]


def test_stop_keeps_what_is_there_and_resume_goes_on(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services
) -> None:
    JOB_KINDS.register("training", "tests.plugins.held_training:TRAINING")
    go_on = hold(services.workspace, 3)
    job = studio.new_run(services.connections.db, dataset, batch_size=1, epochs=2, rank=4)
    services.queue.kick()
    services.hub.announce(Changed.JOBS)
    page = opened(qtbot, window)
    # The page opens on the run that is running.
    qtbot.waitUntil(lambda: page.run.isVisible() and len(page.run.points) >= 4)
    click(qtbot, page, "stop")
    qtbot.waitUntil(page.resume.isVisible)
    stopped = jobs.get(services.connections.db, job.id)
    assert stopped.status == JobState.CANCELLED
    assert "kept" in text(page, "state_words")
    assert [point["step"] for point in store.metrics(services.connections.db, job.id)] == [0, 1, 2, 3]
    go_on()
    click(qtbot, page, "resume")
    qtbot.waitUntil(lambda: page.run.side.result.isVisible())
    qtbot.waitUntil(lambda: page.run.curves.last_step == 14)
    qtbot.waitUntil(lambda: "resumed at step 3" in text(page, "run_log"))


def test_buttons_that_are_hit_twice_do_their_work_once(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services
) -> None:
    def twice(name: str) -> None:
        (button,) = [found for found in page.findChildren(QPushButton, name) if found.isVisible()]
        for _ in range(2):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    db = services.connections.db
    JOB_KINDS.register("training", "tests.plugins.held_training:TRAINING")
    go_on = hold(services.workspace, 2)
    page = form(qtbot, window, dataset)
    click(qtbot, page, "preset_fast")
    page.form.settings.field("epochs").spin.setValue(3)  # type: ignore[attr-defined]
    twice("start_training")
    qtbot.waitUntil(lambda: page.run.isVisible() and len(page.run.points) >= 2)
    assert len(store.list_runs(db)) == 1
    twice("stop")
    qtbot.waitUntil(page.resume.isVisible)
    go_on()
    twice("resume")
    qtbot.waitUntil(lambda: [str(run.job.status) for run in store.list_runs(db)] == ["completed"])
    settle(qtbot, window)
    assert page.run.side.result.isVisible()
    assert len(store.list_runs(db)) == 1
    assert len(store.list_adapters(db)) == 1


def test_a_worker_that_dies_is_told_once(qtbot: QtBot, dataset: str, window: MainWindow, services: Services) -> None:
    JOB_KINDS.register("training", "tests.plugins.held_training:TRAINING")
    hold(services.workspace, 3)
    job = studio.new_run(services.connections.db, dataset, batch_size=1, epochs=2, rank=4)
    services.queue.kick()
    services.hub.announce(Changed.JOBS)
    page = opened(qtbot, window)
    qtbot.waitUntil(lambda: page.run.isVisible() and len(page.run.points) >= 3)
    os.kill(services.queue.pid(job.id), signal.SIGKILL)
    qtbot.waitUntil(page.resume.isVisible)
    qtbot.waitUntil(lambda: bool(page.banners.banners))
    settle(qtbot, window)
    (banner,) = page.banners.banners
    assert banner.text.startswith("This run was interrupted at step ")
    assert not window.banners.banners


def test_an_interrupted_run_offers_to_resume(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services, workspace: Workspace
) -> None:
    db = services.connections.db
    run_id = studio.fake_run(db, workspace, dataset, JobState.INTERRUPTED, "Empathy v2")
    page = opened(qtbot, window)
    assert page.runs.isVisible()
    page.runs.table.setFocus()
    qtbot.keyClick(page.runs.table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(page.banners.banners))
    assert (
        page.banners.banners[0].text
        == "This run was interrupted at step 412. Resume continues exactly where it stopped."
    )
    assert page.resume.isVisible()
    assert page.run.shown is not None
    assert page.run.shown.run.id == run_id
    # Shortcuts are for the active window, and the offscreen platform takes that away now and then.
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(page.runs.isVisible)
    assert not page.banners.banners


def test_a_failed_run_says_why(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services, workspace: Workspace
) -> None:
    error = AppError("non_finite_loss", "Training diverged at step 121.", hint="Lower the learning rate.")
    run_id = studio.fake_run(
        services.connections.db, workspace, dataset, JobState.FAILED, "Warm tone", steps=120, error=error
    )
    page = opened(qtbot, window)
    show_run(qtbot, page, run_id)
    qtbot.waitUntil(lambda: bool(page.banners.banners))
    assert text(page, "banner_hint") == "Lower the learning rate."
    assert page.pill.status.word == "Failed"


def test_figures_and_curves_of_a_long_run(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services, workspace: Workspace
) -> None:
    run_id = studio.fake_run(services.connections.db, workspace, dataset, JobState.PAUSED, "Empathy v3")
    page = opened(qtbot, window)
    show_run(qtbot, page, run_id)
    qtbot.waitUntil(lambda: page.run.curves.last_step == 412)
    qtbot.waitUntil(lambda: all(chart.built for chart in page.run.curves.charts))
    assert page.run.step.accessibleName() == "Step: 412 of 900 epoch 2 of 3"
    assert "base 2.87" in page.run.loss.accessibleName()
    assert page.run.memory.accessibleName() == "Peak memory: 7.9 GB during training"
    assert text(page, "run_sum") == "24 in = 22 used + 1 rejected + 1 cut"
    assert "Line 9" in text(page, "left_out")
    legend = page.run.curves.loss.legend["train"]
    qtbot.mouseClick(legend, Qt.MouseButton.LeftButton)
    assert not legend.isChecked()


def test_new_points_are_read_alone(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services, workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    db = services.connections.db
    run_id = studio.fake_run(db, workspace, dataset, JobState.RUNNING, "Live", steps=100)
    page = opened(qtbot, window)
    show_run(qtbot, page, run_id)
    qtbot.waitUntil(lambda: page.run.curves.last_step == 100)
    qtbot.waitUntil(lambda: all(chart.built for chart in page.run.curves.charts))
    read: list[int] = []
    true_metrics = store.metrics

    def counted(database: Any, run: str, after_step: int = -1) -> list[dict[str, Any]]:
        rows = true_metrics(database, run, after_step)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(store, "metrics", counted)
    events = studio.fake_events(workspace, run_id, 900, 300, start=100)
    job = jobs.get(db, run_id)
    for at in range(0, len(events), 30):
        studio.play(db, workspace, job, events[at : at + 30])
        db.conn.commit()
        services.hub.announce(Changed.METRICS)
        qtbot.wait(0)
    qtbot.waitUntil(lambda: page.run.curves.last_step == 400)
    assert sum(read) <= 330
    assert len(page.run.points) == 401
    jobs.set_state(db, run_id, JobState.PAUSED)


def test_runs_are_deleted_with_undo_but_not_while_they_run(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services, workspace: Workspace
) -> None:
    db = services.connections.db
    studio.fake_run(db, workspace, dataset, JobState.PAUSED, "Old one", steps=20, total=40)
    page = opened(qtbot, window)
    qtbot.waitUntil(lambda: page.runs.model.rowCount() == 1)
    click(qtbot, page.runs, "delete_run")
    qtbot.waitUntil(lambda: page.shown_state == "empty")
    take_back(qtbot, window)
    qtbot.waitUntil(lambda: page.runs.model.rowCount() == 1 and page.shown_state == "content")
    run = page.runs.model.rows[0]
    jobs.set_state(db, run.id, JobState.RUNNING)
    services.hub.announce(Changed.JOBS)
    qtbot.waitUntil(lambda: page.runs.model.rows[0].job.status == JobState.RUNNING)
    click(qtbot, page.runs, "delete_run")
    assert "is running" in page.banners.banners[0].text
    jobs.set_state(db, run.id, JobState.PAUSED)


def test_train_again_takes_the_settings_over(
    qtbot: QtBot, dataset: str, window: MainWindow, services: Services, workspace: Workspace
) -> None:
    job = studio.train(services.connections.db, workspace, dataset, max_steps=2)
    assert job.status == JobState.COMPLETED
    page = opened(qtbot, window)
    show_run(qtbot, page, job.id)
    qtbot.waitUntil(page.run.side.again.isVisible)
    click(qtbot, page.run.side, "train_again")
    qtbot.waitUntil(page.form.isVisible)
    assert page.form.config().max_steps == 2
    qtbot.waitUntil(lambda: "about" in page.form.expect.facts.facts["Duration"])
