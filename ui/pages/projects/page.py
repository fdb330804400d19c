"""Projects: folders of code, their indexes, a search over each, and the source of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QWidget

from app.adapter_training import when_added
from app.services import Services
from core.code_index.embedders import AUTO, WORDS_ONLY
from core.errors import AppError, Where
from core.events import Changed
from core.projects import projects
from core.projects.projects import Project
from ui.open_in_editor import open_in_editor
from ui.pages.projects.add_dialog import TRAIN, AddDialog
from ui.pages.projects.commands import ProjectCommands
from ui.pages.projects.data import Entry, Overview, ended_badly, read_overview
from ui.pages.projects.files_dialog import FilesDialog
from ui.pages.projects.frame import ProjectsFrame
from ui.pages.projects.left_with import LeftWith
from ui.pages.projects.results import Hit
from ui.pages.projects.search_box import Asked
from ui.pages.projects.searching import Searching
from ui.pages.projects.source import Place
from ui.pages.projects.train_dialog import TrainDialog
from ui.pages.projects.words import progress_words
from ui.widgets.banner import Banner, error_details
from ui.widgets.empty import EmptyState

AGES_MS = 20_000
GONE = "no_project_folder"
EMPTY = (
    "Add the folder of a project, or drop it here: search its code by meaning, words and names, ask an assistant about "
    "it, and train an adapter on it. Nothing in it is ever run."
)


class ProjectsPage(ProjectsFrame):
    """`open_item(id)` opens a project, `{"project": id, "path": p, "line": n}` a place in it.

    `{"search": text}` searches the project; `{"add": folder}` asks whether that folder is to be one.
    """

    watches: ClassVar[Changed] = Changed.PROJECTS | Changed.JOBS | Changed.ADAPTERS | Changed.SETTINGS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._wanted: object = None
        self._told: dict[str, AppError] = {}
        self._said: set[str] = set()
        self._shown_asked: Asked | None = None
        self.searching = Searching(services, self)
        self.left_with = LeftWith(self, self.searching)
        self.commands_ = ProjectCommands(self)
        self._ages = QTimer(self)
        self._ages.setInterval(AGES_MS)
        self._ages.timeout.connect(self._look_again)
        self._ages.start()
        self.set_empty(
            EmptyState("ph.folder-open", EMPTY, ("Add project", self.add_project), title="No projects yet",
                       button_icon="ph.folder-plus"),
        )  # fmt: skip
        self._connect()
        self.show_busy()

    def _connect(self) -> None:
        self.list.opened.connect(self.open_project)
        self.list.add_requested.connect(self.add_project)
        self.box.edited.connect(self._on_edited)
        self.box.entered.connect(self._on_entered)
        self.box.down.connect(self._into_results)
        self.box.ask_wanted.connect(self.ask_assistant)
        answers, results = self.answers, self.answers.list
        answers.plain_wanted.connect(lambda: self.box.plain.setChecked(True))
        answers.unfiltered_wanted.connect(self.box.filters.clear)
        answers.again_wanted.connect(self.searching.now)
        answers.model_wanted.connect(self.commands_.choose_embedder)
        results.chosen.connect(self._on_chosen)
        results.opened.connect(lambda hit: self._open_in_editor(Place(hit.path, *hit.lines)))
        results.previewed.connect(self.focus_inspector)
        results.left.connect(self.box.field.setFocus)
        self.source.open_wanted.connect(self._open_in_editor)
        self.source.search_wanted.connect(self.search_for)
        self.left_out.asked.connect(self.show_files)
        self.searching.found.connect(self._on_found)
        self.searching.failed.connect(lambda _asked, error: self.answers.show_error(error))
        self.searching.cleared.connect(self.answers.show_idle)
        indexes = self.services.indexes
        indexes.progressed.connect(self._on_progressed)
        indexes.changed.connect(self._on_index_changed)
        indexes.told.connect(self._on_told)

    # Which project

    def reload(self) -> None:
        workspace = self.services.workspace
        self.read(lambda db: read_overview(db, workspace), self._on_overview)

    def _on_overview(self, overview: Overview) -> None:
        self.overview = overview
        wanted, self._wanted = self._wanted, None
        if not overview.entries:
            self._show_none()
            return
        self.show_content()
        asked = wanted if isinstance(wanted, Mapping) else {}
        ident = str(asked.get("project") or "") if asked else str(wanted or "")
        if ident and overview.entry(ident) is None:
            self.show_error(AppError("no_such_project", "That project no longer exists.", hint="Look in the trash."))
            ident = ""
        ident = ident or (self.current if overview.entry(self.current) else overview.last_opened)
        self._show_list(ident)
        if ident != self.current:
            self._open(ident)
        else:
            self._refresh()
        self._go_to(asked)

    def _show_none(self) -> None:
        self.current = ""
        self.left_with.forget()
        self.searching.use(None)
        self.source.use(None)
        self.set_header("Projects", "Folders of code that an assistant knows.")
        self.pause.hide()
        self.train.hide()
        self.show_empty()

    def _go_to(self, asked: Mapping[str, Any]) -> None:
        if asked.get("search"):
            self.search_for(str(asked["search"]))
        if asked.get("path"):
            line = int(asked.get("line") or 1)
            self.source.show_place(Place(str(asked["path"]), line, int(asked.get("end_line") or line)))

    def _show_list(self, current: str) -> None:
        if self.overview is not None:
            lines = [self.line_of(entry, self._progress(entry)) for entry in self.overview.entries]
            self.list.show_lines(lines, current)

    @Slot(str)
    def open_project(self, project_id: str) -> None:
        """Show another project, as it was left."""
        if project_id != self.current:
            self._open(project_id)

    def _open(self, project_id: str) -> None:
        self.flush()
        self.banners.clear()
        self._said.clear()
        self.current = project_id
        entry = self.entry
        if entry is None:
            return
        self.write(lambda db: projects.keep_state(db, project_id, {}))
        self.searching.use(entry.spec)
        self.source.use(entry.spec)
        asked = self.left_with.restore(project_id, entry.project.state)
        self.answers.show_idle()
        self.searching.ask(asked)
        self.searching.now()
        self._refresh()
        if (told := self._told.pop(project_id, None)) is not None:
            self._show_told(told)

    def _refresh(self) -> None:
        entry = self.entry
        if entry is None:
            return
        self.searching.use(entry.spec)
        self.source.use(entry.spec)
        self.show_entry(entry, self._progress(entry, short=True))
        if entry.there:
            self.services.indexes.watch(entry.spec)
        self._say_what_is_wrong(entry)

    def _say_what_is_wrong(self, entry: Entry) -> None:
        gone = f"gone {entry.project.root}"
        if not entry.there and gone not in self._said:
            self._said.add(gone)
            self.banners.add(
                Banner(
                    "warn", f"The folder {entry.project.root} is not there.",
                    "Its index and all else is kept. Put the folder back, or say where it is now.",
                    action=("Choose where it is now", self.commands_.choose_root), topic="gone",
                )
            )  # fmt: skip
        elif entry.there:
            self._drop_banner("gone")
        job = entry.job
        if job is not None and job.error is not None and ended_badly(job) and job.id not in self._said:
            self._said.add(job.id)
            action = ("Resume indexing", self.pause_or_resume) if entry.halted else None
            error = job.error
            self.banners.add(
                Banner("bad", error.message, error.hint, action=action, details=error_details(error), topic="job")
            )
        elif job is not None and not ended_badly(job):
            self._drop_banner("job")
        self._say_what_was_missed(entry)

    def _say_what_was_missed(self, entry: Entry) -> None:
        """The model that was chosen is not here, say; who chose none is told where he searches."""
        notices = entry.summary.notices if entry.spec.embedder not in ("", AUTO, WORDS_ONLY) else ()
        if not notices:
            self._drop_banner("missed")
        elif (said := f"missed {entry.id} {notices[0]}") not in self._said:
            self._said.add(said)
            self.banners.add(
                Banner(
                    "warn", str(notices[0]), action=("Choose a model", self.commands_.choose_embedder), topic="missed"
                )
            )

    def _drop_banner(self, topic: str) -> None:
        for banner in self.banners.banners:
            if banner.topic == topic:
                banner.dismiss()

    def flush(self) -> None:
        self.left_with.keep()

    # Searching

    @Slot()
    def _on_edited(self) -> None:
        self.left_with.result = None
        self.searching.ask(self.box.asked)

    @Slot()
    def _on_entered(self) -> None:
        if self.searching.under_way:
            self.searching.now()
        else:
            self._into_results()

    @Slot()
    def _into_results(self) -> None:
        results = self.answers.list
        if results.isVisible():
            results.choose_first()
            results.setFocus()

    def search_for(self, text: str) -> None:
        """Search for that text."""
        self.box.show_asked(Asked(text))
        self._on_edited()
        self.searching.now()

    @Slot(object, object, float)
    def _on_found(self, asked: Asked, answer: Mapping[str, Any], seconds: float) -> None:
        current, returning = self.answers.list.current(), self.left_with.result
        keep = returning is not None or self._shown_asked == asked
        wanted = returning or (current.key if current is not None and keep else None)
        self._shown_asked = asked
        self.answers.show_answer(asked, answer, seconds, wanted, keep=keep)
        if returning is not None:
            self.left_with.scroll_results()

    @Slot(object)
    def _on_chosen(self, hit: Hit) -> None:
        place = Place(hit.path, *hit.lines)
        if place != self.source.place:
            self.source.show_place(place)

    def _open_in_editor(self, place: Place) -> None:
        entry = self.entry
        if entry is None:
            return
        path = entry.project.root / place.path
        if not path.resolve().is_relative_to(entry.project.root.resolve()):
            self.show_error(
                AppError(
                    "outside_project", f"The file {place.path} is not inside the project any more.",
                    hint="Open it by hand if you trust it.", where=Where(file=place.path),
                )
            )  # fmt: skip
            return
        open_in_editor(self, path, place.start)

    # What is reported

    def _progress(self, entry: Entry, *, short: bool = False) -> str:
        """How far its indexing job is, in words; empty while none is under way."""
        step, anew = self.services.indexes.progress.get(entry.id), entry.summary.all_embedded
        return progress_words(*step, short=short, anew=anew) if step is not None else ""

    @Slot(str)
    def _on_progressed(self, project_id: str) -> None:
        entry = self.overview.entry(project_id) if self.overview is not None else None
        if entry is None:
            return
        self.list.show_state(project_id, self.line_of(entry, self._progress(entry)).line)
        if project_id == self.current:
            self.tiles.show_entry(entry, self._progress(entry, short=True))

    @Slot(str)
    def _on_index_changed(self, project_id: str) -> None:
        if project_id == self.current and self.isVisible():
            if self.box.asked.wanted and not self.searching.under_way:
                self.searching.now()
            self.source.refresh()

    @Slot(str, object)
    def _on_told(self, project_id: str, error: AppError) -> None:
        if error.code == GONE:
            # Said by the page itself, with a way on.
            self.reload()
        elif project_id == self.current or not project_id:
            self._show_told(error)
        else:
            self._told[project_id] = error

    def _show_told(self, error: AppError) -> None:
        self.banners.add(
            Banner("warn", error.message, error.hint, action=self.action_of(error), details=error_details(error),
                   topic=error.code)
        )  # fmt: skip

    @Slot()
    def _look_again(self) -> None:
        # Ages grow, and a folder comes and goes without a word.
        if self.isVisible() and self.overview is not None and self.overview.entries:
            self.reload()

    # What the user does

    def pause_or_resume(self) -> None:
        """Pause the job under way, or let the one that rests go on."""
        entry = self.entry
        if entry is not None and entry.running is not None:
            self.services.queue.pause(entry.running.id)
        elif entry is not None and entry.halted is not None:
            self.services.queue.resume(entry.halted.id)

    def train_adapter(self) -> None:
        """Train an adapter on this project's code, or say whether the last one is used."""
        entry = self.entry
        if entry is not None:
            dialog = TrainDialog(self, self.services, entry.project)
            dialog.started.connect(lambda: self.services.notifier.say("The training is queued"))
            dialog.decided.connect(self.reload)
            dialog.open()

    @Slot()
    def ask_assistant(self) -> None:
        """Ask in a chat about this project."""
        if self.current:
            question = {"project": self.current, "question": self.box.asked.wanted}
            self.services.navigator.open_page("chat", question)

    @Slot()
    def add_project(self) -> None:
        """Ask for a folder."""
        self._add(None)

    def _add(self, folder: Path | None) -> None:
        if any(dialog.isVisible() for dialog in self.findChildren(AddDialog)):
            self.services.notifier.say("Finish adding the other folder first")
            return
        known = {entry.project.root: entry.id for entry in self.overview.entries} if self.overview is not None else {}
        embedder = self.overview.embedder if self.overview is not None else ""
        dialog = AddDialog(self, self.services, known, folder, embedder)
        dialog.started.connect(self._on_added)
        dialog.is_there.connect(self.open_item)
        dialog.open()

    @Slot(object)
    def _on_added(self, project: Project) -> None:
        self.services.indexes.start(project.id)
        when_added(self.services, project.id, automatic=bool(project.settings.get(TRAIN)))
        self.open_item(project.id)

    def dropped(self, files: Sequence[Path]) -> bool:
        # A file too: the dialog says that it is none.
        folders = [path for path in files if path.is_dir()] or list(files)
        self._add(folders[0])
        if len(folders) > 1:
            self.services.notifier.say("One folder at a time; the first one was taken")
        return True

    @Slot(str)
    def show_files(self, reason: str) -> None:
        """Every file with its state, or those left out for that reason."""
        entry = self.entry
        if entry is not None:
            folder = entry.project.folder(self.services.workspace)
            FilesDialog(self, self.services, entry.project.name, folder, reason).open()

    def open_item(self, argument: object) -> None:
        """See the class."""
        if isinstance(argument, Mapping) and argument.get("add"):
            self._add(Path(str(argument["add"])))
            return
        self._wanted = argument
        self.reload()

    def stop(self) -> bool:
        entry = self.entry
        if entry is None or entry.running is None:
            return False
        self.services.queue.stop(entry.running.id)
        return True
