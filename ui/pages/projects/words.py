"""Projects in words: their state, where they are, why a file is left out, what a search looked at."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.code_index.records import Left
from core.jobs import JobState
from ui import format as fmt
from ui.pages.projects.data import Entry, Summary

REASONS: dict[str, str] = {
    str(Left.IGNORED): ".gitignore",
    str(Left.DEFAULT): "never wanted (caches, packages)",
    str(Left.LOCK_FILE): "lock file",
    str(Left.TOO_LARGE): "too large",
    str(Left.BINARY): "binary",
    str(Left.GENERATED): "generated (says so)",
    str(Left.SECRET): "holds a secret",
    str(Left.LINK_OUT): "link out of the project",
    str(Left.SPECIAL): "not a plain file",
    str(Left.UNREADABLE): "unreadable",
}
LANGUAGES = {
    "python": "Python", "javascript": "JavaScript", "typescript": "TypeScript", "tsx": "TSX", "java": "Java",
    "go": "Go", "rust": "Rust", "text": "text",
}  # fmt: skip
WATCHED = "watched; nothing in it is ever run"
_STAGES = {
    "Looking for files": ("looking for files", ""), "Reading files": ("reading", "file"),
    "Embedding": ("embedding", "chunk"),
}  # fmt: skip
_HALTED = {JobState.FAILED: "indexing failed", JobState.INTERRUPTED: "interrupted"}
_LEGS = (("meaning", "meaning"), ("words", "words"), ("name", "names"), ("exact", "names"))
# Signs that turn the direction of what follows, so that a name reads as another one.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def plain(text: str) -> str:
    """One line of it: what would break or turn the line is shown as a sign."""
    if text.isprintable() and not _TURNS & set(text):
        return text
    return "".join(map(_sign, text))


def _sign(char: str) -> str:
    if char == "\t":
        return " "
    return "\ufffd" if char in _TURNS or unicodedata.category(char) in ("Cc", "Zl", "Zp") else char


def reason_words(reason: str) -> str:
    """Why a file is left out, for people."""
    return REASONS.get(reason, reason.replace("_", " ") or "unknown")


def language_words(name: str) -> str:
    """The name of a language as it is written."""
    return LANGUAGES.get(name, name)


def home_short(path: Path, home: Path | None = None) -> str:
    """A path with the home folder as ~."""
    home = home or Path.home()
    if home != Path(home.anchor) and path.is_relative_to(home):
        return str(Path("~") / path.relative_to(home))
    return str(path)


def ago(then: float, now: float | None = None) -> str:
    """A moment in the past, in seconds since 1970: "4 s ago", "yesterday", "3 days ago", "18 Nov 2024"."""
    now = time.time() if now is None else now
    seconds = max(0.0, now - then)
    for size, unit in ((60.0, "s"), (3600.0, "min")):
        if seconds < size:
            return f"{int(seconds * 60 / size)} {unit} ago" if seconds >= 1 else "just now"
    days = (datetime.fromtimestamp(now).date() - datetime.fromtimestamp(then).date()).days
    if days == 0 or seconds < 6 * 3600:
        return f"{int(seconds // 3600)} h ago"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 14 else fmt.moment(datetime.fromtimestamp(then).astimezone().isoformat())


def ago_stored(moment: str | None) -> str:
    """The same of a stored time."""
    return ago(datetime.fromisoformat(moment).timestamp()) if moment else ""


def progress_words(done: int, total: int, said: str, *, short: bool = False, anew: bool = False) -> str:
    """How far an indexing job is: "reading 312 of 1,904 files"; `said` is its stage, or its rate in words.

    `short` for a tile: "reading 16%". `anew`: all is embedded already, by another model.
    """
    # A rate ("68 files a second") says by its unit which stage it is.
    named = next((stage for stage, (_, noun) in _STAGES.items() if noun and f" {noun}s a second" in said), said)
    verb, noun = _STAGES.get(named, (named[:1].lower() + named[1:], ""))
    if not total or not noun:
        return verb or "indexing"
    if anew and verb == "embedding":
        verb = "embedding anew"
    return f"{verb} {f'{100 * done // total}%' if short else f'{fmt.count(done)} of {fmt.plural(total, noun)}'}"


def state_words(entry: Entry, progress: str = "") -> str:
    """The line below a project's name; `progress` is what its job said last."""
    if not entry.there:
        return "folder is gone"
    job = entry.job
    if entry.running is not None:
        if job is not None and job.status is JobState.QUEUED:
            return "waiting to be indexed"
        return progress or "starting to index"
    if job is not None and job.status is JobState.PAUSED:
        return "indexing is paused"
    if not entry.project.indexed_at:
        return "indexing failed" if job is not None and job.status is JobState.FAILED else "not indexed yet"
    if entry.halted is not None and entry.summary.embedded < entry.summary.chunks:
        return f"{_HALTED.get(entry.halted.status, 'stopped')} · {embedded_words(entry.summary)}"
    adapter = f"adapter {plain(entry.adapter.name)}" if entry.adapter is not None else "no adapter"
    return f"indexed {ago_stored(entry.project.indexed_at)} · {adapter}"


def embedded_words(found: Summary) -> str:
    """How much of an index is found by meaning."""
    if not found.embedder:
        return "not embedded"
    # Never 100% while something is missing.
    return f"embedded {100 * found.embedded // found.chunks}%" if found.embedded < found.chunks else "all embedded"


def folder_words(entry: Entry) -> str:
    """The line below the page's title."""
    where = plain(home_short(entry.project.root))
    parts = [where, entry.branch, WATCHED] if entry.there else [where, "the folder is gone"]
    return " · ".join(part for part in parts if part)


def place_words(found: Mapping[str, Any]) -> str:
    """Path and lines of a result."""
    start, end = int(found["start_line"]), int(found.get("end_line") or found["start_line"])
    return f"{plain(str(found['path']))}:{start}" + (f"-{end}" if end > start else "")


def legs_words(legs: Mapping[str, Sequence[float]]) -> list[str]:
    """ "meaning 1", "words 2", "name 1": which way found it, and at which rank."""
    ranks: dict[str, int] = {}
    for leg, (rank, *_score) in legs.items():
        name = "name" if leg == "exact" else leg
        ranks[name] = min(int(rank), ranks.get(name, int(rank)))
    return [f"{name} {ranks[name]}" for name in ("meaning", "words", "name") if name in ranks]


def ways_words(found: Iterable[Mapping[str, Any]]) -> str:
    """ "meaning, words and names, merged by rank": what the results were found by."""
    used = {leg for hit in found for leg in hit.get("legs", {})}
    names = list(dict.fromkeys(words for leg, words in _LEGS if leg in used))
    if len(names) < 2:
        return names[0] if names else ""
    return f"{', '.join(names[:-1])} and {names[-1]}, merged by rank"


def telling_line(found: Mapping[str, Any], words: Iterable[str] = ()) -> str:
    """The line of a result that says most: the first that has a word of the query, else the first of its body."""
    lines = [line.strip() for line in str(found.get("text", "")).splitlines()]
    lines = [line for line in lines if any(char.isalnum() for char in line)]
    if not lines:
        return plain(str(found.get("signature", "")))
    wanted = [word.lower() for word in words if len(word) > 2]
    body = lines[1:] or lines
    scored = [(sum(word in line.lower() for word in wanted), -place) for place, line in enumerate(body)]
    best, place = max(scored)
    return plain(body[-place] if best else body[0])
