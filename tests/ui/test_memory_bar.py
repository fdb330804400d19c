"""The memory bar: its pieces add up to the machine, and the panel says them with what was decided."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.services import Services
from core.inference.arbiter import ADAPTERS, BASE, CACHES, CHAT, JOB, Share
from core.memory import Memory, Pressure
from tests.support.pages import until
from ui.widgets.basic import ElidedLabel
from ui.window.main_window import MainWindow
from ui.window.memory_bar import FREE, OTHER, pieces

GB = 1 << 30


def test_the_pieces_add_up_to_the_machine() -> None:
    shares = [Share(CHAT, BASE, 4 * GB), Share(CHAT, ADAPTERS, GB), Share(CHAT, CACHES, GB), Share("run", JOB, 2 * GB)]
    found = pieces(Memory(16 * GB, 5 * GB, Pressure.NORMAL), shares, {"run": "Empathy v3"})
    assert [piece.words for piece in found] == [
        "Chat model", "Adapters", "Conversations read", "Empathy v3", OTHER, FREE
    ]  # fmt: skip
    assert sum(piece.size_bytes for piece in found) == 16 * GB


def test_what_is_booked_and_not_taken_yet_makes_nobody_negative() -> None:
    found = pieces(Memory(16 * GB, 15 * GB, Pressure.NORMAL), [Share(CHAT, BASE, 4 * GB)], {})
    assert all(piece.size_bytes >= 0 for piece in found)


def test_the_panel_says_who_holds_what_and_what_was_decided(
    qtbot: QtBot, services: Services, window: MainWindow
) -> None:
    arbiter, bar = services.arbiter, window.tray.memory
    arbiter.book.read = lambda: Memory(16 * GB, 6 * GB, Pressure.SHORT, 10 * GB)
    arbiter.book.book(CHAT, 4 * GB)
    arbiter._decide("“Empathy v3” pauses for a question")
    until(qtbot, lambda: "Chat model" in bar.accessibleDescription())
    bar.setFocus()
    qtbot.keyClick(bar, Qt.Key.Key_Space)
    until(qtbot, lambda: bar.panel.isVisible() and bool(_words(bar)))
    words = _words(bar)
    assert {"Chat model", OTHER, FREE, "4.3 GB"} <= words
    assert any("“Empathy v3” pauses for a question" in text for text in words)
    assert any("models may use 10.7 GB" in text for text in words)
    assert any("Memory is short" in text for text in words)
    arbiter.book.release(CHAT)
    arbiter.changed.emit()
    until(qtbot, lambda: "Chat model" not in _words(bar))
    qtbot.keyClick(bar.panel, Qt.Key.Key_Escape)
    until(qtbot, lambda: not bar.panel.isVisible())


def _words(bar: Any) -> set[str]:
    return {found.text() for kind in (QLabel, ElidedLabel) for found in bar.panel._inner.findChildren(kind)}
