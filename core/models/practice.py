"""The practice model: shipped prebuilt, copied to the models cache, checked against its manifest of hashes.

It is a tiny Llama for trying the whole line without a network. It knows a few everyday things and is wrong
about most others; every place that shows it says so.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.workspace.files import new_folder, read_json, sha256_file, write_json
from core.workspace.lock import FileLock
from core.workspace.paths import models_cache, resources

NAME = "Practice model"
PRACTICE_ID = "practice"
TRUTH = "A tiny model for trying things out. It answers in words, but it knows almost nothing."
MANIFEST = "manifest.json"
LOCK_S = 60.0


def shipped_folder() -> Path:
    """The prebuilt model in the resources."""
    return resources() / "practice" / "model"


def text_folder() -> Path:
    """The text it was built from."""
    return resources() / "practice" / "text"


def cached_folder() -> Path:
    """Where the practice model lives once it was copied or rebuilt."""
    return models_cache() / "practice"


def write_manifest(folder: Path, extra: dict[str, Any]) -> None:
    """Write manifest.json: sha256 of every other file, plus how the model was made."""
    files = {p.name: sha256_file(p) for p in sorted(folder.iterdir()) if p.is_file() and p.name != MANIFEST}
    write_json(folder / MANIFEST, {"files": files, **extra})


def damaged_files(folder: Path) -> list[str]:
    """Names of files that are missing or differ from the manifest; the manifest itself if that is missing."""
    if not (folder / MANIFEST).is_file():
        return [MANIFEST]
    files = read_json(folder / MANIFEST)["files"]
    return [n for n, digest in files.items() if not (folder / n).is_file() or sha256_file(folder / n) != digest]


def ensure_practice_model() -> Path:
    """The checked practice model in the models cache, copied there when it is missing or damaged.

    Raises AppError `practice_model_damaged` when the shipped copy itself is not as its manifest says.
    """
    target = cached_folder()
    if not damaged_files(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # The cache is shared by all workspaces, and each of them may be open in a Bright Run of its own.
    lock = FileLock(target.parent / ".practice.lock")
    lock.acquire(LOCK_S)
    try:
        if damaged_files(target):
            _copy(target)
    finally:
        lock.release()
    return target


def _copy(target: Path) -> None:
    source = shipped_folder()
    if bad := damaged_files(source):
        raise AppError(
            "practice_model_damaged",
            f"The shipped practice model is damaged: {', '.join(bad)}.",
            hint="Install Bright Run again, or rebuild the practice model from its text on the Adapters page.",
            action="page:adapters",
        )
    shutil.rmtree(target, ignore_errors=True)
    with new_folder(target) as tmp:
        for path in source.iterdir():
            if path.is_file():
                shutil.copyfile(path, tmp / path.name)
