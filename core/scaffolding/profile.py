"""The consultant's profile of a workspace: who answers in its conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.db import Database
from core.errors import AppError, Where
from core.events import Changed
from core.scaffolding.store import PROFILE_KEY
from core.workspace import settings

_TEXTS = ("name", "business", "expertise", "approach", "system_prompt")
_REQUIRED = {"name": "name", "system_prompt": "system prompt"}


def check(profile: Mapping[str, Any]) -> None:
    """Raise AppError `bad_profile` naming the field that is missing or not of its kind."""
    for name in _TEXTS:
        value = profile.get(name, "")
        if not isinstance(value, str):
            raise _wrong(name, f"{name} must be text.")
        if name in _REQUIRED and not value.strip():
            raise _wrong(name, f"The profile has no {_REQUIRED[name]}.")
    style = profile.get("communication_style", {})
    for name in ("core_philosophy", "communication_style"):
        if not isinstance(profile.get(name, {}), Mapping):
            raise _wrong(name, f"{name} must be an object.")
    for name in ("techniques", "avoid"):
        items = style.get(name, [])
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise _wrong(f"communication_style.{name}", f"{name} must be a list of texts.")


def _wrong(field: str, message: str) -> AppError:
    return AppError("bad_profile", message, hint="Correct the field and save again.", where=Where(field=field))


def save(db: Database, profile: Mapping[str, Any]) -> Changed:
    """Store the profile whole. Raises AppError `bad_profile`."""
    check(profile)
    return put_back(db, profile)


def put_back(db: Database, profile: Mapping[str, Any]) -> Changed:
    """Store a profile that was there before, whatever an older version let in."""
    return settings.put(db, PROFILE_KEY, dict(profile)) | Changed.SCAFFOLDING


def principles(profile: Mapping[str, Any]) -> list[str]:
    """The core philosophy, principle by principle."""
    found = profile.get("core_philosophy", {})
    return [str(text) for text in (found.values() if isinstance(found, Mapping) else found)]


def with_principles(profile: Mapping[str, Any], texts: list[str]) -> dict[str, str]:
    """The core philosophy of other principles; by place they keep the names that the profile gives them."""
    found = profile.get("core_philosophy", {})
    names = list(found) if isinstance(found, Mapping) else []
    out: dict[str, str] = {}
    for number, text in enumerate(texts, start=1):
        name = names[number - 1] if number <= len(names) else f"principle_{number}"
        while name in out or (number > len(names) and name in names):
            name = f"{name}_more"
        out[name] = text
    return out
