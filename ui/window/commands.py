"""What the window's commands do: menus, theme, undo, badges, notices of finished jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QFileDialog, QMainWindow, QMenu

from app.logs import RingHandler
from app.services import Services
from core.db import Database
from core.events import Changed
from core.jobs import Job, JobState
from core.registry import resolve
from core.workspace import settings
from core.workspace.paths import Workspace, default_workspace, sample_workspace, workspaces_folder
from ui import format as fmt
from ui.dialogs.base import DetailsDialog
from ui.models.jobs import counted
from ui.registry import PAGES
from ui.theme import MODES, SCALES, theme
from ui.widgets.banner import Banner, BannerArea
from ui.widgets.page import Page
from ui.window.actions import MENUS, Actions
from ui.window.palette import Palette
from ui.window.palette_source import PaletteSource
from ui.window.sidebar import Sidebar
from ui.window.tray import Tray

BADGE_MS = 400
REASONS = {
    "undo": "Nothing to undo", "crash_report": "Bright Run quit normally last time",
    "open_sample": "This is the sample workspace", "open_own": "This is your own workspace",
}  # fmt: skip


class PageHost(Protocol):
    """The owner of the pages: the window."""

    @property
    def current_name(self) -> str:
        """The name of the page that is shown."""

    @property
    def current_page(self) -> Page | None:
        """The page that is shown."""

    def open_page(self, name: str) -> bool:
        """Show a page; False if there is none of that name."""


@dataclass(frozen=True)
class WindowParts:
    """The parts of the window that commands work on; `crash_report` is empty after a clean end."""

    sidebar: Sidebar
    tray: Tray
    banners: BannerArea
    ring: RingHandler
    crash_report: str


class WindowCommands(QObject):
    """Belongs to `window`, whose menu bar it fills; `host` shows the pages."""

    def __init__(
        self, window: QMainWindow, host: PageHost, services: Services, actions: Actions, parts: WindowParts
    ) -> None:
        super().__init__(window)
        self.window, self.host, self.services, self.actions, self.parts = window, host, services, actions, parts
        self._badge_timer = QTimer(self)
        self._badge_timer.setSingleShot(True)
        self._badge_timer.setInterval(BADGE_MS)
        self._badge_timer.timeout.connect(self._count_badges)
        self._log_window: Any = None
        self._shown = False
        self.palette = Palette(window, PaletteSource(services, host, actions, self.why_not, self))
        self._build_menus()
        self._connect()

    # Menus

    def _build_menus(self) -> None:
        bar = self.window.menuBar()
        menus: dict[str, QMenu] = {name: bar.addMenu(name) for name in MENUS}
        for command in self.actions.table:
            if command.separator:
                menus[command.menu].addSeparator()
            menus[command.menu].addAction(self.actions[command.name])
            if command.page and command.shortcut:
                self.parts.sidebar.buttons[command.page].set_keys(self.actions.keys(command.name))

    def _connect(self) -> None:
        todo: dict[str, Callable[[], Any]] = {
            "import": self.choose_files, "new_workspace": self.new_workspace, "open_workspace": self.choose_workspace,
            "open_sample": self.open_sample, "open_own": self.open_own,
            "settings": lambda: self.host.open_page("settings"), "quit": self.window.close,
            "undo": self.services.notifier.take_back, "search": self._search, "primary": self._primary,
            "back": self._back, "trash": self.show_trash, "larger": lambda: self._step_scale(1),
            "smaller": lambda: self._step_scale(-1), "actual_size": lambda: self.set_scale(1.0),
            "sidebar": self._fold, "refresh": self._refresh, "stop": self._stop, "shortcuts": self.show_shortcuts,
            "log": self.show_log, "palette": self.palette.toggle, "columns": self._choose_columns,
            "crash_report": self.show_crash_report,
            "about": lambda: self.services.navigator.open_page("settings", "about"),
        }  # fmt: skip
        for mode in MODES:
            todo[f"theme_{mode}"] = self._theme_setter(mode)
        for command in self.actions.table:
            if command.page:
                todo[command.name] = partial(self.host.open_page, command.page)
        for command in self.actions.table:
            self.actions.on(command.name, todo[command.name])
        self.parts.sidebar.fold_button.clicked.connect(self.actions["sidebar"].trigger)
        self.services.notifier.undo_changed.connect(self._on_undo_changed)
        self.services.hub.changed.connect(self._on_changed)
        self.services.queue.finished.connect(self._on_finished)
        self._on_undo_changed()

    # Start

    def restore(self) -> None:
        """What the window was like."""
        self.actions[f"theme_{theme().mode}"].setChecked(True)
        folded = self.services.state.flag("window/folded")
        self.actions["sidebar"].setChecked(folded)
        self.parts.sidebar.set_folded(folded)
        self.actions["crash_report"].setEnabled(bool(self.parts.crash_report))
        root = self.services.workspace.root
        self.actions["open_sample"].setEnabled(root != sample_workspace().root)
        self.actions["open_own"].setEnabled(root != default_workspace().root)

    def on_shown(self) -> None:
        """Once: badges, and word of a crash."""
        if self._shown:
            return
        self._shown = True
        self._badge_timer.start()
        if self.parts.crash_report:
            banner = Banner(
                "warn", "Bright Run quit unexpectedly last time.",
                "No saved work is lost. Jobs that were running can be resumed.",
                action=("Show report", self.show_crash_report), details=self.parts.crash_report,
            )  # fmt: skip
            self.parts.banners.add(banner)

    # Commands

    def choose_files(self) -> None:
        """Ask which files to import; without blocking."""
        dialog = QFileDialog(self.window, "Import files")
        dialog.setObjectName("import_dialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(["Conversations and datasets (*.json *.jsonl)", "All files (*)"])
        dialog.filesSelected.connect(self._on_files)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(list)
    def _on_files(self, names: list[str]) -> None:
        self.start_import([Path(name) for name in names])

    def start_import(self, files: list[Path]) -> None:
        """One import job of all of them."""
        if not files:
            return
        title = f"Importing {files[0].name}" if len(files) == 1 else f"Importing {fmt.plural(len(files), 'file')}"
        page = "datasets" if self.host.current_name == "datasets" else "conversations"
        params = {"files": [str(path.resolve()) for path in files]}
        self.services.start_job("import", title, params, lambda job: self._on_imported(job, page), self)
        if PAGES.get(page) is not None:
            self.host.open_page(page)

    def _on_imported(self, job: Job, page: str) -> None:
        # To where the result is, unless the user went elsewhere meanwhile.
        made = {name: job.result.get(name) or [] for name in ("conversations", "datasets")}
        other = "conversations" if page == "datasets" else "datasets"
        if made[other] and not made[page] and self.host.current_name == page:
            self.services.navigator.open_page(other, made[other][0] if len(made[other]) == 1 else None)

    def new_workspace(self) -> None:
        """Ask for a name and what it is for; make it and open it."""
        from ui.dialogs.workspaces import NewWorkspaceDialog

        NewWorkspaceDialog(self.window, self.services).open()

    def choose_workspace(self) -> None:
        """Ask for the folder of a workspace and open it; without blocking."""
        dialog = QFileDialog(self.window, "Open workspace", str(workspaces_folder()))
        dialog.setObjectName("open_workspace_dialog")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._on_workspace)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def _on_workspace(self, name: str) -> None:
        chosen = Workspace(Path(name))
        self.services.run(self, chosen.require, lambda _none: self.services.navigator.open_workspace(chosen))

    def open_own(self) -> None:
        """The workspace of the user's own."""
        self.services.navigator.open_workspace(default_workspace())

    def open_sample(self) -> None:
        """Make the sample workspace if need be, open it, import its conversations."""
        from ui.sample import open_sample

        open_sample(self.services)

    def _theme_setter(self, mode: str) -> Callable[[], None]:
        return lambda: self.set_theme(mode)

    def set_theme(self, mode: str) -> None:
        """Light, dark or system; kept in the workspace."""
        theme().set_mode(mode)
        self.actions[f"theme_{mode}"].setChecked(True)
        self.services.write(self, lambda db: settings.put(db, "theme", mode))

    def set_scale(self, scale: float) -> None:
        """Size of text and everything that goes with it."""
        theme().set_scale(scale)
        self.services.state.put_number("window/scale", theme().scale)

    def _step_scale(self, by: int) -> None:
        nearest = min(range(len(SCALES)), key=lambda i: abs(SCALES[i] - theme().scale))
        self.set_scale(SCALES[max(0, min(len(SCALES) - 1, nearest + by))])

    def _search(self) -> None:
        if self.host.current_page is not None:
            self.host.current_page.focus_search()

    def _primary(self) -> None:
        if self.host.current_page is not None:
            self.host.current_page.trigger_primary()

    def _choose_columns(self) -> None:
        page = self.host.current_page
        table = page.table_in_use() if page is not None else None
        if table is not None:
            table.columns.open_menu()

    def _back(self) -> None:
        page = self.host.current_page
        if page is not None and not page.leave_inspector() and not page.back():
            page.setFocus()

    def _refresh(self) -> None:
        if self.host.current_page is not None:
            self.host.current_page.reload()

    def _stop(self) -> None:
        page = self.host.current_page
        if page is None or not page.stop():
            self.parts.tray.stop_newest()

    def _fold(self) -> None:
        folded = self.actions["sidebar"].isChecked()
        self.parts.sidebar.set_folded(folded)
        self.services.state.put_flag("window/folded", folded)

    def why_not(self, name: str) -> str:
        """Why a command can't run now, "" if it can."""
        page = self.host.current_page
        if name == "search" and (page is None or page.search is None):
            return "Nothing to search on this page"
        if name == "columns" and (page is None or page.table_in_use() is None):
            return "No table on this page"
        return "" if self.actions[name].isEnabled() else REASONS.get(name, "Not available right now")

    # Windows

    def show_trash(self) -> None:
        """What was deleted."""
        from ui.dialogs.trash import TrashDialog

        TrashDialog(self.services, self.window).open()

    def show_log(self) -> None:
        """The last 2,000 records."""
        from ui.window.log_window import LogWindow

        LogWindow.show_for(self.window, self.parts.ring, self.services.workspace.logs)

    def show_shortcuts(self) -> None:
        """The cheat sheet."""
        from ui.dialogs.shortcuts import ShortcutsDialog

        page = self.host.current_page
        here = [(c.shown_keys, c.text) for c in page.commands() if c.keys] if page is not None else []
        pages, commands = self.actions.shortcuts(pages=True), self.actions.shortcuts()
        ShortcutsDialog(self.window, pages, commands, here).open()

    def show_crash_report(self) -> None:
        """What the last run left."""
        if not self.parts.crash_report:
            return
        DetailsDialog(
            self.window, "Last crash report", "Bright Run quit unexpectedly last time.",
            "Nothing was sent. Copy the details to report the crash.", self.parts.crash_report,
        ).open()  # fmt: skip

    # News

    @Slot()
    def _on_undo_changed(self) -> None:
        entry = self.services.notifier.last_undo
        self.actions["undo"].setEnabled(entry is not None)
        self.actions["undo"].setText(f"Undo: {entry.text.replace('&', '&&')}" if entry else "Undo")

    @Slot(object)
    def _on_changed(self, _what: Changed) -> None:
        if not self._badge_timer.isActive():
            self._badge_timer.start()

    @Slot()
    def _count_badges(self) -> None:
        wanted = {spec.name: spec.badge for spec in PAGES.specs() if spec.badge}
        if wanted:
            self.services.read(self, lambda db: _badges(db, wanted), self._on_badges)

    def _on_badges(self, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            if name in self.parts.sidebar.buttons:
                self.parts.sidebar.buttons[name].set_badge(count)

    @Slot(object)
    def _on_finished(self, job: Job) -> None:
        # One event is said once: by a banner of the page in front if it has one for it, else here.
        page = self.host.current_page
        if page is not None and page.show_end_of(job):
            return
        if job.status == JobState.COMPLETED and job.id in self.services.spoken_for:
            return
        if job.status == JobState.COMPLETED:
            self.services.notifier.say(finished_text(job))
        elif job.error is not None:
            self.services.notifier.report(job.error, job.page or None)


def _badges(db: Database, wanted: Mapping[str, str]) -> dict[str, int]:
    return {name: int(resolve(path)(db)) for name, path in wanted.items()}


def finished_text(job: Job) -> str:
    """What the toast says of a job that ended well: its counts, so that nothing is dropped silently."""
    return f"{job.title}: {counted(job) or 'done'}"
