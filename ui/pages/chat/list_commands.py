"""What is done to a chat of the list: rename, pin, export, delete with Undo."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from core import trash
from core.projects import chats
from ui.pages.chat.chat_list import NEW
from ui.pages.chat.data import base_name
from ui.pages.chat.export import export_chat
from ui.pages.chat.frame import ChatFrame
from ui.pages.chat.turns import short_title
from ui.widgets.page_commands import DELETE_KEYS, PageCommand


class ListCommands(QObject):
    """Commands and signals of the list. `renamed(id, title)`, the title empty where none was typed; `restored(id)`."""

    renamed = Signal(str, str)
    restored = Signal(str)

    def __init__(self, page: ChatFrame) -> None:
        super().__init__(page)
        self._page, self._services = page, page.services
        entries = page.list
        chosen = lambda: "" if entries.current else "No chat is selected"  # noqa: E731
        for command in (
            PageCommand("rename", "Rename chat", entries.start_rename, ("F2",), chosen),
            PageCommand("pin", "Pin or unpin chat", entries.switch_pin, ("P",), chosen),
            PageCommand("export", "Export chat", entries.export_current, (), chosen),
            PageCommand("delete", "Delete chat", entries.delete_current, DELETE_KEYS, chosen),
        ):
            page.add_command(command, entries.list)
        entries.renamed.connect(self._rename)
        entries.pinned.connect(self._pin)
        entries.export_requested.connect(self._export)
        entries.deleted.connect(self._delete)

    @Slot(str, str)
    def _rename(self, chat_id: str, title: str) -> None:
        clean = " ".join(title.split())
        if clean:
            self._page.write(lambda db: chats.update(db, chat_id, title=clean))
        self.renamed.emit(chat_id, clean)

    @Slot(str, bool)
    def _pin(self, chat_id: str, pinned: bool) -> None:
        self._page.write(lambda db: chats.set_pinned(db, chat_id, pinned))

    @Slot(str)
    def _export(self, chat_id: str) -> None:
        export_chat(self._page, self._services, chat_id, base_name(self._page.base))

    @Slot(str)
    def _delete(self, chat_id: str) -> None:
        running, overview = self._page.session.running, self._page.overview
        shown = self._page.chat
        storing = self._page.session.storing and shown is not None and shown.id == chat_id
        if storing or (running is not None and running.chat.id == chat_id):
            self._page.session.stop()
        title = next((c.title for c in overview.chats if c.id == chat_id), NEW) if overview else NEW

        def undo() -> None:
            self._services.write(
                self, lambda db: trash.restore(db, "chats", [chat_id]), lambda _r: self.restored.emit(chat_id)
            )

        def done(_result: object) -> None:
            self._services.engine.forget(chat_id)
            self._services.notifier.say(f"“{short_title(title)}” moved to the trash", undo)

        self._page.write(lambda db: trash.delete(db, "chats", [chat_id]), done)
