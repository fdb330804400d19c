"""Every command once: its words, its shortcut, its menu. Menus, buttons and the cheat sheet read it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

MENUS = ("File", "Edit", "View", "Go", "Jobs", "Help")


@dataclass(frozen=True)
class Command:
    """One command. `shortcut` is portable text: Ctrl reads as Cmd on a Mac. `group` makes it one of a choice."""

    name: str
    text: str
    menu: str
    shortcut: str = ""
    group: str = ""
    checkable: bool = False
    separator: bool = False
    role: QAction.MenuRole = QAction.MenuRole.NoRole


COMMANDS = (
    Command("import", "Import files…", "File", "Ctrl+O"),
    Command("open_sample", "Open the sample workspace", "File"),
    Command("open_own", "Open your own workspace", "File"),
    Command("settings", "Settings…", "File", "Ctrl+,", separator=True, role=QAction.MenuRole.PreferencesRole),
    Command("quit", "Quit Bright Run", "File", "Ctrl+Q", separator=True, role=QAction.MenuRole.QuitRole),
    Command("undo", "Undo", "Edit", "Ctrl+Z"),
    Command("search", "Find on this page", "Edit", "Ctrl+F", separator=True),
    Command("primary", "Do the page's main step", "Edit", "Ctrl+Return"),
    Command("back", "Back", "Edit", "Esc"),
    Command("trash", "Trash…", "Edit", "Ctrl+Shift+Backspace", separator=True),
    Command("theme_system", "Theme of the system", "View", group="theme", checkable=True),
    Command("theme_light", "Light theme", "View", group="theme", checkable=True),
    Command("theme_dark", "Dark theme", "View", group="theme", checkable=True),
    Command("larger", "Larger text", "View", "Ctrl++", separator=True),
    Command("smaller", "Smaller text", "View", "Ctrl+-"),
    Command("actual_size", "Normal text size", "View", "Ctrl+0"),
    Command("sidebar", "Fold the sidebar", "View", "Ctrl+B", checkable=True, separator=True),
    Command("refresh", "Refresh", "View", "Ctrl+R"),
    Command("stop", "Stop the running job", "Jobs", "Ctrl+."),
    Command("shortcuts", "Keyboard shortcuts", "Help", "Ctrl+/"),
    Command("log", "Log window", "Help", "Ctrl+Shift+L"),
    Command("crash_report", "Report of the last crash", "Help"),
    Command("about", "About Bright Run", "Help", separator=True, role=QAction.MenuRole.AboutRole),
)

KEYS_IN_LISTS = (
    ("Enter", "Open the selected row"),
    ("Space", "Preview the selected row"),
    ("J, K", "Next and previous in review lists"),
    ("Tab", "Next control, in reading order"),
)


class Actions(QObject):
    """The commands as QActions, made once, owned by the window; `on(name, slot)` gives one its work."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for command in COMMANDS:
            self._actions[command.name] = self._make(command)

    def _make(self, command: Command) -> QAction:
        action = QAction(command.text, self)
        action.setObjectName(f"action_{command.name}")
        action.setMenuRole(command.role)
        action.setCheckable(command.checkable)
        # A key that is held must not start, stop or delete one thing after the other.
        action.setAutoRepeat(command.name in ("larger", "smaller"))
        if command.shortcut:
            action.setShortcuts(_sequences(command.shortcut))
        if command.group:
            group = self._groups.setdefault(command.group, QActionGroup(self))
            group.addAction(action)
        return action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def __contains__(self, name: str) -> bool:
        return name in self._actions

    def on(self, name: str, slot: Callable[[], Any]) -> None:
        """Call `slot()` when the command is triggered."""
        # `triggered` passes a bool that a command has no use for.
        self._actions[name].triggered.connect(lambda _checked=False: slot())

    def shortcuts(self) -> list[tuple[str, str]]:
        """(keys as this platform writes them, what they do), for the cheat sheet."""
        native = QKeySequence.SequenceFormat.NativeText
        return [(self[c.name].shortcut().toString(native), c.text.rstrip("…")) for c in COMMANDS if c.shortcut]


def _sequences(shortcut: str) -> list[QKeySequence]:
    # "+" needs Shift on many keyboards, and then arrives as "=".
    extra = {"Ctrl++": ["Ctrl+="], "Ctrl+Return": ["Ctrl+Enter"]}.get(shortcut, [])
    return [QKeySequence(text) for text in (shortcut, *extra)]
