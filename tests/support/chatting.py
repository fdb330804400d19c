"""The chat page in its window over a workspace whose engine answers what a test can foresee."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from core.events import Changed
from core.projects import chats
from core.registries import ENGINES
from tests.support.chat import add_adapter, add_base, add_dataset
from tests.support.pages import settle
from ui.widgets.message_text import MessageText

PROMPT = "You are a warm consultant."
QUESTIONS = ["I keep putting off a letter. What now?", "My partner hides debts.", "Can I retire at 55?"]


class Chatting:
    """The page in its window, with what a test does to it."""

    def __init__(self, qtbot: Any, window: Any, services: Any) -> None:
        self.qtbot, self.window, self.services = qtbot, window, services
        self.db = services.connections.db
        window.open_page("chat")
        self.page = window.page("chat")

    def until(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition)

    def find(self, kind: type, name: str) -> Any:
        found = self.page.findChild(kind, name)
        assert found is not None, name
        return found

    def announce(self) -> None:
        self.services.hub.announce(Changed.everything())
        self.settle()

    def settle(self) -> None:
        """All reads and writes that were asked for are through, and what they led to."""
        settle(self.qtbot, self.window)
        if not self.page.session.busy:
            self.until(lambda: self.services.engine.idle)
            settle(self.qtbot, self.window)

    def click(self, widget: QWidget) -> None:
        assert widget.isVisible(), widget.objectName()
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)

    def write(self, text: str) -> None:
        self.qtbot.keyClicks(self.page.composer.field, text)

    def send(self, text: str) -> None:
        self.write(text)
        self.qtbot.keyClick(self.page.composer.field, Qt.Key.Key_Return)
        self.until(lambda: self.page.session.busy)

    def ask(self, text: str) -> None:
        self.send(text)
        self.ended()

    def ended(self) -> None:
        self.until(lambda: not self.page.session.busy)
        self.settle()

    def choose(self, key: str) -> None:
        self.click(self.find(QPushButton, f"adapter_{key}"))
        self.until(lambda: not self.page.session.loading_adapter)
        self.settle()

    def texts(self) -> list[str]:
        """What each turn says, oldest first."""
        return [part.plain_text() for view in self.page.transcript.views for part in view.findChildren(MessageText)]

    @property
    def last(self) -> str:
        """What the last turn says, empty while there is none."""
        return (self.texts() or [""])[-1]

    def said_by(self) -> list[str]:
        return [x.text() for v in self.page.transcript.views for x in v.findChildren(QLabel, "answered_by")]

    def rows(self) -> list[chats.Message]:
        return chats.messages(self.db, self.page.chat.id)

    @property
    def state(self) -> str:
        return str(self.find(QLabel, "chat_state").text())

    def banner(self) -> Any:
        assert self.page.banners.banners
        return self.page.banners.banners[0]


def tiny_studio(services: Any, tmp_path: Path) -> Any:
    """A workspace with a base, two adapters and a broken one."""
    ENGINES.register("mlx", "tests.plugins.tiny_engine:TinyEngine")
    db, workspace = services.connections.db, services.workspace
    add_base(db, tmp_path / "tiny")
    add_dataset(db, "set", QUESTIONS, PROMPT)
    add_adapter(db, workspace, "broken", "Half trained", path="adapters/bad")
    add_adapter(db, workspace, "legal", "Legal tone")
    add_adapter(db, workspace, "calm", "Empathy v3", dataset="set", passport={"system_prompt": PROMPT})
    return services
