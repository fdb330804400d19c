"""The parts that a pass over a real project is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from core.cancel import CancelToken
from core.code_index import plain, scan
from core.code_index.chunking import parse_file
from core.code_index.code_tokens import searchable, searchable_name
from core.code_index.languages import language_of
from core.code_index.reading import Tools


def usual(workspace: Path | None = None) -> Tools:
    """Those of the application; `workspace` is never indexed where it lies inside a project."""

    def whole(
        root: Path, token: CancelToken, tell: Callable[[int, str], None], known: Mapping[str, tuple[int, int]]
    ) -> scan.Scan:
        return scan.scan(root, token, tell, language=language_of, known=known, workspace=workspace)

    return Tools(
        scan=whole, look=partial(scan.look, language=language_of), read=plain.read_file, parse=parse_file,
        words=searchable, name_words=searchable_name,
    )  # fmt: skip
