"""What a stage is, what it gets, what it passes on and what it finds.

A new stage is one module with a `STAGE` and one line in `core.registries.STAGES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from core.cancel import CancelToken
from core.enrichment.library import Library
from core.errors import AppError
from core.workspace.paths import Workspace

BLOCKER, WARNING, INFO, NORMALISED = "blocker", "warning", "info", "normalised"
COMPLETED, FAILED = "completed", "failed"


@dataclass(frozen=True)
class Finding:
    """One thing a stage noticed: how bad, where, what, and what fixes it."""

    severity: str
    field: str
    message: str
    mend: str = ""


@dataclass(frozen=True)
class StageReport:
    """What is stored of one run of one stage."""

    stage: str
    title: str
    position: int
    version: str
    status: str
    findings: tuple[Finding, ...]
    duration_ms: float
    finished_at: str

    def count(self, severity: str) -> int:
        """Findings of that severity."""
        return sum(1 for finding in self.findings if finding.severity == severity)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for events and files."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StageReport:
        """The reverse of `to_json`."""
        findings = tuple(Finding(**found) for found in data["findings"])
        return cls(**{**data, "findings": findings})


Sources = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class State:
    """What the stages pass on: the conversation as read, the v4 document as it grows, and where fields came from.

    `columns` goes into the conversation's row, `quality` holds the scores with their reasons, `extra` is for stages
    from elsewhere. All of it is plain JSON, so that it can be kept on disk before a stage that failed.
    """

    source: Mapping[str, Any] = field(default_factory=dict)
    source_file: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    sources: Sources = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def with_(self, **changes: Any) -> State:
        """A copy with some parts replaced."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the file that resumption reads."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        """The reverse of `to_json`."""
        return cls(**data)


class StageContext:
    """What a stage may use besides the state: the workspace, the conversation's row, the library, findings."""

    def __init__(
        self, workspace: Workspace, conversation: Mapping[str, Any], library: Library, token: CancelToken
    ) -> None:
        self.workspace = workspace
        self.conversation = conversation
        self.token = token
        self.findings: list[Finding] = []
        self.used_library = False
        self._library = library

    @property
    def conversation_id(self) -> str:
        """The conversation's business key."""
        return str(self.conversation["conversation_id"])

    @property
    def library(self) -> Library:
        """Scaffolding and settings; a stage that asks for it is run again when they changed."""
        self.used_library = True
        return self._library

    def find(self, severity: str, place: str, message: str, mend: str = "") -> None:
        """Record a finding; a blocker ends the pipeline after this stage."""
        self.findings.append(Finding(severity, place, message, mend))

    def take_findings(self) -> tuple[Finding, ...]:
        """The findings since the last call."""
        taken, self.findings = tuple(self.findings), []
        return taken


class Stage(Protocol):
    """One step of enrichment. `version` changes when its results would."""

    name: str
    version: str
    title: str

    def run(self, context: StageContext, state: State) -> State:
        """Return the next state. Raises AppError to stop with a reason."""
        ...


def blocked(stage: str, findings: tuple[Finding, ...]) -> AppError:
    """The error for a stage that ended with blockers."""
    blockers = [finding for finding in findings if finding.severity == BLOCKER]
    shown = "; ".join(f"{finding.field}: {finding.message}" for finding in blockers[:3])
    more = f"; and {len(blockers) - 3} more" if len(blockers) > 3 else ""
    return AppError(
        "enrichment_blocked",
        f"{stage} found {len(blockers)} {'blocker' if len(blockers) == 1 else 'blockers'}: {shown}{more}.",
        hint=blockers[0].mend,
        detail="\n".join(f"{finding.field}: {finding.message}" for finding in blockers),
    )
