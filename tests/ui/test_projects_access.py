"""The filled page Projects and its dialogs: every control by Tab, with a name, a seen focus and room for its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from core.projects import projects
from tests.screens.fits import problems
from tests.support import focus_walk
from tests.support.pages import dialog
from tests.support.project_page import Projecting
from tests.support.refund_project import write_project
from ui.theme import NATURAL, theme


@pytest.fixture
def at(qtbot: Any, services: Any, window: Any, tmp_path: Path) -> Projecting:
    made = Projecting(qtbot, window, services, tmp_path)
    made.add()
    made.add(write_project(tmp_path / "ledger-web", branch="a-branch"))
    return made


@pytest.fixture(params=[NATURAL, 115], ids=["shipped font", "15 % wider"])
def stretch(request: pytest.FixtureRequest, qapp: Any) -> Iterator[int]:
    theme().set_stretch(request.param)
    yield request.param
    theme().set_stretch(NATURAL)


@pytest.mark.parametrize("text", ["", "approval", "text:refund", "xyzzyx"])
def test_the_page_is_walked_by_tab(at: Projecting, text: str) -> None:
    page = at.open()
    at.search(text)
    at.source()
    chain = focus_walk.reached(at.window, page)
    assert len(chain) > 8
    assert focus_walk.out_of_order(chain, page) == []
    assert focus_walk.nameless(chain, page) == []
    assert focus_walk.unmarked(chain, page) == []


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_word_has_room(at: Projecting, stretch: int, mode: str) -> None:
    theme().set_mode(mode)
    at.code.model = False
    page = at.open()
    for size in ((1440, 900), (1100, 700)):
        at.window.resize(*size)
        for text in ("approval", "text:refund", "xyzzyx", ""):
            at.search(text)
            at.source()
            assert problems(at.window) == [], (size, text)
    page.box.filters.values = {"lang": "typescript", "kind": "interface", "tests": "no"}
    page.box.filters.put(page.box.filters.values)
    at.settle()
    assert problems(at.window) == []


def test_dialogs_have_room_and_names(at: Projecting, qapp: Any, stretch: int, tmp_path: Path) -> None:
    page = at.open()
    at.window.resize(1100, 700)
    other = write_project(tmp_path / "tax-rules")
    for name, ask in (
        ("add_project_dialog", lambda: page.dropped([other])), ("files_dialog", lambda: page.show_files("lock file")),
        ("embedder_dialog", page.commands_.choose_embedder),
    ):  # fmt: skip
        ask()
        shown = dialog(qapp, name)
        at.settle()
        assert shown.width() <= 1100
        assert problems(shown) == [], name
        named = [w for w in shown.findChildren(type(shown.primary)) if w.isVisible()]
        assert all(w.accessibleName() or w.text() for w in named)
        shown.reject()
        at.settle()
    assert len(projects.listing(at.db)) == 2


def test_at_twice_the_size_words_are_whole(at: Projecting) -> None:
    theme().set_scale(2.0)
    at.open()
    at.window.resize(1100, 700)
    at.search("approval")
    at.source()
    # The page scrolls then; nothing in it is cut.
    cut = [text for text in problems(at.window) if "its content is" not in text]
    assert cut == []
    tile = at.page.tiles.files
    assert tile.value.height() >= tile.value.fontMetrics().height()
    assert QApplication.focusWidget() is not None
