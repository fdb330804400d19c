"""What only the operating system can do for the window: notifications. Staying awake: `core/hardware.py`."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

log = logging.getLogger(__name__)
Launch = Callable[[Sequence[str]], Any]


class System(Protocol):
    """One implementation a platform."""

    def notify(self, title: str, text: str) -> None:
        """Show a notification of the system."""


class QuietSystem:
    """Linux and tests: does nothing."""

    def notify(self, title: str, text: str) -> None:
        """Nothing to show."""


def _launch(command: Sequence[str]) -> Any:
    return subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


class MacSystem:
    """`osascript`; texts travel as arguments, never inside the script."""

    SCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"

    def __init__(self, launch: Launch = _launch) -> None:
        self._launch = launch
        self._notices: list[Any] = []

    def notify(self, title: str, text: str) -> None:
        """Show a notification; failing to is not worth a message."""
        command = ["/usr/bin/osascript", "-e", self.SCRIPT, title, text]
        try:
            # Kept until later ones come: an unreferenced child that still runs is warned of.
            self._notices = [*self._notices[-3:], self._launch(command)]
        except OSError as exc:
            log.warning("%s: %s", command[0], exc)


def this_system() -> System:
    """The implementation for the machine this runs on."""
    return MacSystem() if sys.platform == "darwin" else QuietSystem()
