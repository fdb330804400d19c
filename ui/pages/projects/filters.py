"""What a search is limited to: a menu to choose language, kind and tests, and chips to see and remove them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from core.code_index.records import Kind
from ui.pages.projects.words import language_words
from ui.widgets.basic import Button
from ui.widgets.chip import ChipRow

TITLES = {"lang": "Language", "kind": "Kind", "tests": "Tests"}
KINDS = {str(kind): str(kind).capitalize() for kind in Kind}
TESTS = {"no": "Without tests", "only": "Only tests"}


class SearchFilters(QObject):
    """Holds the filters in force, key -> value. `changed()` when they are others."""

    changed = Signal()

    def __init__(self, page: QWidget) -> None:
        super().__init__(page)
        self.values: dict[str, str] = {}
        self.chips = ChipRow()
        self.chips.setObjectName("search_filter_chips")
        self.chips.removed.connect(self.remove)
        self.button = Button("Filter", "ghost", "ph.plus", on_click=self._open, name="search_filter",
                             accessible="Filter the search")  # fmt: skip
        self._menu = QMenu(page)
        self._menu.setObjectName("search_filter_menu")
        self._groups: dict[str, QActionGroup] = {}
        self._menus = {key: self._menu.addMenu(title) for key, title in TITLES.items()}
        self._languages: tuple[str, ...] = ()
        self._fill("kind", KINDS)
        self._fill("tests", TESTS)
        self._menus["lang"].menuAction().setVisible(False)

    def _fill(self, key: str, options: Mapping[str, str]) -> None:
        menu = self._menus[key]
        menu.clear()
        group = QActionGroup(menu)
        group.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
        for value, words in options.items():
            action = menu.addAction(words.replace("&", "&&"))
            action.setObjectName(f"filter_{key}_{value}")
            action.setCheckable(True)
            action.setData((key, value))
            group.addAction(action)
        group.triggered.connect(self._on_action)
        self._groups[key] = group

    def offer_languages(self, names: Sequence[str]) -> None:
        """Those that the project has."""
        if tuple(names) != self._languages:
            self._languages = tuple(names)
            self._fill("lang", {name: language_words(name) for name in names})
            self._menus["lang"].menuAction().setVisible(bool(names))
            self._show()

    @property
    def text(self) -> str:
        """As it is written in a query: "lang:go tests:no"."""
        return " ".join(f"{key}:{value}" for key, value in self.values.items())

    def put(self, values: Mapping[str, str]) -> None:
        """These instead, without a signal."""
        self.values = {key: str(value) for key, value in values.items() if key in TITLES}
        self._show()

    @Slot(str)
    def remove(self, key: str) -> None:
        """Search without that one."""
        if self.values.pop(key, None) is not None:
            self._show()
            self.changed.emit()

    def clear(self) -> None:
        """Search everything again."""
        if self.values:
            self.values = {}
            self._show()
            self.changed.emit()

    @Slot(QAction)
    def _on_action(self, action: QAction) -> None:
        key, value = action.data()
        if action.isChecked():
            self.values[key] = value
        else:
            self.values.pop(key, None)
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        words = {**KINDS, **TESTS}
        chips = {
            key: f"{TITLES[key]}: {language_words(value) if key == 'lang' else words.get(value, value)}"
            for key, value in self.values.items()
        }
        self.chips.set_chips(chips)
        self.chips.setVisible(bool(chips))
        for key, group in self._groups.items():
            for action in group.actions():
                action.setChecked(self.values.get(key) == action.data()[1])

    def _open(self) -> None:
        self._menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))
