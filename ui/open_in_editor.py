"""Opens a place in the code in the editor that the workspace names."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QProcess

from app import editors
from core.errors import AppError
from core.workspace import settings
from ui.widgets.page import Page


def open_in_editor(page: Page, path: Path, line: int) -> None:
    """Open `path` at `line` (from 1); what does not work is told on the page."""

    def start(setting: object) -> None:
        try:
            program, *arguments = editors.command(str(setting), path, line)
        except AppError as error:
            page.show_error(error)
            return
        if not QProcess.startDetached(program, arguments)[0]:
            page.show_error(
                AppError("no_editor", f"{program} could not be started.", hint="Choose another editor in Settings.")
            )  # fmt: skip

    page.read(lambda db: settings.get(db, editors.SETTING, ""), start, "editor")
