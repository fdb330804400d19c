"""How base models and adapters come onto the page and leave it, as jobs; and what is said of those that ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from core.adapters.layouts import layout_of
from core.adapters.shares import Share
from core.inference.ollama.seen import full_name
from core.jobs import Job, JobState
from core.models.fingerprint import weight_files
from core.models.store import BaseModel
from core.registries import ADAPTER_FORMATS
from core.training.store import Adapter
from ui.pages.adapters.download import LOOK_UP, DownloadDialog
from ui.pages.adapters.import_adapter import ImportAdapterDialog
from ui.pages.adapters.ollama import OllamaDialog
from ui.pages.adapters.quantise import QuantiseDialog
from ui.pages.adapters.share import ShareDialog, no_base
from ui.practice import add_practice
from ui.widgets.banner import Banner, error_details
from ui.widgets.page import Page

DOWNLOAD = "download_base"
IMPORT, CHECK, EXPORT = "import_adapter", "check_adapter", "export_adapter"
QUANTISE = "quantise_base"
PULL, TAKE, PUT = "pull_ollama", "take_ollama", "practice_to_ollama"
SHARE, UNSHARE, MEASURE = "share_adapter", "unshare_adapter", "measure_parity"
PREVIEW = "preview_share"
KINDS = (
    "add_base_model",
    "build_practice_model",
    DOWNLOAD,
    PULL,
    TAKE,
    PUT,
    QUANTISE,
    IMPORT,
    CHECK,
    EXPORT,
    SHARE,
    UNSHARE,
    MEASURE,
)


class Arrivals(QObject):
    """Belongs to the page; everything it starts is a job."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page, self._services = page, page.services

    def choose_folder(self) -> None:
        """Ask for the folder of a base model; without blocking."""
        ask_folder(self._page, "Add base model", "base_dialog", self.add_folder)

    def choose_file(self) -> None:
        """Ask for a base model as a GGUF file; without blocking."""
        dialog = QFileDialog(self._page, "Add GGUF file", "", "GGUF files (*.gguf);;All files (*)")
        dialog.setObjectName("gguf_dialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.add_folder)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def add_folder(self, name: str) -> None:
        """Check a folder or a GGUF file and add it, as a job."""
        path = Path(name)
        self._page.show_content()
        params = {"path": str(path), "name": path.stem if path.is_file() else path.name}
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

    def ollama(self, bases: Mapping[str, str], used: Mapping[str, str], shared: Sequence[str]) -> None:
        """Show what Ollama has; see `OllamaDialog`."""
        dialog = OllamaDialog(self._page, self._services, bases, used, shared)
        dialog.wanted.connect(self._start_ollama)
        dialog.open()

    @Slot(str, object, str)
    def _start_ollama(self, kind: str, params: dict[str, Any], title: str) -> None:
        self._page.show_content()
        pulled = [full_name(str(job.params["name"])) for job in self._services.queue.running() if job.kind == PULL]
        if kind == PULL and full_name(params["name"]) in pulled:
            self._services.notifier.say(f"“{title}” is under way already")
            return
        self._services.start_job(kind, title, params)

    def quantise(self, base: BaseModel) -> None:
        """Ask for bits and name, then quantise it."""
        dialog = QuantiseDialog(self._page, base)
        dialog.wanted.connect(self._start_quantise)
        dialog.open()

    @Slot(object, str)
    def _start_quantise(self, params: dict[str, Any], title: str) -> None:
        self._services.start_job(QUANTISE, title, params)

    # Adapters

    def choose_adapter(self, bases: Sequence[BaseModel], chosen: str) -> None:
        """Ask for the folder of an adapter made elsewhere, `chosen` being the base that is proposed."""
        ask_folder(
            self._page, "Import adapter", "adapter_dialog", lambda name: self.import_adapter(name, bases, chosen)
        )

    def import_adapter(self, name: str, bases: Sequence[BaseModel], chosen: str) -> None:
        """Ask for base and name, then import it."""
        dialog = ImportAdapterDialog(self._page, self._services, Path(name), bases, chosen)
        dialog.wanted.connect(self._start_import)
        dialog.open()

    @Slot(object, str)
    def _start_import(self, params: dict[str, Any], title: str) -> None:
        self._services.start_job(IMPORT, title, params)

    def check(self, adapter: Adapter) -> None:
        """Its hash, its file, and whether it fits its base, once more."""
        self._services.start_job(CHECK, f"Checking {adapter.name}", {"adapter_id": adapter.id})

    def export(self, adapter: Adapter, anchor: QWidget) -> None:
        """Ask for a format below `anchor`, then where, then write it there."""
        menu = QMenu(self._page)
        menu.setObjectName("adapter_formats")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name, found in ADAPTER_FORMATS.items():
            action = menu.addAction(found.title)
            action.setObjectName(f"export_{name}")
            action.setData(name)
        menu.triggered.connect(lambda action: self._ask_place(adapter, str(action.data())))
        menu.popup(anchor.mapToGlobal(anchor.rect().bottomLeft()))

    def _ask_place(self, adapter: Adapter, format_name: str) -> None:
        def start(folder: str) -> None:
            params = {"adapter_id": adapter.id, "folder": folder, "format": format_name}
            self._services.start_job(EXPORT, f"Exporting {adapter.name}", params)

        ask_folder(self._page, f"Export {adapter.name} into", "export_dialog", start)

    def share(self, adapter: Adapter, bases: Sequence[BaseModel], earlier: Sequence[Share]) -> None:
        """Ask how, then make it a model in Ollama."""
        if not bases:
            self._page.show_error(no_base(adapter))
            return
        dialog = ShareDialog(self._page, adapter, bases, self._services.ollama.address, earlier)
        dialog.wanted.connect(self._start_share)
        dialog.preview_wanted.connect(lambda params: self._preview(dialog, params))
        dialog.open()

    def _preview(self, dialog: ShareDialog, params: Mapping[str, Any]) -> None:
        def done(job: Job | None = None) -> None:
            text = str(job.result.get("modelfile") or "") if job is not None else ""
            said = job.error.message if job is not None and job.error is not None else ""
            dialog.show_preview(params, text, "" if text else said or "It could not be worked out.")

        self._services.start_job(PREVIEW, "Working out the Modelfile", params, done, dialog, refused=done)

    @Slot(object, str)
    def _start_share(self, params: dict[str, Any], title: str) -> None:
        self._services.start_job(SHARE, title, params)

    def measure(self, adapter: Adapter, base: BaseModel) -> None:
        """How much of it is left on a base in another format."""
        params = {"adapter_id": adapter.id, "base_id": base.id}
        self._services.start_job(MEASURE, f"Measuring {adapter.name} on {base.name}", params)

    def unshare(self, share: Share) -> None:
        """Take one out of Ollama again."""
        params = {"name": share.name, "address": share.address}
        self._services.start_job(UNSHARE, f"Taking {share.name} out of Ollama", params)

    def show_end_of(self, job: Job) -> bool:
        """Say how a job of this page ended; False leaves it to the window."""
        if job.status is JobState.COMPLETED and job.kind == SHARE:
            self._page.banners.add(shared(job))
            return True
        if job.status is JobState.COMPLETED and job.kind == UNSHARE and job.result.get("stays"):
            self._page.banners.add(stays(job))
            return True
        if job.status is JobState.COMPLETED and job.kind in (IMPORT, CHECK, EXPORT):
            if job.kind == IMPORT:
                self._page.open_item(job.result["artifact_id"])
                return False
            self._page.banners.add(checked(job) if job.kind == CHECK else exported(job))
            return True
        if job.kind in (LOOK_UP, PREVIEW):
            # The dialog that asked shows the answer.
            return True
        if job.kind in (DOWNLOAD, PULL) and job.can_resume:
            self._page.banners.add(interrupted(job, self._services.queue.resume))
            return True
        return False


def interrupted(job: Job, resume: Callable[[str], None]) -> Banner:
    """A download that was stopped or failed: what has come is kept, and Resume goes on there."""
    title = job.title.replace("Downloading ", "").replace("Pulling ", "")
    again = ("Resume", lambda: resume(job.id))
    if job.error is not None and job.status is not JobState.CANCELLED:
        text = f"The download of {title} ended: {job.error.message}"
        return Banner("bad", text, job.error.hint, action=again, details=error_details(job.error), topic=job.id)
    how = "is paused" if job.status is JobState.PAUSED else "was stopped"
    return Banner("info", f"The download of {title} {how}", "What has come is kept; Resume goes on there.",
                  action=again, topic=job.id)  # fmt: skip


def checked(job: Job) -> Banner:
    """An adapter that is as it was published."""
    hint = f"Hash, names, shapes and values are right, and it fits {job.result['base']}, whose weights are unchanged."
    return Banner("ok", f"“{job.result['name']}” is intact", hint, topic=f"check {job.result['artifact_id']}")


def shared(job: Job) -> Banner:
    """An adapter is a model in Ollama now, and how alike they are."""
    result = job.result
    text = f"{result['name']} is in Ollama"
    hint = f"{result['same']} of {result['asked']} fixed questions were answered there word for word as here."
    kind = "ok" if result["same"] == result["asked"] else "info"
    return Banner(kind, text, hint, topic=f"share {result['name']}")


def stays(job: Job) -> Banner:
    """What has the name of a share that was taken back is something else by now."""
    name = job.result["name"]
    text = f"{name} is another model in Ollama by now, and stays there"
    return Banner("info", text, "What was shared from here is not there any more.", topic=f"share {name}")


def exported(job: Job) -> Banner:
    """An adapter was copied out."""
    path = str(job.result["path"])
    show = ("Show folder", lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(path)))
    return Banner("ok", f"“{job.result['name']}” was exported", path, action=show, topic=f"export {path}")


def kind_of_drop(paths: Sequence[Path]) -> tuple[str, str]:
    """("adapter" or "base", path) for a dropped folder that holds one, or a GGUF file; ("", "") for everything else."""
    if len(paths) == 1 and paths[0].suffix.lower() == ".gguf" and paths[0].is_file():
        return "base", str(paths[0])
    if len(paths) != 1 or not paths[0].is_dir():
        return "", ""
    folder = paths[0]
    if layout_of(folder):
        return "adapter", str(folder)
    return ("base", str(folder)) if (folder / "config.json").is_file() and weight_files(folder) else ("", "")


def ask_folder(page: Page, title: str, name: str, chosen: Callable[[str], None]) -> None:
    """`chosen(folder)` for the one that the user picks; without blocking."""
    dialog = QFileDialog(page, title)
    dialog.setObjectName(name)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
