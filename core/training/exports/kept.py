"""Adapters as GGUF files, kept by what is in them: one that is used again, here or in Ollama, is not converted again.

A kept file is called after what it was made of and after its own content, which is checked before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from dataclasses import replace
from pathlib import Path

import orjson

from core.errors import AppError
from core.training.exports import Exported
from core.training.exports.gguf_layout import write_gguf
from core.workspace.files import TMP_PREFIX
from core.workspace.paths import models_cache

FOLDER = "adapters_as_gguf"
MOST_BYTES, ABANDONED_S = 2 << 30, 3_600
# Another one where the files are written otherwise.
VERSION = 1


def gguf_of(adapter: Exported, path: Path) -> bool:
    """Put the adapter as GGUF to `path`; whether it was made before. Raises AppError `can_not_export`."""
    # Which adapter it is stands in its name already.
    adapter = replace(adapter, sha256="")
    try:
        return _kept(adapter, path)
    except OSError:
        # A cache that can't be used is none.
        path.unlink(missing_ok=True)
        write_gguf(adapter, path)
        return False


def _kept(adapter: Exported, path: Path) -> bool:
    folder = models_cache() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    key = _made_of(adapter)
    kept = next((file for file in folder.glob(f"{key}-*.gguf") if _is_whole(file)), None)
    before = kept is not None
    if kept is None:
        tmp = folder / f"{TMP_PREFIX}{uuid.uuid4().hex}"
        try:
            write_gguf(adapter, tmp)
            kept = tmp.rename(folder / f"{key}-{_digest(tmp)}.gguf")
        finally:
            tmp.unlink(missing_ok=True)
        _make_room(folder, kept)
    os.utime(kept)
    path.unlink(missing_ok=True)
    try:
        os.link(kept, path)
    except OSError:
        # Another disk, or one that knows no links.
        shutil.copyfile(kept, path)
    return before


def _made_of(adapter: Exported) -> str:
    digest = hashlib.sha256()
    for file in sorted(adapter.folder.glob("adapter*")):
        if not file.is_file():
            # A pipe would be waited for until somebody writes to it.
            raise AppError(
                "damaged_file", f"{adapter.name} can't be exported: {file.name} is no plain file.",
                hint="Restore the adapter's folder from a backup, or train it again.",
            )  # fmt: skip
        digest.update(f"{file.name}:{_digest(file)}\n".encode())
    rest = [VERSION, adapter.name, dict(adapter.base_config)]
    digest.update(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()[:32]


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:32]


def _is_whole(path: Path) -> bool:
    try:
        whole = _digest(path) == path.stem.partition("-")[2]
    except OSError:
        return False
    if not whole:
        path.unlink(missing_ok=True)
    return whole


def _make_room(folder: Path, newest: Path) -> None:
    """Those that were not used for longest go; what a kill left behind counts as one of them after a while."""
    found = []
    for file in folder.iterdir():
        with contextlib.suppress(OSError):
            facts = file.stat()
            if not file.name.startswith(TMP_PREFIX) or facts.st_mtime < time.time() - ABANDONED_S:
                found.append((facts.st_mtime, facts.st_size, file))
    size = sum(bytes_ for _, bytes_, _ in found)
    for _, bytes_, file in sorted(found):
        if file != newest and size > MOST_BYTES:
            file.unlink(missing_ok=True)
            size -= bytes_
