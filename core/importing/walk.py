"""The files in what the user named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.cancel import CancelToken
from core.errors import AppError, Where
from core.reading.encoding import unreadable

SUFFIXES = (".json", ".jsonl")


class Walk:
    """Files in what the user named; folders are read through, and what is passed over there is counted."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token
        self.errors: dict[Path, AppError] = {}
        self.ignored = 0

    def files(self, named: list[Path]) -> Iterator[Path]:
        """Every file to read, folders recursively in order of names, only *.json and *.jsonl there."""
        for path in named:
            # os.path, since Path.is_dir raises where a folder above may not be entered.
            if os.path.isdir(path):
                yield from self._folder(path)
            else:
                yield path

    def _folder(self, top: Path) -> Iterator[Path]:
        unreadable_folders: list[OSError] = []
        found = 0
        for folder, subfolders, names in os.walk(top, onerror=unreadable_folders.append):
            self._token.raise_if_cancelled()
            subfolders.sort()
            # A link may lead round in a circle, so none is followed; each counts as passed over.
            self.ignored += sum(os.path.islink(os.path.join(folder, name)) for name in subfolders)
            for name in sorted(names):
                if not name.lower().endswith(SUFFIXES) or name.startswith("."):
                    self.ignored += 1
                    continue
                found += 1
                yield Path(folder, name)
        for exc in unreadable_folders:
            path = Path(exc.filename or top)
            self.errors[path] = unreadable(exc, path)
            yield path
        if not found and not unreadable_folders:
            self.errors[top] = AppError(
                "empty_folder",
                "There is no *.json or *.jsonl file in this folder.",
                hint="Choose the folder that contains the conversations, or choose the file itself.",
                where=Where(str(top)),
            )
            yield top
