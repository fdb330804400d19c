"""The filters of the Conversations page: a menu to choose, chips to see and remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from core.conversations.store import Filter, ReviewStatus
from ui.pages.conversations.badges import CHECK_WORDS
from ui.pages.conversations.data import ENRICHMENT_WORDS, REVIEW_WORDS
from ui.widgets.basic import Button
from ui.widgets.chip import ChipRow
from ui.words.scaffolding import TIER_WORDS

REVIEW_CHOICES: dict[str, str] = {str(status): REVIEW_WORDS[status].word for status in ReviewStatus}
CHOICES: dict[str, tuple[str, dict[Any, str]]] = {
    "status": ("Review", REVIEW_CHOICES),
    "enrichment_status": ("Enrichment", {key: status.word for key, status in ENRICHMENT_WORDS.items()}),
    "tier": ("Tier", TIER_WORDS),
    "check": ("Checks", {int(check): status.word for check, status in CHECK_WORDS.items()}),
    "min_quality": ("Quality", {3.0: "3 or more", 3.5: "3.5 or more", 4.0: "4 or more"}),
}
KEYS = {"tag": "Tag", "persona_key": "Persona", "emotional_arc_key": "Arc", "training_topic_key": "Topic"}
_BLANK = Filter()


class Filters(QObject):
    """Holds the filter in force. `changed()` when it is another; lives as long as its page."""

    changed = Signal()

    def __init__(self, page: QWidget) -> None:
        super().__init__(page)
        self.value = Filter()
        self.chips = ChipRow()
        self.chips.setObjectName("filter_chips")
        self.chips.removed.connect(self.remove)
        self.button = Button("Filter", "ghost", "ph.plus", on_click=self._open, name="filter")
        self._menu = QMenu(page)
        self._menu.setObjectName("filter_menu")
        self._groups: dict[str, QActionGroup] = {}
        for key, (title, options) in CHOICES.items():
            self._add_group(key, title, options)
        self._tags: tuple[tuple[str, int], ...] = ()
        self._tag_menu = self._menu.addMenu("Tag")
        self._tag_menu.menuAction().setVisible(False)
        self._tag_menu.triggered.connect(self._on_tag)

    def _add_group(self, key: str, title: str, options: dict[Any, str]) -> None:
        menu = self._menu.addMenu(title)
        group = QActionGroup(self._menu)
        group.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
        for value, words in options.items():
            action = menu.addAction(words)
            action.setObjectName(f"filter_{key}_{value}")
            action.setCheckable(True)
            action.setData((key, value))
            group.addAction(action)
        group.triggered.connect(self._on_action)
        self._groups[key] = group

    def set_tags(self, tags: Sequence[tuple[str, int]]) -> None:
        """Offer these tags with their counts."""
        if tuple(tags) == self._tags:
            return
        self._tags = tuple(tags)
        self._tag_menu.clear()
        self._tag_menu.menuAction().setVisible(bool(tags))
        for tag, count in tags:
            action = self._tag_menu.addAction(f"{tag} ({count:,})".replace("&", "&&"))
            action.setObjectName(f"filter_tag_{tag}")
            action.setData(("tag", tag))
        self._show()

    @Slot(QAction)
    def _on_tag(self, action: QAction) -> None:
        self.put(tag=action.data()[1])

    def _open(self) -> None:
        self._menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    @Slot(QAction)
    def _on_action(self, action: QAction) -> None:
        key, value = action.data()
        self.put(**{key: value if action.isChecked() else getattr(_BLANK, key)})

    @property
    def active(self) -> bool:
        """Whether anything is filtered."""
        return self.value != _BLANK

    def put(self, **parts: Any) -> None:
        """Filter by these as well."""
        wanted = replace(self.value, **parts)
        if wanted != self.value:
            self.value = wanted
            self._show()
            self.changed.emit()

    def replace_all(self, wanted: Filter) -> None:
        """Filter by these alone."""
        if wanted != self.value:
            self.value = wanted
            self._show()
            self.changed.emit()

    @Slot(str)
    def remove(self, key: str) -> None:
        """No longer filter by that part."""
        self.put(**{key: getattr(_BLANK, key)})

    def _show(self) -> None:
        chips = {}
        for key, (title, options) in CHOICES.items():
            value = getattr(self.value, key)
            if value != getattr(_BLANK, key):
                chips[key] = f"{title}: {options.get(value, value)}"
            for action in self._groups[key].actions():
                action.setChecked(action.data()[1] == value)
        for key, title in KEYS.items():
            if value := getattr(self.value, key):
                chips[key] = f"{title}: {value}"
        if self.value.ids:
            chips["ids"] = f"{len(self.value.ids):,} chosen"
        self.chips.set_chips(chips)
