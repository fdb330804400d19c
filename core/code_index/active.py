"""Which of a project's indexes answers. A change of the model builds another beside it, and then they are swapped."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from core.code_index.health import Places
from core.errors import AppError
from core.workspace.files import read_json, write_json

ACTIVE = "active.json"
LEXICAL = "lexical"


def folder_name(slug: str) -> str:
    """A slug as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", slug).strip(".") or LEXICAL


def active(project: Path) -> str:
    """The slug of the index that answers, empty where there is none."""
    if not (project / ACTIVE).exists():
        return ""
    try:
        slug = read_json(project / ACTIVE).get("slug", "")
    except (AppError, AttributeError):
        # Damaged: what lies there says it too.
        slug = next((name for name in _built(project) if name != LEXICAL), LEXICAL)
    return slug if isinstance(slug, str) and slug and Places(project, slug).folder.is_dir() else ""


def _built(project: Path) -> list[str]:
    return sorted({path.parent.name for name in ("state.db", "lance") for path in project.glob(f"*/{name}")})


def places(project: Path) -> Places | None:
    """Where the index that answers lies."""
    slug = active(project)
    return Places(project, slug) if slug else None


def make_active(project: Path, slug: str) -> None:
    """Let this index answer from now on, and delete all others."""
    if active(project) != slug:
        write_json(project / ACTIVE, {"slug": slug})
    for name in _built(project):
        if name != slug:
            shutil.rmtree(project / name, ignore_errors=True)
            shutil.rmtree(project / "backups" / name, ignore_errors=True)
