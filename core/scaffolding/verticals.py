"""Verticals: fields of work, each one folder of data. What a workspace is for decides its library and word lists.

Shipped ones are in resources/verticals, others in `verticals` beside the workspaces. A folder has the name of its key
and holds vertical.json, consultant_profile.json, a file of each kind of scaffolding, enrichment.json, generation.json.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError, Where
from core.scaffolding import exchange, profile
from core.scaffolding.store import KEY_FORM, KINDS, PROFILE_KEY, EmotionalArc, Entry, PromptTemplate
from core.workspace import settings
from core.workspace.files import disk_error
from core.workspace.paths import resources, user_data

log = logging.getLogger(__name__)

# What enrichment.json may name: lists that take the place of enrichment's own, and the criteria that rules move.
PHRASES = ("acknowledge", "dismiss", "promise", "judge", "command", "choice", "step")
CRITERIA = ("empathy_score", "clarity_score", "appropriateness_score", "brand_voice_alignment")
MOST_POINTS = 2.0
_ABOUT = ("key", "name", "description", "client", "consultant")
_HINT = "Correct the file, or restore the folder of the vertical."

Words = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Rule:
    """Points for an answer in which one of the phrases occurs; `name` is the reason that is shown."""

    criterion: str
    name: str
    points: float
    phrases: tuple[str, ...]


# One object a folder and process: what is made of it is kept by identity.
@dataclass(frozen=True, eq=False)
class Vertical:
    """A field of work. `client` and `consultant` are its words for the two who talk.

    Words of `emotions` and `cues` (of generation, as parts of words) are added to the shared ones, `neutral` are shared
    ones that say no feeling here; lists of `phrases` and `skills` take the place of theirs. `writing` are more rules
    for who writes conversations.
    """

    key: str
    name: str
    description: str
    client: str
    consultant: str
    profile: Mapping[str, Any]
    entries: Mapping[type[Entry], tuple[Entry, ...]]
    emotions: Words
    neutral: tuple[str, ...]
    phrases: Words
    skills: Words
    rules: tuple[Rule, ...]
    attributes: Mapping[str, Mapping[str, str]]
    cues: Words
    writing: tuple[str, ...]

    @property
    def speakers(self) -> tuple[str, str]:
        """Who asks and who answers."""
        return self.client, self.consultant


def default_key() -> str:
    """The vertical of a workspace for which none was chosen."""
    return str(settings.DEFAULTS["vertical"])


def _folders() -> dict[str, Path]:
    """Key -> folder; a shipped vertical can't be replaced, so that its workspaces stay what they are."""
    found: dict[str, Path] = {}
    for parent in (resources() / "verticals", user_data() / "verticals"):
        for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
            if folder.is_dir() and not folder.name.startswith("."):
                found.setdefault(folder.name, folder)
    return found


def load(key: str) -> Vertical:
    """The vertical of that key, checked whole. Raises AppError `unknown_vertical` or `bad_vertical` (file, field)."""
    folders = _folders()
    if key not in folders:
        raise AppError(
            "unknown_vertical",
            f"There is no vertical “{key}”.",
            hint=f"Verticals on this machine: {', '.join(folders)}.",
            where=Where(field="vertical"),
        )
    return _read(folders[key])


def offered() -> tuple[list[Vertical], list[AppError]]:
    """What a new workspace can be made for, the default first, then by name; and what is wrong with the others."""
    good, bad = [], []
    for key in _folders():
        try:
            good.append(load(key))
        except AppError as error:
            log.warning("vertical %s: %s %s", key, error, error.where)
            bad.append(error)
    return sorted(good, key=lambda found: (found.key != default_key(), found.name.casefold())), bad


@lru_cache(maxsize=16)
def _read(folder: Path) -> Vertical:
    about, words, writing = (_File(folder, f"{name}.json") for name in ("vertical", "enrichment", "generation"))
    values = {name: about.text(name) for name in _ABOUT}
    about.only(_ABOUT)
    if values["key"] != folder.name or not KEY_FORM.fullmatch(folder.name):
        raise about.wrong("key", f"The key must be the folder's name, {folder.name}: lowercase, underscores.")
    words.only(("emotions", "neutral", "phrases", "skills", "rules"))
    writing.only(("attributes", "emotions", "writing"))
    phrases = words.lists("phrases")
    for name in sorted(set(phrases) - set(PHRASES)):
        raise words.wrong(f"phrases.{name}", f"{name!r} is not a list of enrichment. Known: {', '.join(PHRASES)}.")
    return Vertical(
        **values, profile=_profile(_File(folder, f"{PROFILE_KEY}.json")), entries=_library(folder),
        emotions=words.lists("emotions"),
        neutral=words.texts("neutral", folded=True), phrases=phrases, skills=words.lists("skills"), rules=_rules(words),
        attributes=_attributes(writing), cues=writing.lists("emotions"), writing=writing.texts("writing"),
    )  # fmt: skip


class _File:
    """One file of a vertical, read; its methods check a field and raise AppError `bad_vertical` naming it."""

    def __init__(self, folder: Path, name: str, shape: type = dict) -> None:
        self.name = f"{folder.name}/{name}"
        try:
            self.value: Any = orjson.loads((folder / name).read_bytes())
        except FileNotFoundError as exc:
            raise self.wrong("", f"The vertical {folder.name} has no {name}.") from exc
        except OSError as exc:
            raise disk_error(exc, folder / name) from exc
        except orjson.JSONDecodeError as exc:
            where = Where(file=self.name, line=exc.lineno)
            raise AppError("bad_vertical", f"{self.name} is not valid JSON.", hint=_HINT, where=where) from exc
        if not isinstance(self.value, shape):
            raise self.wrong("", f"{self.name} must be {'a list' if shape is list else 'an object'}.")

    def wrong(self, field: str, message: str) -> AppError:
        """The error of a field."""
        return AppError("bad_vertical", message, hint=_HINT, where=Where(file=self.name, field=field))

    def only(self, known: tuple[str, ...]) -> None:
        """No other fields than these."""
        for name in sorted(set(self.value) - set(known)):
            raise self.wrong(name, f"{name!r} is not known. Known: {', '.join(known)}.")

    def text(self, name: str) -> str:
        """A text that is there."""
        value = self.value.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, f"{name} must be text.")
        return value.strip()

    def texts(self, name: str, *, folded: bool = False) -> tuple[str, ...]:
        """A list of texts that may be empty."""
        return self.checked(name, self.value.get(name), empty=True, folded=folded)

    def checked(self, place: str, value: Any, *, empty: bool = False, folded: bool = False) -> tuple[str, ...]:
        """A list of texts that was found at `place`; `folded` as words are compared: lowercase, plain quotes."""
        if not isinstance(value, list) or not (value or empty):
            raise self.wrong(place, f"{place} must be a list of texts.")
        for number, text in enumerate(value):
            field = f"{place}[{number}]"
            if not isinstance(text, str) or not text.strip():
                raise self.wrong(field, f"{field} must be text.")
            if folded and (text != text.strip().lower() or set(text) & set("“”„‘’")):
                raise self.wrong(field, f"“{text}” must be lowercase, with plain quotes and no spaces around it.")
        return tuple(value)

    def lists(self, name: str) -> dict[str, tuple[str, ...]]:
        """Lists of phrases by name."""
        value = self.value.get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, f"{name} must be an object of lists.")
        for key in value:
            if not KEY_FORM.fullmatch(key):
                raise self.wrong(f"{name}.{key}", f"“{key}” must be lowercase letters, digits, and underscores.")
        return {key: self.checked(f"{name}.{key}", found, folded=True) for key, found in value.items()}


def _profile(file: _File) -> Mapping[str, Any]:
    try:
        profile.check(file.value)
    except AppError as exc:
        raise file.wrong(exc.where.field, exc.message) from exc
    return dict(file.value)


def _library(folder: Path) -> dict[type[Entry], tuple[Entry, ...]]:
    out: dict[type[Entry], tuple[Entry, ...]] = {}
    for kind in KINDS:
        file = _File(folder, f"{kind.TABLE}.json", list)
        found: dict[str, Entry] = {}
        for number, values in enumerate(file.value):
            try:
                entry = exchange.entry_of(file.name, f"[{number}]", kind, values)
            except AppError as exc:
                raise file.wrong(exc.where.field, exc.message) from exc
            if entry.key in found:
                raise file.wrong(f"[{number}].{kind.KEY}", f"The key {entry.key} appears twice.")
            found[entry.key] = entry
        if not found:
            raise file.wrong("", f"A vertical needs at least one {kind.NOUN}.")
        out[kind] = tuple(found.values())
        if kind is PromptTemplate:
            _check_arcs(file, out)
    return out


def _check_arcs(file: _File, library: Mapping[type[Entry], tuple[Entry, ...]]) -> None:
    arcs = {"", *(arc.key for arc in library[EmotionalArc])}
    for number, entry in enumerate(library[PromptTemplate]):
        key = getattr(entry, "emotional_arc_key", "")
        if key not in arcs:
            raise file.wrong(f"[{number}].emotional_arc_key", f"There is no emotional arc “{key}” in this vertical.")


def _rules(file: _File) -> tuple[Rule, ...]:
    rows = file.value.get("rules")
    if not isinstance(rows, list):
        raise file.wrong("rules", "rules must be a list.")
    out = []
    for number, row in enumerate(rows):
        place = f"rules[{number}]"
        if not isinstance(row, dict) or set(row) != {"criterion", "name", "points", "phrases"}:
            raise file.wrong(place, "A rule has exactly criterion, name, points, and phrases.")
        if row["criterion"] not in CRITERIA:
            raise file.wrong(f"{place}.criterion", f"{row['criterion']!r} is none of {', '.join(CRITERIA)}.")
        if not isinstance(row["name"], str) or not row["name"].strip():
            raise file.wrong(f"{place}.name", "The rule needs a name.")
        points = row["points"]
        if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < abs(points) <= MOST_POINTS:
            raise file.wrong(f"{place}.points", f"Points are a number from {-MOST_POINTS} to {MOST_POINTS}, not 0.")
        phrases = file.checked(f"{place}.phrases", row["phrases"], folded=True)
        out.append(Rule(row["criterion"], row["name"].strip(), float(points), phrases))
    return tuple(out)


def _attributes(file: _File) -> dict[str, Mapping[str, str]]:
    value = file.value.get("attributes")
    if not isinstance(value, dict) or not value:
        raise file.wrong("attributes", "attributes must be an object of objects.")
    for name, values in value.items():
        if not isinstance(values, dict) or not values:
            raise file.wrong(f"attributes.{name}", f"{name} must be an object of values and their sentences.")
        for key, text in values.items():
            if not isinstance(text, str) or not text.strip():
                raise file.wrong(f"attributes.{name}.{key}", f"{key} must be a sentence.")
    return value
