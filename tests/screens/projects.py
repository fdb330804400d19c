"""The pictures of the page Projects: filled, plain text, nothing found, reading, with its folder gone; its dialogs.

Everything is real: folders of code are indexed by jobs, and searched by the worker.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtWidgets import QApplication

from benchmarks.stalls import pause
from core.code_index import embedders
from core.events import Changed
from core.projects import projects
from tests.support.refund_project import write_project
from ui.pages.projects.page import ProjectsPage
from ui.theme import theme

QUESTION = "where do we decide that a refund needs a second approval"
MANY = 3_000


class Camera(Protocol):
    """What `tests.screens.make.Studio` has."""

    services: Any
    window: Any

    def shoot(self, state: str, page: str, argument: object = None, before: Any = None) -> None: ...


def _page(studio: Camera) -> ProjectsPage:
    page = studio.window.page("projects")
    assert isinstance(page, ProjectsPage)
    return page


def _wait(check: Callable[[], bool]) -> None:
    for _ in range(900):
        pause(0.1)
        if check():
            return
    raise RuntimeError("it does not come to rest")


def _index(studio: Camera, root: Path, embedder: str = embedders.WORDS_ONLY) -> str:
    db = studio.services.connections.db
    made = projects.add(db, root, embedder=embedder)
    studio.services.hub.announce(Changed.PROJECTS)
    _page(studio)
    studio.services.indexes.start(made.id)
    indexes = studio.services.indexes
    _wait(lambda: projects.get(db, made.id).indexed_at is not None and made.id not in indexes.progress)
    return made.id


def _ask(studio: Camera, text: str) -> None:
    page = _page(studio)
    page.search_for(text)
    _wait(lambda: not page.searching.under_way and not page.source.under_way)


def shoot_filled(studio: Camera, folder: Path) -> None:
    """Three projects, a question with its results, plain text, and nothing found."""
    _index(studio, write_project(folder / "ledger-web", branch="develop"))
    _index(studio, write_project(folder / "tax-rules", branch=""))
    made = _index(studio, write_project(folder / "brightrun-api"), "minilm")
    studio.shoot("filled", "projects", made, lambda: _ask(studio, QUESTION))
    studio.shoot("plain text", "projects", None, lambda: _ask(studio, "text: limit"))
    studio.shoot("nothing found", "projects", None, lambda: _ask(studio, "text: xyzzyx"))


def shoot_busy(studio: Camera, folder: Path) -> None:
    """One that is being read for the first time."""
    _index(studio, write_project(folder / "tax-rules"))
    many = {f"many/part_{n}.py": f"def part_{n}(a):\n    return a + {n}\n\n" * 40 for n in range(MANY)}
    made = projects.add(studio.services.connections.db, write_project(folder / "ledger-web", many), embedder="minilm")
    page = _page(studio)

    def start() -> None:
        studio.services.indexes.start(made.id)
        _wait(
            lambda: made.id in studio.services.indexes.progress and studio.services.indexes.progress[made.id].total > 0
        )

    studio.shoot("busy", "projects", made.id, start)
    page.stop()


def shoot_failed(studio: Camera, folder: Path) -> None:
    """A folder that is gone."""
    root = write_project(folder / "brightrun-api")
    made = _index(studio, root)
    studio.services.navigator.open_page("projects", made)
    pause(1)
    _ask(studio, QUESTION)
    shutil.rmtree(root)
    studio.shoot("failed", "projects", made)


def shoot_dialogs(studio: Camera, folder: Path, out: Path) -> None:
    """Each dialog of the page, in light and dark."""
    made = _index(studio, write_project(folder / "brightrun-api"))
    studio.services.navigator.open_page("projects", made)
    pause(1)
    page = _page(studio)
    other = write_project(folder / "ledger-web")
    asks: tuple[tuple[str, Callable[[], object]], ...] = (
        ("add_project_dialog", lambda: page.dropped([other])), ("files_dialog", lambda: page.show_files("")),
        ("embedder_dialog", page.commands_.choose_embedder),
    )  # fmt: skip
    for mode in ("light", "dark"):
        theme().set_mode(mode)
        for name, ask in asks:
            ask()
            pause(3)
            (shown,) = [w for w in QApplication.topLevelWidgets() if w.objectName() == name and w.isVisible()]
            (out / "dialogs").mkdir(parents=True, exist_ok=True)
            shown.grab().save(str(out / "dialogs" / f"{name}-{mode}.png"))
            shown.close()
            pause(0.2)
