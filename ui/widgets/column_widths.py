"""How wide a table's column must be for its title and for what it has room for, in the font in use."""

from __future__ import annotations

from math import ceil

from PySide6.QtGui import QFontMetricsF

from ui.models.rows import Column, Status
from ui.theme import theme
from ui.widgets.chip import pill_width


def title_width(column: Column) -> int:
    """What the header needs, in pixels, with its padding and the arrow of the order in force."""
    sizes = theme().sizes
    words = QFontMetricsF(theme().font(sizes.caption, bold=True)).horizontalAdvance(column.title)
    arrow = sizes.icon if column.sort else 0
    return ceil(words) + 2 * sizes.grid + 2 * sizes.half + arrow


def column_width(column: Column) -> int:
    """What title and content need, in pixels; 0 if the column takes what is left."""
    if not column.room:
        return 0
    samples = column.room if isinstance(column.room, tuple) else (column.room,)
    widest = max(_cell_width(sample, column.role == "strong") for sample in samples)
    return max(title_width(column), ceil(widest) + 2 * theme().sizes.grid + 1)


def _cell_width(sample: str | Status, bold: bool) -> float:
    if isinstance(sample, Status):
        return pill_width(sample.word)
    return QFontMetricsF(theme().font(bold=bold, tabular=True)).horizontalAdvance(sample)
