"""The page Projects: a search that is worth using without any model, and what it shows of an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt

from core.code_index.reader import UNTIL_LOADED
from core.errors import AppError
from core.projects import projects
from tests.support.pages import click, dialog, shown_text
from tests.support.project_page import Projecting
from tests.support.refund_project import write_project
from ui.pages.projects.answers import Answers

QUESTION = "needs_second_approval"


@pytest.fixture
def at(qtbot: Any, services: Any, window: Any, tmp_path: Path) -> Projecting:
    return Projecting(qtbot, window, services, tmp_path)


def test_an_empty_page_says_what_it_is_for_and_adds_a_project(at: Projecting, qapp: Any) -> None:
    page = at.open()
    assert page.shown_state == "empty"
    click(at.qtbot, page, "empty_button")
    dialog(qapp, "add_project_dialog").reject()


def test_header_tiles_and_languages_say_what_the_index_holds(at: Projecting) -> None:
    at.add()
    page = at.open()
    assert page._title.text() == "brightrun-api"
    assert "main · watched; nothing in it is ever run" in page._line.text()
    assert page.tiles.files.value.text() == "8"
    assert page.tiles.files.remark.text() == "5 left out"
    assert int(page.tiles.symbols.value.text()) > 8
    assert page.tiles.symbols.remark.text().startswith("not embedded · ")
    assert page.tiles.changed.value.text() == "8"
    assert page.tiles.adapter.value.text() == "–"
    words = [part.split()[0] for part in page.languages.words]
    assert words[0] == "Python"
    assert set(words) == {"Python", "TypeScript", "Go", "text"}
    assert at.states() == {"brightrun-api": "indexed just now · no adapter"}
    assert page.left_out.title.text() == "Left out: 5"


def test_results_come_as_one_types_and_the_best_is_opened_in_place(at: Projecting) -> None:
    at.add()
    page = at.open()
    assert at.search(QUESTION)[0] == "core/refunds/policy.py:13-17"
    first = page.answers.list.hit_model.hits[0]
    assert first.symbol == "needs_second_approval"
    assert "name 1" in first.legs
    assert shown_text(page, "search_idle")
    assert page.answers.caption.text().endswith("in 21 ms · meaning, words and names, merged by rank")
    assert at.source() == "policy.py"
    assert page.source.text.marked == (13, 17)
    assert "def needs_second_approval" in page.source.text.toPlainText()
    at.until(lambda: page.source.text.coloured_lines() > 0)
    assert page.source.called_by.texts() == ["RefundService.submit", "2 tests"]


def test_the_newest_answer_wins_and_older_ones_are_dropped(at: Projecting) -> None:
    at.add()
    page = at.open()
    at.code.hold = True
    at.type("refund")
    at.until(lambda: len(at.code.asked_for("search")) == 1)
    at.qtbot.keyClicks(page.box.field, " amount")
    at.until(lambda: len(at.code.asked_for("search")) == 2)
    assert len(at.code.dropped) == 1
    at.code.release()
    at.until(lambda: bool(at.places()))
    assert at.code.asked_for("search") == ["refund", "refund amount"]
    assert not page.searching.under_way


def test_the_keyboard_leads_from_the_search_through_the_results_into_the_source_and_back(at: Projecting) -> None:
    at.add()
    page = at.open()
    assert page.box.field.hasFocus()
    at.search("approval")
    at.key(page.box.field, Qt.Key.Key_Down)
    results = page.answers.list
    assert results.hasFocus()
    at.key(results, Qt.Key.Key_Down)
    assert results.currentIndex().row() == 1
    hit = results.current()
    assert hit is not None
    at.source()
    assert page.source.place.path == hit.path
    at.key(results, Qt.Key.Key_Space)
    assert page.source.text.hasFocus()
    at.window.actions_["back"].trigger()
    assert results.hasFocus()
    at.key(results, Qt.Key.Key_Up)
    at.key(results, Qt.Key.Key_Up)
    assert page.box.field.hasFocus()
    at.window.actions_["back"].trigger()
    assert page.box.field.text() == ""
    assert at.places() == []


def test_enter_opens_the_result_in_the_editor_at_its_line(at: Projecting, monkeypatch: pytest.MonkeyPatch) -> None:
    at.add()
    page = at.open()
    opened: list[tuple[Path, int]] = []
    monkeypatch.setattr("ui.pages.projects.page.open_in_editor", lambda _page, path, line: opened.append((path, line)))
    at.search(QUESTION)
    at.key(page.box.field, Qt.Key.Key_Down)
    at.key(page.answers.list, Qt.Key.Key_Return)
    assert opened == [(at.root / "core/refunds/policy.py", 13)]
    at.source()
    click(at.qtbot, page, "open_in_editor")
    assert len(opened) == 2


def test_a_file_that_became_a_link_out_of_the_project_is_not_opened(at: Projecting, tmp_path: Path) -> None:
    at.add()
    page = at.open()
    at.search(QUESTION)
    (at.root / "core/refunds/policy.py").unlink()
    (tmp_path / "else.py").write_text("x = 1\n")
    (at.root / "core/refunds/policy.py").symlink_to(tmp_path / "else.py")
    page.answers.list.opened.emit(page.answers.list.current())
    assert "not inside the project" in page.banners.banners[0].text


def test_without_a_model_a_quiet_line_says_what_to_do(at: Projecting, qapp: Any) -> None:
    at.add()
    at.code.model = False
    page = at.open()
    assert at.search(QUESTION)[0] == "core/refunds/policy.py:13-17"
    assert page.answers.caption.text().endswith("words and names, merged by rank")
    assert "words and names were searched" in shown_text(page, "search_notices")
    click(at.qtbot, page, "choose_model")
    at.settle()
    dialog(qapp, "embedder_dialog").reject()


def test_what_was_found_without_the_model_is_looked_for_again_when_it_is_there(at: Projecting) -> None:
    project = at.add()
    at.code.model = False
    page = at.open()
    at.search("approval")
    assert page.answers.caption.text().endswith("words and names, merged by rank")
    at.code.model = True
    at.code.ready.emit(project.id)
    at.until(lambda: "meaning, words and names" in page.answers.caption.text())
    assert not page.answers.notices.isVisible()


def test_an_empty_result_says_what_to_try_and_does_it(at: Projecting) -> None:
    at.add()
    page = at.open()
    assert at.search("never by the issuer.") != []
    assert at.search("xyzzyx") == []
    assert "Try fewer words" in shown_text(page, "nothing_found")
    click(at.qtbot, page, "try_plain")
    at.until(lambda: bool(at.code.asked_for("grep")))
    at.settle()
    assert "No line has this text" in shown_text(page, "nothing_found")


def test_plain_text_by_the_prefix_and_its_switches(at: Projecting) -> None:
    at.add()
    page = at.open()
    assert not page.box.case.isVisible()
    found = at.search("text: limit")
    assert page.box.case.isVisible()
    assert "core/settings.py:1" in found
    assert "plain text" in page.answers.caption.text()
    page.box.case.click()
    at.until(lambda: not page.searching.under_way)
    at.settle()
    assert at.places() == ["core/refunds/policy.py:14", "docs/refunds.md:5"]
    page.box.case.click()
    page.box.regex.click()
    assert at.search("text:LIM.T =") == ["core/settings.py:1"]
    at.search("text:(")
    assert "pattern can't be read" in shown_text(page, "nothing_found")
    assert at.code.asked_for("grep")[-1]["regex"] is True


def test_filters_are_chips_and_part_of_the_query(at: Projecting) -> None:
    at.add()
    page = at.open()
    at.search("refund")
    filters = page.box.filters
    action = next(a for a in filters._groups["lang"].actions() if a.data()[1] == "typescript")
    action.trigger()
    at.until(lambda: not page.searching.under_way)
    at.settle()
    assert at.code.asked_for("search")[-1] == "refund lang:typescript"
    assert {place.split(":")[0] for place in at.places()} == {"web/src/refund.ts"}
    (chip,) = [b for b in filters.chips._chips.values() if b.isVisible()]
    assert chip.text().startswith("Language: TypeScript")
    chip.click()
    at.until(lambda: not page.searching.under_way)
    at.settle()
    assert at.code.asked_for("search")[-1] == "refund"


def test_calls_and_symbols_jump_and_back_returns(at: Projecting) -> None:
    at.add()
    page = at.open()
    at.search("RefundService.submit")
    at.source()
    assert {"needs_second_approval", "same_person"} <= set(page.source.calls.texts())
    chip = next(b for b in page.source.calls.findChildren(type(page.source.open)) if b.text() == "same_person")
    chip.click()
    assert at.source() == "policy.py"
    assert page.source.text.marked[0] == 20
    row = next(n for n in range(page.source.symbols.count()) if page.source.symbols.itemText(n).strip() == "Flag")
    page.source.symbols.activated.emit(row)
    at.source()
    assert page.source.text.marked[0] == 6
    click(at.qtbot, page, "source_back")
    at.source()
    assert page.source.text.marked[0] == 20
    click(at.qtbot, page, "source_back")
    assert at.source() == "service.py"
    assert not page.source.back.isVisible()
    unknown = next(b for b in page.source.calls.findChildren(type(page.source.open)) if b.text() == "put")
    unknown.click()
    at.until(lambda: at.code.asked_for("search")[-1] == "put")


def test_a_file_that_is_gone_is_told_in_its_place(at: Projecting) -> None:
    at.add()
    page = at.open()
    at.search("formatAmount")
    at.source()
    (at.root / "web/src/refund.ts").unlink()
    page.source.refresh()
    at.source()
    assert "no longer there" in shown_text(page, "source_nothing")
    assert not page.source.open.isVisible()


def test_a_search_that_fails_can_be_asked_again(at: Projecting) -> None:
    at.add()
    page = at.open()
    at.code.error = AppError("worker_crashed", "The process that searches code ended.", hint="Search again.")
    at.search("refund")
    assert "ended. Search again." in shown_text(page, "nothing_found")
    at.code.error = None
    click(at.qtbot, page, "search_again")
    at.until(lambda: bool(at.places()))


def test_the_question_goes_to_the_assistant(at: Projecting) -> None:
    project = at.add()
    page = at.open()
    asked: list[tuple[str, object]] = []
    at.services.navigator.page_requested.disconnect()
    at.services.navigator.page_requested.connect(lambda name, argument: asked.append((name, argument)))
    at.search("who approves")
    click(at.qtbot, page, "ask_assistant")
    page.trigger_primary()
    question = ("chat", {"project": project.id, "question": "who approves"})
    assert asked == [question, question]


def test_what_a_project_was_left_with_comes_back(at: Projecting, tmp_path: Path) -> None:
    first = at.add()
    other = at.add(write_project(tmp_path / "ledger-web", branch=""), "ledger-web")
    page = at.open(first.id)
    at.search("approval")
    page.answers.list.setCurrentIndex(page.answers.list.hit_model.index(2))
    place = page.source.place
    at.source()
    page.open_project(other.id)
    at.settle()
    assert page.box.field.text() == ""
    assert at.places() == []
    assert page.source.place.path == ""
    page.open_project(first.id)
    at.until(lambda: bool(at.places()))
    at.source()
    assert page.box.field.text() == "approval"
    assert page.source.place == place
    assert page.answers.list.currentIndex().row() == 2


def test_it_comes_back_over_a_restart(at: Projecting) -> None:
    project = at.add()
    page = at.open()
    at.search("RefundForm")
    at.source()
    place = page.source.place
    page.flush()
    at.settle()
    kept = projects.get(at.db, project.id).state["page"]
    assert kept["asked"]["text"] == "RefundForm"
    from ui.pages.projects.page import ProjectsPage

    again = ProjectsPage(at.services)
    at.qtbot.addWidget(again)
    again.show()
    at.until(lambda: again.answers.list.current() is not None and not again.source.under_way)
    assert again.box.field.text() == "RefundForm"
    assert again.source.place == place


def test_a_model_that_is_on_its_way_needs_no_other(qtbot: Any, qapp: Any) -> None:
    answers = Answers()
    qtbot.addWidget(answers)
    for notice, offered in ((UNTIL_LOADED, False), ("This project has no embedding model.", True)):
        answers.show_notices([notice])
        assert answers.notices.text() == notice
        assert answers.model.isHidden() is not offered
