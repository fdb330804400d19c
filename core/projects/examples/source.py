"""The files of a project as they are on disk now: scanned, read safely, parsed; what holds a secret is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.cancel import CancelToken
from core.code_index import secrets
from core.code_index.chunking import parse_file
from core.code_index.decoding import decode
from core.code_index.languages import TEXT, language_of
from core.code_index.plain import Unread, read_file
from core.code_index.records import FoundFile, Left, ParsedFile, digest
from core.code_index.scan import scan
from core.projects.examples.records import CodeFile

Progress = Callable[[int, int], None]


@dataclass
class CodeSource:
    """Goes over a project once. `left_out` counts entries by the reason for which nothing was made of them."""

    root: Path
    workspace: Path
    token: CancelToken
    progress: Progress | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    found: int = 0

    def files(self) -> Iterator[CodeFile]:
        """Every file that the index would take. Raises AppError `no_project_folder`, Cancelled."""
        scanned = scan(self.root, self.token, language=language_of, workspace=self.workspace)
        self.left_out.update(str(entry.reason) for entry in scanned.left_out)
        self.found = scanned.found
        for count, file in enumerate(scanned.files, start=1):
            self.token.raise_if_cancelled()
            if self.progress is not None:
                self.progress(count, len(scanned.files))
            read = self._read(scanned.root, file)
            if read is not None:
                yield read

    def _read(self, root: Path, file: FoundFile) -> CodeFile | None:
        if file.language == TEXT:
            return CodeFile(ParsedFile(file.path, TEXT, ()), "")
        try:
            return read_code(root, file.path)
        except Unread as exc:
            # It was another file when the folder was looked at.
            self.left_out[str(exc.reason)] += 1
            return None


def read_code(root: Path, path: str) -> CodeFile:
    """One file. Raises `Unread`, also for one that holds a secret by now."""
    data = read_file(root, path)
    if why := secrets.by_name(path) or secrets.by_content(data):
        raise Unread(Left.SECRET, why)
    return CodeFile(parse_file(path, data), digest(data), decode(data))
