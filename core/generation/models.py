"""What is known of Claude's models: thinking, effort, limits, retirement; from the service, else as shipped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from core.db import Database
from core.events import Changed
from core.workspace import settings
from core.workspace.files import read_json
from core.workspace.paths import resources

SETTING = "generation_model"
EFFORTS = ("low", "medium", "high", "xhigh", "max")
KNOWN_SETTING = "generation_models"
# A saved setting moves on before its model is gone, so that no run ends in the middle.
MIGRATE_AHEAD = timedelta(days=30)
_DATED = re.compile(r"-\d{8}$")


@dataclass(frozen=True)
class ModelFacts:
    """One model. `thinking_off` is the `thinking.type` that turns thinking off, "" where it is off by default, None
    where it can't be turned off. `effort` is empty where the model takes no effort."""

    id: str
    display_name: str = ""
    line: str = ""
    max_input_tokens: int = 0
    max_tokens: int = 0
    thinking: Sequence[str] = ()
    thinking_off: str | None = ""
    effort: Sequence[str] = ()
    default_effort: str | None = None
    min_cache_tokens: int = 4096
    deprecated: bool = False
    retires_at: str | None = None
    replacement: str | None = None
    known: bool = field(default=True)

    def thinking_parameter(self, wanted: str = "off") -> Mapping[str, Any] | None:
        """The `thinking` of a request: "off" where the model allows it, else its own default (None)."""
        if wanted == "off":
            return {"type": self.thinking_off} if self.thinking_off else None
        return {"type": "adaptive"} if "adaptive" in self.thinking else None

    def effort_parameter(self, wanted: str) -> str | None:
        """The effort to ask for, None where the model takes none. Thinking off allows high at most."""
        if not self.effort or wanted not in self.effort:
            return None
        return wanted

    @property
    def always_thinks(self) -> bool:
        """Whether thinking can't be turned off: it is billed as output and needs room in `max_tokens`."""
        return self.thinking_off is None


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, Any]:
    data: Mapping[str, Any] = read_json(resources() / "generation" / "models.json")
    return data


def default_model() -> str:
    """The shipped default."""
    return str(_shipped()["default"])


def checked() -> str:
    """When the shipped table was compared with the documentation: a date."""
    return str(_shipped()["checked"])


def _from_json(row: Mapping[str, Any]) -> ModelFacts:
    names = {f.name for f in fields(ModelFacts)}
    return ModelFacts(**{key: value for key, value in row.items() if key in names})


def shipped_models() -> list[ModelFacts]:
    """The shipped table, the default first."""
    return [_from_json(row) for row in _shipped()["models"]]


def listing(db: Database) -> list[ModelFacts]:
    """The models to offer: as the service last listed them, else as shipped."""
    rows = settings.get(db, KNOWN_SETTING, [])
    return [_from_json(row) for row in rows] or shipped_models()


def remember(db: Database, models: Sequence[ModelFacts]) -> Changed:
    """Keep what the service listed."""
    rows = [{f.name: getattr(model, f.name) for f in fields(ModelFacts)} for model in models]
    return settings.put(db, KNOWN_SETTING, rows)


def facts_of(model: str, known: Sequence[ModelFacts] = ()) -> ModelFacts:
    """What is known of a model; one that is not known takes neither thinking nor effort."""
    plain = _DATED.sub("", model)
    for facts in [*known, *shipped_models()]:
        if facts.id in (model, plain):
            return facts if facts.id == model else _renamed(facts, model)
    return ModelFacts(model, model, known=False, max_tokens=8_192)


def _renamed(facts: ModelFacts, model: str) -> ModelFacts:
    return ModelFacts(**{f.name: getattr(facts, f.name) for f in fields(ModelFacts)} | {"id": model})


def retirement(model: str, known: Sequence[ModelFacts] = ()) -> tuple[date, str] | None:
    """When a model goes and what replaces it; None where nothing is announced."""
    plain = _DATED.sub("", model)
    for facts in [*known, *shipped_models()]:
        if facts.id in (model, plain) and facts.retires_at:
            return date.fromisoformat(facts.retires_at[:10]), facts.replacement or default_model()
    if found := _shipped()["retired"].get(model):
        return date.fromisoformat(found[0]), str(found[1])
    return None


def notice_of(model: str, today: date, known: Sequence[ModelFacts] = ()) -> str:
    """One sentence on a model that is going or gone, empty for others."""
    found = retirement(model, known)
    if found is None:
        return ""
    when, replacement = found
    verb = "was retired" if when <= today else "is retired"
    return f"{model} {verb} on {when.isoformat()}. {replacement} replaces it."


def chosen(db: Database, today: date) -> tuple[str, str]:
    """The model of the settings, and a notice when it had to be replaced because its model is gone or about to go."""
    saved = str(settings.get(db, SETTING, "") or default_model())
    found = retirement(saved, listing(db))
    if found is None or found[0] > today + MIGRATE_AHEAD:
        return saved, ""
    settings.put(db, SETTING, found[1])
    return found[1], f"{notice_of(saved, today)} The setting was changed."


def from_api(info: Any) -> ModelFacts:
    """One `ModelInfo` of the service as facts; what it leaves out comes from the shipped table."""
    base = facts_of(str(info.id))
    values = {f.name: getattr(base, f.name) for f in fields(ModelFacts)} | {"known": True}
    values["display_name"] = getattr(info, "display_name", None) or base.display_name
    values["line"] = getattr(info, "line", None) or base.line
    values["max_input_tokens"] = getattr(info, "max_input_tokens", None) or base.max_input_tokens
    values["max_tokens"] = getattr(info, "max_tokens", None) or base.max_tokens
    values["deprecated"] = getattr(info, "lifecycle", "active") != "active"
    when = getattr(info, "retires_at", None)
    values["retires_at"] = when.date().isoformat() if when is not None else base.retires_at
    if (can := getattr(info, "capabilities", None)) is not None:
        values |= _capabilities(can, base)
    return ModelFacts(**values)


def _capabilities(can: Any, base: ModelFacts) -> dict[str, Any]:
    def supports(part: Any) -> bool:
        return bool(getattr(part, "supported", False))

    out: dict[str, Any] = {}
    effort = getattr(can, "effort", None)
    if effort is not None:
        levels = [
            level for level in ("low", "medium", "high", "xhigh", "max") if supports(getattr(effort, level, None))
        ]
        out["effort"] = levels if supports(effort) else []
    types = getattr(getattr(can, "thinking", None), "types", None)
    if types is not None:
        names = ("adaptive", "between_tools", "disabled", "enabled")
        found = [name for name in names if supports(getattr(types, name, None))]
        out["thinking"] = found
        # Where the shipped table says that thinking is off by default, nothing has to be sent.
        if base.thinking_off != "" or not base.known:
            off = next((name for name in ("disabled", "between_tools") if name in found), None)
            out["thinking_off"] = off if "adaptive" in found else ""
    return out
