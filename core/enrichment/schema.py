"""The v4 JSON Schemas, compiled once a process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from core.errors import AppError, Where
from core.workspace.files import read_json
from core.workspace.paths import resources


@lru_cache(maxsize=4)
def _validator(name: str, part: str) -> Any:
    from jsonschema import Draft202012Validator, FormatChecker

    schema = dict(read_json(resources() / "schemas" / f"{name}.schema.json"))
    if part == "pair":
        schema = dict(schema["$defs"]["pair"])
    else:
        # Pairs are checked one by one against their own definition; the frame keeps all other rules.
        pairs = {key: rule for key, rule in schema["properties"]["training_pairs"].items() if key != "items"}
        schema["properties"] = {**schema["properties"], "training_pairs": pairs}
    Draft202012Validator.check_schema(schema)
    formats = FormatChecker(["date"])
    # The library checks date-time only with a further package.
    formats.checks("date-time", raises=ValueError)(_is_moment)
    return Draft202012Validator(schema, format_checker=formats)


def _is_moment(value: Any) -> bool:
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


def problem(name: str, part: str, value: Any) -> tuple[str, str] | None:
    """The first way `value` breaks the schema as (field path, message); None if it holds. `part` is pair or frame."""
    for error in _validator(name, part).iter_errors(value):
        return error.json_path.removeprefix("$").removeprefix("."), error.message[:300]
    return None


def check_pair(name: str, pair: Mapping[str, Any], place: str) -> None:
    """Raise AppError `not_v4` naming the field if a pair breaks the schema."""
    _raise(problem(name, "pair", pair), place)


def check_frame(name: str, document: Mapping[str, Any]) -> None:
    """Raise AppError `not_v4` naming the field if anything but the pairs breaks the schema."""
    _raise(problem(name, "frame", document), "")


def _raise(found: tuple[str, str] | None, place: str) -> None:
    if found is None:
        return
    path = ".".join(part for part in (place, found[0]) if part)
    raise AppError(
        "not_v4",
        f"The result breaks the v4 format at {path or 'the top'}: {found[1]}",
        hint="Look at this field in the source file and in the scaffolding, correct it, then enrich again.",
        where=Where(field=path),
    )
