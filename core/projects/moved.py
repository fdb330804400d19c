"""How far a project's code has moved since its adapter was trained, from the files as they are indexed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.code_index.chunking import parse_file
from core.code_index.plain import Unread, read_file
from core.code_index.records import ParsedFile
from core.projects.adapter_state import record_of
from core.projects.examples.trained import Drift, Snapshot, drift_of, snapshot_path
from core.projects.projects import Project


def drift(project: Project, folder: Path, current: Mapping[str, str]) -> Drift | None:
    """Numbers for a page, and whether to offer training again; None where no adapter of the code is in use.

    `folder` is the project's own (`Project.folder`); `current` maps the indexed files with a grammar to the hashes of
    their bytes (`state.db`). Only files that changed are parsed; still, not on the window's thread.
    """
    record = record_of(project)
    if record is None or not record.in_use or project.artifact_id != record.in_use["artifact_id"]:
        return None
    snapshot = Snapshot.read(snapshot_path(folder, record.in_use["examples_job"]))
    return None if snapshot is None else drift_of(snapshot, current, lambda path: _parsed(project.root, path))


def _parsed(root: Path, path: str) -> ParsedFile | None:
    try:
        # Only hashes are kept of it, so nothing has to be looked for in it.
        return parse_file(path, read_file(root, path))
    except Unread:
        return None
