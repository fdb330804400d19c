"""Import, enrichment and aggregation of 5,000 conversations against a bare parse and dump of the same files."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import orjson

from tests.core.factories import place, run_job
from tests.support.broken import sample_talk

CONVERSATIONS = int(os.environ.get("BENCH_CONVERSATIONS", "5000"))


def write_files(folder: Path, count: int) -> list[Path]:
    """One file a conversation, each different."""
    folder.mkdir()
    talks = [sample_talk(n) for n in range(24)]
    paths = []
    for number in range(count):
        talk = json.loads(json.dumps(talks[number % 24]))
        talk["turns"][0]["content"] += f" This is client number {number}."
        path = folder / f"{number:05d}.json"
        path.write_bytes(orjson.dumps(talk, option=orjson.OPT_INDENT_2))
        paths.append(path)
    return paths


def bare(paths: list[Path], folder: Path, *, durable: bool) -> float:
    """Parse each file and dump it again; with fsync if `durable`."""
    folder.mkdir()
    begun = time.perf_counter()
    for path in paths:
        data = orjson.dumps(orjson.loads(path.read_bytes()), option=orjson.OPT_INDENT_2)
        with (folder / path.name).open("wb") as handle:
            handle.write(data)
            if durable:
                handle.flush()
                os.fsync(handle.fileno())
    return time.perf_counter() - begun


def run(folder: Path) -> dict[str, Any]:
    paths = write_files(folder / "files", CONVERSATIONS)
    size = sum(p.stat().st_size for p in paths)
    plain, durable = bare(paths, folder / "bare", durable=False), bare(paths, folder / "durable", durable=True)
    here = place(folder)
    seconds = {}
    begun = time.perf_counter()
    done = run_job(here, "import", {"files": [str(folder / "files")]})
    seconds["import"] = time.perf_counter() - begun
    ids = done.result["conversations"]
    begun = time.perf_counter()
    enriched = run_job(here, "enrich", {"conversation_ids": ids})
    seconds["enrichment"] = time.perf_counter() - begun
    begun = time.perf_counter()
    file = run_job(here, "build_training_file", {"name": "all", "description": "", "conversation_ids": ids})
    seconds["aggregation"] = time.perf_counter() - begun
    if len(ids) != CONVERSATIONS or enriched.result["used"] != CONVERSATIONS or file.error is not None:
        raise RuntimeError(f"not all went through: {done.result} {enriched.result} {file.error}")
    here.db.close()
    total = sum(seconds.values())
    out: dict[str, Any] = {"conversations": f"{CONVERSATIONS:,} ({size / 1e6:.1f} MB)"}
    for name, value in seconds.items():
        out[f"{name}, s (a second)"] = f"{value:.1f} ({CONVERSATIONS / value:.0f})"
    return out | {
        "bare parse and dump, s; with fsync, s": f"{plain:.2f}; {durable:.2f}",
        "whole line over bare parse and dump, times": f"{total / plain:.0f}",
        "whole line over parse and dump with fsync, times": f"{total / durable:.1f}",
    }
