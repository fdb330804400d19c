"""Run the registered stages over one conversation, starting at the stage that failed last time."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.cancel import CancelToken
from core.db.connection import now
from core.enrichment.fetch import source_path
from core.enrichment.library import Library
from core.enrichment.stage import BLOCKER, COMPLETED, FAILED, Finding, Stage, StageContext, StageReport, State, blocked
from core.errors import AppError, Cancelled, bug_report
from core.registries import STAGES
from core.workspace.files import atomic_write, read_json
from core.workspace.paths import Workspace

STATE_FILE = "stage_state.json"


@dataclass(frozen=True)
class Result:
    """What became of one conversation."""

    conversation_id: str
    reports: tuple[StageReport, ...]
    columns: Mapping[str, Any]
    failed_stage: str = ""
    error: AppError | None = None
    resumed_at: str = ""

    @property
    def warnings(self) -> int:
        """Warnings of all stages."""
        return sum(report.count("warning") for report in self.reports)


@dataclass
class _Progress:
    """What a run has done so far: the state to resume from, reports, and whether they depend on the library."""

    state: State
    reports: list[StageReport]
    used_library: bool = False


def stages() -> list[Stage]:
    """The registered stages in order."""
    return [stage for _, stage in STAGES.items()]


def run_conversation(
    workspace: Workspace, conversation: Mapping[str, Any], library: Library, token: CancelToken
) -> Result:
    """Enrich one conversation. A failure is a result, not an exception; only `Cancelled` is raised."""
    context = StageContext(workspace, conversation, library, token)
    folder = workspace.conversations / context.conversation_id
    chain = stages()
    key = _key(context, library)
    done = _resume(folder, chain, key) or _Progress(State(), [])
    resumed_at = chain[len(done.reports)].name if done.reports else ""
    for position, stage in enumerate(chain, 1):
        if position <= len(done.reports):
            continue
        token.raise_if_cancelled()
        context.used_library = False
        report, error, after = _run_stage(stage, position, context, done.state)
        if error is not None:
            _remember(folder, done, stage, key, error)
            reports = (*done.reports, report)
            return Result(context.conversation_id, reports, {}, stage.name, error, resumed_at)
        done.reports.append(report)
        done.state = after
        done.used_library = done.used_library or context.used_library
    (folder / STATE_FILE).unlink(missing_ok=True)
    return Result(context.conversation_id, tuple(done.reports), done.state.columns, resumed_at=resumed_at)


def _run_stage(
    stage: Stage, position: int, context: StageContext, state: State
) -> tuple[StageReport, AppError | None, State]:
    started = time.perf_counter()
    error: AppError | None = None
    after = state
    try:
        after = stage.run(context, state)
    except Cancelled:
        raise
    except AppError as exc:
        error = exc
        context.find(BLOCKER, exc.where.field or stage.name, exc.message, exc.hint)
    except Exception as exc:
        # One odd conversation must not end the run of all the others.
        error = bug_report(exc, traceback.format_exc())
        context.find(BLOCKER, stage.name, error.message, error.hint)
    findings = context.take_findings()
    if error is None and any(finding.severity == BLOCKER for finding in findings):
        error = blocked(stage.title, findings)
    return _report(stage, position, findings, started, error is not None), error, after


def _report(stage: Stage, position: int, findings: tuple[Finding, ...], started: float, failed: bool) -> StageReport:
    return StageReport(
        stage=stage.name, title=stage.title, position=position, version=stage.version,
        status=FAILED if failed else COMPLETED, findings=findings,
        duration_ms=round((time.perf_counter() - started) * 1000, 3), finished_at=now(),
    )  # fmt: skip


def _key(context: StageContext, library: Library) -> dict[str, str]:
    """What a kept state depends on: the source file, and the library with the row's own fields."""
    path = source_path(context)
    try:
        source = hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
    except OSError:
        # The first stage reads it again and says why it can't.
        source = ""
    row = context.conversation
    own = [row["title"], row["human_reviewed"], row["reviewer_notes"], row["created_at"]]
    return {
        "source": source,
        "library": hashlib.sha256(orjson.dumps([library.fingerprint, own])).hexdigest(),
    }


def _remember(folder: Path, done: _Progress, stage: Stage, key: Mapping[str, str], error: AppError) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    value = {
        "key": key, "used_library": done.used_library, "failed_stage": stage.name, "reason": error.to_json(),
        "reports": [report.to_json() for report in done.reports], "state": done.state.to_json(),
    }  # fmt: skip
    atomic_write(folder / STATE_FILE, orjson.dumps(value))


def _resume(folder: Path, chain: list[Stage], key: Mapping[str, str]) -> _Progress | None:
    """The kept state if everything it depends on is unchanged, else None: then the first stage begins."""
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        data = read_json(path)
        reports = [StageReport.from_json(report) for report in data["reports"]]
        same = data["key"]["source"] == key["source"] and bool(key["source"])
        same = same and (not data["used_library"] or data["key"]["library"] == key["library"])
        expected = [(stage.name, stage.version) for stage in chain[: len(reports)]]
        same = same and [(report.stage, report.version) for report in reports] == expected
        same = same and len(reports) < len(chain) and chain[len(reports)].name == data["failed_stage"]
        return _Progress(State.from_json(data["state"]), reports, bool(data["used_library"])) if same else None
    except (AppError, KeyError, TypeError):
        return None
