"""Every file of a project with its state and why: "why was this not indexed?"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QLineEdit, QWidget

from app.services import Services
from core.code_index.state import FileState, Stage, reading
from core.code_index.state_view import file_states
from core.errors import AppError
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.icons import icon
from ui.models.rows import Column, RowModel, Status
from ui.pages.projects.words import language_words, plain, reason_words
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, label, row
from ui.widgets.chip import ChipRow
from ui.widgets.fit_columns import FitColumns
from ui.widgets.segments import Segments
from ui.widgets.table import TableView

PAGE_SIZE = 200
SEARCH_MS = 200
STATES = {
    Stage.EMBEDDED: Status("ok", "By meaning"), Stage.LEXICAL: Status("ok", "By words"),
    Stage.PENDING: Status("busy", "Waiting"), Stage.ERROR: Status("bad", "Failed"),
    Stage.LEFT_OUT: Status("neutral", "Left out"),
}  # fmt: skip
SHOWN: dict[str, tuple[Stage, ...]] = {
    "all": (), "indexed": (Stage.LEXICAL, Stage.EMBEDDED), "left_out": (Stage.LEFT_OUT,), "failed": (Stage.ERROR,),
    "waiting": (Stage.PENDING,),
}  # fmt: skip
WORDS = {"all": "All", "indexed": "Indexed", "left_out": "Left out", "failed": "Failed", "waiting": "Waiting"}


@dataclass(frozen=True)
class FileRow:
    """A file for the table; its path is its id."""

    file: FileState

    @property
    def id(self) -> str:
        """For tables."""
        return self.file.path


def _reason(row: FileRow) -> str:
    file = row.file
    words = reason_words(file.reason) if file.reason else ""
    return ": ".join(part for part in (words, plain(file.detail)) if part)


def _amount(row: FileRow) -> int | None:
    return row.file.size if row.file.state is not Stage.LEFT_OUT else None


COLUMNS = (
    Column("path", "File", role="strong", value=lambda row: plain(row.file.path)),
    Column("state", "State", tuple(STATES.values()), role="status", formatter=lambda status: status,
           value=lambda row: STATES[row.file.state]),
    Column("reason", "Why", "never wanted (caches, packages)", role="muted", value=_reason),
    Column("language", "Language", "TypeScript", role="muted",
           value=lambda row: language_words(row.file.language) if row.file.language else "–"),
    Column("symbols", "Symbols", "1,204", align="right", formatter=fmt.count,
           value=lambda row: row.file.symbols if row.file.state is not Stage.LEFT_OUT else None),
    Column("size", "Size", "999 bytes", align="right", formatter=fmt.size, value=_amount),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Which files are wanted."""

    stages: tuple[Stage, ...] = ()
    reason: str = ""
    search: str = ""
    limit: int = PAGE_SIZE
    offset: int = 0


def read_files(project_folder: Path, asked: Asked) -> tuple[list[FileRow], int]:
    """One page of the files and how many there are; none where there is no index yet. Off the GUI thread."""
    # With it come the store's modules and NumPy, which the page need not wait for.
    from core.code_index import active

    found = active.places(project_folder)
    if found is None:
        return [], 0
    with reading(found.state) as state:
        files, total = file_states(
            state, stages=asked.stages, reason=asked.reason, search=asked.search, limit=asked.limit, offset=asked.offset
        )
    return [FileRow(file) for file in files], total


class FilesDialog(Dialog):
    """Search, state and reason narrow the list; it is read in pages as it is scrolled."""

    def __init__(self, parent: QWidget, services: Services, name: str, project_folder: Path, reason: str = "") -> None:
        super().__init__(parent, f"Files of {plain(name)}")
        self.setObjectName("files_dialog")
        self._services, self._folder = services, project_folder
        self._asked = Asked(reason=reason)
        self._handle: int | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SEARCH_MS)
        self._soon.timeout.connect(self._restart)
        self._build()
        close = Button("Close", "main", on_click=self.accept, name="close")
        self.set_buttons(close, cancel="")
        sizes = theme().sizes
        wide = min(2 * sizes.inspector + sizes.field, parent.window().width() - 2 * sizes.margin)
        self.resize(wide, min(3 * sizes.sidebar, parent.window().height()))
        self.search.setFocus()
        self._restart()

    def _build(self) -> None:
        self.search = QLineEdit()
        self.search.setObjectName("files_search")
        self.search.setPlaceholderText("Search paths")
        self.search.setAccessibleName("Search paths")
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("ph.magnifying-glass"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._soon.start)
        self.states = Segments(WORDS, "Which files are shown", "files_states")
        self.states.chosen.connect(self._on_state)
        self.chips = ChipRow()
        self.chips.setObjectName("files_chips")
        self.chips.removed.connect(self._without_reason)
        self.banners = BannerArea()
        self.model = RowModel(COLUMNS, self)
        self.model.more_wanted.connect(self._more)
        self.table = TableView(self.model, "files_table", "Files")
        FitColumns(self.table, ("symbols", "language", "size"))
        self.caption = label("", "caption", name="files_caption")
        for item in (self.banners, self.search, row(self.states, self.chips, stretch=self.chips)):
            self.body.addWidget(item)
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self.caption)
        self._show_chips()

    @property
    def typed(self) -> bool:
        # A search is nothing that closing would lose.
        return False

    def _show_chips(self) -> None:
        chips = {"reason": reason_words(self._asked.reason)} if self._asked.reason else {}
        self.chips.set_chips(chips)

    @Slot(str)
    def _on_state(self, key: str) -> None:
        self._asked = replace(self._asked, stages=SHOWN[key])
        self._restart()

    @Slot(str)
    def _without_reason(self, _key: str) -> None:
        self._asked = replace(self._asked, reason="")
        self._show_chips()
        self._restart()

    @Slot()
    def _restart(self) -> None:
        self._asked = replace(self._asked, search=self.search.text().strip(), offset=0)
        self._ask(self._asked, append=False)

    @Slot(int)
    def _more(self, offset: int) -> None:
        self._ask(replace(self._asked, offset=offset), append=True)

    def _ask(self, asked: Asked, *, append: bool) -> None:
        self._services.forget(self._handle)
        folder = self._folder

        def done(answer: tuple[Sequence[FileRow], int]) -> None:
            rows, total = answer
            more = asked.offset + len(rows) < total
            (self.model.append_rows if append else self.model.set_rows)(rows, more=more)
            if not append and rows:
                self.table.scrollToTop()
            self._say(total)

        self._handle = self._services.run(self, lambda: read_files(folder, asked), done, self._failed)

    def _say(self, total: int) -> None:
        narrowed = bool(self._asked.search or self._asked.reason or self._asked.stages)
        words = fmt.plural(total, "file or folder", "files and folders")
        if not total:
            words = "No file matches; try part of its path" if narrowed else "Nothing is indexed yet"
        self.caption.setText(words)

    def _failed(self, exc: Exception) -> None:
        if isinstance(exc, AppError):
            self.banners.show_error(exc)
        else:
            self._services.notifier.report(exc)

    def keyPressEvent(self, event: object) -> None:
        # Enter in the search leads into the list, where the dialog's own button would close it.
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.search.hasFocus():  # type: ignore[attr-defined]
            self.table.setFocus()
            self.table.step(0)
            return
        super().keyPressEvent(event)  # type: ignore[arg-type]
