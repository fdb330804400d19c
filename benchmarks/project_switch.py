"""From one project's chat to another's: the choice until the chat that was left is shown with its draft.

Named alternative in the same run: opening another chat of the same project, which keeps and restores nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.bootstrap import Application, Options
from app.services import Services
from benchmarks.stalls import pause, wait
from core.models import store as models
from core.models.work import practice_row
from core.projects import chats, projects
from core.workspace.paths import Workspace
from ui.pages.chat.page import ChatPage

PROJECTS, CHATS, MESSAGES, SWITCHES = 10, 20, 60, 60
LOOK_MS = 1
ANSWER = "The limit is decided in `policy.py`.\n\n```python\nreturn refund.amount > LIMIT\n```\n\n" + "More. " * 80


def fill(services: Services, folder: Path) -> list[str]:
    """Projects with chats; the ids of the projects."""
    db = services.connections.db
    models.upsert(db, practice_row())
    out = []
    for number in range(PROJECTS):
        root = folder / f"project{number}"
        root.mkdir()
        project = projects.add(db, root, embedder="none")
        out.append(project.id)
        for _ in range(CHATS):
            chat = chats.create(db, "practice", project_id=project.id)
            for turn in range(MESSAGES // 2):
                chats.add_message(db, chat.id, "user", f"Question {turn} about project {number}?")
                chats.add_message(db, chat.id, "assistant", ANSWER)
    return out


class Switches:
    """The page, and how long each way takes in ms."""

    def __init__(self, services: Services, page: ChatPage, ids: list[str]) -> None:
        self.services, self.page, self.ids = services, page, ids

    def timed(self, act: Any, there: Any) -> float:
        begun = time.perf_counter()
        act()

        def until(done: Any) -> None:
            def look() -> None:
                if there():
                    done()
                else:
                    QTimer.singleShot(LOOK_MS, look)

            look()

        wait(until)
        return (time.perf_counter() - begun) * 1000

    def to_project(self, project_id: str) -> float:
        page = self.page

        def there() -> bool:
            chat = page.chat
            return chat is not None and chat.project_id == project_id and bool(page.transcript.views)

        found = self.timed(lambda: page.choose_project(project_id), there)
        pause(0.2)
        return found

    def to_chat(self, chat_id: str) -> float:
        page = self.page
        found = self.timed(
            lambda: page.open_chat(chat_id), lambda: page.chat is not None and page.chat.id == chat_id
        )  # fmt: skip
        pause(0.2)
        return found


def spread(values: list[float]) -> str:
    found = sorted(values)
    return f"median {found[len(found) // 2]:.0f} ms, p95 {found[int(len(found) * 0.95)]:.0f}, worst {found[-1]:.0f}"


def run(folder: Path) -> dict[str, Any]:
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    app.setQuitOnLastWindowClosed(False)
    application = Application(Options(Workspace(folder / "w")))
    assert application.start()
    assert application.session is not None
    services, window = application.session.services, application.session.window
    pause(1.5)
    ids = fill(services, folder)
    window.open_page("chat")
    pause(2)
    page = window.page("chat")
    assert isinstance(page, ChatPage)
    switches = Switches(services, page, ids)
    for ident in ids:
        switches.to_project(ident)
    projects_ms = [switches.to_project(ids[number % len(ids)]) for number in range(SWITCHES)]
    listed = [chat.id for chat in chats.listing(services.connections.db, project_id=page.of_project)]
    chats_ms = [switches.to_chat(listed[number % len(listed)]) for number in range(1, SWITCHES)]
    application.stop()
    return {
        f"{PROJECTS} projects of {CHATS} chats of {MESSAGES} messages": "",
        "to another project": spread(projects_ms), "to another chat of the same project": spread(chats_ms),
        "ratio of the medians": round(sorted(projects_ms)[SWITCHES // 2] / sorted(chats_ms)[len(chats_ms) // 2], 2),
    }  # fmt: skip
