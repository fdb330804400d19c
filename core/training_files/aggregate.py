"""Many enriched conversations as one v4 document, one conversation in memory at a time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from core.cancel import CancelToken
from core.db.connection import now
from core.enrichment import schema
from core.errors import AppError, Where
from core.training_files.exports import TrainingData
from core.training_files.exports.v4_json import HEAD_END
from core.workspace.files import disk_error, read_json
from core.workspace.paths import Workspace

VERSION = "4.0.0"


@dataclass(frozen=True)
class Member:
    """A conversation to be put in: its file, and its present review."""

    conversation_id: str
    title: str
    enriched_file_path: str
    human_reviewed: bool
    reviewer_notes: str | None
    quality_score: float | None = None
    enriched_at: str = ""


@dataclass
class Totals:
    """What is counted while the pairs stream by."""

    conversations: int = 0
    pairs: int = 0
    without_answer: int = 0
    reviewed: int = 0
    scores: list[float] = field(default_factory=list)
    personas: Counter[str] = field(default_factory=Counter)
    emotional_arcs: Counter[str] = field(default_factory=Counter)
    training_topics: Counter[str] = field(default_factory=Counter)

    def quality_summary(self) -> dict[str, Any]:
        """Average, least and best score of a conversation; null where none has a score."""
        scores = self.scores
        return {
            "avg_quality_score": round(sum(scores) / len(scores), 2) if scores else None,
            "min_quality_score": min(scores) if scores else None,
            "max_quality_score": max(scores) if scores else None,
            "human_reviewed_count": self.reviewed,
        }

    def distribution(self) -> dict[str, dict[str, int]]:
        """Conversations by key."""
        return {
            "personas": dict(sorted(self.personas.items())),
            "emotional_arcs": dict(sorted(self.emotional_arcs.items())),
            "training_topics": dict(sorted(self.training_topics.items())),
        }


class Aggregation:
    """Streams members into a file of lines, then gives the frame that belongs to them."""

    def __init__(self, workspace: Workspace, name: str, vertical: str, token: CancelToken) -> None:
        self.workspace = workspace
        self.name = name
        self.vertical = vertical
        self.token = token
        self.totals = Totals()
        self.profile: Mapping[str, Any] | None = None
        self.content_hash = ""
        self._profile_of = ""
        self._profiles: Counter[bytes] = Counter()

    def write_lines(self, members: Sequence[Member], path: Path, progress: Callable[[int, str], None]) -> None:
        """Write every pair of every member as a line, verified. Raises AppError naming what can't be used."""
        digest = hashlib.sha256()
        with path.open("wb") as out:
            for number, member in enumerate(members):
                self.token.raise_if_cancelled()
                progress(number, member.title)
                for pair in self._pairs(member):
                    line = orjson.dumps(pair) + b"\n"
                    digest.update(line)
                    out.write(line)
        self.content_hash = digest.hexdigest()

    def _pairs(self, member: Member) -> Iterator[dict[str, Any]]:
        document = _read(self.workspace, member)
        for index, pair in enumerate(document["training_pairs"]):
            self.token.raise_if_cancelled()
            schema.check_pair("aggregate", pair, f"{member.title}: training_pairs[{index}]")
            # The review may be younger than the enriched file.
            pair["training_metadata"]["human_reviewed"] = member.human_reviewed
            pair["training_metadata"]["reviewer_notes"] = member.reviewer_notes
            self.totals.pairs += 1
            self.totals.without_answer += pair["target_response"] is None
            yield pair
        self._count(member, document)

    def _count(self, member: Member, document: Mapping[str, Any]) -> None:
        totals, keys = self.totals, document["input_parameters"]
        totals.conversations += 1
        totals.reviewed += member.human_reviewed
        totals.personas[keys["persona_key"]] += 1
        totals.emotional_arcs[keys["emotional_arc_key"]] += 1
        totals.training_topics[keys["training_topic_key"]] += 1
        if member.quality_score is not None:
            totals.scores.append(member.quality_score)
        # There is one profile a file: that of the member enriched last, since the setting only moves forward.
        profile = document["consultant_profile"]
        self._profiles[orjson.dumps(profile, option=orjson.OPT_SORT_KEYS)] += 1
        if self.profile is None or member.enriched_at >= self._profile_of:
            self.profile, self._profile_of = profile, member.enriched_at

    @property
    def mixed_profiles(self) -> int:
        """Members enriched with another consultant profile than the file's."""
        own = orjson.dumps(self.profile, option=orjson.OPT_SORT_KEYS)
        return self._profiles.total() - self._profiles[own]

    def frame(self) -> dict[str, Any]:
        """The document without its pairs, verified."""
        totals = self.totals
        frame = {
            "dataset_metadata": {
                "dataset_name": self.name,
                "version": VERSION,
                "created_date": now(),
                "vertical": self.vertical,
                "total_conversations": totals.conversations,
                "total_turns": totals.pairs,
                "quality_summary": totals.quality_summary(),
                "scaffolding_distribution": totals.distribution(),
            },
            "consultant_profile": dict(self.profile or {}),
        }
        schema.check_frame("aggregate", {**frame, "training_pairs": [{}] * min(1, totals.pairs)})
        return frame


def _read(workspace: Workspace, member: Member) -> dict[str, Any]:
    where = Where(file=member.enriched_file_path)
    try:
        document = read_json(workspace.absolute(member.enriched_file_path))
    except AppError as exc:
        raise AppError(
            "enriched_file_unreadable",
            f"The enriched file of “{member.title}” can't be read: {exc.message}",
            hint="Enrich the conversation again, then build the training file.",
            detail=exc.detail, where=where, action="page:conversations",
        ) from exc  # fmt: skip
    if not isinstance(document, dict):
        document = {}
    frame = {**document, "training_pairs": [{}] * min(1, len(document.get("training_pairs") or []))}
    found = schema.problem("individual", "frame", frame)
    if found is not None:
        raise AppError(
            "not_v4",
            f"The enriched file of “{member.title}” breaks the v4 format at {found[0] or 'the top level'}: {found[1]}",
            hint="Enrich the conversation again, then build the training file.",
            where=Where(member.enriched_file_path, 0, found[0]), action="page:conversations",
        )  # fmt: skip
    return document


def from_version(json_path: Path, jsonl_path: Path, pair_count: int) -> TrainingData:
    """The data of a built version, for an export: frame from the JSON's first line, pairs from the JSONL."""
    try:
        with json_path.open("rb") as handle:
            head = handle.readline()
    except OSError as exc:
        raise disk_error(exc, json_path) from exc
    if head.endswith(HEAD_END):
        frame = orjson.loads(head.removesuffix(HEAD_END) + b"}")
    else:
        frame = {key: value for key, value in read_json(json_path).items() if key != "training_pairs"}
    return TrainingData(frame, pair_count, lambda: read_lines(jsonl_path))


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a JSONL file without their ends."""
    with path.open("rb") as handle:
        for line in handle:
            yield line.removesuffix(b"\n")
