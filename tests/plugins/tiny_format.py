"""Export formats from elsewhere: one that counts, one of several files, and one that never ends."""

from __future__ import annotations

import time
from pathlib import Path

import orjson

from core.cancel import CancelToken
from core.training_files.exports import TrainingData


class TinyFormat:
    name = "tiny"
    title = "Prompts as text"
    suffix = ".txt"

    def write(self, data: TrainingData, path: Path, token: CancelToken) -> int:
        rows = 0
        with path.open("w", encoding="utf-8", newline="\n") as out:
            for line in data.lines():
                out.write(orjson.loads(line)["current_user_input"] + "\n")
                rows += 1
        return rows


class FolderFormat:
    name = "folder"
    title = "Two files"
    suffix = ""

    def write(self, data: TrainingData, path: Path, token: CancelToken) -> int:
        path.mkdir()
        lines = list(data.lines())
        (path / "train.jsonl").write_bytes(b"\n".join(lines[1:]))
        (path / "valid.jsonl").write_bytes(lines[0])
        return len(lines)


class EndlessJson:
    """Writes half a document and waits: for killing the worker in the middle."""

    name = "v4_json"
    title = "Half"
    suffix = ".json"

    def write(self, data: TrainingData, path: Path, token: CancelToken) -> int:
        with path.open("wb") as out:
            out.write(b'{"half":')
            out.flush()
            (path.parents[2] / "half-written").touch()
            for _ in range(1200):
                token.raise_if_cancelled()
                time.sleep(0.05)
        return 0


FORMAT = TinyFormat()
ENDLESS = EndlessJson()
FOLDER = FolderFormat()
