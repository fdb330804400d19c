"""The pictures of the page Projects: filled, reading, with its folder gone, the dialogs.

Until the worker that searches code is there, its double answers, from real files (`tests.support.code_double`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtWidgets import QApplication

from benchmarks.stalls import pause
from core.projects import projects
from tests.support.project_page import add_indexed, use_double
from tests.support.refund_project import write_project
from ui.pages.projects.page import ProjectsPage

QUESTION = "where do we decide that a refund needs a second approval"


class Camera(Protocol):
    """What `tests.screens.make.Studio` has."""

    services: Any
    window: Any

    def shoot(self, state: str, page: str, argument: object = None, before: Any = None) -> None: ...


def _page(studio: Camera) -> ProjectsPage:
    page = studio.window.page("projects")
    assert isinstance(page, ProjectsPage)
    return page


def _ask(studio: Camera, text: str) -> None:
    page = _page(studio)
    page.search_for(text)
    for _ in range(100):
        pause(0.1)
        if not page.searching.under_way and not page.source.under_way:
            return


def shoot_filled(studio: Camera, folder: Path) -> None:
    """Three projects, a question with its results, and the dialogs."""
    code = use_double(studio.services)
    add_indexed(studio.services, write_project(folder / "ledger-web", branch="develop"))
    add_indexed(studio.services, write_project(folder / "tax-rules", branch=""))
    made = add_indexed(studio.services, write_project(folder / "brightrun-api"), embedder="CodeRankEmbed")
    studio.shoot("filled", "projects", made.id, lambda: _ask(studio, QUESTION))
    code.model = False
    studio.shoot("plain text", "projects", None, lambda: _ask(studio, "text: limit"))
    studio.shoot("nothing found", "projects", None, lambda: _ask(studio, "xyzzyx"))


def shoot_busy(studio: Camera, folder: Path) -> None:
    """One that is being read for the first time."""
    use_double(studio.services)
    add_indexed(studio.services, write_project(folder / "tax-rules"))
    root = write_project(folder / "ledger-web")
    (root / ".hold").touch()
    made = projects.add(studio.services.connections.db, root)
    studio.shoot("busy", "projects", made.id, lambda: (_page(studio).watching.start(made.id), pause(4)))
    (root / ".hold").unlink()


def shoot_failed(studio: Camera, folder: Path) -> None:
    """A folder that is gone."""
    use_double(studio.services)
    root = write_project(folder / "brightrun-api")
    made = add_indexed(studio.services, root)
    studio.services.navigator.open_page("projects", made.id)
    pause(1)
    _ask(studio, QUESTION)
    shutil.rmtree(root)
    studio.shoot("failed", "projects", made.id)


def shoot_dialogs(studio: Camera, folder: Path, out: Path) -> None:
    """Each dialog of the page, in light and dark."""
    from ui.theme import theme

    use_double(studio.services)
    made = add_indexed(studio.services, write_project(folder / "brightrun-api"))
    studio.services.navigator.open_page("projects", made.id)
    pause(1)
    page = _page(studio)
    other = write_project(folder / "ledger-web")
    for mode in ("light", "dark"):
        theme().set_mode(mode)
        for name, ask in (
            ("add_project_dialog", lambda: page.dropped([other])),
            ("files_dialog", lambda: page.show_files("")),
            ("embedder_dialog", page.commands_.choose_embedder),
        ):
            ask()
            pause(3)
            (shown,) = [w for w in QApplication.topLevelWidgets() if w.objectName() == name and w.isVisible()]
            shown.grab().save(str(out / f"{name}-{mode}.png"))
            shown.close()
            pause(0.2)
