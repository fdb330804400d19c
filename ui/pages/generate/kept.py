"""What the page keeps from one visit to the next: the draft, and who wrote last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.generation.create import provider_of
from core.generation.draft import Draft
from core.generation.models import chosen as chosen_model
from core.generation.plan import PlanItem
from core.generation.settings import PROVIDER_SETTING
from core.workspace import settings

DRAFT_SETTING = "generation_draft"
MOST_KEPT = 5_000


def put(db: Database, values: Mapping[str, Any]) -> Changed:
    """Keep settings of the page."""
    for name, value in values.items():
        settings.put(db, name, value)
    # The page itself made the change: nothing has to be read again for it.
    return Changed.NOTHING


def settle_model(db: Database) -> tuple[Changed, tuple[str, str]]:
    """The model to begin with, and a notice where another one took the place of a retired one."""
    return Changed.NOTHING, chosen_model(db, datetime.now(UTC).date())


def read_kept(db: Database) -> tuple[Draft, str]:
    """The draft that was left, and the provider used last; "" where that is not there any more."""
    data, provider = settings.get(db, DRAFT_SETTING, {}), str(settings.get(db, PROVIDER_SETTING, ""))
    items = []
    for row in data.get("items", []):
        items.append(PlanItem(row["persona"], row["arc"], row["topic"], row["template"], row["turns"],
                              row["attributes"], row["id"]))  # fmt: skip
    try:
        provider_of(provider)
    except (AppError, KeyError):
        provider = ""
    return Draft(tuple(items), str(data.get("name", ""))), provider


def fingerprint(items: Sequence[PlanItem], model: str, mode: str) -> str:
    """What counted prompts were counted for."""
    return "|".join((model, mode, *(item.id for item in items)))
