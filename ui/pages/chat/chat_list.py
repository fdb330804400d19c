"""The list of chats: search, new, rename in place, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.pages.chat.project_chooser import ProjectChooser
from ui.theme import theme
from ui.widgets.basic import Button, label, plain_tip, row
from ui.widgets.two_lines import ID_ROLE, LINE_ROLE, MARK_ROLE, TwoLines

PINNED_ROLE = MARK_ROLE
SEARCH_MS = 200
NEW = "New chat"


@dataclass(frozen=True)
class Entry:
    """One chat of the list; `line` names its model and when it was used."""

    id: str
    title: str
    line: str
    pinned: bool = False


class ChatList(QWidget):
    """`opened(id)`, `new_requested`, `renamed(id, title)`, `deleted(id)`, `pinned(id, on)`, `export_requested(id)`,
    `searched(text)`."""

    opened = Signal(str)
    new_requested = Signal()
    renamed = Signal(str, str)
    deleted = Signal(str)
    pinned = Signal(str, bool)
    export_requested = Signal(str)
    searched = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("chat_list_panel")
        self._filling = False
        self._search_soon = QTimer(self)
        self._search_soon.setSingleShot(True)
        self._search_soon.setInterval(SEARCH_MS)
        self._search_soon.timeout.connect(self._on_search)
        self.search = QLineEdit()
        self.search.setObjectName("search")
        self.search.setPlaceholderText("Search chats")
        self.search.setAccessibleName("Search chats")
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("ph.magnifying-glass"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._search_soon.start)
        self.new = Button(NEW, "", "ph.plus", on_click=self.new_requested.emit, name="new_chat", tip=NEW)
        self.rename = Button("", "ghost", "ph.pencil-simple", on_click=self.start_rename, tip="Rename chat",
                             name="rename_chat")  # fmt: skip
        self.delete = Button("", "ghost", "ph.trash", on_click=self.delete_current, tip="Delete this chat",
                             name="delete_chat")  # fmt: skip
        for small in (self.rename, self.delete):
            small.setFixedWidth(theme().sizes.control)
        self.projects = ProjectChooser()
        self.none = label("No chats yet.", "muted", wrap=True, name="no_chats")
        self.list = self._make_list()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        tools = row(self.new, None, self.rename, self.delete, gap=2)
        for item in (self.projects, tools, self.search, self.none):
            box.addWidget(item)
        box.addWidget(self.list, 1)
        box.addStretch(0)
        self._box = box
        self._judge()

    def _make_list(self) -> QListWidget:
        out = QListWidget()
        out.setObjectName("chat_list")
        out.setAccessibleName("Chats")
        out.setItemDelegate(TwoLines(out, "ph.push-pin"))
        out.setUniformItemSizes(True)
        out.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        out.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        out.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed | QAbstractItemView.EditTrigger.DoubleClicked)
        out.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        out.customContextMenuRequested.connect(self._on_menu)
        out.currentItemChanged.connect(self._on_current)
        out.itemChanged.connect(self._on_item)
        return out

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        words = self.fontMetrics().horizontalAdvance(NEW) + 2 * theme().sizes.margin
        self.new.setText(NEW if self.width() > words + 2 * theme().sizes.control else "")

    # What is shown

    def show_entries(self, entries: Sequence[Entry], current: str) -> None:
        """These chats, in this order; scroll and focus stay, an edit under way is not disturbed."""
        if self.list.state() == QAbstractItemView.State.EditingState:
            return
        self._filling = True
        try:
            place = self.list.verticalScrollBar().value()
            while self.list.count() > len(entries):
                self.list.takeItem(self.list.count() - 1)
            for number, entry in enumerate(entries):
                item = self.list.item(number) if number < self.list.count() else QListWidgetItem(self.list)
                self._show(item, entry)
            self._choose(current)
            self.list.verticalScrollBar().setValue(place)
        finally:
            self._filling = False
        self.none.setText("No matching chats." if self.search.text().strip() else "No chats yet.")
        self.none.setVisible(not entries)
        self.list.setVisible(bool(entries))
        self._box.setStretch(self._box.count() - 1, 0 if entries else 1)
        self._judge()

    @staticmethod
    def _show(item: QListWidgetItem, entry: Entry) -> None:
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable)
        wanted = ((int(Qt.ItemDataRole.DisplayRole), entry.title), (ID_ROLE, entry.id), (LINE_ROLE, entry.line),
                  (int(Qt.ItemDataRole.ToolTipRole), plain_tip(entry.title)), (PINNED_ROLE, entry.pinned),
                  (int(Qt.ItemDataRole.AccessibleTextRole),
                   f"{entry.title}, {'pinned, ' if entry.pinned else ''}{entry.line}"))  # fmt: skip
        for role, value in wanted:
            if item.data(role) != value:
                item.setData(role, value)

    def _choose(self, chat_id: str) -> None:
        for number in range(self.list.count()):
            item = self.list.item(number)
            if item.data(ID_ROLE) == chat_id:
                self.list.setCurrentItem(item)
                return
        self.list.setCurrentIndex(QModelIndex())
        self.list.clearSelection()

    def set_current(self, chat_id: str) -> None:
        """Mark a chat, or none, without opening it."""
        self._filling = True
        try:
            self._choose(chat_id)
        finally:
            self._filling = False
        self._judge()

    @property
    def current(self) -> str:
        """The id of the chat that is marked, empty if none is."""
        item = self.list.currentItem()
        return str(item.data(ID_ROLE)) if item is not None else ""

    def _judge(self) -> None:
        chosen = bool(self.current)
        self.rename.setEnabled(chosen)
        self.delete.setEnabled(chosen)

    # What the user does

    def start_rename(self) -> None:
        """Edit the title in place."""
        item = self.list.currentItem()
        if item is not None:
            self.list.setFocus()
            self.list.editItem(item)

    @Slot()
    def delete_current(self) -> None:
        """Ask for the marked chat to be deleted."""
        if self.current:
            self.deleted.emit(self.current)

    @property
    def current_pinned(self) -> bool:
        """Whether the marked chat is pinned."""
        item = self.list.currentItem()
        return bool(item.data(PINNED_ROLE)) if item is not None else False

    @Slot()
    def switch_pin(self) -> None:
        """Ask for the marked chat to be kept at the top, or no more."""
        if self.current:
            self.pinned.emit(self.current, not self.current_pinned)

    @Slot()
    def export_current(self) -> None:
        """Ask for the marked chat to be written to a file."""
        if self.current:
            self.export_requested.emit(self.current)

    @Slot()
    def _on_search(self) -> None:
        self.searched.emit(self.search.text())

    @Slot(QListWidgetItem, QListWidgetItem)
    def _on_current(self, item: QListWidgetItem | None, _before: QListWidgetItem | None) -> None:
        self._judge()
        if item is not None and not self._filling:
            self.opened.emit(str(item.data(ID_ROLE)))

    @Slot(QListWidgetItem)
    def _on_item(self, item: QListWidgetItem) -> None:
        if not self._filling:
            self.renamed.emit(str(item.data(ID_ROLE)), item.text())

    @Slot(object)
    def _on_menu(self, place: object) -> None:
        item = self.list.itemAt(place)  # type: ignore[call-overload]
        if item is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Unpin" if self.current_pinned else "Pin").triggered.connect(self.switch_pin)
        menu.addAction("Rename").triggered.connect(self.start_rename)
        menu.addAction("Export…").triggered.connect(self.export_current)
        menu.addAction("Delete").triggered.connect(self.delete_current)
        menu.popup(self.list.viewport().mapToGlobal(place))  # type: ignore[call-overload]
