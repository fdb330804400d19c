"""A plan as a file, checked against the library; what is wrong is named by file and field.

`{"version": 1, "name": "...", "items": [{"persona": key, "arc": key, "topic": key, "template": key, "turns": 8,
"count": 1, "attributes": {...}}, ...]}`; only persona, arc and topic have to be there. Instead of, or beside, `items`
a `matrix` asks for a number of conversations spread over what it names (`core/generation/sampling.py`).
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError, Where
from core.generation.plan import (
    ENTRY_FIELDS,
    MAX_ITEMS,
    MAX_TURNS,
    MIN_TURNS,
    VERSION,
    Library,
    Plan,
    PlanItem,
    bad_plan,
    find,
    turns_of,
)
from core.generation.sampling import Sampler, parse_matrix
from core.workspace.files import disk_error

_ITEM_FIELDS = {*(name for names in ENTRY_FIELDS.values() for name in names), "id", "turns", "count", "attributes"}
LONGEST_NAME = 200
_TOP_FIELDS = {"version", "name", "seed", "items", "matrix"}


def read_plan(path: Path, library: Library, existing: Mapping[tuple[str, str], int] | None = None) -> Plan:
    """A plan file, checked against the library.

    Raises AppError `bad_plan` (or `no_such_scaffolding`, `template_does_not_fit`) naming file and field.
    """
    return plan_of(read_bytes(path), path, library, existing)


def read_bytes(path: Path) -> bytes:
    """The file as it is. Raises AppError `no_such_file` or `file_error`."""
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise AppError(
            "no_such_file", f"There is no file {path}.", hint="Name a plan file that exists.", where=Where(str(path))
        ) from exc  # fmt: skip
    except OSError as exc:
        raise disk_error(exc, path) from exc


def plan_of(
    data: bytes, path: Path, library: Library, existing: Mapping[tuple[str, str], int] | None = None
) -> Plan:  # fmt: skip
    """The plan that `path` held; for errors see `read_plan`."""
    try:
        value = orjson.loads(data.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as exc:
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        raise AppError(
            "bad_plan", "The plan is not UTF-8." if utf16 else f"The plan is not valid JSON: {str(exc).split(':')[0]}.",
            hint="Save the file as UTF-8." if utf16 else "Correct the file at that line.",
            where=Where(str(path), exc.lineno),
        ) from exc  # fmt: skip
    try:
        return parse_plan(value, library, existing)
    except AppError as error:
        raise AppError(
            error.code, error.message, hint=error.hint, where=Where(str(path), 0, error.where.field)
        ) from error


def parse_plan(value: Any, library: Library, existing: Mapping[tuple[str, str], int] | None = None) -> Plan:
    """A plan as JSON, checked against the library. Raises AppError naming the field, such as `items[3].arc`."""
    if isinstance(value, list):
        value = {"items": value}
    if not isinstance(value, Mapping):
        raise bad_plan("A plan has to be an object.", "", 'Write it as {"version": 1, "items": [...]}.')
    _only(value, _TOP_FIELDS, "")
    if value.get("version", VERSION) != VERSION:
        raise bad_plan(f"The plan has version {value['version']!r}; this Bright Run reads {VERSION}.", "version",
                   "Write version 1, or update Bright Run.")  # fmt: skip
    seed = _whole(value.get("seed", 0), "seed", 0, 2**53)
    sampler = Sampler(library, seed, existing=existing)
    items: list[PlanItem] = []
    listed = value.get("items", [])
    if not isinstance(listed, list):
        raise bad_plan("“items” has to be a list.", "items", 'Write "items": [{"persona": ..., ...}].')
    for index, row in enumerate(listed):
        items += _items(row, f"items[{index}]", library, sampler)
    if "matrix" in value:
        items += sampler.take(parse_matrix(value["matrix"], library))
    if not items:
        raise bad_plan("The plan is empty.", "items", "Add at least one conversation.")
    if len(items) > MAX_ITEMS:
        raise bad_plan(f"The plan has {len(items):,} conversations; it can have at most {MAX_ITEMS:,}.", "items",
                   "Split it into several plans.")  # fmt: skip
    twice = {item.id for item in items}
    if len(twice) != len(items):
        raise bad_plan("Two conversations of the plan have the same id.", "items[].id", "Leave the ids out.")
    return Plan(tuple(items), _name(value.get("name")), seed)


def _only(value: Mapping[str, Any], known: set[str], place: str) -> None:
    unknown = [name for name in value if name not in known]
    if unknown:
        raise bad_plan(f"The plan has the unknown field “{unknown[0]}”.", f"{place}.{unknown[0]}".lstrip("."),
                   "Known: " + ", ".join(sorted(known)) + ".")  # fmt: skip


def _name(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not value.isprintable():
        raise bad_plan("The plan's name can't be used.", "name",
                       f"Use a text of at most {LONGEST_NAME} letters, without control characters.")  # fmt: skip
    return value.strip()


def _whole(value: Any, place: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise bad_plan(f"{value!r} can't be used here.", place, f"Use a whole number from {low} to {high:,}.")
    return value


def _items(row: Any, place: str, library: Library, sampler: Sampler) -> list[PlanItem]:
    if not isinstance(row, Mapping):
        raise bad_plan(
            "A conversation of the plan has to be an object.", place, "Write {...} with persona, arc and topic."
        )
    _only(row, _ITEM_FIELDS, place)
    persona = find(library.personas, row, "persona", place)
    arc = find(library.arcs, row, "arc", place)
    topic = find(library.topics, row, "topic", place)
    for name, entry in (("persona", persona), ("arc", arc), ("topic", topic)):
        if entry is None:
            raise bad_plan(f"The conversation has no {name}.", f"{place}.{name}", "Name it by its key.")
    assert persona is not None
    assert arc is not None
    assert topic is not None
    template = find(library.templates, row, "template", place)
    if template is not None and template.emotional_arc_key not in ("", arc.key):
        raise bad_plan(
            f"The template {template.key} is for the arc {template.emotional_arc_key}, not for {arc.key}.",
            f"{place}.template", "Choose a template of this arc, or leave it out.", "template_does_not_fit",
        )  # fmt: skip
    turns = _whole(row.get("turns", turns_of(arc)), f"{place}.turns", MIN_TURNS, MAX_TURNS)
    count = _whole(row.get("count", 1), f"{place}.count", 1, MAX_ITEMS)
    attributes = row.get("attributes", {})
    if not isinstance(attributes, Mapping) or not all(isinstance(v, str) for v in attributes.values()):
        raise bad_plan(
            "“attributes” has to be an object of texts.", f"{place}.attributes", 'For example {"length": "short"}.'
        )
    ident = row.get("id")
    if ident is not None and (count != 1 or not _is_hex(ident)):
        raise bad_plan(f"{ident!r} can't be an id.", f"{place}.id", "Use 32 hexadecimal digits, or leave it out.")
    drawn = dict(attributes)
    made = [sampler.one(persona, arc, topic, template, turns + turns % 2, drawn) for _ in range(count)]
    return [replace(made[0], id=ident)] if ident else made


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 32 and all(c in "0123456789abcdef" for c in value)
