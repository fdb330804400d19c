"""The vertical of a workspace: chosen before work begins, stored in its settings, its library loaded once."""

from __future__ import annotations

from typing import Any

from core.db import Database
from core.db.connection import transaction
from core.errors import AppError, Where
from core.events import Changed
from core.scaffolding.exchange import content
from core.scaffolding.store import KINDS, PROFILE_KEY, Entry, add, by_key, consultant_profile
from core.scaffolding.verticals import Vertical, default_key, load
from core.workspace import settings

SETTING = "vertical"
_SEEDED = "seeded_scaffolding"


def key_of(db: Database) -> str:
    """The key of the workspace's vertical."""
    return str(settings.get(db, SETTING) or "").strip() or default_key()


def vertical_of(db: Database) -> Vertical:
    """The workspace's vertical. Raises AppError `unknown_vertical` or `bad_vertical`."""
    return load(key_of(db))


def shipped_profile(db: Database) -> dict[str, Any]:
    """The profile that the workspace started with. Raises as `vertical_of`."""
    return dict(vertical_of(db).profile)


def choose(db: Database, key: str) -> Changed:
    """Make this a workspace of that vertical and load its library; what was written by hand stays.

    Raises AppError `vertical_is_set` where there is work of another vertical already, and as `load`.
    """
    vertical, before = load(key), key_of(db)
    if before != vertical.key:
        if _in_use(db):
            raise AppError(
                "vertical_is_set",
                f"This workspace is for the vertical “{before}”, and there are conversations in it already.",
                hint=f"Make a new workspace for “{vertical.key}”.",
                where=Where(field=SETTING),
            )
        _unload(db, load(before), vertical)
    return settings.put(db, SETTING, vertical.key) | seed(db)


def _in_use(db: Database) -> bool:
    sql = "select exists(select 1 from conversations) or exists(select 1 from batch_jobs)"
    return bool(db.execute(sql).fetchone()[0])


def _unload(db: Database, old: Vertical, new: Vertical) -> None:
    """Take out the entries of a vertical that are as they were shipped.

    The settings come first: where this is cut off, the next start loads what is missing and nothing is lost.
    """
    named = {_name(kind, entry) for kind in KINDS for entry in old.entries[kind]}
    settings.put(db, SETTING, new.key)
    settings.put(db, _SEEDED, sorted(set(settings.get(db, _SEEDED, [])) - named))
    with transaction(db):
        for kind in KINDS:
            for entry in old.entries[kind]:
                found = by_key(db, kind, entry.key)
                if found is not None and content(found) == content(entry):
                    db.execute(f"delete from {kind.TABLE} where id = ?", [found.id])
    if consultant_profile(db) == old.profile:
        settings.put(db, PROFILE_KEY, {})


def _name(kind: type[Entry], entry: Entry) -> str:
    return f"{kind.TABLE}/{entry.key}"


def seed(db: Database) -> Changed:
    """Load the vertical's library: what was loaded once, also if deleted since, and what is there stays as it is.

    Raises AppError `unknown_vertical` or `bad_vertical`; then nothing is changed.
    """
    vertical = vertical_of(db)
    before = set(settings.get(db, _SEEDED, []))
    seeded = set(before)
    changed = Changed.NOTHING
    with transaction(db):
        for kind in KINDS:
            for entry in vertical.entries[kind]:
                name = _name(kind, entry)
                there = db.execute(f"select 1 from {kind.TABLE} where {kind.KEY} = ?", [entry.key]).fetchone()
                if name not in seeded and there is None:
                    add(db, entry)
                    changed |= Changed.SCAFFOLDING
                seeded.add(name)
    if seeded != before:
        settings.put(db, _SEEDED, sorted(seeded))
    if not consultant_profile(db):
        changed |= settings.put(db, PROFILE_KEY, dict(vertical.profile))
    return changed
