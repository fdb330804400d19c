"""The v4 JSON Schemas, compiled once a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from core.errors import AppError, Where
from core.workspace.files import read_json
from core.workspace.paths import resources


@lru_cache(maxsize=4)
def _validator(name: str, part: str) -> Any:
    from jsonschema_rs import Draft202012Validator

    schema = dict(read_json(resources() / "schemas" / f"{name}.schema.json"))
    if part == "pair":
        schema = dict(schema["$defs"]["pair"])
    else:
        # Pairs are checked one by one against their own definition; the frame keeps all other rules.
        pairs = {key: rule for key, rule in schema["properties"]["training_pairs"].items() if key != "items"}
        schema["properties"] = {**schema["properties"], "training_pairs": pairs}
    return Draft202012Validator(schema, validate_formats=True)


def problem(name: str, part: str, value: Any) -> tuple[str, str] | None:
    """The first way `value` breaks the schema as (field path, message), else None. `part` is pair or frame."""
    for error in _validator(name, part).iter_errors(value):
        return _path(error.instance_path), str(error.message)[:300]
    return None


def _path(parts: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


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
        f"The result breaks the v4 format at {path or 'the top level'}: {found[1]}",
        hint="Correct this field in the source file or the scaffolding, then enrich again.",
        where=Where(field=path),
    )
