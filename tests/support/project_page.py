"""The page Projects in its window over small projects, with what a test does to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import shiboken6
from PySide6.QtCore import Qt

from app.project_indexes import ProjectIndexes
from core.code_index.spec import ProjectSpec
from core.db.connection import now
from core.events import Changed
from core.projects import projects
from core.projects.jobs import spec_of
from core.projects.projects import Project
from core.registries import JOB_KINDS
from tests.plugins.tiny_index import index
from tests.support.code_double import CodeDouble
from tests.support.pages import settle, until
from tests.support.refund_project import write_project
from ui.pages.projects.page import ProjectsPage


def use_double(services: Any) -> CodeDouble:
    """Search by the double, index by the tiny job; before the page is made."""
    JOB_KINDS.register("index_project", "tests.plugins.tiny_index:INDEX")
    services.code.shutdown()
    services.code = CodeDouble(services.root)
    shiboken6.delete(services.indexes)
    services.indexes = ProjectIndexes(services, services.code, services.root)
    return services.code


def add_indexed(services: Any, root: Path, name: str = "", *, embedder: str = "", **values: Any) -> Project:
    """A project that was indexed a moment ago."""
    db = services.connections.db
    project = projects.add(db, root, name)
    summary = index(root, project.folder(services.workspace), embedder)
    projects.update(db, project.id, summary=summary, indexed_at=now(), **values)
    return projects.get(db, project.id)


class Projecting:
    """The page, opened and read."""

    def __init__(self, qtbot: Any, window: Any, services: Any, tmp_path: Path) -> None:
        self.qtbot, self.window, self.services = qtbot, window, services
        self.code = use_double(services)
        self.db = services.connections.db
        self.root = write_project(tmp_path / "brightrun-api")

    @property
    def page(self) -> ProjectsPage:
        page = self.window.page("projects")
        assert isinstance(page, ProjectsPage)
        return page

    def open(self, argument: object = None) -> ProjectsPage:
        self.services.navigator.open_page("projects", argument)
        self.until(lambda: self.page.shown_state != "busy")
        self.settle()
        return self.page

    def add(self, root: Path | None = None, name: str = "", **more: Any) -> Project:
        return add_indexed(self.services, root or self.root, name, **more)

    def spec(self, project: Project) -> ProjectSpec:
        return spec_of(self.services.workspace, project)

    def until(self, check: Callable[[], bool], what: str = "") -> None:
        until(self.qtbot, check, what)

    def settle(self) -> None:
        settle(self.qtbot, self.window)

    def announce(self) -> None:
        self.services.hub.announce(Changed.everything())
        self.settle()

    def type(self, text: str) -> None:
        """Into the search, as a person does."""
        self.page.box.field.setFocus()
        self.page.box.field.clear()
        self.qtbot.keyClicks(self.page.box.field, text)

    def search(self, text: str) -> list[str]:
        """Type and wait for what is found: the places."""
        self.type(text)
        self.until(lambda: not self.page.searching.under_way)
        self.settle()
        return self.places()

    def places(self) -> list[str]:
        return [hit.place for hit in self.page.answers.list.hit_model.hits]

    def key(self, widget: Any, key: Qt.Key) -> None:
        self.qtbot.keyClick(widget, key)

    def source(self) -> str:
        """The file that is shown, once it is."""
        self.until(lambda: not self.page.source.under_way)
        self.settle()
        return str(self.page.source.title.text())

    def states(self) -> dict[str, str]:
        return self.page.list.states()
