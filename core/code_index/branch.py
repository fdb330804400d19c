"""Which branch a project's folder is on, read from its .git; no program of Git is run."""

from __future__ import annotations

import re
from pathlib import Path

from core.code_index import plain
from core.code_index.git_folder import find_git

_HEAD_BYTES = 4_096
_SHOWN_HASH = 7
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BRANCH = "ref: refs/heads/"


def branch_of(root: Path) -> str:
    """The branch's name; the short hash where none is checked out; "" for a folder without a Git that can be read."""
    try:
        git = find_git(root.resolve(), [])
        said = plain.read_file(git.folder, "HEAD", _HEAD_BYTES) if git is not None else b""
    except (OSError, plain.Unread):
        return ""
    head = said.decode("utf-8", "replace").strip()
    if head.startswith(_BRANCH):
        name = head.removeprefix(_BRANCH)
        return name if name.isprintable() else ""
    return head[:_SHOWN_HASH] if _HASH.fullmatch(head) else ""
