"""The parts that a pass over a project is made of, as the product uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from core.cancel import CancelToken
from core.code_index.chunking import parse_file
from core.code_index.code_tokens import code_tokens, name_tokens
from core.code_index.languages import language_of
from core.code_index.plain import read_file
from core.code_index.reading import Tools
from core.code_index.records import FoundFile, LeftOut
from core.code_index.scan import Scan, look, scan
from core.code_index.spec import ProjectSpec

Known = Mapping[str, tuple[int, int]]


def standard_tools(spec: ProjectSpec) -> Tools:
    """Scanning, reading, parsing and the words of code; a workspace inside of the project is left out."""
    workspace = spec.index_path.parent.parent

    def scan_all(root: Path, token: CancelToken, progress: Callable[[int, str], None], known: Known) -> Scan:
        return scan(root, token, progress, language=language_of, known=known, workspace=workspace)

    def look_at(root: Path, path: str) -> FoundFile | LeftOut | None:
        return look(root, path, language=language_of)

    return Tools(scan_all, look_at, read_file, parse_file, code_tokens, name_tokens)
