"""Where the window goes: within the screen, whatever its size, and never on a screen that is gone."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize


def least_size(wanted: QSize, room: QRect) -> QSize:
    """The smallest size that the window may have: `wanted`, or less on a smaller screen."""
    return wanted.boundedTo(room.size())


def first_place(wanted: QSize, room: QRect) -> QRect:
    """A window of the wanted size, or as large as `room` allows, in the middle of it."""
    place = QRect(room.topLeft(), wanted.boundedTo(room.size()))
    place.moveCenter(room.center())
    return place


def brought_back(place: QRect, rooms: Sequence[QRect]) -> QRect:
    """The same place, made smaller and moved so that it is within the room that it shares most with, else the first."""

    def shared(room: QRect) -> int:
        common = room.intersected(place)
        return common.width() * common.height()

    room = max(rooms, key=shared)
    out = QRect(place.topLeft(), place.size().boundedTo(room.size()))
    out.moveLeft(min(max(out.left(), room.left()), room.left() + room.width() - out.width()))
    out.moveTop(min(max(out.top(), room.top()), room.top() + room.height() - out.height()))
    return out
