"""What a page contributes to the table of commands: shown in palette and cheat sheet while the page is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtGui import QKeySequence

from ui.widgets.basic import Button
from ui.widgets.table import TableView

Reason = Callable[[], str]
DELETE_KEYS = ("Del", "Backspace")


def always() -> str:
    """Nothing is in the way."""
    return ""


@dataclass(frozen=True)
class PageCommand:
    """One command of a page.

    `keys` are portable texts ("A", "Del", "Ctrl+E"), the first of which is shown. `blocked()` says why the command
    can't run now, "" if it can.
    """

    name: str
    text: str
    run: Callable[[], Any]
    keys: tuple[str, ...] = ()
    blocked: Reason = always
    icon: str = "ph.command"

    @property
    def shown_keys(self) -> str:
        """The first key as this platform writes it."""
        return QKeySequence(self.keys[0]).toString(QKeySequence.SequenceFormat.NativeText) if self.keys else ""


def nothing_selected(*tables: TableView) -> Reason:
    """For commands on selected rows: why there is nothing to do."""

    def reason() -> str:
        return "" if any(t.isVisible() and t.selected() for t in tables) else "No row is selected"

    return reason


def of_button(button: Button, keys: tuple[str, ...] = ()) -> PageCommand:
    """A button as a command; its tooltip says why it is disabled."""

    def reason() -> str:
        return "" if button.isEnabled() else button.toolTip() or "Not available right now"

    text = button.accessibleName() or button.text()
    name = f"button_{button.objectName()}"
    return PageCommand(name, text, button.click, keys, reason, button.icon_name or PageCommand.icon)
