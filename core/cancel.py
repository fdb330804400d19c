"""A token that long functions ask whether they should continue."""

from __future__ import annotations

import threading

from core.errors import Cancelled


class CancelToken:
    """Set once, from any thread. `reason` is user, pause or orphan."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def cancel(self, reason: str = "user") -> None:
        """Ask the work to end; the first reason stays."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the work was asked to end."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` when the work was asked to end."""
        if self._event.is_set():
            raise Cancelled(self.reason)
