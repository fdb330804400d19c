"""What only the operating system can do: notifications, and staying awake while jobs run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

log = logging.getLogger(__name__)


class Process(Protocol):
    """The part of `subprocess.Popen` that is used here."""

    def terminate(self) -> None:
        """Ask it to end."""


Launch = Callable[[Sequence[str]], Process]


class System(Protocol):
    """One implementation a platform."""

    def notify(self, title: str, text: str) -> None:
        """Show a notification of the system."""

    def hold_awake(self) -> None:
        """Keep the machine from idle sleep until `release`."""

    def release(self) -> None:
        """Allow sleep again."""


class QuietSystem:
    """Linux and tests: does nothing."""

    def notify(self, title: str, text: str) -> None:
        """Nothing to show."""

    def hold_awake(self) -> None:
        """Nothing to hold."""

    def release(self) -> None:
        """Nothing to release."""


def _launch(command: Sequence[str]) -> Process:
    return subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


class MacSystem:
    """`osascript` and `caffeinate`; texts travel as arguments, never inside the script."""

    SCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"

    def __init__(self, launch: Launch = _launch) -> None:
        self._launch = launch
        self._awake: Process | None = None
        self._ended: Process | None = None
        self._notices: list[Process] = []

    def notify(self, title: str, text: str) -> None:
        """Show a notification; failing to is not worth a message."""
        process = self._try(["/usr/bin/osascript", "-e", self.SCRIPT, title, text])
        if process is not None:
            self._notices = [*self._notices[-3:], process]

    def hold_awake(self) -> None:
        """`caffeinate -i` ends with this process at the latest (-w)."""
        if self._awake is None:
            self._awake = self._try(["/usr/bin/caffeinate", "-i", "-w", str(os.getpid())])

    def release(self) -> None:
        """End caffeinate."""
        if self._awake is not None:
            self._awake.terminate()
            self._ended, self._awake = self._awake, None

    def _try(self, command: Sequence[str]) -> Process | None:
        try:
            return self._launch(command)
        except OSError as exc:
            log.warning("%s: %s", command[0], exc)
            return None


def this_system() -> System:
    """The implementation for the machine this runs on."""
    return MacSystem() if sys.platform == "darwin" else QuietSystem()
