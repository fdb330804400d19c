"""Export what is shown: form and place are asked, then a job writes it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from app.services import Services
from core.conversations.store import Filter
from ui import format as fmt

# name: (words, form, whether it is a folder)
CHOICES = {
    "raw_file": ("Raw, one JSON file", "raw", False),
    "raw_folder": ("Raw, a folder of JSON files", "raw", True),
    "enriched_file": ("Enriched, one JSON file", "enriched", False),
    "enriched_folder": ("Enriched, a folder of JSON files", "enriched", True),
}
KIND = "export_conversations"


class Export:
    """Asks and starts the job; `page` owns the dialogs."""

    def __init__(self, page: QWidget, services: Services) -> None:
        self._page, self._services = page, services

    def open_menu(self, wanted: Filter, count: int, button: QWidget) -> None:
        """Below the button: raw or enriched, one file or many."""
        menu = QMenu(self._page)
        menu.setObjectName("export_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name, (words, _, _) in CHOICES.items():
            action = menu.addAction(words)
            action.setObjectName(f"export_{name}")
            action.setData(name)
        menu.triggered.connect(lambda action: self._ask_place(wanted, count, str(action.data())))
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _ask_place(self, wanted: Filter, count: int, name: str) -> None:
        words, _, folder = CHOICES[name]
        dialog = QFileDialog(self._page, f"Export {fmt.plural(count, 'conversation')}: {words.lower()}")
        dialog.setObjectName("export_dialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        if not folder:
            dialog.setDefaultSuffix("json")
            dialog.setNameFilters(["*.json", "All files (*)"])
        dialog.selectFile("Conversations" if folder else "Conversations.json")
        dialog.fileSelected.connect(lambda path: self.start(wanted, count, name, Path(path)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def start(self, wanted: Filter, count: int, name: str, path: Path) -> None:
        """Queue the job; the tray shows and stops it."""
        _, form, folder = CHOICES[name]
        params = {"filter": asdict(wanted), "form": form, "folder": folder, "path": str(path)}
        self._services.start_job(KIND, f"Exporting {fmt.plural(count, 'conversation')}", params)
