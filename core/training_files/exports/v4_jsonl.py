"""JSONL (v4): one training pair a line."""

from __future__ import annotations

from pathlib import Path

from core.cancel import CancelToken
from core.training_files.exports import TrainingData


class V4Jsonl:
    """The pairs as they are."""

    name = "v4_jsonl"
    title = "Training pairs, one per line (JSONL v4)"
    suffix = ".jsonl"

    def write(self, data: TrainingData, path: Path, token: CancelToken) -> int:
        """Write the lines; returns their number."""
        rows = 0
        with path.open("wb") as out:
            for line in data.lines():
                token.raise_if_cancelled()
                out.write(line + b"\n")
                rows += 1
        return rows


FORMAT = V4Jsonl()
