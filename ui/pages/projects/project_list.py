"""The list of projects with their state: open, rename in place, and what else can be done to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal, Slot
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QMenu, QVBoxLayout, QWidget

from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, plain_tip, row
from ui.widgets.two_lines import ID_ROLE, LINE_ROLE, TwoLines


@dataclass(frozen=True)
class Line:
    """One project of the list; `line` says in which state it is."""

    id: str
    name: str
    line: str


class ProjectList(QWidget):
    """`opened(id)`, `add_requested()`, `renamed(id, name)`, and `asked(what)` of the context menu's entries."""

    opened = Signal(str)
    add_requested = Signal()
    renamed = Signal(str, str)
    asked = Signal(str)

    # What is asked -> its words in the menu.
    MENU = {
        "rename": "Rename", "reindex": "Re-index", "embedder": "Choose embedding model…", "folder": "Show folder",
        "delete": "Delete",
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("project_list_panel")
        self._filling = False
        self.caption = ElidedLabel("", "caption")
        self.add = Button("Add", "ghost", "ph.plus", on_click=self.add_requested.emit, name="add_project",
                          accessible="Add project", tip="A folder of code; it can also be dropped here")  # fmt: skip
        self.list = self._make_list()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(row(self.caption, self.add, gap=theme().sizes.half, stretch=self.caption))
        box.addWidget(self.list, 1)

    def _make_list(self) -> QListWidget:
        out = QListWidget()
        out.setObjectName("project_list")
        out.setAccessibleName("Projects")
        out.setItemDelegate(TwoLines(out))
        out.setUniformItemSizes(True)
        out.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        out.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        out.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed | QAbstractItemView.EditTrigger.DoubleClicked)
        out.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        out.customContextMenuRequested.connect(self._on_menu)
        out.currentItemChanged.connect(self._on_current)
        out.itemChanged.connect(self._on_item)
        return out

    # What is shown

    def show_lines(self, lines: Sequence[Line], current: str) -> None:
        """These projects, in this order; scroll and focus stay, a name that is being edited is not disturbed."""
        self.caption.setText(fmt.plural(len(lines), "project"))
        if self.list.state() == QAbstractItemView.State.EditingState:
            return
        self._filling = True
        try:
            place = self.list.verticalScrollBar().value()
            while self.list.count() > len(lines):
                self.list.takeItem(self.list.count() - 1)
            for number, line in enumerate(lines):
                item = self.list.item(number) if number < self.list.count() else QListWidgetItem(self.list)
                self._show(item, line)
            self._choose(current)
            self.list.verticalScrollBar().setValue(place)
        finally:
            self._filling = False

    @staticmethod
    def _show(item: QListWidgetItem, line: Line) -> None:
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable)
        wanted = ((int(Qt.ItemDataRole.DisplayRole), line.name), (ID_ROLE, line.id), (LINE_ROLE, line.line),
                  (int(Qt.ItemDataRole.ToolTipRole), plain_tip(f"{line.name}\n{line.line}")),
                  (int(Qt.ItemDataRole.AccessibleTextRole), f"{line.name}, {line.line}"))  # fmt: skip
        for role, value in wanted:
            if item.data(role) != value:
                item.setData(role, value)

    def show_state(self, project_id: str, words: str) -> None:
        """Another state of one of them."""
        for number in range(self.list.count()):
            item = self.list.item(number)
            if item.data(ID_ROLE) == project_id and item.data(LINE_ROLE) != words:
                self._filling = True
                name = str(item.data(int(Qt.ItemDataRole.DisplayRole)))
                self._show(item, Line(project_id, name, words))
                self._filling = False

    def _choose(self, project_id: str) -> None:
        for number in range(self.list.count()):
            item = self.list.item(number)
            if item.data(ID_ROLE) == project_id:
                self.list.setCurrentItem(item)
                return
        self.list.setCurrentIndex(QModelIndex())
        self.list.clearSelection()

    @property
    def current(self) -> str:
        """The id of the project that is marked, empty if none is."""
        item = self.list.currentItem()
        return str(item.data(ID_ROLE)) if item is not None else ""

    def states(self) -> dict[str, str]:
        """What is said of each, by name."""
        items = (self.list.item(number) for number in range(self.list.count()))
        return {item.text(): str(item.data(LINE_ROLE)) for item in items}

    # What the user does

    def start_rename(self) -> None:
        """Edit the name in place."""
        item = self.list.currentItem()
        if item is not None:
            self.list.setFocus()
            self.list.editItem(item)

    @Slot(QListWidgetItem, QListWidgetItem)
    def _on_current(self, item: QListWidgetItem | None, _before: QListWidgetItem | None) -> None:
        if item is not None and not self._filling:
            self.opened.emit(str(item.data(ID_ROLE)))

    @Slot(QListWidgetItem)
    def _on_item(self, item: QListWidgetItem) -> None:
        if not self._filling:
            self.renamed.emit(str(item.data(ID_ROLE)), item.text())

    @Slot(QPoint)
    def _on_menu(self, place: QPoint) -> None:
        # By the keyboard it is asked for at a place of its own.
        item = self.list.itemAt(place) or self.list.currentItem()
        if item is None:
            return
        self.list.setCurrentItem(item)
        menu = QMenu(self)
        menu.setObjectName("project_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for what, words in self.MENU.items():
            action = menu.addAction(words)
            action.setObjectName(what)
            action.triggered.connect(lambda _checked=False, asked=what: self.asked.emit(asked))
        menu.popup(self.list.viewport().mapToGlobal(place))
