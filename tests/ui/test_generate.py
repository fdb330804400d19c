"""The page Generate, driven as a user drives it, over real jobs: the local model, and Claude's client on a server."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from app.services import Services
from core.generation import store
from core.generation.sampling import Matrix
from core.jobs import JobState
from core.workspace import settings
from tests.contract import anthropic_server as acts
from tests.contract.anthropic_server import AnthropicServer
from tests.core.factories import Place
from tests.support.generation import accounted, use_server
from tests.support.pages import click, dialog, filled, find, open_page, settle, shown_text, until
from tests.support.studio import add_practice_model
from ui.pages.conversations.page import ConversationsPage
from ui.pages.generate.coverage import cell_text
from ui.pages.generate.data import estimate_words
from ui.pages.generate.page import GeneratePage
from ui.window.main_window import MainWindow

# More than any machine writes before it is stopped.
MANY = 120
opened = partial(open_page, kind=GeneratePage)


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnthropicServer]:
    with AnthropicServer() as running:
        use_server(monkeypatch, running)
        yield running


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backends.fail import Keyring

    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    keyring.set_keyring(Keyring())


def planned(page: GeneratePage) -> int:
    return sum(line.count for line in page.desk.view.model.rows)


def plan(qtbot: QtBot, page: GeneratePage, total: int, **more: Any) -> None:
    until(qtbot, lambda: page.desk.snapshot is not None)
    library = page.desk.snapshot.library
    before = planned(page)
    page.desk._on_matrix(Matrix(library.personas, library.arcs, library.topics, total=total, **more))
    until(qtbot, lambda: planned(page) == before + total)
    until(qtbot, lambda: not page.desk.held, page.desk.held)


def batch_of(page: GeneratePage) -> store.Batch:
    return store.get_batch(page.services.connections.db, page._ident)


def over(page: GeneratePage) -> bool:
    """The batch has ended and the page shows it."""
    shown = page._shown
    return shown is not None and not shown.batch.job.status.active and not batch_of(page).job.status.active


def test_the_plan_grows_by_clicks_and_is_there_again(
    qtbot: QtBot, window: MainWindow, here: Place, no_key: None
) -> None:
    page = opened(qtbot, window)
    assert not page.begin.isEnabled()
    until(qtbot, lambda: bool(page.desk.view.grid.coverage.rows))
    grid = page.desk.view.grid
    for _ in range(2):
        qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=grid._cell(1, 2).center().toPoint())
    until(qtbot, lambda: planned(page) == 2)
    rows, columns = grid.coverage.rows, grid.coverage.columns
    assert cell_text(grid.coverage.cells[(rows[1][0], columns[2][0])]) == "+2"
    grid.setFocus()
    QTest.keyClick(grid, Qt.Key.Key_Right)
    assert columns[3][1] in grid.accessibleDescription()
    QTest.keyClick(grid, Qt.Key.Key_Return)
    until(qtbot, lambda: planned(page) == 3)
    assert len({item.signature for item in page.desk.draft.items}) == 3
    page.desk.view.table.selectAll()
    page.desk.view.remove_selected()
    until(qtbot, lambda: planned(page) == 0)
    page.services.notifier.take_back()
    until(qtbot, lambda: planned(page) == 3)
    settle(qtbot, window)
    again = GeneratePage(page.services)
    qtbot.addWidget(again)
    again.show()
    until(qtbot, lambda: planned(again) == 3)


def test_gaps_are_filled_once_however_often_it_is_clicked(
    qtbot: QtBot, window: MainWindow, here: Place, no_key: None
) -> None:
    page = opened(qtbot, window)
    until(qtbot, lambda: page.desk.missing > 0)
    missing = page.desk.missing
    for _ in range(2):
        page.desk.fill_gaps()
    until(qtbot, lambda: planned(page) > 0)
    settle(qtbot, window)
    assert planned(page) == max(10, missing)
    assert page.desk.missing == 0
    page.desk.fill_gaps()
    settle(qtbot, window)
    assert planned(page) == max(10, missing)


def test_count_and_plan_file_change_the_plan(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place, no_key: None, tmp_path: Path
) -> None:
    page = opened(qtbot, window)
    plan(qtbot, page, 1)
    page.desk.view.table.opened.emit(page.desk.view.model.rows[0])
    asked = dialog(qapp, "count_dialog")
    asked.count.setValue(4)
    click(qtbot, asked, "change_count")
    until(qtbot, lambda: planned(page) == 4)
    assert page.desk.view.model.rowCount() == 1
    wrong = tmp_path / "plan.json"
    wrong.write_bytes(orjson.dumps({"version": 1, "items": [{"persona": "nobody", "arc": "x", "topic": "y"}]}))
    page.desk.open_plan(wrong)
    until(qtbot, lambda: any("nobody" in banner.text for banner in page.banners.banners))
    assert planned(page) == 4


def test_two_plan_files_are_both_planned_and_the_same_one_once(
    qtbot: QtBot, window: MainWindow, here: Place, no_key: None, tmp_path: Path
) -> None:
    page = opened(qtbot, window)
    item = {"arc": "anxiety_to_calm", "topic": "tax_debt_resolution", "count": 4}
    for name, persona in (("one", "anxious_planner"), ("two", "overwhelmed_avoider")):
        (tmp_path / f"{name}.json").write_bytes(orjson.dumps({"items": [{**item, "persona": persona}]}))
    page.desk.open_plan(tmp_path / "one.json")
    until(qtbot, lambda: planned(page) == 4)
    page.desk.open_plan(tmp_path / "two.json")
    until(qtbot, lambda: planned(page) == 8)
    assert len({item.id for item in page.desk.draft.items}) == 8
    said: list[str] = []
    page.services.notifier.toast.connect(lambda text, _entry: said.append(text))
    page.desk.open_plan(tmp_path / "one.json")
    until(qtbot, lambda: said == ["4 conversations of it planned already."])
    assert planned(page) == 8


def test_a_cell_whose_persona_was_switched_off_says_so(
    qtbot: QtBot, window: MainWindow, here: Place, no_key: None
) -> None:
    page = opened(qtbot, window)
    until(qtbot, lambda: bool(page.desk.view.grid.coverage.rows))
    rows, columns = page.desk.view.grid.coverage.rows, page.desk.view.grid.coverage.columns
    with here.db.conn:
        here.db.execute("update personas set is_active = 0 where persona_key = ?", [rows[0][0]])
    page.desk.view.grid.chosen.emit(rows[0][0], columns[0][0])
    until(qtbot, lambda: any(rows[0][0] in banner.text for banner in page.banners.banners))
    assert planned(page) == 0


def test_without_a_key_claude_is_not_started_and_says_why(
    qtbot: QtBot, window: MainWindow, here: Place, no_key: None
) -> None:
    page = opened(qtbot, window)
    plan(qtbot, page, 2)
    assert "about $" in page.begin.text()
    until(qtbot, lambda: "ANTHROPIC_API_KEY" in shown_text(page, "key_state"))
    click(qtbot, page, "start_batch")
    until(qtbot, lambda: any("keychain" in banner.text for banner in page.banners.banners))
    assert store.list_batches(here.db) == []


def test_a_bad_cap_holds_the_start(qtbot: QtBot, window: MainWindow, here: Place, server: AnthropicServer) -> None:
    page = opened(qtbot, window)
    plan(qtbot, page, 2)
    cap = find(page, QLineEdit, "cap")
    cap.selectAll()
    qtbot.keyClicks(cap, "five")
    until(qtbot, lambda: not page.begin.isEnabled())
    assert "amount" in page.begin.toolTip()
    cap.selectAll()
    qtbot.keyClicks(cap, "0.75")
    until(qtbot, lambda: page.begin.isEnabled())
    until(qtbot, lambda: settings.get(here.db, "generation_cap_usd", "") == "0.75")


def stopped_after(qtbot: QtBot, page: GeneratePage, before: int) -> int:
    """Stop once there are more than `before` conversations; how many there are then."""
    until(qtbot, lambda: batch_of(page).completed > before and page.halt.isEnabled())
    click(qtbot, page, "stop")
    until(qtbot, lambda: over(page))
    assert batch_of(page).job.status is JobState.CANCELLED
    made = batch_of(page).completed
    until(qtbot, lambda: page.batch.written._value.text() == f"{made} of {MANY}")
    return made


@pytest.mark.slow
def test_offline_with_the_practice_model_from_plan_to_reading(
    qtbot: QtBot, window: MainWindow, here: Place, no_key: None
) -> None:
    add_practice_model(here.db)
    page = opened(qtbot, window)
    page.desk.side.who.choose_provider("local")
    plan(qtbot, page, MANY, turns=2)
    assert page.begin.text() == f"Start {MANY}"
    click(qtbot, page, "start_batch")
    until(qtbot, lambda: bool(page._ident))
    first = stopped_after(qtbot, page, 0)
    until(qtbot, lambda: page.resume.isVisible() and page.resume.isEnabled())
    click(qtbot, page, "resume")
    assert stopped_after(qtbot, page, first) > first
    page.batch.table.select_id(page.batch.model.rows[0].id)
    row = page.batch.table.current()
    until(qtbot, lambda: page.side.go.isVisible() and page.side.go.text() == "Read conversation")
    click(qtbot, page, "item_go")
    reader = window.current_page
    assert isinstance(reader, ConversationsPage)
    until(
        qtbot,
        lambda: reader.inspector.detail is not None and reader.inspector.detail.row.id == row.item.conversation_id,
    )


@pytest.mark.slow
def test_claude_refuses_one_reaches_the_cap_and_goes_on(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place, server: AnthropicServer
) -> None:
    page = opened(qtbot, window)
    plan(qtbot, page, 3)
    click(qtbot, page, "start_batch")
    click(qtbot, dialog(qapp, "terms_dialog"), "agree")
    until(qtbot, lambda: bool(page._ident))
    until(qtbot, lambda: over(page))
    assert (batch_of(page).completed, batch_of(page).failed) == (3, 0)
    until(qtbot, lambda: page.batch.spent._value.text().startswith("$"))
    server.script(acts.REFUSE)
    click(qtbot, page, "new_plan")
    plan(qtbot, page, 6)
    cap = find(page, QLineEdit, "cap")
    cap.selectAll()
    qtbot.keyClicks(cap, "0.005")
    until(qtbot, lambda: "does not cover one request" in shown_text(page, "plan_error"))
    assert not page.begin.isEnabled()
    cap.selectAll()
    qtbot.keyClicks(cap, "0.08")
    until(qtbot, lambda: settings.get(here.db, "generation_cap_usd", "") == "0.08")
    until(qtbot, lambda: page.begin.isEnabled())
    click(qtbot, page, "start_batch")
    until(qtbot, lambda: bool(page._ident) and over(page))
    assert batch_of(page).spent < Decimal("0.08")
    error = batch_of(page).job.error
    assert error is not None
    assert error.code == "budget_reached"
    until(qtbot, lambda: any("spent" in banner.text for banner in page.banners.banners))
    page.raise_cap()
    raised = dialog(qapp, "cap_dialog")
    raised.amount.setText("5")
    click(qtbot, raised, "raise_cap")
    until(qtbot, lambda: batch_of(page).job.status is JobState.COMPLETED and over(page))
    assert (batch_of(page).completed, batch_of(page).failed) == (5, 1)
    failed = next(row for row in page.batch.model.rows if row.item.status == "failed")
    page.batch.table.select_id(failed.id)
    until(qtbot, lambda: page.side.retry.isVisible() and page.side.retry.isEnabled())
    assert page.side.words.text()
    click(qtbot, page, "item_retry")
    until(qtbot, lambda: batch_of(page).completed == 6 and over(page))
    accounted(here, server)
    page.show_batches()
    until(qtbot, lambda: page.batches.model.rowCount() == 2)
    qtbot.mouseClick(page.batches.table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(20, 40))
    page.batches.delete_selected()
    until(qtbot, lambda: len(store.list_batches(here.db)) == 1)
    assert here.db.execute("select count(*) from conversations where deleted_at is null").fetchone()[0] == 9


@pytest.mark.parametrize(
    ("spent", "left", "words"),
    [
        ("1.10", 0, "10% over the estimate of $1.00"), ("0.75", 0, "25% under the estimate of $1.00"),
        ("1.001", 0, "as estimated, $1.00"), ("0.40", 3, "estimate $1.00"),
    ],
)  # fmt: skip
def test_a_finished_batch_says_how_far_off_its_estimate_was(spent: str, left: int, words: str) -> None:
    batch: Any = SimpleNamespace(
        spent=Decimal(spent), not_reached=left, unknown_prices=0, estimate={"usd": "1.00"}
    )  # fmt: skip
    assert estimate_words(batch) == words
    assert estimate_words(SimpleNamespace(estimate=None)) == ""  # type: ignore[arg-type]
