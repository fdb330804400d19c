"""A dialog that saves: held while it does, and what goes wrong is shown in it, so that nothing typed is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QWidget
from sqlite_utils import Database

from app.services import Services
from core.errors import AppError
from ui.dialogs.base import Dialog
from ui.widgets.banner import BannerArea


class WritingDialog(Dialog):
    """Puts `banners` where its errors belong and saves with `write`."""

    def __init__(self, parent: QWidget, services: Services, title: str) -> None:
        super().__init__(parent, title)
        self.services = services
        self.banners = BannerArea()

    def write(self, fn: Callable[[Database], Any], done: Callable[[Any], None]) -> None:
        """Write on the serial lane, then `done(result)`; see `Services.write`."""
        self.hold("Still saving.")
        self.services.write(self, fn, done, self.failed)

    def failed(self, exc: Exception) -> None:
        """Show what went wrong; the primary action can be tried again."""
        self.hold("")
        if isinstance(exc, AppError):
            self.banners.show_error(exc)
        else:
            self.services.notifier.report(exc)
