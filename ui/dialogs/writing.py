"""A dialog that saves: held while it does, and what goes wrong is shown in it, so that nothing typed is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from ui.dialogs.base import Dialog
from ui.widgets.banner import BannerArea


class WritingDialog(Dialog):
    """Puts `banners` where its errors belong and saves with `write`."""

    def __init__(self, parent: QWidget, services: Services, title: str) -> None:
        super().__init__(parent, title)
        self.services = services
        self.banners = BannerArea()
        self._saving = False

    def write(self, fn: Callable[[Database], Any], done: Callable[[Any], None]) -> None:
        """Write on the serial lane, then `done(result)`; see `Services.write`."""
        self.hold("Still saving.")
        self._saving = True

        def on_done(result: Any) -> None:
            self._saving = False
            done(result)

        self.services.write(self, fn, on_done, self.failed)

    def leave(self) -> None:
        """Cancel; not while it saves, or what comes of that would be heard by nobody."""
        if not self._saving:
            super().leave()

    def failed(self, exc: Exception) -> None:
        """Show what went wrong; the primary action can be tried again."""
        self._saving = False
        self.hold("")
        if isinstance(exc, AppError):
            self.banners.show_error(exc)
            self.adjustSize()
        else:
            self.services.notifier.report(exc)
