"""A double of `app.code_service.CodeService`: its methods and answers, from the project's files as they are now."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shiboken6
from PySide6.QtCore import QObject, QTimer, Signal

from core.cancel import CancelToken
from core.code_index.chunking import parse_file
from core.code_index.languages import language_of
from core.code_index.records import Chunk, Kind
from core.code_index.scan import scan
from core.code_index.spec import ProjectSpec
from core.errors import AppError

NO_MODEL = "No embedding model is here: words and names were searched."


@dataclass
class _Waiting:
    owner: QObject
    done: Callable[[Any], None]
    failed: Callable[[AppError], None]
    answer: Any


class CodeDouble(QObject):
    """Answers in the next turn of the event loop; with `hold` when `release` says so."""

    changed = Signal(str, object)
    behind = Signal(str, int)
    ready = Signal(str)
    told = Signal(str, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.hold = False
        self.model = True
        self.error: AppError | None = None
        self.asked: list[tuple[str, Any]] = []
        self.watched: dict[str, ProjectSpec] = {}
        self.dropped: list[str] = []
        self._waiting: dict[str, _Waiting] = {}

    # As the service

    def watch(self, spec: ProjectSpec, done: Any = None, failed: Any = None) -> None:
        self.watched[spec.id] = spec

    def forget(self, project_id: str) -> None:
        self.watched.pop(project_id, None)

    def job_ended(self, project_id: str) -> None:
        self.asked.append(("job_ended", project_id))

    def drop(self, ident: str) -> None:
        if self._waiting.pop(ident, None) is not None:
            self.dropped.append(ident)

    def relieve(self) -> None: ...

    def shutdown(self, timeout_ms: int = 0) -> None:
        self._waiting.clear()

    def search(self, owner: QObject, spec: ProjectSpec, text: str, done: Any, failed: Any, *, k: int = 10) -> str:
        return self._answer("search", text, owner, done, failed, lambda: self._search(spec, text, k))

    def grep(self, owner: QObject, spec: ProjectSpec, pattern: str, done: Any, failed: Any, **options: Any) -> str:
        asked = {"pattern": pattern, **options}
        return self._answer("grep", asked, owner, done, failed, lambda: _grep(spec.root_path, **asked))

    def read(
        self, owner: QObject, spec: ProjectSpec, path: str, done: Any, failed: Any, lines: Sequence[int] = ()
    ) -> str:
        return self._answer("read", (path, *lines), owner, done, failed, lambda: _read(spec.root_path, path, lines))

    # How it answers

    def _answer(self, kind: str, asked: Any, owner: QObject, done: Any, failed: Any, make: Callable[[], Any]) -> str:
        self.asked.append((kind, asked))
        ident = f"d{len(self.asked)}"
        try:
            answer = self.error if self.error is not None and kind != "read" else make()
        except AppError as error:
            answer = error
        self._waiting[ident] = _Waiting(owner, done, failed, answer)
        if not self.hold:
            QTimer.singleShot(0, self, lambda: self._give(ident))
        return ident

    def _give(self, ident: str) -> None:
        waiting = self._waiting.pop(ident, None)
        if waiting is None or not shiboken6.isValid(waiting.owner):
            return
        (waiting.failed if isinstance(waiting.answer, AppError) else waiting.done)(waiting.answer)

    def release(self) -> None:
        """Answer everything that waits, the newest first."""
        for ident in reversed(list(self._waiting)):
            self._give(ident)

    def asked_for(self, kind: str) -> list[Any]:
        """What was asked of that kind, in order."""
        return [what for name, what in self.asked if name == kind]

    def _search(self, spec: ProjectSpec, text: str, k: int) -> dict[str, Any]:
        filters = dict(re.findall(r"(lang|kind|tests|path):(\S+)", text))
        words = [w.lower() for w in re.findall(r"\w+", re.sub(r"(lang|kind|tests|path):\S+", "", text)) if len(w) > 2]
        chunks = _chunks(spec.root_path)
        wanted = [chunk for chunk in chunks if _fits(chunk, filters)]
        by_words = _ranked(wanted, lambda c: sum(c.text.lower().count(word) for word in words))
        by_name = _ranked(wanted, lambda c: sum(word in c.qualified.lower() for word in words))
        by_meaning = _ranked(wanted, lambda c: sum(word[:4] in c.text.lower() for word in words)) if self.model else []
        legs: dict[str, dict[str, list[float]]] = {}
        for leg, found in (("meaning", by_meaning), ("words", by_words), ("name", by_name)):
            for rank, (chunk, score) in enumerate(found, start=1):
                legs.setdefault(chunk.id, {})[leg] = [rank, score]
        scores = {ident: sum(1 / (60 + rank) for rank, _ in of.values()) for ident, of in legs.items()}
        best = sorted((c for c in wanted if c.id in scores), key=lambda c: -scores[c.id])[:k]
        return {
            "found": [_found(chunk, legs[chunk.id], scores[chunk.id]) for chunk in best],
            "notices": [] if self.model else [NO_MODEL], "total": len(chunks), "seconds": 0.021,
        }  # fmt: skip


def _chunks(root: Path) -> list[Chunk]:
    files = scan(root, CancelToken(), language=language_of).files
    return [chunk for file in files for chunk in parse_file(file.path, (root / file.path).read_bytes()).chunks]


def _fits(chunk: Chunk, filters: dict[str, str]) -> bool:
    tests = filters.get("tests")
    return (
        filters.get("lang", chunk.language) == chunk.language
        and filters.get("kind", str(chunk.kind)) == str(chunk.kind)
        and (tests is None or chunk.is_test == (tests == "only"))
        and chunk.path.startswith(filters.get("path", ""))
    )


def _ranked(chunks: list[Chunk], score: Callable[[Chunk], float]) -> list[tuple[Chunk, float]]:
    scored = [(chunk, float(score(chunk))) for chunk in chunks]
    return sorted(((c, s) for c, s in scored if s), key=lambda item: (-item[1], item[0].path))


def _found(chunk: Chunk, legs: dict[str, list[float]], score: float) -> dict[str, Any]:
    return {
        "path": chunk.path, "start_line": chunk.start_line, "end_line": chunk.end_line, "kind": str(chunk.kind),
        "qualified": chunk.qualified, "language": chunk.language, "score": score, "legs": legs, "text": chunk.text,
        "stale": False, "signature": chunk.signature, "context": "",
    }  # fmt: skip


def _grep(
    root: Path, pattern: str, regex: bool, ignore_case: bool, whole_word: bool, languages: Sequence[str], limit: int
) -> dict[str, Any]:
    try:
        wanted = pattern if regex else re.escape(pattern)
        found = re.compile(rf"\b(?:{wanted})\b" if whole_word else wanted, re.IGNORECASE if ignore_case else 0)
    except re.error as exc:
        raise AppError("bad_pattern", f"The pattern can't be read: {exc}.", hint="Search without “.*”.") from exc
    lines = []
    for file in scan(root, CancelToken(), language=language_of).files:
        if languages and file.language not in languages:
            continue
        for number, text in enumerate((root / file.path).read_text(errors="replace").split("\n"), start=1):
            if found.search(text):
                lines.append({"path": file.path, "line": number, "text": text, "before": [], "after": []})
    return {"lines": lines[:limit], "more": len(lines) > limit, "notices": []}


def _read(root: Path, path: str, lines: Sequence[int]) -> dict[str, Any]:
    file = root / path
    if not file.is_file():
        raise AppError("no_such_file", f"The file {path} is no longer there.", hint="Search again.")
    text, chunks = file.read_text(errors="replace"), _chunks(root)
    symbols = [c for c in chunks if c.path == path and c.kind not in (Kind.MODULE, Kind.TEXT)]
    start, end = (lines[0], lines[-1]) if lines else (0, 0)
    here = [c for c in symbols if c.start_line <= end and start <= c.end_line]
    names = {c.name for c in here}
    calls = dict.fromkeys(name for c in here for name in c.references)
    known = {c.name: c for c in reversed(chunks) if c.name}
    return {
        "path": path, "language": language_of(path), "text": text[:400_000], "cut": len(text) > 400_000,
        "lines_total": text.count("\n") + 1, "changed_at": time.time() - 3 * 86_400,
        "symbols": [{"qualified": c.qualified, "kind": str(c.kind), "start_line": c.start_line, "end_line": c.end_line,
                     "signature": c.signature} for c in symbols],
        "calls": [{"name": n, "path": known[n].path if n in known else "",
                   "start_line": known[n].start_line if n in known else 0} for n in calls],
        "called_by": [{"qualified": c.qualified, "path": c.path, "start_line": c.start_line, "is_test": c.is_test}
                      for c in chunks if names & set(c.references)],
    }  # fmt: skip
