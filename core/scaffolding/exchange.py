"""The library as a JSON file: written, read, compared with what is stored, and taken over once conflicts are decided.

The file: {"format": "bright-run-scaffolding", "version": 1, "personas": [...], "emotional_arcs": [...], ...}, with
"consultant_profile": {...} where the whole library was written. A list of entries of one kind, as the shipped library
has them, is read too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import orjson

from core import trash
from core.db import Database
from core.db.connection import transaction
from core.errors import AppError, Where
from core.events import Changed
from core.scaffolding import profile as profiles
from core.scaffolding.beats import beat_problems
from core.scaffolding.editing import free_copy
from core.scaffolding.placeholders import problems
from core.scaffolding.store import (
    KINDS,
    PROFILE_KEY,
    EmotionalArc,
    Entry,
    PromptTemplate,
    add,
    by_key,
    check,
    consultant_profile,
    from_mapping,
    get,
    update,
)
from core.workspace.files import disk_error, write_json

FORMAT, VERSION = "bright-run-scaffolding", 1
# What belongs to the workspace an entry is in, not to the entry.
_OWN = ("id", "source_id", "created_at", "updated_at")


class Outcome(StrEnum):
    """What would happen to a row of the file."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"
    REJECTED = "rejected"


class Decision(StrEnum):
    """What is done with a conflict."""

    MINE = "mine"
    THEIRS = "theirs"
    BOTH = "both"


@dataclass(frozen=True)
class Profile(Entry):
    """The consultant's profile as a row of the file; a workspace has one, in its settings."""

    KEY: ClassVar[str] = "profile_key"
    NOUN: ClassVar[str] = "consultant profile"

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    profile_key: str = PROFILE_KEY


@dataclass(frozen=True)
class Row:
    """One entry of the file; `place` is unique in it ("personas[2]"). `mine` is the stored one with the same key."""

    place: str
    kind: type[Entry]
    key: str
    name: str
    outcome: Outcome
    entry: Entry | None = None
    mine: Entry | None = None
    differs: tuple[str, ...] = ()
    problem: AppError | None = None

    @property
    def id(self) -> str:
        """The place: tables know rows by it."""
        return self.place

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What can be decided if this is a conflict."""
        return (Decision.MINE, Decision.THEIRS) if self.kind is Profile else tuple(Decision)


@dataclass(frozen=True)
class Plan:
    """Every row of a file; nothing is written yet."""

    file: str
    rows: tuple[Row, ...]

    def counts(self) -> dict[Outcome, int]:
        """Rows by outcome; they add up to all rows."""
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found[outcome] for outcome in Outcome}


@dataclass(frozen=True)
class Taken:
    """What an import wrote: stored entries that are new, and (before, after) of those that were replaced."""

    added: tuple[Entry, ...] = ()
    replaced: tuple[tuple[Entry, Entry], ...] = ()
    kept: int = 0
    same: int = 0
    rejected: int = 0


@dataclass
class _Taking:
    added: list[Entry] = field(default_factory=list)
    replaced: list[tuple[Entry, Entry]] = field(default_factory=list)
    renamed_arcs: dict[str, str] = field(default_factory=dict)
    kept: int = 0


def content(entry: Entry) -> dict[str, Any]:
    """The fields that an entry has in a file."""
    return {f.name: getattr(entry, f.name) for f in fields(entry) if f.name not in _OWN}


def write_file(path: Path, entries: Iterable[Entry], profile: Mapping[str, Any] | None = None) -> int:
    """Write entries and, if given, the profile to a file, atomically; returns how many entries.

    Raises AppError `disk_full` or `file_error`.
    """
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    chosen = list(entries)
    for kind in KINDS:
        found = [content(entry) for entry in chosen if isinstance(entry, kind)]
        if found:
            document[kind.TABLE] = found
    if profile:
        document[PROFILE_KEY] = dict(profile)
    write_json(path, document)
    return len(chosen)


def read_plan(db: Database, path: Path) -> Plan:
    """Read a file and say what each row would do. Raises AppError `bad_scaffolding_file` for what isn't such a file."""
    rows: list[Row] = []
    seen: set[tuple[type[Entry], str]] = set()
    for place, kind, values in _entries(path):
        row = _row(db, path.name, place, kind, values)
        if row.entry is not None and (kind, row.key) in seen:
            problem = _wrong(path.name, f"{place}.{kind.KEY}", f"The key {row.key} appears twice in the file.",
                             "Keep one of the two.")  # fmt: skip
            row = replace(row, outcome=Outcome.REJECTED, entry=None, mine=None, differs=(), problem=problem)
        seen.add((kind, row.key))
        rows.append(row)
    return Plan(path.name, tuple(rows))


def _wrong(file: str, place: str, message: str, hint: str) -> AppError:
    return AppError("bad_scaffolding_file", message, hint=hint, where=Where(file=file, field=place))


def _entries(path: Path) -> list[tuple[str, type[Entry], Any]]:
    """(place, kind, values) of every entry of a file."""
    hint = "Choose a file that was exported from Scaffolding."
    try:
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as exc:
        raise disk_error(exc, path) from exc
    except orjson.JSONDecodeError as exc:
        where = Where(file=path.name, line=exc.lineno)
        raise AppError("bad_scaffolding_file", f"This is not valid JSON: {exc.msg}.", hint=hint, where=where) from exc
    if document in ([], {}):
        raise _wrong(path.name, "", "The file holds no entries.", hint)
    if isinstance(document, list):
        # Templates, which are last, name their arc by its key too.
        kind = next(
            (k for k in reversed(KINDS) if document and isinstance(document[0], dict) and k.KEY in document[0]), None
        )
        if kind is None:
            raise _wrong(path.name, "[0]", "The first entry has no key of any kind of scaffolding.", hint)
        return [(f"[{number}]", kind, values) for number, values in enumerate(document)]
    if not isinstance(document, dict):
        raise _wrong(path.name, "", "The file holds no entries.", hint)
    if document.get("format", FORMAT) != FORMAT:
        raise _wrong(path.name, "format", f"{document['format']!r} is not the format of scaffolding.", hint)
    if document.get("version", VERSION) != VERSION:
        raise _wrong(path.name, "version", f"This version of Bright Run can't read version {document['version']!r}.",
                     "Update Bright Run, or export the file again.")  # fmt: skip
    return _grouped(path.name, document, hint)


def _grouped(file: str, document: Mapping[str, Any], hint: str) -> list[tuple[str, type[Entry], Any]]:
    kinds = {kind.TABLE: kind for kind in KINDS}
    known = {*kinds, PROFILE_KEY}
    unknown = sorted(set(document) - {*known, "format", "version"})
    if unknown or not set(document) & known:
        what = f"{unknown[0]!r} is not a kind of scaffolding." if unknown else "The file holds no entries."
        raise _wrong(file, unknown[0] if unknown else "", what, f"Known: {', '.join(kinds)}. {hint}")
    out: list[tuple[str, type[Entry], Any]] = []
    for table, kind in kinds.items():
        values = document.get(table, [])
        if not isinstance(values, list):
            raise _wrong(file, table, f"{table} must be a list.", hint)
        out += [(f"{table}[{number}]", kind, value) for number, value in enumerate(values)]
    if PROFILE_KEY in document:
        out.append((PROFILE_KEY, Profile, document[PROFILE_KEY]))
    return out


def _row(db: Database, file: str, place: str, kind: type[Entry], values: Any) -> Row:
    if kind is Profile:
        return _profile_row(db, file, place, values)
    named = values if isinstance(values, dict) else {}
    key, name = str(named.get(kind.KEY, "")), str(named.get("name", ""))
    try:
        entry = entry_of(file, place, kind, values)
    except AppError as problem:
        return Row(place, kind, key, name, Outcome.REJECTED, problem=problem)
    mine = by_key(db, kind, key)
    if mine is None:
        return Row(place, kind, key, name, Outcome.NEW, entry)
    ours, theirs = content(mine), content(entry)
    differs = tuple(part for part in ours if ours[part] != theirs[part])
    return Row(place, kind, key, name, Outcome.CONFLICT if differs else Outcome.SAME, entry, mine, differs)


def _profile_row(db: Database, file: str, place: str, values: Any) -> Row:
    try:
        if not isinstance(values, dict):
            raise _wrong(file, place, "The consultant profile must be an object.", "Export the library again.")
        profiles.check(values)
        _check_depth(file, place, values)
    except AppError as exc:
        where = exc.where if exc.where.file else Where(file, field=f"{place}.{exc.where.field}")
        problem = AppError(exc.code, exc.message, hint=exc.hint, where=where)
        return Row(place, Profile, PROFILE_KEY, "", Outcome.REJECTED, problem=problem)
    entry, mine = Profile(values["name"], values), _stored_profile(db)
    if mine is None:
        return Row(place, Profile, PROFILE_KEY, entry.name, Outcome.NEW, entry)
    names = dict.fromkeys([*mine.values, *values])
    differs = tuple(name for name in names if mine.values.get(name) != values.get(name))
    return Row(place, Profile, PROFILE_KEY, entry.name, Outcome.CONFLICT if differs else Outcome.SAME, entry, mine,
               differs)  # fmt: skip


def _check_depth(file: str, place: str, values: Any) -> None:
    try:
        orjson.dumps(values)
    except TypeError as exc:
        # Deeper than JSON is written.
        raise _wrong(file, place, "The consultant profile is nested too deeply.", "Correct the file.") from exc


def _stored_profile(db: Database) -> Profile | None:
    found = consultant_profile(db)
    return Profile(str(found.get("name", "")), found) if found else None


def _required(kind: type[Entry]) -> set[str]:
    own = (f for f in fields(kind) if f.name not in _OWN)
    return {f.name for f in own if f.default is MISSING and f.default_factory is MISSING}


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


# By the annotation of the field: what JSON has there, and how that is called.
_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (lambda value: isinstance(value, str), "text"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "Mapping[str, Any]": (lambda value: isinstance(value, dict), "an object"),
    "tuple[str, ...]": (_is_text_list, "a list of texts"),
    "tuple[Mapping[str, Any], ...]": (_is_objects, "a list of objects"),
}


def entry_of(file: str, place: str, kind: type[Entry], values: Any) -> Entry:
    """The entry of a row. Raises AppError naming file and field."""
    if not isinstance(values, dict):
        raise _wrong(file, place, f"A {kind.NOUN} must be an object.", "Export the entry again.")
    shapes = {f.name: _SHAPES[str(f.type)] for f in fields(kind) if f.name not in _OWN}
    kept = {name: value for name, value in values.items() if name not in _OWN}
    known = f"The fields of this kind are {', '.join(shapes)}."
    for name in sorted(_required(kind) - set(kept)):
        raise _wrong(file, f"{place}.{name}", f"{name} is missing.", known)
    for name, value in kept.items():
        if name not in shapes:
            raise _wrong(file, f"{place}.{name}", f"{name} is not a field of this kind.", known)
        good, wanted = shapes[name]
        if not good(value):
            raise _wrong(file, f"{place}.{name}", f"{name} must be {wanted}.", "Correct the file and import it again.")
    for number, beat in enumerate(kept.get("beats", ())):
        for problem in beat_problems(number, beat):
            raise _wrong(file, f"{place}.beats[{number}].{problem.field}", problem.message, problem.hint)
    try:
        entry = from_mapping(kind, kept)
        check(entry)
    except AppError as exc:
        named = f"{place}.{exc.where.field}" if exc.where.field else place
        raise AppError(exc.code, exc.message, hint=exc.hint, where=Where(file=file, field=named)) from exc
    if isinstance(entry, PromptTemplate):
        _refuse_unusable(file, place, entry)
    return entry


def _refuse_unusable(file: str, place: str, template: PromptTemplate) -> None:
    """What the template's dialog does not let through: every batch would stop at it."""
    if not template.text.strip():
        raise _wrong(file, f"{place}.text", "The template has no text.", "Write what is to be asked.")
    wrong = next((problem for problem in problems(template.text) if problem.blocks), None)
    if wrong is not None:
        raise _wrong(file, f"{place}.text", wrong.message, "Correct the file and import it again.")


def take(db: Database, plan: Plan, decisions: Mapping[str, Decision]) -> tuple[Changed, Taken]:
    """Write a plan in one transaction; `decisions` by place, a conflict without one is kept as it is stored.

    Raises AppError `library_changed` if an entry is no longer what the plan was shown for.
    """
    counts, taking = plan.counts(), _Taking()
    with transaction(db):
        for kind in (*KINDS, Profile):
            rows = [row for row in plan.rows if row.kind is kind and row.outcome in (Outcome.NEW, Outcome.CONFLICT)]
            # New keys first: a second key that is made up must be free of them too.
            for row in sorted(rows, key=lambda row: decisions.get(row.place) is Decision.BOTH):
                _take_row(db, row, decisions.get(row.place, Decision.MINE), taking)
    taken = Taken(tuple(taking.added), tuple(taking.replaced), taking.kept, counts[Outcome.SAME],
                  counts[Outcome.REJECTED])  # fmt: skip
    return (Changed.SCAFFOLDING if taken.added or taken.replaced else Changed.NOTHING), taken


def _take_row(db: Database, row: Row, decision: Decision, taking: _Taking) -> None:
    entry, mine = row.entry, _stored_profile(db) if row.kind is Profile else by_key(db, row.kind, row.key)
    assert entry is not None
    if mine != row.mine:
        named = row.kind.NOUN if row.kind is Profile else f"{row.kind.NOUN} {row.key}"
        raise AppError(
            "library_changed",
            f"The {named} was changed after the file was read. Nothing was imported.",
            hint="Import the file again to see the differences.",
        )
    if isinstance(entry, PromptTemplate) and entry.emotional_arc_key in taking.renamed_arcs:
        entry = replace(entry, emotional_arc_key=taking.renamed_arcs[entry.emotional_arc_key])
    if isinstance(entry, Profile):
        if mine is None or decision is Decision.THEIRS:
            profiles.save(db, entry.values)
            taking.replaced.append((mine or Profile(""), entry))
        else:
            taking.kept += 1
    elif mine is None:
        taking.added.append(add(db, entry))
    elif decision is Decision.THEIRS:
        update(db, replace(entry, id=mine.id, source_id=mine.source_id))
        taking.replaced.append((mine, get(db, row.kind, mine.id)))
    elif decision is Decision.BOTH:
        taking.added.append(stored := add(db, free_copy(db, entry)))
        if isinstance(entry, EmotionalArc):
            taking.renamed_arcs[row.key] = stored.key
    else:
        taking.kept += 1


def undo(db: Database, taken: Taken) -> tuple[Changed, tuple[str, ...]]:
    """Take an import back in one transaction: what it added goes to the trash, what it replaced is as before.

    What was changed since stays as it is now; returns the names of those.
    """
    left: list[str] = []
    with transaction(db):
        for entry in taken.added:
            if _is_as(db, entry):
                trash.delete(db, entry.TABLE, [entry.id])
            else:
                left.append(str(getattr(entry, "name", "")))
        for before, after in taken.replaced:
            if not _is_as(db, after):
                left.append(str(getattr(after, "name", "")))
            elif isinstance(before, Profile):
                profiles.put_back(db, before.values)
            else:
                update(db, before)
    return Changed.SCAFFOLDING, tuple(left)


def _is_as(db: Database, written: Entry) -> bool:
    if isinstance(written, Profile):
        return consultant_profile(db) == written.values
    row = db.execute(f"select deleted_at from {written.TABLE} where id = ?", [written.id]).fetchone()
    return bool(row) and row[0] is None and content(get(db, type(written), written.id)) == content(written)
