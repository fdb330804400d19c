"""Ranks of several legs as one: reciprocal rank fusion.

score = sum over legs of weight / (k + rank), rank from 1, k = 60. Method: Cormack, Clarke, Büttcher, "Reciprocal Rank
Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009. Scores of legs are never mixed: cosine
and BM25 have no common scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.code_index.records import Hit

RRF_K = 60
# Each leg's depth before fusing; the number wanted in the end is no measure of it.
LEG_DEPTH = 50


@dataclass
class Fused:
    """A row with its fused score, and what each leg said of it: leg -> (rank from 1, the leg's own score)."""

    row: Mapping[str, Any]
    score: float = 0.0
    legs: dict[str, tuple[int, float]] = field(default_factory=dict)


class Reranker(Protocol):
    """Another order for the best of what was found; off unless one is given."""

    def __call__(self, query: str, found: Sequence[Fused]) -> Sequence[Fused]:
        """The same rows, better ones first."""
        ...


def fuse(
    legs: Mapping[str, Sequence[Hit]], weights: Mapping[str, float], priors: Mapping[str, float] | None = None
) -> list[Fused]:
    """All rows of all legs, the best first. Ties: what is no test first, then by path and line.

    `priors` multiply the score of rows of a kind.
    """
    found: dict[str, Fused] = {}
    for leg, hits in legs.items():
        for rank, hit in enumerate(hits, start=1):
            fused = found.setdefault(hit.row["id"], Fused(hit.row))
            if leg not in fused.legs:
                fused.legs[leg] = (rank, hit.score)
                fused.score += weights.get(leg, 0.0) / (RRF_K + rank)
    for fused in found.values():
        fused.score *= (priors or {}).get(fused.row["kind"], 1.0)
    return sorted(found.values(), key=_order)


def _order(fused: Fused) -> tuple[float, bool, str, int]:
    row = fused.row
    return (-round(fused.score, 12), bool(row["is_test"]), row["path"], row["start_line"])
