"""Settings of projects: the editor that places open in, and the workspace's embedding model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog

from app import editors
from core.code_index import embedders
from core.events import Changed
from core.projects.jobs import EMBEDDER, workspace_embedder
from core.workspace import settings
from tests.support.embedders import minilm
from tests.support.pages import open_page, settle, until
from ui.open_in_editor import open_in_editor
from ui.pages.settings.code import CodeCard
from ui.pages.settings.page import SettingsPage


@pytest.fixture
def card(qtbot: Any, window: Any, monkeypatch: pytest.MonkeyPatch) -> CodeCard:
    monkeypatch.setattr(editors, "installed", lambda: [editors.EDITORS[0], editors.EDITORS[4]])
    page = open_page(qtbot, window, SettingsPage)
    until(qtbot, lambda: page.code.editor.count() == 4)
    until(qtbot, lambda: page.code.embedder.option is not None)
    settle(qtbot, window)
    return page.code


def stored(window: Any, key: str) -> Any:
    return settings.get(window.services.connections.db, key, "")


def test_an_installed_editor_is_chosen_or_an_own_command(qtbot: Any, window: Any, card: CodeCard) -> None:
    words = [card.editor.itemText(n) for n in range(card.editor.count())]
    assert words == ["The first that is installed", "Visual Studio Code", "Zed", "Own command"]
    assert not card.command.isVisible()
    card.editor.setCurrentIndex(2)
    until(qtbot, lambda: stored(window, editors.SETTING) == "zed")
    card.editor.setCurrentIndex(3)
    assert card.command.isVisible()
    qtbot.keyClicks(card.command, "mine --at ")
    qtbot.keyClick(card.command, Qt.Key.Key_Return)
    settle(qtbot, window)
    assert stored(window, editors.SETTING) == "zed"
    assert not card.form.valid
    qtbot.keyClicks(card.command, "{line} {file}")
    qtbot.keyClick(card.command, Qt.Key.Key_Return)
    until(qtbot, lambda: stored(window, editors.SETTING) == "mine --at {line} {file}")
    window.services.hub.announce(Changed.SETTINGS)
    settle(qtbot, window)
    assert card.editor.currentText() == "Own command"
    assert card.command.text() == "mine --at {line} {file}"


def test_an_editor_that_is_not_installed_any_more_is_still_named(qtbot: Any, window: Any, card: CodeCard) -> None:
    settings.put(window.services.connections.db, editors.SETTING, "sublime")
    window.services.hub.announce(Changed.SETTINGS)
    until(qtbot, lambda: card.editor.currentText() == "Sublime Text (not installed)")


def test_the_embedding_model_of_the_workspace_is_kept(qtbot: Any, window: Any, card: CodeCard) -> None:
    combo = card.embedder.combo
    combo.setCurrentIndex(combo.findData(embedders.WORDS_ONLY))
    until(qtbot, lambda: workspace_embedder(window.services.connections.db) == embedders.WORDS_ONLY)
    assert card.embedder.about.text() == "Search needs no model for words and names."


def test_a_folder_that_holds_no_model_is_refused(qtbot: Any, window: Any, card: CodeCard, tmp_path: Path) -> None:
    (tmp_path / "no-model").mkdir()
    before = card.embedder.combo.currentText()
    card.embedder.choose_folder(str(tmp_path / "no-model"))
    until(qtbot, lambda: card.embedder.about.property("role") == "error")
    assert "no-model is not an embedding model" in card.embedder.about.text()
    assert card.embedder.combo.currentText() == before
    settle(qtbot, window)
    assert workspace_embedder(window.services.connections.db) == ""
    # The model that is right is chosen once more.
    card.embedder.combo.activated.emit(card.embedder.combo.currentIndex())
    assert card.embedder.about.property("role") == "caption"


def test_a_key_that_passes_over_the_folder_opens_no_dialog(qtbot: Any, window: Any, card: CodeCard) -> None:
    combo = card.embedder.combo
    combo.setFocus()
    qtbot.keyClick(combo, Qt.Key.Key_End)
    assert card.embedder.findChild(QFileDialog, "embedder_folder") is None
    assert combo.currentData() == card.embedder.value()
    where = QPointF(combo.rect().center())
    for _ in range(combo.count()):
        QApplication.sendEvent(combo, QWheelEvent(
            where, combo.mapToGlobal(where), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        ))  # fmt: skip
    assert card.embedder.findChild(QFileDialog, "embedder_folder") is None
    assert combo.currentData() == card.embedder.value()
    combo.setCurrentIndex(combo.count() - 1)
    until(qtbot, lambda: card.embedder.findChild(QFileDialog, "embedder_folder") is not None)
    card.embedder.findChild(QFileDialog, "embedder_folder").reject()


def test_a_folder_with_a_model_counts_from_the_click_on(qtbot: Any, window: Any, card: CodeCard) -> None:
    folder = str(minilm())
    card.embedder.choose_folder(folder)
    assert card.embedder.value() == folder
    until(qtbot, lambda: workspace_embedder(window.services.connections.db) == folder)
    assert card.embedder.combo.currentData() == folder
    assert card.embedder.option is not None
    assert card.embedder.option.there


def test_what_is_chosen_later_wins_over_a_folder_that_is_still_looked_into(
    qtbot: Any, window: Any, card: CodeCard
) -> None:
    combo = card.embedder.combo
    card.embedder.choose_folder(str(minilm()))
    combo.setCurrentIndex(combo.findData(embedders.WORDS_ONLY))
    until(qtbot, lambda: workspace_embedder(window.services.connections.db) == embedders.WORDS_ONLY)
    settle(qtbot, window)
    assert (card.embedder.value(), combo.currentData()) == (embedders.WORDS_ONLY, embedders.WORDS_ONLY)
    assert card.embedder.about.text() == "Search needs no model for words and names."


def test_a_folder_of_a_model_that_went_away_is_still_named(
    qtbot: Any, window: Any, card: CodeCard, tmp_path: Path
) -> None:
    settings.put(window.services.connections.db, EMBEDDER, str(tmp_path / "gone"))
    window.services.hub.announce(Changed.SETTINGS)
    until(qtbot, lambda: card.embedder.combo.currentText() == "gone (not here)")


def test_the_command_is_started_with_the_place(qtbot: Any, window: Any, card: CodeCard, tmp_path: Path) -> None:
    out, script, file = tmp_path / "opened", tmp_path / "editor", tmp_path / "a file.py"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{out}.part" && mv "{out}.part" "{out}"\n')
    script.chmod(0o755)
    file.write_text("x = 1\n")
    settings.put(window.services.connections.db, editors.SETTING, f"{script} -n {{line}} {{file}}")
    page = window.current_page
    open_in_editor(page, file, 7)
    until(qtbot, out.exists, "the editor was not started")
    assert out.read_text().splitlines() == ["-n", "7", str(file)]
    (tmp_path / "a file.py").unlink()
    open_in_editor(page, file, 7)
    until(qtbot, lambda: any("no longer there" in banner.text for banner in page.banners.banners))
