"""Whether two bases are the same model in two formats, point by point, below the facts of a base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.adapters.siblings import Sibling
from core.models.store import BaseModel
from ui.models.rows import Status
from ui.theme import theme
from ui.widgets.basic import ElidedLabel, label, row
from ui.widgets.chip import StatusPill

SAME, DIFFERS, HARMLESS = Status("ok", "Same"), Status("bad", "Differs"), Status("warn", "Differs")
NONE = "No base in MLX's format is the same model, so no adapter fits. Add or download that one to train some."


def sentence(base: BaseModel, found: Sequence[Sibling], names: Mapping[str, str]) -> str:
    """What there is to know in one line; empty where there is nothing."""
    mine = [one for one in found if base.id in (one.base_id, one.other_id)]
    fit = [names.get(one.base_id if one.other_id == base.id else one.other_id, "") for one in mine if one.fits]
    if fit:
        return f"The same model as {' and '.join(filter(None, fit))}: adapters of one answer on the other."
    return "" if base.trains or base.served else NONE


class SiblingLines(QWidget):
    """Belongs to the details of a base."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("siblings")
        self.text = label("", wrap=True, name="sibling_text")
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(theme().sizes.half)
        self._box.addWidget(self.text)
        self._lines: list[QWidget] = []
        self._shown: Any = None

    def show_base(self, base: BaseModel, found: Sequence[Sibling], names: Mapping[str, str]) -> None:
        """What this base was compared with: the one that fits point by point, else the one that comes nearest."""
        text = sentence(base, found, names)
        nearest = _nearest(base, found)
        shown = (text, nearest)
        self.setVisible(bool(text))
        if shown == self._shown:
            return
        self._shown = shown
        self.text.setText(text)
        for line in self._lines:
            self._box.removeWidget(line)
            line.hide()
            line.deleteLater()
        self._lines = []
        if nearest is None:
            return
        other = names.get(nearest.base_id if nearest.other_id == base.id else nearest.other_id, "")
        self._lines = [label(f"Compared with {other}", "caption", wrap=True), *map(_line, nearest.points)]
        for line in self._lines:
            self._box.addWidget(line)

    @property
    def words(self) -> list[str]:
        """The points as they are read out."""
        return [line.accessibleName() for line in self._lines[1:]]


def _nearest(base: BaseModel, found: Sequence[Sibling]) -> Sibling | None:
    mine = [one for one in found if base.id in (one.base_id, one.other_id)]
    if base.trains:
        mine = [one for one in mine if one.fits]
    return min(mine, key=lambda one: (not one.fits, sum(not p["same"] for p in one.points)), default=None)


def _line(point: Mapping[str, Any]) -> QWidget:
    status = SAME if point["same"] else DIFFERS if point["matters"] else HARMLESS
    said = str(point["here"]) if point["here"] == point["there"] else f"{point['here']} · {point['there']}"
    value = ElidedLabel(said, "muted")
    out = row(StatusPill(status), label(str(point["name"]), "caption"), value, stretch=value)
    out.setAccessibleName(f"{point['name']}: {status.word.lower()}, {said}")
    return out
