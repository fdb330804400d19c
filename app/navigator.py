"""Requests of pages to their window, without knowing it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from core.workspace.paths import Workspace

# Called with the `Services` of the workspace that was opened; they hold a navigator, so it can't name them.
AfterOpen = Callable[[Any], None]


class Navigator(QObject):
    """Lives in the GUI thread.

    `page_requested(name, argument)`, `command_requested(name)` with a name of `ui.window.actions`,
    `workspace_requested(Workspace, after)`, `import_requested([Path])`.
    """

    page_requested = Signal(str, object)
    command_requested = Signal(str)
    workspace_requested = Signal(object, object)
    import_requested = Signal(object)

    def open_page(self, name: str, argument: object = None) -> None:
        """Show a page; its `open_item(argument)` is called unless the argument is None."""
        self.page_requested.emit(name, argument)

    def run_command(self, name: str) -> None:
        """Trigger a command of the menus by its name."""
        self.command_requested.emit(name)

    def open_workspace(self, workspace: Workspace, after: AfterOpen | None = None) -> None:
        """Close this workspace in order and open another; then call `after` with its services."""
        self.workspace_requested.emit(workspace, after)

    def import_files(self, files: list[Path]) -> None:
        """Start an import job of these files and show where the result appears."""
        self.import_requested.emit(files)

    def follow(self, action: str) -> bool:
        """Do what `AppError.action` names: "page:training", "command:trash"; False if it is neither."""
        kind, _, name = action.partition(":")
        if kind == "page" and name:
            page, _, argument = name.partition("/")
            self.open_page(page, argument or None)
        elif kind == "command" and name:
            self.run_command(name)
        else:
            return False
        return True
