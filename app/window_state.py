"""Geometry, splitters and headers in QSettings; nothing of value lives there."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from core.workspace.paths import user_data


class WindowState:
    """Byte arrays and switches by name, in an INI file of the user's data folder."""

    def __init__(self, path: Path | None = None) -> None:
        file = path or user_data() / "window.ini"
        self._settings = QSettings(str(file), QSettings.Format.IniFormat)

    def bytes(self, name: str) -> QByteArray:
        """What was saved under `name`, empty if nothing was."""
        value = self._settings.value(name, QByteArray(), type=QByteArray)
        return value if isinstance(value, QByteArray) else QByteArray()

    def put_bytes(self, name: str, value: QByteArray) -> None:
        """Save a geometry or a header."""
        self._settings.setValue(name, value)

    def text(self, name: str) -> str:
        """A saved text, such as the choice of a table's columns; empty if nothing was saved."""
        return str(self._settings.value(name, "", type=str))

    def put_text(self, name: str, value: str) -> None:
        """Save a text."""
        self._settings.setValue(name, value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A saved switch."""
        return bool(self._settings.value(name, default, type=bool))

    def put_flag(self, name: str, value: bool) -> None:
        """Save a switch."""
        self._settings.setValue(name, value)

    def number(self, name: str, default: float) -> float:
        """A saved number."""
        value = self._settings.value(name, default, type=float)
        return float(value) if isinstance(value, int | float) else default

    def put_number(self, name: str, value: float) -> None:
        """Save a number."""
        self._settings.setValue(name, value)
