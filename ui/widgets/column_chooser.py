"""Which columns of a table are shown, in which order and how wide: chosen by the user, kept by key.

Two things hide a column: the user, and a narrow window (`fit_columns`). What the user hid stays hidden; what the user
asked for is folded last; the rest is folded in the order of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QTableView

from app.window_state import WindowState
from ui.models.rows import Column
from ui.theme import theme
from ui.widgets.basic import Button
from ui.widgets.column_widths import column_width, title_width

Folded = Callable[[], set[str]]


class ColumnChooser(QObject):
    """Belongs to the view. `offered` once `remember(state)` was called: then the header has a button and a menu.

    `hidden` are the keys that the user hid, `wanted` those shown by hand; `fold()` names what has no room. `changed()`
    follows every choice.
    """

    changed = Signal()

    def __init__(self, view: QTableView, columns: Sequence[Column]) -> None:
        super().__init__(view)
        self._view, self._columns = view, tuple(columns)
        self._places = {column.key: place for place, column in enumerate(self._columns)}
        self._state: WindowState | None = None
        self._loading = self._resetting = False
        self.fold: Folded = set
        self.hidden: set[str] = set()
        self.wanted: set[str] = set()
        self.widths: dict[str, float] = {}
        self.button: Button | None = None

    @property
    def offered(self) -> bool:
        """Whether the user can choose here."""
        return self._state is not None

    @property
    def strip(self) -> int:
        """Width that the button takes at the right of the header."""
        return theme().sizes.icon + theme().sizes.grid if self.offered else 0

    def width(self, column: Column) -> int:
        """Pixels at the present scale: as the user dragged it, else what its text needs; 0 takes what is left."""
        if not column.room or column.key not in self.widths:
            return column_width(column)
        return max(title_width(column), round(self.widths[column.key] * theme().scale))

    def shown(self) -> list[str]:
        """Keys of the columns that can be seen, from left to right."""
        header = self._view.horizontalHeader()
        order = sorted(self._columns, key=lambda column: header.visualIndex(self._places[column.key]))
        return [c.key for c in order if not self._view.isColumnHidden(self._places[c.key])]

    def leads(self, place: int) -> bool:
        """Whether the column is the leftmost one that can be seen."""
        header = self._view.horizontalHeader()
        before = (header.logicalIndex(visual) for visual in range(header.visualIndex(place)))
        return all(self._view.isColumnHidden(other) for other in before)

    # What is remembered

    def remember(self, state: WindowState) -> None:
        """Restore order, widths and choice of the table of this name, and keep them from now on."""
        header = self._view.horizontalHeader()
        self._state = state
        self._load(state)
        header.setSectionsMovable(True)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._on_menu)
        header.sectionMoved.connect(self._on_moved)
        self.button = Button("", "header", "ph.columns", on_click=self.open_menu, tip="Choose columns",
                             name="choose_columns", parent=header)  # fmt: skip
        header.installEventFilter(self)
        self._place_button()
        theme().changed.connect(self._place_button)
        self.apply()

    def _load(self, state: WindowState) -> None:
        name, header = self._view.objectName(), self._view.horizontalHeader()
        saved = state.text(f"columns/{name}")
        self._loading = True
        try:
            if saved:
                self._restore(orjson.loads(saved))
            elif not (old := state.bytes(f"table/{name}")).isEmpty():
                # Kept by versions that knew widths alone; what was folded then is no choice of the user's.
                header.restoreState(old)
                header.setSortIndicatorShown(False)
                for place, column in enumerate(self._columns):
                    self._view.setColumnHidden(place, False)
                    self.note_width(column.key, self._view.columnWidth(place))
        except (ValueError, TypeError, AttributeError):
            self._forget()
        finally:
            self._loading = False

    def _restore(self, values: dict[str, Any]) -> None:
        known = set(self._places)
        self.hidden = known & set(values.get("hidden", ()))
        self.wanted = known & set(values.get("wanted", ())) - self.hidden
        self.widths = {key: float(w) for key, w in dict(values.get("widths", {})).items() if key in known and w > 0}
        # A column that is new since then keeps its place behind those that were there.
        header = self._view.horizontalHeader()
        for visual, key in enumerate(key for key in values.get("order", ()) if key in known):
            header.moveSection(header.visualIndex(self._places[key]), visual)

    def _forget(self) -> None:
        self.hidden, self.wanted, self.widths = set(), set(), {}

    def save(self) -> None:
        """Keep what is chosen now."""
        if self._state is None or self._loading:
            return
        header = self._view.horizontalHeader()
        order = [self._columns[header.logicalIndex(visual)].key for visual in range(len(self._columns))]
        values = {"order": order, "hidden": sorted(self.hidden), "wanted": sorted(self.wanted), "widths": self.widths}
        self._state.put_text(f"columns/{self._view.objectName()}", orjson.dumps(values).decode())

    def note_width(self, key: str, width: int) -> None:
        """The user dragged the edge of a column; `width` in pixels at the present scale."""
        if self._columns[self._places[key]].room and width > 0 and not self._resetting:
            self.widths[key] = round(width / theme().scale, 1)

    # What is shown

    def apply(self) -> None:
        """Show what is chosen and has room; one column always stays."""
        gone = self.hidden | self.fold()
        if gone >= set(self._places):
            gone -= {self._columns[0].key}
        for key, place in self._places.items():
            if self._view.isColumnHidden(place) != (key in gone):
                self._view.setColumnHidden(place, key in gone)

    def toggle(self, key: str) -> None:
        """Hide a column that can be seen, show one that can't."""
        shown = self.shown()
        if key not in shown:
            self.hidden.discard(key)
            self.wanted.add(key)
        elif len(shown) > 1:
            self.hidden.add(key)
            self.wanted.discard(key)
        self._changed()

    def reset(self) -> None:
        """As the page declares them: order, widths, all shown."""
        header = self._view.horizontalHeader()
        self._forget()
        self._loading = self._resetting = True
        for place, column in enumerate(self._columns):
            header.moveSection(header.visualIndex(place), place)
            if column.room:
                self._view.setColumnWidth(place, self.width(column))
        self._loading = self._resetting = False
        self._changed()

    def _changed(self) -> None:
        self.apply()
        self.save()
        self.changed.emit()

    @Slot(int, int, int)
    def _on_moved(self, _logical: int, _before: int, _after: int) -> None:
        self.save()

    # Menu

    def open_menu(self) -> None:
        """The columns below the button, with the keyboard in it."""
        if self.button is not None:
            self._open(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    @Slot(QPoint)
    def _on_menu(self, place: QPoint) -> None:
        self._open(self._view.horizontalHeader().mapToGlobal(place))

    def _open(self, place: QPoint) -> None:
        menu = QMenu(self._view)
        menu.setObjectName("columns_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        shown = self.shown()
        for column in self._columns:
            folded = column.key not in shown and column.key not in self.hidden
            action = QAction(f"{column.title} (no room)" if folded else column.title, menu)
            action.setObjectName(f"column_{column.key}")
            action.setCheckable(True)
            action.setChecked(column.key in shown)
            action.setEnabled(column.key not in shown or len(shown) > 1)
            action.setData(column.key)
            menu.addAction(action)
        menu.addSeparator()
        reset = QAction("Reset columns", menu)
        reset.setObjectName("reset_columns")
        menu.addAction(reset)
        menu.triggered.connect(self._on_chosen)
        menu.popup(place)
        menu.setActiveAction(menu.actions()[0])

    @Slot(QAction)
    def _on_chosen(self, action: QAction) -> None:
        if action.data():
            self.toggle(str(action.data()))
        else:
            self.reset()

    # Button

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self._place_button()
        return False

    @Slot()
    def _place_button(self) -> None:
        if self.button is not None:
            header = self._view.horizontalHeader()
            self.button.setGeometry(header.width() - self.strip, 0, self.strip, header.height())
            self.button.raise_()
