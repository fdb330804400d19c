"""A chat to a file of the user's choice."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.projects import export
from ui.pages.chat.data import Opened, read_chat

_UNFIT = re.compile(r'[\\/:*?"<>|\x00-\x1f\u202a-\u202e\u2066-\u2069]+')
# In bytes, since the disk counts those.
LONGEST, MOST_BYTES = 60, 150


def file_name(title: str) -> str:
    """A title as the name of a file."""
    clean = _UNFIT.sub(" ", title).strip(" .")[:LONGEST]
    return clean.encode()[:MOST_BYTES].decode(errors="ignore").strip() or "Chat"


def export_chat(owner: QWidget, services: Services, chat_id: str, base: str) -> None:
    """Ask where to; the ending of the name decides between Markdown and JSON."""

    def write(path: Path) -> None:
        def work(db: Database) -> Path:
            opened = read_chat(db, chat_id)
            if opened.chat is None:
                raise AppError("no_such_chat", "That chat was deleted.", hint="Restore it from the trash.")
            export.write(path, opened.chat, opened.messages, opened.names, base)
            return path

        services.read(owner, work, lambda done: services.notifier.say(f"Chat exported to {done.name}"))

    def ask(title: str) -> None:
        dialog = QFileDialog(owner, "Export chat")
        dialog.setObjectName("export_chat_dialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setNameFilters(["Markdown (*.md)", "JSON (*.json)"])
        dialog.setDefaultSuffix("md")
        dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix("json" if "json" in chosen else "md"))
        dialog.selectFile(f"{file_name(title)}.md")
        dialog.fileSelected.connect(lambda path: write(Path(path)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def found(opened: Opened) -> None:
        if opened.chat is not None:
            ask(opened.chat.title)

    services.read(owner, lambda db: read_chat(db, chat_id), found)
