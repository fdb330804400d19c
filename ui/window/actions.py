"""Every command once: its words, its shortcut, its menu. Menus, palette, buttons and cheat sheet read it here.

What a page contributes is declared with `Page.add_command`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

from ui.registry import PAGES

MENUS = ("File", "Edit", "View", "Go", "Jobs", "Help")


@dataclass(frozen=True)
class Command:
    """One command. `shortcut` is portable text: Ctrl reads as Cmd on a Mac. `group` makes it one of a choice.

    `page` is the page that the command opens. What the palette shows by another name is not `in_palette`.
    """

    name: str
    text: str
    menu: str
    shortcut: str = ""
    group: str = ""
    checkable: bool = False
    separator: bool = False
    role: QAction.MenuRole = QAction.MenuRole.NoRole
    page: str = ""
    in_palette: bool = True


COMMANDS = (
    Command("import", "Import files…", "File", "Ctrl+O"),
    Command("new_workspace", "New workspace…", "File", "Ctrl+Shift+N", separator=True),
    Command("open_workspace", "Open workspace…", "File", "Ctrl+Shift+O"),
    Command("open_sample", "Open sample workspace", "File"),
    Command("open_own", "Open your own workspace", "File"),
    Command("settings", "Settings…", "File", "Ctrl+,", separator=True, role=QAction.MenuRole.PreferencesRole),
    Command("quit", "Quit Bright Run", "File", "Ctrl+Q", separator=True, role=QAction.MenuRole.QuitRole),
    Command("undo", "Undo", "Edit", "Ctrl+Z"),
    Command("search", "Find on this page", "Edit", "Ctrl+F", separator=True),
    Command("primary", "Primary action", "Edit", "Ctrl+Return", in_palette=False),
    Command("back", "Back", "Edit", "Esc"),
    Command("trash", "Trash…", "Edit", "Ctrl+Shift+Backspace", separator=True),
    Command("theme_system", "Match system theme", "View", group="theme", checkable=True),
    Command("theme_light", "Light theme", "View", group="theme", checkable=True),
    Command("theme_dark", "Dark theme", "View", group="theme", checkable=True),
    Command("larger", "Larger text", "View", "Ctrl++", separator=True),
    Command("smaller", "Smaller text", "View", "Ctrl+-"),
    Command("actual_size", "Normal text size", "View", "Ctrl+0"),
    Command("sidebar", "Collapse sidebar", "View", "Ctrl+B", checkable=True, separator=True),
    Command("columns", "Choose columns…", "View"),
    Command("refresh", "Refresh", "View", "Ctrl+R"),
    Command("palette", "Command palette…", "Go", "Ctrl+K", in_palette=False),
    Command("stop", "Stop running job", "Jobs", "Ctrl+."),
    Command("shortcuts", "Keyboard shortcuts", "Help", "Ctrl+/"),
    Command("log", "Show log", "Help", "Ctrl+Shift+L"),
    Command("crash_report", "Show last crash report", "Help"),
    Command("about", "About Bright Run", "Help", separator=True, role=QAction.MenuRole.AboutRole),
)

KEYS_IN_LISTS = (
    ("Enter", "Open the selected row"),
    ("Space", "Preview the selected row"),
    ("J, K", "Next and previous row"),
    ("Tab", "Next control, in reading order"),
)


def page_commands() -> tuple[Command, ...]:
    """A command for each registered page; the first nine have a number as their key."""
    return tuple(
        Command(
            f"go_{spec.name}", spec.title, "Go", f"Ctrl+{number}" if number <= 9 else "", separator=number == 1,
            page=spec.name,
        )
        for number, spec in enumerate(PAGES.specs(), start=1)
    )  # fmt: skip


class Actions(QObject):
    """The commands as QActions, made once, owned by the window; `on(name, slot)` gives one its work."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.table = (*COMMANDS, *page_commands())
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for command in self.table:
            self._actions[command.name] = self._make(command)

    def _make(self, command: Command) -> QAction:
        action = QAction(command.text, self)
        action.setObjectName(f"action_{command.name}")
        action.setMenuRole(command.role)
        action.setCheckable(command.checkable)
        # A key that is kept down must not start, stop or delete one thing after the other.
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

    def keys(self, name: str) -> str:
        """The shortcut as this platform writes it, "" without one."""
        return self[name].shortcut().toString(QKeySequence.SequenceFormat.NativeText)

    def shortcuts(self, *, pages: bool = False) -> list[tuple[str, str]]:
        """(keys, what they do) of the commands, or of those that open a page: for the cheat sheet."""
        chosen = [c for c in self.table if c.shortcut and bool(c.page) == pages]
        return [(self.keys(c.name), c.text.rstrip("…")) for c in chosen]


def _sequences(shortcut: str) -> list[QKeySequence]:
    # "+" needs Shift on many keyboards, and then arrives as "=".
    extra = {"Ctrl++": ["Ctrl+="], "Ctrl+Return": ["Ctrl+Enter"]}.get(shortcut, [])
    return [QKeySequence(text) for text in (shortcut, *extra)]
