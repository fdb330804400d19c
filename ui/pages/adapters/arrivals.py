"""How base models come onto the Adapters page: from a folder, by download; and what is said of jobs that ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QFileDialog

from core.jobs import Job, JobState
from ui.pages.adapters.download import LOOK_UP, DownloadDialog
from ui.practice import add_practice
from ui.widgets.banner import Banner, error_details
from ui.widgets.page import Page

DOWNLOAD = "download_base"
KINDS = ("add_base_model", "build_practice_model", DOWNLOAD)


class Arrivals(QObject):
    """Belongs to the page; everything it starts is a job."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page, self._services = page, page.services

    def choose_folder(self) -> None:
        """Ask for the folder of a base model; without blocking."""
        _ask_folder(self._page, "Add base model", "base_dialog", self.add_folder)

    @Slot(str)
    def add_folder(self, name: str) -> None:
        """Check a folder and add it, as a job."""
        path = Path(name)
        self._page.show_content()
        params = {"path": str(path), "name": path.name}
        self._services.start_job("add_base_model", f"Adding {path.name}", params)

    def add_practice(self) -> None:
        """The practice model, as a job."""
        self._page.show_content()
        add_practice(self._services)

    def rebuild_practice(self) -> None:
        """Build the practice model from its text, as a job."""
        self._services.start_job("build_practice_model", "Building the practice model", {})

    def download(self) -> None:
        """Ask for a name, look it up, download it."""
        dialog = DownloadDialog(self._page, self._services)
        dialog.wanted.connect(self._start_download)
        dialog.open()

    @Slot(object, str)
    def _start_download(self, params: dict[str, Any], title: str) -> None:
        self._page.show_content()
        self._services.start_job(DOWNLOAD, title, params)

    def show_end_of(self, job: Job) -> bool:
        """Say how a job of this page ended; False leaves it to the window."""
        if job.kind == LOOK_UP:
            # The dialog that asked shows the answer.
            return True
        if job.kind == DOWNLOAD and job.can_resume:
            self._page.banners.add(interrupted(job, self._services.queue.resume))
            return True
        return False


def interrupted(job: Job, resume: Any) -> Banner:
    """A download that was stopped or failed: what has come is kept, and Resume goes on there."""
    title = job.title.replace("Downloading ", "")
    again = ("Resume", lambda: resume(job.id))
    if job.error is not None and job.status is not JobState.CANCELLED:
        text = f"The download of {title} ended: {job.error.message}"
        return Banner("bad", text, job.error.hint, action=again, details=error_details(job.error), topic=job.id)
    return Banner("info", f"The download of {title} was stopped", "What has come is kept; Resume goes on there.",
                  action=again, topic=job.id)  # fmt: skip


def _ask_folder(page: Page, title: str, name: str, chosen: Any) -> None:
    dialog = QFileDialog(page, title)
    dialog.setObjectName(name)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
