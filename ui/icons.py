"""Icons of the family Phosphor as qtawesome ships it, tinted from the theme and cached.

The font is read from qtawesome's folder: importing the package costs a fifth of a second at the start.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import orjson
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap

from core.errors import AppError
from ui.theme import theme


@functools.cache
def _family() -> tuple[str, dict[str, str]]:
    spec = importlib.util.find_spec("qtawesome")
    folder = Path(spec.origin).parent / "fonts" if spec and spec.origin else Path()
    fonts, maps = sorted(folder.glob("phosphor-*.ttf")), sorted(folder.glob("phosphor-charmap-*.json"))
    if not fonts or not maps:
        raise AppError("icons_missing", "The icon font of qtawesome is missing.", hint="Install Bright Run again.")
    number = QFontDatabase.addApplicationFont(str(fonts[-1]))
    codes = orjson.loads(maps[-1].read_bytes())
    return QFontDatabase.applicationFontFamilies(number)[0], {name: chr(int(code, 16)) for name, code in codes.items()}


def names() -> frozenset[str]:
    """All icons there are, as "ph.<name>"."""
    return frozenset(f"ph.{name}" for name in _family()[1])


class _GlyphEngine(QIconEngine):
    """Draws one character of the icon font at any size."""

    def __init__(self, glyph: str, colour: QColor, active: QColor) -> None:
        super().__init__()
        self._glyph, self._colour, self._active = glyph, colour, active

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        # A rectangle wider than high leaves its right part empty: the gap between icon and words.
        box = QRectF(rect.left(), rect.top(), min(rect.width(), rect.height()), rect.height())
        draw_glyph(painter, box, self._glyph, self._pick(mode, state))

    def _pick(self, mode: QIcon.Mode, state: QIcon.State) -> QColor:
        if mode == QIcon.Mode.Disabled:
            return theme().colour("faint")
        return self._active if state == QIcon.State.On else self._colour

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        out = QPixmap(size)
        out.fill(Qt.GlobalColor.transparent)
        painter = QPainter(out)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return out

    def clone(self) -> QIconEngine:
        return _GlyphEngine(self._glyph, self._colour, self._active)


def draw_glyph(painter: QPainter, rect: QRectF, glyph: str, colour: QColor) -> None:
    """Paint a character of the icon font centred in `rect`."""
    font = QFont(_family()[0])
    font.setPixelSize(max(1, round(rect.height())))
    painter.save()
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), glyph)
    painter.restore()


def glyph(name: str) -> str:
    """The character of "ph.<name>". Raises AppError `unknown_icon`."""
    found = _family()[1].get(name.removeprefix("ph."))
    if found is None:
        raise AppError("unknown_icon", f"There is no icon named {name!r}.")
    return found


@functools.lru_cache(maxsize=512)
def _make(name: str, colour: str, active: str) -> QIcon:
    return QIcon(_GlyphEngine(glyph(name), QColor(colour), QColor(active)))


def icon(name: str, role: str = "muted", active: str = "") -> QIcon:
    """The icon in the colour of token `role` (`active` while checked); cached per theme. Raises AppError."""
    tokens = theme().tokens
    colour = getattr(tokens, role)
    return _make(name, colour, getattr(tokens, active) if active else colour)
