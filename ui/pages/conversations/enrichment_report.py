"""What enrichment did with a conversation: the stages with their findings, the failure, the reasons of the scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.enrichment.stage import StageReport
from core.errors import AppError
from ui import format as fmt
from ui.models.rows import Status
from ui.pages.conversations.data import Detail
from ui.theme import theme
from ui.widgets.banner import error_details
from ui.widgets.basic import Button, ElidedLabel, column, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.scroll import ScrollColumn

SEVERITY = {
    "blocker": Status("bad", "Blocker"), "warning": Status("warn", "Warning"), "info": Status("info", "Note"),
    "normalised": Status("neutral", "Fixed"),
}  # fmt: skip
SOURCE_WORDS = {
    "file": "From the file", "scaffolding": "From scaffolding", "rule": "From rules", "setting": "From settings",
    "null": "Empty",
}  # fmt: skip
KINDS = {"persona_key": "persona", "emotional_arc_key": "arc", "training_topic_key": "topic"}
FINDINGS_SHOWN = 12


def missing_scaffolding(detail: Detail) -> tuple[str, str] | None:
    """(kind, key) of the scaffolding entry whose absence stopped the enrichment."""
    error = detail.error
    if error is None or error.code not in ("unknown_persona", "unknown_arc", "unknown_topic"):
        return None
    name = error.where.field.rpartition(".")[2]
    key = getattr(detail.row, name, None)
    return (KINDS[name], str(key)) if name in KINDS and key else None


def took(milliseconds: float) -> str:
    """A stage's time; many take less than can be shown."""
    return "< 1 ms" if milliseconds < 1 else fmt.duration(milliseconds / 1000)


class StageRow(QWidget):
    """One stage: state, name, time, and what it found."""

    def __init__(self, name: str, title: str, report: StageReport | None, expected: str, told: str = "") -> None:
        super().__init__()
        self.setObjectName(f"stage_{name}")
        status = Status("neutral", expected)
        if report is not None:
            status = Status("bad", "Failed") if report.status == "failed" else Status("ok", "Done")
            if status.kind == "ok" and report.count("warning"):
                status = Status("warn", fmt.plural(report.count("warning"), "warning"))
        time = took(report.duration_ms) if report is not None else ""
        words, when = ElidedLabel(title), label(time, "caption")
        items: list[QWidget] = [row(words, when, StatusPill(status), stretch=words)]
        # What the failure's card shows in full is not shown twice.
        findings = [found for found in (report.findings if report is not None else ()) if found.message != told]
        for finding in findings[:FINDINGS_SHOWN]:
            items.append(self._finding(finding.severity, finding.field, finding.message, finding.mend))
        if len(findings) > FINDINGS_SHOWN:
            items.append(label(f"and {len(findings) - FINDINGS_SHOWN:,} more", "caption"))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        for item in items:
            box.addWidget(item)
        self.setAccessibleName(f"{title}: {status.word} {time}".strip())

    @staticmethod
    def _finding(severity: str, place: str, message: str, mend: str) -> QWidget:
        text = label(message, wrap=True, selectable=True)
        where = ElidedLabel(place, "caption")
        known = SEVERITY.get(severity, SEVERITY["info"])
        parts = [row(StatusPill(known), where, stretch=where), text]
        if mend:
            parts.append(label(mend, "caption", wrap=True, selectable=True))
        inset = theme().sizes.grid
        return column(*parts, gap=2, margins=(inset, 0, 0, inset))


class FailureCard(Card):
    """Why it stopped, what to do, and the buttons that do it."""

    def __init__(self, detail: Detail, error: AppError, view: ReportView) -> None:
        super().__init__("", gap=6, role="banner")
        self.setProperty("kind", "bad")
        self.setObjectName("failure")
        self._details = error_details(error)
        stage = dict(detail.stages).get(detail.row.failed_stage or "", detail.row.failed_stage or "Enrichment")
        self.add(label(f"Stopped at “{stage}”", "error"))
        self.add(label(error.message, "strong", wrap=True, selectable=True))
        if error.hint:
            self.add(label(error.hint, wrap=True, selectable=True))
        missing = missing_scaffolding(detail)
        buttons: list[QWidget | None] = []
        if missing is not None:
            text = f"Add {missing[0]}"
            buttons.append(Button(text, "main", "ph.plus", on_click=lambda: view.mend.emit(missing), name="mend"))
        elif error.action.startswith("page:") and error.action != "page:conversations":
            name = error.action.removeprefix("page:").partition("/")[0].replace("_", " ")
            follow = Button(f"Open {name}", "main", on_click=lambda: view.follow.emit(error.action), name="mend")
            buttons.append(follow)
        again = Button("Enrich again", "", "ph.magic-wand", on_click=view.again.emit, name="enrich_again")
        copy = Button("Copy details", "ghost", "ph.copy", on_click=self._copy, name="copy_details")
        if missing is not None or error.code == "missing_input_parameters":
            text, role = ("Choose another", "") if missing is not None else ("Choose scaffolding", "main")
            buttons.append(Button(text, role, "ph.books", on_click=view.choose.emit, name="choose_scaffolding"))
        self.add(row(*buttons, None))
        self.add(row(again, copy, None))
        self.setAccessibleName(f"{stage} failed: {error.message}")

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)


class ReportView(ScrollColumn):
    """The second tab. `mend((kind, key))`, `choose()`, `follow(action)`, `again()`, `sources_wanted()`."""

    mend = Signal(object)
    choose = Signal()
    follow = Signal(str)
    again = Signal()
    sources_wanted = Signal()

    def __init__(self) -> None:
        super().__init__(name="report", accessible="Enrichment report", gap=12)
        self._why: QWidget | None = None

    def show_detail(self, detail: Detail) -> None:
        """The report of another conversation."""
        self._why = None
        items: list[QWidget] = []
        error = detail.error
        if error is not None:
            items.append(FailureCard(detail, error, self))
        for problem in detail.problems:
            items.append(label(f"{problem.message} {problem.hint}", "error", wrap=True, selectable=True))
        items.append(self._stages(detail))
        if detail.criteria:
            self._why = self._reasons(detail.criteria)
            items.append(self._why)
        fields = detail.sources.get("fields") or {}
        if fields:
            items.append(self._sources(fields))
        if error is None:
            items.append(self._again(detail))
        self.set_items(*items)

    def _stages(self, detail: Detail) -> QWidget:
        known = {report.stage: report for report in detail.reports}
        extra = [(report.stage, report.title) for report in detail.reports if report.stage not in dict(detail.stages)]
        expected = "Not reached" if known else "Not run"
        told = detail.error.message if detail.error else ""
        lines = [StageRow(name, title, known.get(name), expected, told) for name, title in (*detail.stages, *extra)]
        newest = max((report.finished_at for report in detail.reports), default="")
        heading = label("Stages", "strong")
        when = label(fmt.moment_long(newest) if newest else "", "caption")
        return column(row(heading, None, when), *lines, gap=6)

    def _reasons(self, criteria: Mapping[str, Any]) -> QWidget:
        lines: list[QWidget] = [label("Reasons for the scores", "strong")]
        for name, found in criteria.items():
            score = found.get("score")
            value = label(fmt.decimal(score, 1) if score is not None else fmt.NOTHING, "strong")
            value.setFont(theme().font(tabular=True))
            reason = label(str(found.get("reason", "")), "caption", wrap=True, selectable=True, name=f"why_{name}")
            lines.append(column(row(label(str(found.get("title", name))), None, value), reason, gap=0))
        return column(*lines, gap=6)

    def _sources(self, fields: Mapping[str, Mapping[str, str]]) -> QWidget:
        counts = Counter(entry.get("source", "") for entry in fields.values())
        told = " · ".join(f"{SOURCE_WORDS.get(kind, kind)} {count:,}" for kind, count in counts.most_common())
        link = Button("Show field sources", "link", on_click=self.sources_wanted.emit, name="show_sources")
        return column(label("Sources", "strong"), label(told, "caption", wrap=True), row(link, None), gap=2)

    def _again(self, detail: Detail) -> QWidget:
        enriched = detail.row.enrichment_status == "completed"
        running = detail.row.enrichment_status == "enrichment_in_progress"
        text = "Enrich again" if enriched else "Enrich"
        button = Button(text, "", "ph.magic-wand", on_click=self.again.emit, name="enrich_again")
        button.setEnabled(not running)
        return row(button, None)

    def show_why(self) -> None:
        """Scroll to the reasons."""
        if self._why is not None:
            bar = self.verticalScrollBar()
            # The layout of fresh items comes first.
            self._inner.adjustSize()
            bar.setValue(min(bar.maximum(), self._why.y()))
