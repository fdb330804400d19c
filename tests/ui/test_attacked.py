"""What once broke in the window: painters, users' names, double starts, landings, long texts, low windows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QPlainTextEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app import bootstrap, opening
from app.bootstrap import Application, Options
from app.overview import read_overview
from app.services import Services
from core import jobs
from core.conversations import store
from core.errors import AppError
from core.models.practice import PRACTICE_ID
from core.workspace.paths import Workspace, source_root
from tests.core.factories import Place, add_conversation, enrich, parsed
from tests.support.pages import click, dialog, filled, find, open_page, settle, until
from ui.deleting import delete_rows
from ui.pages.conversations.page import ConversationsPage
from ui.widgets.banner import Banner
from ui.widgets.basic import Button, ElidedLabel, label, plain_tip
from ui.widgets.empty import EmptyState
from ui.widgets.forms import SliderSpin
from ui.window.actions import COMMANDS
from ui.window.main_window import MainWindow

ENDLESS = "x" * 500
MARKUP = "<img src='file:///etc/hostname'> and <b>more</b>"


opened = partial(open_page, kind=ConversationsPage)


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


def enrichments(here: Place) -> int:
    return len(jobs.listing(here.db, kind="enrich"))


# Painting and users' words


def test_every_painter_on_a_widget_is_ended_also_by_an_exception() -> None:
    bare = re.compile(r"= QPainter\(self\)$", re.MULTILINE)
    assert not [p.name for p in (source_root() / "ui").rglob("*.py") if bare.search(p.read_text(encoding="utf-8"))]


def test_words_of_users_are_no_markup_and_no_mnemonics(qtbot: QtBot) -> None:
    assert "&lt;img" in plain_tip(MARKUP)
    assert plain_tip("Profit & loss") == "Profit & loss"
    elided, button = ElidedLabel(MARKUP), Button("R&D")
    for widget in (elided, button):
        qtbot.addWidget(widget)
    assert "<img" not in elided.toolTip()
    assert (button.text(), QPushButton.text(button), button.accessibleName()) == ("R&D", "R&&D", "R&D")


def test_an_endless_word_does_not_widen_the_window(qtbot: QtBot) -> None:
    wrapped = label(ENDLESS, wrap=True)
    qtbot.addWidget(wrapped)
    assert wrapped.minimumSizeHint().width() < 300
    assert wrapped.text() == ENDLESS


def test_a_conversation_of_endless_words_leaves_the_table_its_place(
    qtbot: QtBot, window: MainWindow, here: Place
) -> None:
    add_conversation(here, parsed((ENDLESS, "y" * 20_000), title=ENDLESS))
    window.resize(1100, 700)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.inspector.detail is not None)
    assert page.inspector.width() < window.width() / 2
    turns = page.inspector.turns
    inner = turns.widget()
    assert inner is not None
    assert inner.width() <= turns.viewport().width()
    assert find(turns, QPushButton, "show_more").text().startswith("Show more")


def test_the_sentence_of_an_empty_page_has_all_its_lines(qtbot: QtBot) -> None:
    empty = EmptyState("ph.table", "One sentence that needs more than a line to be said. " * 6)
    qtbot.addWidget(empty)
    empty.resize(900, 500)
    empty.show()
    assert empty.sentence.height() >= 3 * empty.sentence.fontMetrics().height()


def test_a_slider_is_reached_by_tab_and_a_button_named_later_has_a_name(qtbot: QtBot) -> None:
    field, button = SliderSpin(0, 10, 3), Button("", "link")
    for widget in (field, button):
        qtbot.addWidget(widget)
    chain = field.nextInFocusChain()
    assert field.focusProxy() is None
    assert chain is field.slider
    button.setText("Show all 10")
    assert button.accessibleName() == "Show all 10"


# Keys that are held, clicks that are doubled


def test_a_held_key_repeats_nothing_that_starts_or_deletes(window: MainWindow) -> None:
    held = {c.name for c in COMMANDS if window.actions_[c.name].autoRepeat()}
    assert held == {"larger", "smaller"}


def test_deleting_the_same_twice_can_be_undone_once(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    ident = add_conversation(here)
    services = window.services
    for _ in range(2):
        delete_rows(services, services.root, "conversations", [ident], "Deleted")
    until(qtbot, lambda: services.notifier.last_undo is not None and not services.tasks.busy)
    services.notifier.take_back()
    assert services.notifier.last_undo is None


def test_enriching_the_same_twice_is_one_job(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.table.current() is not None)
    page.enriching.enrich_selected()
    page.enriching.enrich_selected()
    until(qtbot, lambda: [row.enrichment_status for row in page.model.rows] == ["completed"])
    assert enrichments(here) == 1


@pytest.fixture
def application(qtbot: QtBot, tmp_path: Path) -> Iterator[Application]:
    made = Application(Options(Workspace(tmp_path / "own")))
    assert made.start()
    yield made
    session = made.session
    if session is not None:
        session.services.queue.shutdown()
        if session.services.queue.busy:
            with qtbot.waitSignal(session.services.queue.idle, timeout=30_000):
                pass
    made.stop()


def test_a_workspace_asked_for_twice_is_opened_once(
    qtbot: QtBot, application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Workspace] = []
    real = opening.open_workspace

    def count(workspace: Workspace) -> Any:
        asked.append(workspace)
        return real(workspace)

    monkeypatch.setattr(bootstrap, "open_workspace", count)
    first = application.session
    assert first is not None
    for _ in range(2):
        first.services.navigator.open_workspace(Workspace(tmp_path / "other"))
    until(qtbot, lambda: application.session not in (None, first))
    assert len(asked) == 1


def test_the_welcome_stays_while_the_practice_model_gets_ready(here: Place) -> None:
    jobs.create(here.db, "add_base_model", "Preparing practice model", {"path": PRACTICE_ID})
    assert read_overview(here.db).untouched
    jobs.create(here.db, "import", "Importing", {"files": []})
    assert not read_overview(here.db).untouched


# Where things land


@pytest.mark.parametrize("begin", ["datasets", "conversations"])
def test_an_imported_dataset_leads_to_the_datasets(
    qtbot: QtBot, window: MainWindow, here: Place, tmp_path: Path, begin: str
) -> None:
    lines = [json.dumps({"prompt": f"What is {n}?", "completion": f"It is {n}."}) for n in range(12)]
    (tmp_path / "small.jsonl").write_text("\n".join(lines))
    window.open_page(begin)
    window.services.navigator.import_files([tmp_path / "small.jsonl"])
    assert window.current_name == begin
    until(qtbot, lambda: window.current_name == "datasets")
    page: Any = window.current_page
    until(qtbot, lambda: page.table.current() is not None)


def test_an_imported_conversation_leads_from_the_datasets_to_it(
    qtbot: QtBot, window: MainWindow, here: Place, tmp_path: Path
) -> None:
    (tmp_path / "one.json").write_text(json.dumps(parsed(title="The one")))
    window.open_page("datasets")
    window.services.navigator.import_files([tmp_path / "one.json"])
    until(qtbot, lambda: window.current_name == "conversations")


def test_an_error_of_another_page_goes_along_to_it(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    window.services.notifier.report(AppError("disk_full", "The disk is full."), "datasets")
    banner = window.banners.banners[0]
    assert find(banner, QPushButton, "banner_action").text() == "Open datasets"
    click(qtbot, banner, "banner_action")
    assert window.current_name == "datasets"
    assert not window.banners.banners
    assert window.current_page is not None
    assert [b.text for b in window.current_page.banners.banners] == ["The disk is full."]


# Conversations


def test_a_conversation_that_names_nobody_is_mended_in_the_window(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place
) -> None:
    content = parsed(title="Who is it")
    del content["input_parameters"]
    ident = add_conversation(here, content)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.enrich_button.text() == "Enrich 1")
    click(qtbot, page, "enrich")
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.error is not None)
    click(qtbot, page, "why_score")
    click(qtbot, page, "choose_scaffolding")
    asked = dialog(qapp, "scaffolding_dialog")
    until(qtbot, asked.ok.isEnabled)
    click(qtbot, asked, "save_scaffolding")
    assert asked.isVisible()
    for name in ("persona_key", "emotional_arc_key", "training_topic_key"):
        find(asked, QComboBox, f"field_{name}").setCurrentIndex(0)
    click(qtbot, asked, "save_scaffolding")
    until(qtbot, lambda: store.get(here.db, ident).enrichment_status == "completed")


def test_no_training_file_is_begun_while_an_enrichment_is_under_way(
    qtbot: QtBot, window: MainWindow, here: Place
) -> None:
    enrich(here, add_conversation(here))
    page = opened(qtbot, window)
    until(qtbot, page.add_button.isEnabled)
    assert page.overview is not None
    page._show_overview(replace(page.overview, enriching=True))
    assert not page.add_button.isEnabled()
    assert page.add_button.toolTip().startswith("Enrichment is running")


def test_rows_that_come_in_above_do_not_push_the_chosen_one_out(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    chosen = add_conversation(here, parsed(title="Chosen"))
    page = opened(qtbot, window)
    page.pages._page_size = 3
    until(qtbot, lambda: page.table.current() is not None)
    for number in range(5):
        add_conversation(here, parsed(("a", str(number)), title=f"New {number}"))
        page.reload()
        until(qtbot, lambda: page.pages.total == number + 2)  # noqa: B023
    current = page.table.current()
    assert current is not None
    assert current.id == chosen


def test_nothing_overlaps_in_a_low_window_full_of_banners(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    enrich(here, add_conversation(here))
    window.resize(1100, 700)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.inspector.detail is not None)
    for number in range(3):
        page.banners.add(Banner("warn", f"Something happened {number}", "And this is what to do about it."))
    notes, approve = find(page, QPlainTextEdit, "reviewer_notes"), find(page, QPushButton, "approve")

    def top(widget: QWidget) -> int:
        return widget.mapTo(window, QPoint(0, 0)).y()

    settle(qtbot, window)
    assert top(approve) >= top(notes) + notes.height()


def test_a_newer_banner_of_the_same_topic_replaces_the_older(qtbot: QtBot, window: MainWindow) -> None:
    for text in ("24 of 24 used", "1 of 2 used"):
        window.banners.add(Banner("ok", text, topic="import"))
    assert [banner.text for banner in window.banners.banners] == ["1 of 2 used"]


def test_undo_in_the_menu_shows_an_ampersand(window: MainWindow) -> None:
    window.services.notifier.say("Deleted R&D", lambda: None)
    action: QAction = window.actions_["undo"]
    assert action.text() == "Undo: Deleted R&&D"
