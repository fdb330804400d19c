"""The full training JSON (v4): the frame first, then a pair a line, written as they come."""

from __future__ import annotations

from pathlib import Path

import orjson

from core.cancel import CancelToken
from core.training_files.exports import TrainingData

HEAD_END = b',"training_pairs":[\n'
TAIL = b"]}\n"


class V4Json:
    """One JSON document that is never in memory as a whole."""

    name = "v4_json"
    title = "Training JSON (v4)"
    suffix = ".json"

    def write(self, data: TrainingData, path: Path, token: CancelToken) -> int:
        """Write the document; returns the number of pairs."""
        rows = 0
        with path.open("wb") as out:
            # The first line is the frame, so that it can be read back without the pairs.
            out.write(orjson.dumps(dict(data.frame))[:-1] + HEAD_END)
            for line in data.lines():
                token.raise_if_cancelled()
                out.write((b",\n" if rows else b"") + line)
                rows += 1
            out.write(b"\n" + TAIL)
        return rows


FORMAT = V4Json()
