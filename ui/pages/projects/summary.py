"""What an index holds: tiles of numbers, and the languages as a bar with its legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt, Slot
from PySide6.QtGui import QFontMetrics, QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from core.projects.adapter_state import record_of
from core.training.store import Adapter
from ui import format as fmt
from ui.pages.projects.data import Entry
from ui.pages.projects.words import ago, embedded_words, language_words, plain
from ui.theme import theme
from ui.widgets.basic import ElidedLabel, label, row
from ui.widgets.card import Card
from ui.widgets.flow import WholeFlow
from ui.words.training import verdict_short, verdict_status

COLOURS = ("c1", "c2", "c3", "c4", "c5")
TEXT = "text"


class _Value(ElidedLabel):
    """One figure leaves its name the room beside it."""

    def minimumSizeHint(self) -> QSize:
        return QSize(theme().sizes.grid, super().minimumSizeHint().height())


class Tile(Card):
    """One number with its name above, or beside where it is low, and a remark below; none of the three widens it."""

    def __init__(self, name: str, key: str) -> None:
        super().__init__("", gap=2)
        self.setObjectName(f"tile_{key}")
        self._name = name
        self.value, self.remark = _Value("–", "big"), ElidedLabel("", "caption")
        self.value.setFont(theme().font(tabular=True))
        self._above, self._beside = label(name, "caption"), ElidedLabel(name, "muted")
        self._beside.hide()
        self.add(self._above)
        self.add(row(self.value, self._beside, stretch=self._beside))
        self.add(self.remark)
        sizes = theme().sizes
        self.body.setContentsMargins(sizes.grid + sizes.half, sizes.grid, sizes.grid, sizes.grid)
        self._fit()
        theme().changed.connect(self._fit)

    @Slot()
    def _fit(self) -> None:
        # The style sheet's size is not known to a label that was not shown yet.
        for part, size in ((self.value, theme().sizes.big), (self.remark, theme().sizes.caption)):
            part.setMinimumHeight(QFontMetrics(theme().font(size)).height())

    def make_low(self, low: bool) -> None:
        """Two lines instead of three."""
        self._above.setVisible(not low)
        self._beside.setVisible(low)

    def show_values(self, value: str, remark: str) -> None:
        """New number and remark."""
        self.value.setText(value)
        self.remark.setText(remark)
        self.setAccessibleName(f"{self._name}: {value} {remark}".strip())


class Tiles(QWidget):
    """Four in a row, or two by two where that has no room."""

    def __init__(self) -> None:
        super().__init__()
        self.files, self.symbols = Tile("Files", "files"), Tile("Symbols", "symbols")
        self.changed, self.adapter = Tile("Changed today", "changed"), Tile("Adapter", "adapter")
        self._all = (self.files, self.symbols, self.changed, self.adapter)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme().sizes.grid + theme().sizes.half)
        self._columns = 0
        self._arrange(2)

    def _arrange(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for number, tile in enumerate(self._all):
            self._grid.removeWidget(tile)
            self._grid.addWidget(tile, number // columns, number % columns)
            tile.make_low(columns == 2)
        for number in range(len(self._all)):
            self._grid.setColumnStretch(number, 1 if number < columns else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        sizes = theme().sizes
        self._arrange(4 if self.width() >= 4 * (sizes.label - 3 * sizes.grid) else 2)

    def show_entry(self, entry: Entry, progress: str) -> None:
        """The numbers of a project; `progress` of a job under way."""
        found = entry.summary
        if not found.known:
            for tile in (self.files, self.symbols, self.changed):
                tile.show_values("–", "")
            self.files.show_values("–", progress or "not indexed yet")
        else:
            left = f"{fmt.count(found.total_left_out)} left out" if found.total_left_out else "none left out"
            self.files.show_values(fmt.count(found.files), progress or left)
            share = embedded_words(found)
            # Both at once have no room while it is embedded.
            size = f" · {fmt.size(found.disk_bytes)}" if found.embedded in (0, found.chunks) else ""
            self.symbols.show_values(fmt.count(found.symbols), f"{share}{size}")
            last = f"last {ago(found.last_change)}" if found.last_change else ""
            self.changed.show_values(fmt.count(found.changed_today), last)
        adapter = entry.adapter
        if adapter is None:
            self.adapter.show_values("–", "none trained yet")
        else:
            self.adapter.show_values(plain(adapter.name), _measured(entry, adapter))


def _measured(entry: Entry, adapter: Adapter) -> str:
    """How the adapter did on files that it was not trained on."""
    word, record = verdict_status(adapter.verdict).word, record_of(entry.project)
    if record is None or record.artifact_id != adapter.id or not record.held_out:
        return word
    return f"{verdict_short(adapter.verdict).word} on {fmt.plural(record.held_out, 'held-out file')}"


@dataclass(frozen=True)
class Share:
    """A part of the bar: its name, the token of its colour, 0 to 1."""

    name: str
    colour: str
    share: float

    @property
    def words(self) -> str:
        """For the legend."""
        return f"{self.name} {fmt.percent(round(self.share, 2))}"


def shares(languages: dict[str, tuple[int, int]]) -> list[Share]:
    """By bytes: at most as many as there are colours, the rest together; text without a grammar is grey."""
    total = sum(size for _, size in languages.values())
    if not total:
        return []
    coded = sorted(((name, size) for name, (_, size) in languages.items() if name != TEXT), key=lambda x: (-x[1], x[0]))
    out = [Share(language_words(name), colour, size / total)
           for (name, size), colour in zip(coded, COLOURS, strict=False)]  # fmt: skip
    if rest := sum(size for _, size in coded[len(COLOURS) :]):
        out.append(Share("others", "faint", rest / total))
    if TEXT in languages:
        out.append(Share(TEXT, "muted", languages[TEXT][1] / total))
    return out


class _Bar(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.parts: Sequence[Share] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        return QSize(theme().sizes.field, theme().sizes.grid)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            whole = QPainterPath()
            whole.addRoundedRect(QRectF(self.rect()), self.height() / 2, self.height() / 2)
            painter.setClipPath(whole)
            painter.fillRect(self.rect(), theme().colour("line"))
            left = 0.0
            for part in self.parts:
                width = part.share * self.width()
                painter.fillRect(QRectF(left, 0, max(1.0, width - 1), self.height()), theme().colour(part.colour))
                left += width


class _Legend(QWidget):
    """A square in the colour of a part, and its words."""

    def __init__(self, part: Share) -> None:
        super().__init__()
        self._part = part
        self.setAccessibleName(part.words)
        theme().changed.connect(self.updateGeometry)

    def _room(self) -> tuple[int, int]:
        metrics = QFontMetricsF(theme().font(theme().sizes.caption))
        return round(metrics.horizontalAdvance(self._part.words)) + 1, round(metrics.height())

    def sizeHint(self) -> QSize:
        wide, high = self._room()
        return QSize(theme().sizes.caption + theme().sizes.half + wide, high)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            side = theme().sizes.caption - 2
            painter.fillRect(QRectF(0, (self.height() - side) / 2, side, side), theme().colour(self._part.colour))
            painter.setFont(theme().font(theme().sizes.caption))
            painter.setPen(theme().colour("muted"))
            words = self.rect().adjusted(theme().sizes.caption + theme().sizes.half - 2, 0, 0, 0)
            painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), self._part.words)


class LanguageBar(QWidget):
    """The languages of a project by the size of their files."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("languages")
        self._bar, self._legend = _Bar(), WholeFlow(gap=theme().sizes.grid)
        self._legend.align(right=False)
        self._parts: list[Share] = []
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self._bar)
        box.addWidget(self._legend)

    def show_languages(self, languages: dict[str, tuple[int, int]]) -> None:
        """Files and bytes by language; nothing is shown without any."""
        parts = shares(languages)
        self.setVisible(bool(parts))
        if parts == self._parts:
            return
        self._parts = parts
        self._bar.parts = parts
        while self._legend.flow.count():
            item = self._legend.flow.takeAt(0)
            if item is not None and (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for part in parts:
            self._legend.flow.addWidget(_Legend(part))
        self.setAccessibleName("Languages: " + ", ".join(part.words for part in parts))
        self._bar.update()
        self._legend.updateGeometry()
        self._legend.claim()

    @property
    def words(self) -> list[str]:
        """What the legend says."""
        return [part.words for part in self._parts]
