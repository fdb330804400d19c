"""What became of an import: the banner after it, and the table of what was not taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from app.services import Services
from core.db import Database
from core.events import Changed
from core.jobs import Job, JobState
from core.reading import report
from core.reading.report import ImportItem
from core.workspace import settings
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.models.paged import PagedRows, Query
from ui.models.rows import Column, RowModel, Status
from ui.theme import theme
from ui.widgets.banner import Banner
from ui.widgets.basic import Button, ElidedLabel, label
from ui.widgets.page import Page
from ui.widgets.segments import Segments
from ui.widgets.table import TableView

COPY_LIMIT = 20_000
TOPIC = "import"
OUTCOMES = {"rejected": Status("bad", "Rejected"), "cut": Status("warn", "Cut"), "used": Status("ok", "Used")}


def import_counts(db: Database, job: Job) -> dict[str, int]:
    """The books of an import: from its result, else from what it had reported before it ended."""
    if "in" in job.result:
        return {name: int(job.result.get(name, 0)) for name in ("in", "used", "rejected", "cut")}
    found = report.counts(db, job.id)
    counts = {name: found.get(name, 0) for name in ("used", "rejected", "cut")}
    return {"in": sum(counts.values()), **counts}


def import_line(counts: Mapping[str, int]) -> str:
    """ "24 of 34 used, 10 rejected"."""
    parts = [f"{fmt.count(counts['used'])} of {fmt.count(counts['in'])} used"]
    parts += [f"{fmt.count(counts[name])} {name}" for name in ("rejected", "cut") if counts[name]]
    return ", ".join(parts)


_ENDS = {JobState.INTERRUPTED: "interrupted", JobState.PAUSED: "paused"}


class ReportBanner(Banner):
    """Stays when its button was used: the list of rejections is read beside it."""

    def _act(self) -> None:
        if self._action is not None:
            self._action[1]()


def import_banner(
    job: Job, counts: Mapping[str, int], show: Callable[[], Any], resume: Callable[[], Any]
) -> Banner | None:
    """The banner for an import that ended; None where the error has a banner of its own."""
    line = import_line(counts)
    short = "" if job.status == JobState.COMPLETED else f"{job.title} was {_ENDS.get(job.status, 'stopped')}: "
    ignored = int(job.result.get("ignored_files") or 0)
    hint = f"{fmt.plural(ignored, 'other file')} in the folder contained nothing to import." if ignored else ""
    if job.can_resume and job.status in (JobState.CANCELLED, JobState.INTERRUPTED, JobState.PAUSED):
        far = f"{short}{line} so far" if counts["in"] else short.removesuffix(": ")
        return Banner(
            "warn", far, "Resume passes over the files that are done and reads the others again.",
            action=("Resume", resume), topic=TOPIC,
        )  # fmt: skip
    if job.status != JobState.COMPLETED:
        return None
    if counts["rejected"]:
        kind = "warn" if counts["used"] else "bad"
        hint = hint or "Each is listed with its place, the reason, and how to fix it."
        return ReportBanner(kind, f"Import: {line}", hint, action=("Show rejected", show), topic=TOPIC)
    return ReportBanner("ok", f"Import: {line}", hint, action=("Show report", show), topic=TOPIC)


def _place(item: ImportItem) -> str:
    parts = [f"line {item.line:,}" if item.line else "", item.field]
    return ", ".join(part for part in parts if part) or "whole file"


COLUMNS = (
    Column("file", "File", "conversation-2026-11.jsonl", value=lambda i: Path(i.file).name, tooltip=lambda i: i.file),
    Column("place", "Place", "line 1,204, messages", value=_place, role="muted"),
    Column(
        "outcome",
        "Outcome",
        tuple(OUTCOMES.values()),
        formatter=lambda v: OUTCOMES.get(v, Status("neutral", fmt.word(v))),
    ),
    Column("message", "Problem", tooltip=lambda i: i.message, formatter=lambda v: v or fmt.NOTHING),
    Column("hint", "How to fix it", tooltip=lambda i: i.hint, formatter=lambda v: v or fmt.NOTHING),
)


def as_text(items: list[ImportItem]) -> str:
    """The items as a table for the clipboard."""
    lines = ["File\tPlace\tOutcome\tProblem\tHow to fix it"]
    lines += [f"{i.file}\t{_place(i)}\t{i.outcome}\t{i.message}\t{i.hint}" for i in items]
    return "\n".join(lines)


class ImportReport(Dialog):
    """Every item of one import, the rejected first; the text of the chosen one in full below."""

    def __init__(self, parent: QWidget, services: Services, job: Job, counts: Mapping[str, int]) -> None:
        super().__init__(parent, "Import report")
        self.setObjectName("import_report")
        sizes = theme().sizes
        self.resize(2 * sizes.inspector + sizes.sidebar, sizes.inspector + sizes.sidebar)
        self._services, self._job = services, job
        self.body.addWidget(label(import_line(counts), "section", name="import_summary"))
        when = fmt.moment_long(job.finished_at)
        self.body.addWidget(ElidedLabel(f"{job.title} · {when}", "muted"))
        self.kinds = Segments(
            {
                "rejected": f"Rejected {counts['rejected']:,}", "cut": f"Cut {counts['cut']:,}",
                "used": f"Used {counts['used']:,}", "": "All",
            },
            "Items shown", "import_kinds",
        )  # fmt: skip
        self.kinds.buttons["cut"].setVisible(bool(counts["cut"]))
        self.kinds.set_current("rejected" if counts["rejected"] else "")
        self.kinds.chosen.connect(self._on_kind)
        self.body.addWidget(self.kinds)
        self.model = RowModel(COLUMNS, self, row_id=lambda item: item.seq)
        self.table = TableView(self.model, "import_items", "Imported items")
        self.table.current_changed.connect(self._on_current)
        self.body.addWidget(self.table, 1)
        self.pages = PagedRows(services, self.model, self._fetch, self)
        self.pages.loaded.connect(self._on_loaded)
        self.what = label("", "strong", wrap=True, selectable=True, name="item_message")
        self.mend = label("", wrap=True, selectable=True, name="item_hint")
        self.where = label("", "caption", wrap=True, selectable=True, name="item_place")
        for part in (self.what, self.mend, self.where):
            self.body.addWidget(part)
        copy = Button("Copy list", "", "ph.copy", on_click=self.copy, name="copy_items")
        self.set_buttons(Button("Close", "main", on_click=self.accept, name="close"), copy, cancel="")
        self.pages.reload()

    def _fetch(self, db: Database, query: Query) -> list[ImportItem]:
        return report.items(db, self._job.id, outcome=self.kinds.current, limit=query.limit, offset=query.offset)

    @Slot(str)
    def _on_kind(self, _key: str) -> None:
        self.pages.reload()

    @Slot(int)
    def _on_loaded(self, _total: int) -> None:
        if self.model.rowCount() and self.table.current() is None:
            self.table.select_id(self.model.rows[0].seq)
        if not self.model.rowCount():
            self._on_current(None)

    @Slot(object)
    def _on_current(self, item: ImportItem | None) -> None:
        self.what.setText(item.message if item else "")
        self.mend.setText(item.hint if item else "")
        self.where.setText(f"{item.file}, {_place(item)}" if item else "No items of this kind.")

    def copy(self) -> None:
        """Put what is listed on the clipboard, also what is not loaded yet."""
        kind, job_id = self.kinds.current, self._job.id
        self._services.read(
            self, lambda db: as_text(report.items(db, job_id, outcome=kind, limit=COPY_LIMIT)), self._to_clipboard
        )

    def _to_clipboard(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._services.notifier.say(f"{fmt.plural(text.count(chr(10)), 'line')} copied")


class ImportDesk(QObject):
    """What the page does about imports: a folder, the banner after each, the report. Belongs to the page."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page, self._services = page, page.services

    def choose_folder(self) -> None:
        """Ask for a folder; without blocking."""
        dialog = QFileDialog(self._page, "Import folder")
        dialog.setObjectName("import_folder_dialog")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._on_folder)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def _on_folder(self, name: str) -> None:
        if name:
            self._services.navigator.import_files([Path(name)])

    def announce(self, job: Job, *, problems_only: bool = False) -> None:
        """Once for each import; `problems_only` for one that ended, and was told, while another page was in front."""
        seen = f"{job.id} {job.status}"

        def once(db: Database) -> tuple[Changed, Mapping[str, int] | None]:
            if settings.get(db, "import_seen") == seen:
                return Changed.NOTHING, None
            settings.put(db, "import_seen", seen)
            counts = import_counts(db, job)
            well = job.status == JobState.COMPLETED and not counts["rejected"]
            return Changed.NOTHING, None if problems_only and well else counts

        def show(counts: Mapping[str, int] | None) -> None:
            if counts is not None:
                self._show(job, counts)

        self._services.write(self, once, show)

    def _show(self, job: Job, counts: Mapping[str, int]) -> None:
        banner = import_banner(
            job, counts, lambda: self._open(job, counts), lambda: self._services.queue.resume(job.id)
        )
        if banner is not None:
            self._page.banners.add(banner)

    def show_report(self, job: Job) -> None:
        """Every item of an import."""
        self._services.read(self, lambda db: import_counts(db, job), lambda counts: self._open(job, counts))

    def _open(self, job: Job, counts: Mapping[str, int]) -> None:
        ImportReport(self._page, self._services, job, counts).open()
