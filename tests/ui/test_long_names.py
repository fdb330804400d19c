"""Names without a place to break widen no page: at the smallest window everything still has room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot

from app.services import Services
from core.conversations.parse import KEYS
from core.generation.plan import Library
from core.scaffolding.store import EmotionalArc, Persona, PromptTemplate, TrainingTopic, add, listing, update
from tests.core.factories import PARAMETERS, add_conversation
from tests.support.pages import filled, open_page, settle
from ui.dialogs.base import Dialog
from ui.pages.conversations.page import ConversationsPage
from ui.pages.generate.add_dialogs import AddOneDialog, MatrixDialog
from ui.window.main_window import MainWindow

LONG = "W" * 200


def rename_all(services: Services) -> None:
    """Every entry that the conversation names, and one more of each kind, with an endless name."""
    here = filled(services)
    for kind in (Persona, EmotionalArc, TrainingTopic, PromptTemplate):
        for number, entry in enumerate(listing(here.db, kind)):
            update(here.db, replace(entry, name=f"{LONG}{number}"))
    add(here.db, Persona("long_key_" + "w" * 190, LONG, title=LONG, summary=LONG, background=LONG))
    add_conversation(here, **{name: PARAMETERS[name] for name in KEYS})


@pytest.mark.parametrize("name", ["home", "scaffolding", "generate", "conversations"])
def test_an_endless_name_widens_nothing(qtbot: QtBot, services: Services, window: MainWindow, name: str) -> None:
    rename_all(services)
    window.resize(1100, 700)
    window.open_page(name)
    settle(qtbot, window)
    assert window.minimumSizeHint().width() <= 1100
    assert window.width() == 1100
    for area in window.current_page.findChildren(QScrollArea):
        bar = area.horizontalScrollBar()
        assert not (area.isVisible() and bar.isVisible()), area.objectName()


def test_an_endless_name_widens_no_dialog(qtbot: QtBot, services: Services, window: MainWindow) -> None:
    rename_all(services)
    library = Library.of(services.connections.db)
    page = open_page(qtbot, window, ConversationsPage)
    settle(qtbot, window)
    page.table.selectRow(0)
    settle(qtbot, window)
    dialogs: list[Dialog] = [AddOneDialog(page, library), MatrixDialog(page, library)]
    for made in dialogs:
        made.open()
        settle(qtbot, window)
        assert made.width() <= 1100, made.objectName()
        made.reject()
