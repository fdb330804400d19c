"""What the Training files page reads, and how its rows are worded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.db import Database
from core.scaffolding import store as scaffolding
from core.scaffolding.store import EmotionalArc, Entry, Persona, TrainingTopic
from core.training_files import store
from core.training_files.store import Candidate, TrainingFile, Version
from ui import format as fmt
from ui.models.rows import Column, Status

STATES = {
    "active": Status("ok", "Ready"), "processing": Status("busy", "Building"), "failed": Status("bad", "Failed"),
    "archived": Status("neutral", "Archived"),
}  # fmt: skip
LIBRARY: tuple[tuple[str, type[Entry]], ...] = (
    ("personas", Persona), ("emotional_arcs", EmotionalArc), ("training_topics", TrainingTopic),
)  # fmt: skip


def state_of(file: TrainingFile) -> Status:
    """The state as a pill."""
    return STATES.get(file.status, Status("neutral", fmt.word(file.status)))


def size_of(file: TrainingFile) -> int:
    """Both files of the newest version."""
    return file.json_file_size + file.jsonl_file_size


COLUMNS = (
    Column("name", "Name", sort="name", tooltip=lambda f: f.description or f.name),
    Column("version", "Version", "1,204", "right", fmt.count, sort="version"),
    Column("conversation_count", "Conversations", "120,400", "right", fmt.count, sort="conversation_count"),
    Column("total_training_pairs", "Pairs", "120,400", "right", fmt.count, sort="total_training_pairs"),
    Column("avg_quality_score", "Quality avg", "4.6", "right", lambda v: fmt.decimal(v, 1), sort="avg_quality_score"),
    Column("size", "Size", "999.9 MB", "right", fmt.size, value=size_of, sort="size"),
    Column(
        "updated_at",
        "Changed",
        "28 Nov 2024",
        "right",
        fmt.moment,
        sort="updated_at",
        tooltip=lambda f: fmt.moment_long(f.updated_at),
    ),
    Column("state", "State", tuple(STATES.values()), value=state_of, formatter=lambda v: v, sort="state"),
)
# The first goes first when the table is narrow.
FOLD_ORDER = ("updated_at", "size", "avg_quality_score", "state", "version", "conversation_count")


@dataclass(frozen=True)
class Detail:
    """One training file for the inspector; `names` are those of the library by key, `newer` the members that were
    changed (enriched again, reviewed) after the newest version was built, `edited` the titles of those with other
    words."""

    file: TrainingFile
    versions: Sequence[Version]
    members: Sequence[Candidate]
    names: Mapping[str, Mapping[str, str]]
    newer: int
    edited: Sequence[str] = ()


def read_detail(db: Database, training_file_id: str) -> Detail:
    """All of it, by one reader."""
    file = store.get(db, training_file_id)
    versions, members = store.versions(db, file.id), store.members(db, file.id)
    names = {group: _names(db, kind) for group, kind in LIBRARY}
    built = versions[0].created_at if versions else ""
    newer = sum(1 for member in members if built and member.updated_at > built)
    return Detail(file, versions, members, names, newer, store.edited(db, file.id))


def _names(db: Database, kind: type[Entry]) -> dict[str, str]:
    return {entry.key: str(getattr(entry, "name", entry.key)) for entry in scaffolding.listing(db, kind)}


def distribution(detail: Detail, group: str) -> list[tuple[str, int]]:
    """(name, conversations) of a group, the most frequent first."""
    counts = detail.file.scaffolding_distribution.get(group) or {}
    names = detail.names.get(group) or {}
    found = [(names.get(key, key), count) for key, count in counts.items()]
    return sorted(found, key=lambda item: (-item[1], item[0]))
