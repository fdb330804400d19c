"""The Conversations page, driven as a user drives it, over real jobs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs, trash
from core.conversations import store
from core.conversations.checks import Check
from core.conversations.store import Filter
from core.events import Changed
from core.generation.beats import Beat
from core.workspace import settings
from core.workspace.files import write_json
from tests.core.factories import KIND, PARAMETERS, Place, add_conversation, enrich, parsed
from tests.support.pages import click, dialog, filled, find, open_page, shown_text, take_back, until
from ui.models import paged
from ui.pages.conversations.arc import ArcReading
from ui.pages.conversations.arc_curve import ArcView
from ui.pages.conversations.inspector import TurnCard
from ui.pages.conversations.page import ConversationsPage
from ui.window.main_window import MainWindow

opened = partial(open_page, kind=ConversationsPage)


@pytest.fixture
def here(services: Services) -> Place:
    return filled(services)


def unknown(title: str = "Nobody knows her") -> dict[str, Any]:
    return parsed(title=title, input_parameters={**PARAMETERS, "persona_key": "careful_widow"})


def choose(page: ConversationsPage, *titles: str) -> None:
    selection = page.table.selectionModel()
    selection.clearSelection()
    for place, row in enumerate(page.model.rows):
        if row.title in titles:
            flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
            selection.select(page.model.index(place, 0), flags)


def test_an_empty_page_says_what_to_do(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    page = opened(qtbot, window)
    assert page.shown_state == "empty"
    assert not page.enrich_button.isEnabled()
    click(qtbot, page, "empty_button")
    assert window.findChild(object, "import_dialog") is not None
    window.findChild(object, "import_dialog").close()


def test_notes_typed_right_before_closing_are_kept(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    ident = add_conversation(here, parsed(title="One"))
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 1)
    page.table.select_id(ident)
    until(qtbot, lambda: page.inspector.detail is not None)
    qtbot.keyClicks(find(page, QPlainTextEdit, "reviewer_notes"), "Last words")
    window.close()
    until(qtbot, lambda: store.get(here.db, ident).reviewer_notes == "Last words")


def test_the_turns_are_said_by_whom_the_vertical_names(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    settings.put(here.db, "vertical", "software_support_engineer")
    ident = add_conversation(here, parsed(title="One"))
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 1)
    page.table.select_id(ident)
    until(qtbot, lambda: page.inspector.turns.findChild(QWidget, "turn_2") is not None)
    said = [page.inspector.turns.findChild(QWidget, f"turn_{number}").accessibleName() for number in (1, 2)]
    assert [words.partition(",")[0] for words in said] == ["Customer", "Support engineer"]


def test_an_import_ends_with_its_books_and_what_was_rejected(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place, tmp_path: Path
) -> None:
    write_json(tmp_path / "good.json", parsed())
    (tmp_path / "broken.json").write_text('{"turns": [')
    window.services.navigator.import_files([tmp_path / "good.json", tmp_path / "broken.json"])
    page = opened(qtbot, window)
    until(qtbot, lambda: len(page.banners.banners) == 1)
    assert page.banners.banners[0].text == "Import: 1 of 2 used, 1 rejected"
    click(qtbot, page.banners.banners[0], "banner_action")
    report = dialog(qapp, "import_report")
    until(qtbot, lambda: report.model.rowCount() == 1)
    assert find(report, QLabel, "item_place").text().startswith(str(tmp_path / "broken.json"))
    assert find(report, QLabel, "item_message").text()
    click(qtbot, report, "copy_items")
    until(qtbot, lambda: "broken.json" in QGuiApplication.clipboard().text())
    click(qtbot, report, "close")
    assert page.banners.banners
    click(qtbot, page, "last_import")
    until(qtbot, lambda: any(w.objectName() == "import_report" and w.isVisible() for w in qapp.topLevelWidgets()))
    dialog(qapp, "import_report").close()


def test_search_and_filters_are_answered_in_sql(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here, parsed(title="The mortgage"), tier="template")
    add_conversation(here, parsed(("a", "b"), title="Night letter"), tier="edge_case", status="approved")
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 2)
    qtbot.keyClicks(page.search, "letter")
    until(qtbot, lambda: [row.title for row in page.model.rows] == ["Night letter"])
    page.back()
    until(qtbot, lambda: page.model.rowCount() == 2)
    action = page.findChild(object, "filter_tier_template")
    action.trigger()
    until(qtbot, lambda: [row.title for row in page.model.rows] == ["The mortgage"])
    chip = next(b for b in page.filters.chips.findChildren(QPushButton) if b.text().startswith("Tier: Template"))
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    until(qtbot, lambda: page.model.rowCount() == 2)
    qtbot.keyClicks(page.search, "nothing like it")
    until(qtbot, page.nothing.isVisible)
    click(qtbot, page.nothing, "empty_link")
    until(qtbot, lambda: page.model.rowCount() == 2)


def test_filters_stay_while_another_page_is_open(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here, parsed(("I lost my job.", "b"), title="One"), tier="template")
    wanted = add_conversation(here, parsed(("I kept my job.", "c"), title="Two"), tier="template")
    hidden = add_conversation(here, parsed(("I want a job.", "d"), title="Three"), tier="edge_case")
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 3)
    qtbot.keyClicks(page.search, "kept job")
    page.findChild(object, "filter_tier_template").trigger()
    until(qtbot, lambda: [row.title for row in page.model.rows] == ["Two"])
    window.services.navigator.open_page("home")
    assert opened(qtbot, window) is page
    until(qtbot, lambda: not page.services.tasks.busy)
    assert (page.search.text(), page.filters.value.tier) == ("kept job", "template")
    window.services.navigator.open_page("conversations", wanted)
    assert page.filters.value.tier == "template"
    window.services.navigator.open_page("conversations", hidden)
    until(qtbot, lambda: page.table.current() is not None and page.table.current().id == hidden)
    assert not page.filters.active


def test_an_older_workspace_is_prepared_for_the_search(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here, parsed(("I lost my job.", "b"), title="One"))
    here.db.execute("delete from conversation_digests")
    here.db.conn.commit()
    page = opened(qtbot, window)
    until(qtbot, lambda: [job.status for job in jobs.listing(here.db, kind="check_conversations")] == ["completed"])
    qtbot.keyClicks(page.search, "lost")
    until(qtbot, lambda: [row.title for row in page.model.rows] == ["One"] and page.pages.total == 1)
    page.services.hub.announce(Changed.CONVERSATIONS)
    until(qtbot, lambda: not page.services.tasks.busy)
    assert len(jobs.listing(here.db, kind="check_conversations")) == 1


def test_enrich_all_then_read_and_approve(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    ident = add_conversation(here)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.enrich_button.text() == "Enrich 1" and page.model.rowCount() == 1)
    click(qtbot, page, "enrich")
    until(qtbot, lambda: [row.enrichment_status for row in page.model.rows] == ["completed"])
    until(qtbot, lambda: page.inspector.detail is not None and bool(page.inspector.detail.criteria))
    assert find(page, QLabel, "score_empathy_score").text() != "–"
    assert page.inspector.turns.findChild(object, "turn_4") is not None
    until(qtbot, lambda: page.primary is page.add_button)
    click(qtbot, page, "why_score")
    assert "answers" in find(page, QLabel, "why_clarity_score").text()
    notes = find(page, QPlainTextEdit, "reviewer_notes")
    qtbot.keyClicks(notes, "Warm and short")
    click(qtbot, page, "approve")
    until(qtbot, lambda: [row.status for row in page.model.rows] == ["approved"])
    found = store.get(here.db, ident)
    assert (found.reviewer_notes, found.human_reviewed) == ("Warm and short", True)
    until(qtbot, lambda: any(not b.isHidden() for b in page.findChildren(QPushButton, "review_again")))
    click(qtbot, page, "review_again")
    until(qtbot, lambda: [row.status for row in page.model.rows] == ["needs_review"])


def test_what_is_read_stays_while_others_come_in(
    qtbot: QtBot, window: MainWindow, here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paged, "MOST_KEPT", 3)
    read = add_conversation(here, parsed(title="The one I read"))
    here.db.execute("update conversations set created_at = '2020-02-02T00:00:00+00:00'")
    page = opened(qtbot, window)
    page.pages.page_size = 2
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.row.id == read)
    newer = [add_conversation(here, parsed(title=f"Newer {number}")) for number in range(4)]
    page.services.hub.announce(Changed.CONVERSATIONS)
    until(qtbot, lambda: page.pages.total == 5)
    assert (page.table.current(), page.inspector.detail.row.id) == (None, read)
    page.open_item(newer[0])
    until(qtbot, lambda: page.inspector.detail.row.id == newer[0])
    page.open_item(read)
    until(qtbot, lambda: page.inspector.detail.row.id == read)
    trash.delete(here.db, "conversations", [read])
    page.services.hub.announce(Changed.CONVERSATIONS)
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.row.id in newer)


def test_another_conversation_shows_its_own_turns_only(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    long = " ".join(["A long answer."] * 300)
    many = [{"role": role, "content": long} for _ in range(30) for role in ("user", "assistant")]
    odd = [
        {"role": "user", "content": "One"},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": None},
    ]
    places = [
        add_conversation(here, parsed(title="Many", turns=many)),
        add_conversation(here, parsed(title="Odd", turns=odd)),
    ]
    page = opened(qtbot, window)
    turns = page.inspector.turns

    def shown() -> list[str]:
        cards = [card for card in turns.findChildren(TurnCard) if card.isVisible()]
        return [card.text.plain_text() for card in sorted(cards, key=lambda card: card.y())]

    def choose_and_read(ident: str) -> list[str]:
        page.table.select_id(ident)
        until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.row.id == ident)
        return shown()

    until(qtbot, lambda: page.model.rowCount() == 2)
    for _ in range(2):
        assert len(choose_and_read(places[0])) == 40
        click(qtbot, page, "more_turns")
        assert shown() == [turn["content"] for turn in many]
        click(qtbot, turns.findChild(TurnCard, "turn_2"), "show_more")
        assert choose_and_read(places[1]) == ["One", "Two", ""]
        assert "No answer yet" in turns.findChild(TurnCard, "turn_3").accessibleName()
        others = [
            button
            for button in turns.findChildren(QPushButton)
            if button.objectName() not in ("edit_turn", "regenerate_turn", "add_tag")
        ]
        assert not any(button.isVisible() for button in others)


def test_beats_stand_beside_the_turns_and_the_arc_shows_what_was_heard(
    qtbot: QtBot, window: MainWindow, here: Place
) -> None:
    ident = add_conversation(here)
    nobodys = parsed(("a", "b"), title="No arc", input_parameters={})
    other = add_conversation(here, nobodys)
    here.db.execute("update conversations set emotional_arc_key = 'confusion_to_clarity' where id = ?", [ident])
    here.db.conn.commit()
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 2)
    page.table.select_id(ident)
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.row.id == ident)
    turns = page.inspector.turns
    assert turns.findChild(TurnCard, "turn_1").remark == "turn 1 · beat: confusion 0.8"
    assert "known after enrichment" in shown_text(turns, "arc_line")
    assert turns.findChild(TurnCard, "turn_2").remark.startswith("turn 2 · Name the conflicting advice")
    enrich(here, ident)
    page.services.hub.announce(Changed.CONVERSATIONS)
    until(qtbot, lambda: page.inspector.detail.arc.heard != ())
    assert turns.findChild(TurnCard, "turn_1").remark == "turn 1 · beat: confusion 0.8 · heard: confusion"
    assert turns.findChild(TurnCard, "turn_3").remark.startswith("turn 3 · beat: clarity 0.8")
    assert "1 of 2 exchanges" in shown_text(turns, "arc_line")
    page.table.select_id(other)
    until(qtbot, lambda: page.inspector.detail.row.id == other)
    assert turns.findChild(TurnCard, "turn_1").remark == "turn 1"
    assert not find(turns, QLabel, "arc_line").isVisible()


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        ((None, None), "Nothing of it was heard in 2 exchanges"),
        ((None, 1), "Line: heard, as planned in 1 of 2 exchanges"),
    ],
)
def test_where_nothing_of_an_arc_was_heard_no_line_is_spoken_of(
    qtbot: QtBot, heard: tuple[int | None, ...], told: str
) -> None:
    view = ArcView()
    qtbot.addWidget(view)
    view.show_arc(
        ArcReading(tuple(Beat(name, 0.5, "", "") for name in ("confusion", "clarity")), (0, 1), heard, ((), ()))
    )
    assert view.line.text() == f"Dashed: planned. {told}"


def test_a_turn_is_edited_undone_looked_at_and_enriched_again(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place
) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.inspector.detail is not None and page.enrich_button.text() == "Enrich")

    def shown(number: int) -> str:
        return page.inspector.turns.findChild(TurnCard, f"turn_{number}").text.plain_text()

    def edit(text: str) -> None:
        click(qtbot, page.inspector.turns.findChild(TurnCard, "turn_2"), "edit_turn")
        asked = dialog(qapp, "edit_turn_dialog")
        asked.text.selectAll()
        qtbot.keyClicks(asked.text, text)
        click(qtbot, asked, "save_turn")
        until(qtbot, lambda: shown(2) == text)

    before = shown(2)
    edit("We look at one number.")
    assert page.inspector.enriched_pill.status.word == "Edited"
    until(qtbot, lambda: page.enrich_button.text() == "Enrich 1")
    take_back(qtbot, window, "edited")
    until(qtbot, lambda: shown(2) == before)
    until(qtbot, lambda: page.inspector.enriched_pill.status.word == "Enriched")
    edit("We look at two numbers.")
    click(qtbot, page, "show_versions")
    asked = dialog(qapp, "versions_dialog")
    assert [row.version for row in asked.model.rows] == [3, 2, 1]
    asked.table.select_id(2)
    until(qtbot, lambda: "We look at one number." in asked.words.toPlainText())
    click(qtbot, asked, "restore_version")
    until(qtbot, lambda: shown(2) == "We look at one number.")
    click(qtbot, page, "enrich_edited")
    until(qtbot, lambda: page.inspector.enriched_pill.status.word == "Enriched")
    assert not store.get(here.db, ident).stale


def test_checks_are_badges_that_lead_to_the_near_duplicate_and_filter(
    qtbot: QtBot, window: MainWindow, here: Place
) -> None:
    first = add_conversation(here, parsed(title="First"))
    content = parsed((*KIND[:-1], f"{KIND[-1]} Write to a@b.org."), title="Again")
    again = add_conversation(here, content)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 2)
    page.table.select_id(again)
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.row.id == again)
    badges = page.inspector.badges
    assert [pill.status.word for pill in badges.pills.values() if pill.isVisible()] == [
        "Personal data",
        "Near-duplicate",
    ]
    assert "Turn 4: Contains an email address" in badges.pills[Check.PERSONAL].toolTip()
    assert "“First”" in badges.pills[Check.NEAR_DUPLICATE].toolTip()
    click(qtbot, badges, "near_duplicate")
    until(qtbot, lambda: page.inspector.detail.row.id == first)
    assert not badges.isVisible()
    page.findChild(object, f"filter_check_{int(Check.PERSONAL)}").trigger()
    until(qtbot, lambda: [row.title for row in page.model.rows] == ["Again"])
    assert any(b.text().startswith("Checks: Personal data") for b in page.filters.chips.findChildren(QPushButton))


def test_tags_are_added_to_several_filtered_and_taken_off(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place
) -> None:
    first = add_conversation(here, parsed(title="First"))
    add_conversation(here, parsed(("a", "b"), title="Second"))
    add_conversation(here, parsed(("c", "d"), title="Third"))
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 3)
    choose(page, "First", "Second")
    until(qtbot, page.bulk.isVisible)
    click(qtbot, page, "bulk_tag")
    asked = dialog(qapp, "tag_dialog")
    qtbot.keyClicks(asked.tag, "Keep")
    click(qtbot, asked, "save_tag")
    until(qtbot, lambda: page.findChild(object, "filter_tag_Keep") is not None)
    page.findChild(object, "filter_tag_Keep").trigger()
    until(qtbot, lambda: {row.title for row in page.model.rows} == {"First", "Second"} and page.pages.total == 2)
    page.table.select_id(first)
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.row.id == first)
    chip = next(b for b in page.inspector.tags.findChildren(QPushButton) if b.text().startswith("Keep"))
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    until(qtbot, lambda: [row.title for row in page.model.rows] == ["Second"])
    until(qtbot, window.toast.isVisible)
    take_back(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 2)


def test_scores_by_hand_stand_in_for_the_computed_ones(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place
) -> None:
    ident = add_conversation(here)
    page = opened(qtbot, window)
    until(qtbot, lambda: page.inspector.detail is not None)
    click(qtbot, page, "rate")
    asked = dialog(qapp, "rate_dialog")
    field = asked.form.field("empathy_score")
    field.setCurrentIndex(field.findData(4.5))
    click(qtbot, asked, "save_rating")
    until(qtbot, lambda: page.inspector.detail.row.score == 4.5)
    assert shown_text(page, "score_empathy_score") == "4.5"
    assert page.inspector.rate.text() == "Rated by hand"
    assert store.get(here.db, ident).human_reviewed
    page.findChild(object, "filter_min_quality_4.0").trigger()
    until(qtbot, lambda: page.filters.active and page.model.rowCount() == 1)


def test_exactly_what_is_shown_is_exported(qtbot: QtBot, window: MainWindow, here: Place, tmp_path: Path) -> None:
    good = add_conversation(here, parsed(title="Good"), tier="template")
    add_conversation(here, parsed(("a", "b"), title="Not enriched"), tier="template")
    add_conversation(here, parsed(("c", "d"), title="Other tier"), tier="edge_case")
    enrich(here, good)
    page = opened(qtbot, window)
    page.findChild(object, "filter_tier_template").trigger()
    until(qtbot, lambda: page.pages.total == 2 and page.export_button.isEnabled())
    click(qtbot, page, "export")
    menu = page.findChild(object, "export_menu")
    menu.findChild(object, "export_enriched_file").trigger()
    menu.close()
    asked = page.findChild(object, "export_dialog")
    asked.fileSelected.emit(str(tmp_path / "out.json"))
    asked.close()
    until(qtbot, lambda: any("1 conversation exported" in banner.text for banner in page.banners.banners))
    (document,) = orjson.loads((tmp_path / "out.json").read_bytes())
    assert document["training_pairs"][0]["conversation_id"] == good


def test_keys_review_and_delete_with_undo(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here, parsed(title="One"))
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 1)
    page.table.setFocus()
    qtbot.keyClick(page.table, Qt.Key.Key_A)
    until(qtbot, lambda: [row.status for row in page.model.rows] == ["approved"])
    qtbot.keyClick(page.table, Qt.Key.Key_R)
    until(qtbot, lambda: [row.status for row in page.model.rows] == ["rejected"])
    qtbot.keyClick(page.table, Qt.Key.Key_Delete)
    until(qtbot, lambda: page.shown_state == "empty")
    assert window.toast.text.text() == "1 conversation moved to the trash"
    take_back(qtbot, window, "trash")
    until(qtbot, lambda: page.shown_state == "content" and page.model.rowCount() == 1)


def test_notes_that_were_typed_are_kept_when_another_row_is_chosen(
    qtbot: QtBot, window: MainWindow, here: Place
) -> None:
    first = add_conversation(here, parsed(title="One"))
    second = add_conversation(here, parsed(("a", "b"), title="Two"))
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 2)
    page.table.select_id(first)
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.row.id == first)
    qtbot.keyClicks(find(page, QPlainTextEdit, "reviewer_notes"), "Look again")
    page.table.select_id(second)
    until(qtbot, lambda: store.get(here.db, first).reviewer_notes == "Look again")
    until(qtbot, lambda: page.inspector.notes.toPlainText() == "")
    assert store.get(here.db, first).status == "draft"


def test_a_failure_names_its_mend_and_the_mend_works(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    ident = add_conversation(here, unknown(), persona_key="careful_widow")
    page = opened(qtbot, window)
    until(qtbot, lambda: page.enrich_button.text() == "Enrich 1")
    click(qtbot, page, "enrich")
    until(qtbot, lambda: [row.enrichment_status for row in page.model.rows] == ["failed"])
    until(qtbot, lambda: page.inspector.detail is not None and page.inspector.detail.error is not None)
    until(qtbot, lambda: any("1 conversation failed" in b.text for b in page.banners.banners))
    click(qtbot, page, "why_score")
    assert find(page, QPushButton, "mend").text() == "Add persona"
    click(qtbot, page, "mend")
    scaffolding: Any = window.current_page
    form = scaffolding.forms["persona"]
    until(qtbot, lambda: form.entry.key == "careful_widow")
    click(qtbot, form, "save_entry")
    until(qtbot, lambda: bool(scaffolding.banners.banners))
    click(qtbot, scaffolding.banners.banners[0], "banner_action")
    assert window.current_page is page
    until(qtbot, lambda: store.get(here.db, ident).enrichment_status == "completed")


def test_selected_conversations_go_into_a_training_file(
    qtbot: QtBot, qapp: Any, window: MainWindow, here: Place
) -> None:
    good = add_conversation(here, parsed(title="Good"))
    refused = add_conversation(here, parsed(("I feel lost.", "We take one step."), title="Refused"))
    add_conversation(here, parsed(("a", "b"), title="Raw"))
    enrich(here, good, refused)
    store.set_status(here.db, [refused], "rejected")
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 3)
    choose(page, "Good", "Refused", "Raw")
    until(qtbot, page.bulk.isVisible)
    click(qtbot, page, "add_to_training_file")
    asked = dialog(qapp, "add_dialog")
    until(qtbot, asked.ok.isEnabled)
    assert asked.told.text().startswith("1 of 3 selected will be added. 1 can't be added: not enriched.")
    click(qtbot, asked, "build")
    assert asked.isVisible()
    qtbot.keyClicks(asked.name, "Spring")
    click(qtbot, asked, "build")
    until(qtbot, lambda: any("“Spring” version 1" in b.text for b in page.banners.banners))
    job = jobs.listing(here.db, kind="build_training_file")[0]
    assert job.params["conversation_ids"] == [good]
    click(qtbot, page.banners.banners[0], "banner_action")
    files: Any = window.current_page
    until(qtbot, lambda: files.table.current() is not None and files.table.current().name == "Spring")


def test_it_opens_one_conversation_or_a_filter(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    first = add_conversation(here, parsed(title="One"), persona_key="anxious_planner")
    add_conversation(here, parsed(("a", "b"), title="Two"), persona_key="pragmatic_optimist")
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 2)
    window.services.navigator.open_page("conversations", first)
    until(qtbot, lambda: page.table.current().id == first)
    window.services.navigator.open_page("conversations", {"persona_key": "pragmatic_optimist"})
    until(qtbot, lambda: [row.title for row in page.model.rows] == ["Two"])


def test_many_filters_take_lines_and_not_the_buttons_place(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    add_conversation(here, parsed(title="One"), tier="edge_case", quality_score=4.2, status="approved")
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == 1)
    window.resize(1100, 700)
    page.filters.replace_all(Filter(
        status="approved", enrichment_status="not_started", tier="edge_case", min_quality=3.5, tag="W" * 40,
        persona_key="anxious_planner",
    ))  # fmt: skip
    chips = page.filters.chips
    until(qtbot, lambda: len(chips.findChildren(QPushButton)) == 6)
    until(qtbot, lambda: len({chip.y() for chip in chips.findChildren(QPushButton)}) > 1)
    button = page.enrich_button
    assert button.mapTo(window, button.rect().topRight()).x() < window.width()


def test_all_that_match_can_be_selected_also_those_not_read_yet(qtbot: QtBot, window: MainWindow, here: Place) -> None:
    every = paged.PAGE_SIZE + 5
    for number in range(every):
        add_conversation(here, parsed((f"Question {number}", "Yes."), title=f"C{number}"))
    page = opened(qtbot, window)
    until(qtbot, lambda: page.model.rowCount() == paged.PAGE_SIZE and page.pages.total == every)
    page.table.selectAll()
    link = find(page, QPushButton, "select_all_rows")
    until(qtbot, lambda: link.isVisible() and link.text() == f"Select all {every}")
    click(qtbot, page, "select_all_rows")
    until(qtbot, lambda: len(page.decide.selected_ids()) == every)
    assert not link.isVisible()
    assert page.enrich_button.text() == f"Enrich {every} selected"
    # Another filter, though all that is shown stays: everything is something else then.
    page.filters.replace_all(Filter(status="draft"))
    until(qtbot, lambda: page.decide.selected_ids() == [])
    until(qtbot, lambda: page.pages.total == every)
    page.table.selectAll()
    click(qtbot, page, "select_all_rows")
    until(qtbot, lambda: len(page.decide.selected_ids()) == every)
    page.table.clearSelection()
    assert page.decide.selected_ids() == []
    page.table.selectAll()
    click(qtbot, page, "select_all_rows")
    until(qtbot, lambda: len(page.decide.selected_ids()) == every)
    click(qtbot, page, "bulk_approve")
    until(qtbot, lambda: len(store.ids(here.db, Filter(status="approved"))) == every)
