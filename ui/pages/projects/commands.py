"""What is done to a project of the list: rename, re-index, choose its model or folder, show it, delete it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog

from core.projects import projects
from ui.pages.projects.embedder_dialog import EmbedderDialog
from ui.pages.projects.frame import ProjectsFrame
from ui.pages.projects.words import plain
from ui.widgets.page_commands import DELETE_KEYS, PageCommand


class ProjectCommands(QObject):
    """Belongs to the page; works on the project that is open."""

    def __init__(self, page: ProjectsFrame) -> None:
        super().__init__(page)
        self._page, self._services = page, page.services
        self._do = {
            "rename": page.list.start_rename, "reindex": self.reindex, "embedder": self.choose_embedder,
            "folder": self.show_folder, "delete": self.delete,
        }  # fmt: skip
        chosen = lambda: "" if page.list.current else "No project is open"  # noqa: E731
        keys = {"rename": ("F2",), "delete": DELETE_KEYS}
        words = {
            "rename": "Rename project", "reindex": "Re-index project", "embedder": "Choose the project's model",
            "folder": "Show the project's folder", "delete": "Delete project",
        }  # fmt: skip
        for name, run in self._do.items():
            on = (page.list.list,) if name in keys else ()
            page.add_command(PageCommand(name, words[name], run, keys.get(name, ()), chosen), *on)
        page.add_command(PageCommand("add", "Add project", page.list.add.click))
        page.list.asked.connect(self._on_asked)
        page.list.renamed.connect(self._rename)

    @Slot(str)
    def _on_asked(self, what: str) -> None:
        self._do[what]()

    @Slot(str, str)
    def _rename(self, project_id: str, name: str) -> None:
        def failed(exc: Exception) -> None:
            self._page.reload()
            self._services.notifier.report(exc, self._page)

        self._services.write(self._page, lambda db: projects.rename(db, project_id, name), None, failed)

    def reindex(self) -> None:
        """Look at every file again; what has not changed is not read."""
        entry = self._page.entry
        if entry is None:
            return
        if entry.running is not None:
            self._services.notifier.say(f"“{plain(entry.project.name)}” is being indexed already")
        elif entry.halted is not None:
            self._services.queue.resume(entry.halted.id)
        else:
            self._services.indexes.start(entry.id)

    @Slot()
    def choose_embedder(self) -> None:
        """Ask for another model, and index with it."""
        entry = self._page.entry
        if entry is None:
            return
        workspace = self._page.overview.embedder if self._page.overview is not None else ""
        dialog = EmbedderDialog(self._page, self._services, entry.project, workspace)
        ident = entry.id
        dialog.chosen.connect(lambda: self._services.indexes.start(ident))
        dialog.open()

    def show_folder(self) -> None:
        """Open the folder where folders are shown."""
        entry = self._page.entry
        if entry is None:
            return
        if entry.there:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(entry.project.root)))
        else:
            self.choose_root()

    @Slot()
    def choose_root(self) -> None:
        """Ask where a project's folder is now; its index and all else stay."""
        entry = self._page.entry
        if entry is None:
            return
        ident = entry.id
        dialog = QFileDialog(self._page, f"Where “{plain(entry.project.name)}” is now")
        dialog.setObjectName("new_root_dialog")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda name: self.move(ident, Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def move(self, project_id: str, root: Path) -> None:
        """The project's folder is there from now on; what differs is indexed."""
        start = self._services.indexes.start
        self._page.write(lambda db: projects.move(db, project_id, root), lambda _none: start(project_id))

    def delete(self) -> None:
        """To the trash at once, with Undo; the folder itself is not touched."""
        entry = self._page.entry
        if entry is None:
            return
        if entry.running is not None:
            self._services.queue.stop(entry.running.id)
        self._services.indexes.forget(entry.id)
        self._page.delete("projects", [entry.id], f"Deleted “{plain(entry.project.name)}”; its folder stays")
