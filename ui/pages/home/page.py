"""Home: the way in, the line from conversations to chat, and the newest jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from app.overview import Overview, read_overview
from app.services import Services
from core.events import Changed
from core.jobs import Job
from ui import format as fmt
from ui import steps
from ui.dialogs.workspaces import StartDialog
from ui.icons import icon
from ui.models.jobs import job_line, job_outcome, job_status, progress_line
from ui.registry import PAGES
from ui.sample import open_sample
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, row, scrolled
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.page import Page


@dataclass(frozen=True)
class Step:
    """One step of the line: where its count comes from, where it is done, the job that does it, and how it is done."""

    key: str
    title: str
    icon: str
    page: str
    kind: str
    verb: str
    why: str
    take: Callable[[Services], None]


LINE = (
    Step("conversations", "Conversations", "ph.chats-circle", "conversations", "import", "Import conversations",
         "Choose JSON files of conversations, or drop them anywhere on this window.",
         lambda services: services.navigator.run_command("import")),
    Step("enriched", "Enriched", "ph.magic-wand", "conversations", "enrich", "Enrich conversations",
         "Enrichment checks each conversation and adds what training needs: context, emotion, strategy.",
         steps.enrich_waiting),
    Step("training_files", "Training files", "ph.stack", "training_files", "build_training_file",
         "Build training file", "A training file gathers enriched conversations into one versioned document.",
         steps.build_training_file),
    Step("datasets", "Datasets", "ph.table", "datasets", "build_dataset", "Build dataset",
         "A dataset is the training file split and counted in a base model's own tokens.", steps.make_dataset),
    Step("adapters", "Adapters", "ph.swap", "training", "training", "Train adapter",
         "Training turns a dataset into a LoRA adapter: a small file that changes how the base answers.", steps.train),
    Step("chats", "Chats", "ph.chat-teardrop-text", "chat", "", "Chat with your adapter",
         "Ask the base and the adapter the same question, side by side.", steps.talk),
)  # fmt: skip


class StepCard(Card):
    """One step with its count; a click opens its page."""

    def __init__(self, step: Step, services: Services) -> None:
        super().__init__("", gap=2)
        self.step, self._services = step, services
        self.setObjectName(f"step_{step.key}")
        self._picture = QLabel()
        self.count = label("–", "big", name=f"count_{step.key}")
        for item in (self._picture, self.count, ElidedLabel(step.title, "muted")):
            self.add(item)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        if PAGES.get(step.page) is not None:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._done = False
        self._tint()
        theme().changed.connect(self._tint)

    def show_count(self, count: int) -> None:
        """How many there are."""
        self.count.setText(fmt.count(count))
        self.setAccessibleName(f"{self.step.title}: {count}")
        self._done = count > 0
        self._tint()

    @Slot()
    def _tint(self) -> None:
        side = theme().sizes.icon + theme().sizes.half
        self._picture.setPixmap(icon(self.step.icon, "accent" if self._done else "faint").pixmap(QSize(side, side)))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if PAGES.get(self.step.page) is not None:
            self._services.navigator.open_page(self.step.page)


class JobRow(QWidget):
    """One job of the list; Resume where that can be done."""

    def __init__(self, job: Job, services: Services) -> None:
        super().__init__()
        self.job, self._services = job, services
        self.setObjectName(f"recent_{job.id}")
        sizes = theme().sizes
        self.title, self.line = ElidedLabel(job.title), ElidedLabel("", "caption")
        self.pill = StatusPill(job_outcome(job))
        self.resume = Button("Resume", "", "ph.play", on_click=self._resume, name=f"resume_{job.id}")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, sizes.half, 0, sizes.half)
        box.setSpacing(sizes.grid + 4)
        slot = QWidget()
        slot.setFixedWidth(sizes.label - sizes.icon_large)
        inner = QHBoxLayout(slot)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.pill)
        inner.addStretch(1)
        box.addWidget(slot)
        words = column(self.title, self.line, gap=0)
        box.addWidget(words, 1)
        box.addWidget(self.resume)
        self.show_job(job)

    def show_job(self, job: Job) -> None:
        """The state it is in now."""
        self.job = job
        self.title.setText(job.title)
        self.line.setText(job_line(job))
        self.pill.set_status(job_outcome(job))
        self.resume.setVisible(job.can_resume)
        self.resume.setEnabled(True)
        self.resume.setAccessibleName(f"Resume {job.title}")
        self.setAccessibleName(f"{job.title}: {job_outcome(job).word}")

    def _resume(self) -> None:
        self.resume.setEnabled(False)
        self._services.queue.resume(self.job.id)


class Welcome(QWidget):
    """The first start."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        sizes = theme().sizes
        headline = label("From conversations to an assistant of your own, on this Mac", "title", wrap=True)
        text = label(
            "Bright Run turns conversations into a dataset, trains a LoRA adapter on it, and lets you chat with the "
            "result. Everything stays on this machine. The sample workspace comes with conversations and a small "
            "practice model, so you can try every step in a few minutes.", "muted", wrap=True,
        )  # fmt: skip
        self.sample = Button(
            "Open sample workspace", "main", "ph.compass", on_click=self._open_sample, name="open_sample"
        )
        self.own = Button("Start your own workspace…", "", "ph.folder-plus", on_click=self._start, name="start_own")
        card = Card("", headline, text, row(self.sample, self.own, None), gap=sizes.grid * 2)
        card.setMaximumWidth(2 * sizes.field + sizes.margin)
        card.body.setContentsMargins(*[sizes.margin + sizes.grid] * 4)
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        outer.addWidget(row(None, card, None))
        outer.addStretch(3)

    def _open_sample(self) -> None:
        open_sample(self._services)

    def _start(self) -> None:
        StartDialog(self, self._services).open()


class HomePage(Page):
    """Watches everything that has a count on it."""

    watches: ClassVar[Changed] = Changed.everything()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.set_header("Home", "From conversations to an assistant of your own.")
        self._sample_pill = label("", "caption", name="workspace_kind")
        self.add_header_widget(self._sample_pill)
        self._overview: Overview | None = None
        self._next_step = LINE[0]
        self._next_job: Job | None = None
        self._rows: dict[str, JobRow] = {}
        self.steps = {step.key: StepCard(step, services) for step in LINE}
        self._views = QStackedWidget()
        self.welcome = Welcome(services)
        self._views.addWidget(self._build_line())
        self._views.addWidget(self.welcome)
        self.set_content(self._views)
        services.queue.progress.connect(self._on_progress)
        self.show_busy()

    def _build_line(self) -> QWidget:
        sizes = theme().sizes
        cards = QHBoxLayout()
        cards.setSpacing(sizes.grid + 4)
        for card in self.steps.values():
            cards.addWidget(card, 1)
        self.next_title = label("", "section", wrap=True, name="next_title")
        self.next_why = label("", "muted", wrap=True)
        self.next_button = Button("Next step", "main", "ph.arrow-right", on_click=self._take_next, name="next_step")
        self.primary = self.next_button
        words = column(label("Next", "caption"), self.next_title, self.next_why, gap=2)
        self._next_card = Card("", row(words, self.next_button, gap=2 * sizes.grid, stretch=words))
        self._jobs_box = QVBoxLayout()
        self._jobs_box.setSpacing(0)
        self._jobs_box.setContentsMargins(0, 0, 0, 0)
        holder = QWidget()
        holder.setLayout(self._jobs_box)
        self._no_jobs = label("No jobs yet. Jobs you start appear here and in the tray below.", "muted", wrap=True)
        self.jobs_card = Card("Recent jobs", self._no_jobs, holder)
        inner = QWidget()
        box = QVBoxLayout(inner)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(sizes.grid * 2)
        box.addLayout(cards)
        box.addWidget(self._next_card)
        box.addWidget(self.jobs_card)
        box.addStretch(1)
        return scrolled(inner)

    def reload(self) -> None:
        self.read(read_overview, self._show)

    def _show(self, overview: Overview) -> None:
        self._overview = overview
        self._sample_pill.setText("Sample workspace" if overview.is_sample else "")
        self._views.setCurrentIndex(1 if overview.untouched else 0)
        for key, card in self.steps.items():
            card.show_count(overview.counts[key])
        self._show_next(overview)
        self._show_jobs(overview.jobs)
        self.show_content()

    def _show_next(self, overview: Overview) -> None:
        place = next((n for n, s in enumerate(LINE) if not overview.counts[s.key]), len(LINE) - 1)
        # A step is not done before its job is: the first conversation that is enriched is not the end of it.
        jobs = {job.kind: job for job in reversed(overview.under_way)}
        step = next((s for s in LINE[: place + 1] if s.kind in jobs), LINE[place])
        job = jobs.get(step.kind)
        if job is None or self._next_job is None or job.id != self._next_job.id:
            self.next_why.setText(step.why if job is None else job_line(job) if job.done else job_status(job).word)
        self._next_step, self._next_job = step, job
        self.next_title.setText(step.verb if job is None else job.title)
        verb = "Choose files" if step is LINE[0] else step.verb
        page = PAGES.get(step.page)
        self.next_button.setText(verb if job is None or page is None else f"Open {page.title}")
        self.next_button.setAccessibleName(step.verb if job is None else f"Show {job.title}")
        self.next_button.setEnabled(step is LINE[0] or page is not None)

    @Slot(str, object, object, str, object)
    def _on_progress(self, job_id: str, done: int, total: int, message: str, left: float | None) -> None:
        if self._next_job is not None and job_id == self._next_job.id:
            self.next_why.setText(progress_line(done, total, message, left))

    def _show_jobs(self, jobs: Sequence[Job]) -> None:
        wanted = {job.id for job in jobs}
        for job_id in [i for i in self._rows if i not in wanted]:
            gone = self._rows.pop(job_id)
            self._jobs_box.removeWidget(gone)
            gone.deleteLater()
        for place, job in enumerate(jobs):
            found = self._rows.get(job.id)
            if found is None:
                found = self._rows[job.id] = JobRow(job, self.services)
            elif found.job != job:
                found.show_job(job)
            if self._jobs_box.indexOf(found) != place:
                self._jobs_box.insertWidget(place, found)
        self._no_jobs.setVisible(not jobs)

    def _take_next(self) -> None:
        step, job = self._next_step, self._next_job
        if job is None:
            step.take(self.services)
        else:
            self.services.navigator.open_page(step.page, {"run": job.id} if job.kind == "training" else None)
