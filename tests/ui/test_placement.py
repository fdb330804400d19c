"""The window fits the screen it opens on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from app.logs import RingHandler
from app.services import Services
from ui.window.main_window import MIN_SIZE, START_SIZE, MainWindow
from ui.window.placement import brought_back, first_place, least_size

LAPTOP = QRect(0, 25, 1280, 720)


@pytest.mark.parametrize("room", [LAPTOP, QRect(0, 0, 1024, 640), QRect(1920, 100, 3840, 2060)])
def test_the_first_window_is_within_the_screen_and_in_its_middle(room: QRect) -> None:
    place = first_place(QSize(*START_SIZE), room)
    assert room.contains(place)
    assert (place.center() - room.center()).manhattanLength() <= 1
    assert place.size() == QSize(*START_SIZE).boundedTo(room.size())
    assert least_size(QSize(*MIN_SIZE), room).boundedTo(room.size()) == least_size(QSize(*MIN_SIZE), room)


sides = st.integers(200, 4000)
rooms = st.builds(QRect, st.integers(-4000, 4000), st.integers(-2000, 2000), sides, sides)


@given(st.builds(QRect, st.integers(-9000, 9000), st.integers(-9000, 9000), sides, sides), st.lists(rooms, min_size=1))
def test_a_window_comes_back_whole_onto_a_screen_that_is_there(place: QRect, screens: list[QRect]) -> None:
    found = brought_back(place, screens)
    assert any(room.contains(found) for room in screens)
    if any(room.contains(place) for room in screens):
        assert found.size() == place.size()


@pytest.fixture
def opened(services: Services) -> Iterator[MainWindow]:
    window = MainWindow(services, RingHandler())
    window.show()
    yield window
    window.close()
    window.deleteLater()


def test_the_window_opens_within_this_screen(opened: MainWindow) -> None:
    room = QGuiApplication.primaryScreen().availableGeometry()
    assert room.contains(opened.geometry())
    assert opened.size() == QSize(*START_SIZE)


def test_a_place_on_a_screen_that_is_gone_is_not_kept(qtbot: QtBot, services: Services, opened: MainWindow) -> None:
    opened.setGeometry(5000, 3000, 1200, 800)
    services.state.put_bytes("window/geometry", opened.saveGeometry())
    again = MainWindow(services, RingHandler())
    qtbot.addWidget(again)
    assert QGuiApplication.primaryScreen().availableGeometry().contains(again.geometry())
