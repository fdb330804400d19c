"""Plans drawn evenly: every value gets its quota, the same seed gives the same plan, no two items are alike."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from core.db import Database
from core.errors import AppError, Where
from core.generation.plan import MAX_TURNS, MIN_TURNS, Library, Plan, PlanItem, bad_plan, find, turns_of
from core.scaffolding.store import EmotionalArc, Persona, PromptTemplate, TrainingTopic

T = TypeVar("T")
TRIES = 200


@dataclass(frozen=True)
class Matrix:
    """Spread `total` conversations over these, or write `each` of every combination of persona, arc and topic."""

    personas: Sequence[Persona]
    arcs: Sequence[EmotionalArc]
    topics: Sequence[TrainingTopic]
    total: int = 0
    each: int = 0
    turns: int = 0
    templates: Sequence[PromptTemplate] = ()


def whole_library(library: Library, total: int) -> Matrix:
    """`total` conversations over everything that is active. Raises AppError `scaffolding_missing`."""
    for name, entries in (("persona", library.personas), ("emotional arc", library.arcs), ("topic", library.topics)):
        if not entries:
            raise AppError(
                "scaffolding_missing", f"There is no active {name}.", hint="Add one, or switch one on.",
                action="page:scaffolding",
            )  # fmt: skip
    arcs = [arc for arc in library.arcs if library.templates_for(arc)]
    if not arcs:
        raise AppError(
            "scaffolding_missing", "No active emotional arc has a prompt template.",
            hint="Add a template for one of the arcs.", action="page:scaffolding",
        )  # fmt: skip
    return Matrix(library.personas, arcs, library.topics, total=total)


def parse_matrix(value: Any, library: Library) -> Matrix:
    """The `matrix` of a plan file. Raises AppError naming the field."""
    known = {"personas", "arcs", "topics", "templates", "count", "each", "turns"}
    if not isinstance(value, Mapping) or set(value) - known:
        raise AppError(
            "bad_plan", "The matrix can't be read.", hint="Known fields: " + ", ".join(sorted(known)) + ".",
            where=Where(field="matrix"),
        )  # fmt: skip
    picked: dict[str, list[Any]] = {}
    for name, what, entries in (
        ("personas", "persona", library.personas), ("arcs", "arc", library.arcs), ("topics", "topic", library.topics),
        ("templates", "template", library.templates),
    ):  # fmt: skip
        listed = value.get(name, "all")
        wanted = [] if listed == "all" else listed if isinstance(listed, list) else [listed]
        places = enumerate(wanted)
        found = [find(entries, {what: key}, what, f"matrix.{name}[{index}]") for index, key in places]
        if name != "templates" and not (entries if listed == "all" else wanted):
            raise bad_plan(
                f"“{name}” names none.", f"matrix.{name}", 'Name some by their keys, or write "all" for those in use.'
            )
        picked[name] = found if listed != "all" else [] if name == "templates" else list(entries)
    each, total = value.get("each", 0), value.get("count", 0)
    for name, number, low, high in (
        ("each", each, 0, 10_000), ("count", total, 0, 100_000), ("turns", value.get("turns", 0), 0, MAX_TURNS),
    ):  # fmt: skip
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise AppError(
                "bad_plan", f"{number!r} can't be used here.", hint=f"Use a whole number from {low} to {high:,}.",
                where=Where(field=f"matrix.{name}"),
            )  # fmt: skip
    if bool(each) == bool(total):
        raise AppError(
            "bad_plan", "The matrix needs “count” or “each”, one of them.", where=Where(field="matrix.count"),
            hint="“count” spreads that many over the matrix, “each” writes that many of every combination.",
        )  # fmt: skip
    turns = value.get("turns", 0)
    return Matrix(picked["personas"], picked["arcs"], picked["topics"], total, each, turns, picked["templates"])


class Sampler:
    """Draws items. `existing` counts what is there by (persona, arc); `taken` are the signatures of what is there.

    Deterministic: the same seed, library and existing counts give the same items, ids included.
    """

    def __init__(
        self,
        library: Library,
        seed: int,
        *,
        existing: Mapping[tuple[str, str], int] | None = None,
        taken: Iterable[str] = (),
    ) -> None:
        self._library = library
        self._chance = random.Random(seed)
        self._cells = Counter(dict(existing or {}))
        self._taken = set(taken)
        self._pairs: Counter[tuple[str, str, str]] = Counter()
        self._templates: Counter[str] = Counter()
        self._values: Counter[tuple[str, str]] = Counter()

    def take(self, matrix: Matrix) -> list[PlanItem]:
        """The items of a matrix: `total` spread evenly, or `each` of every combination."""
        if matrix.each:
            combinations = itertools.product(matrix.personas, matrix.arcs, matrix.topics, range(matrix.each))
            return [self._item(p, a, t, matrix) for p, a, t, _ in combinations]
        used: Counter[str] = Counter()
        out = []
        for _ in range(matrix.total):
            persona, arc = self._cell(matrix, used)
            topic = self._topic(matrix.topics, used, persona, arc)
            for entry in (persona, arc, topic):
                used[entry.id or entry.key] += 1
            out.append(self._item(persona, arc, topic, matrix))
        return out

    def fill(self, matrix: Matrix) -> list[PlanItem]:
        """`total` items into the emptiest cells of persona and arc, one after the other."""
        used: Counter[str] = Counter()
        out = []
        for _ in range(matrix.total):
            pairs = list(itertools.product(matrix.personas, matrix.arcs))
            persona, arc = self._least(pairs, lambda pair: self._cells[(pair[0].key, pair[1].key)])
            topic = self._topic(matrix.topics, used, persona, arc)
            used[topic.id or topic.key] += 1
            out.append(self._item(persona, arc, topic, matrix))
        return out

    def _least(self, options: Sequence[T], weight: Any) -> T:
        low = min(weight(option) for option in options)
        return self._chance.choice([option for option in options if weight(option) == low])

    def _cell(self, matrix: Matrix, used: Counter[str]) -> tuple[Persona, EmotionalArc]:
        # Only values that are behind may be drawn, so that none is more than one ahead of another.
        low_p = min(used[p.id or p.key] for p in matrix.personas)
        low_a = min(used[a.id or a.key] for a in matrix.arcs)
        personas = [p for p in matrix.personas if used[p.id or p.key] == low_p]
        arcs = [a for a in matrix.arcs if used[a.id or a.key] == low_a]
        pairs = list(itertools.product(personas, arcs))
        return self._least(pairs, lambda pair: self._cells[(pair[0].key, pair[1].key)])

    def _topic(
        self, topics: Sequence[TrainingTopic], used: Counter[str], persona: Persona, arc: EmotionalArc
    ) -> TrainingTopic:
        low = min(used[t.id or t.key] for t in topics)
        behind = [t for t in topics if used[t.id or t.key] == low]
        return self._least(behind, lambda t: self._pairs[(persona.key, arc.key, t.key)])

    def _item(self, persona: Persona, arc: EmotionalArc, topic: TrainingTopic, matrix: Matrix) -> PlanItem:
        chosen = [t for t in matrix.templates if t.emotional_arc_key in ("", arc.key)]
        if matrix.templates and not chosen:
            raise _no_template(arc)
        template = self._least(chosen, lambda t: self._templates[t.key]) if chosen else None
        turns = matrix.turns + matrix.turns % 2 if matrix.turns else turns_of(arc)
        return self.one(persona, arc, topic, template, max(MIN_TURNS, turns), {})

    def one(
        self,
        persona: Persona,
        arc: EmotionalArc,
        topic: TrainingTopic,
        template: PromptTemplate | None,
        turns: int,
        given: Mapping[str, str],
    ) -> PlanItem:
        """One item of this cell, its open attributes drawn so that it is like no other. Raises AppError `too_alike`."""
        if template is None:
            fitting = self._library.templates_for(arc)
            if not fitting:
                raise _no_template(arc)
            template = self._least(fitting, lambda t: self._templates[t.key])
        for attempt in range(TRIES):
            drawn = {**self._attributes(greedy=attempt < 3), **given}
            ident = uuid.UUID(int=self._chance.getrandbits(128), version=4).hex
            item = PlanItem(persona.key, arc.key, topic.key, template.key, turns, drawn, ident)
            if item.signature not in self._taken:
                self._book(item)
                return item
        raise AppError(
            "too_alike",
            f"Nothing new can be planned for {persona.name}, {arc.name} and {topic.name}: all variants are there.",
            hint="Plan fewer of this combination, or add topics, templates or personas.",
            action="page:scaffolding",
        )

    def _book(self, item: PlanItem) -> None:
        self._taken.add(item.signature)
        self._cells[item.cell] += 1
        self._pairs[(*item.cell, item.training_topic_key)] += 1
        self._templates[item.template_key] += 1
        for pair in item.attributes.items():
            self._values[pair] += 1

    def _attributes(self, *, greedy: bool) -> dict[str, str]:
        out = {}
        for name, values in self._library.vertical.attributes.items():
            keys = list(values)
            out[name] = (
                self._least(keys, lambda k, n=name: self._values[(n, k)]) if greedy else self._chance.choice(keys)
            )
        return out


def _no_template(arc: EmotionalArc) -> AppError:
    return AppError(
        "template_missing", f"There is no active template for the arc {arc.name}.",
        hint="Add one on the Scaffolding page, or choose another arc.", action="page:scaffolding",
    )  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One place of the coverage. `topic_key` is empty where topics are put together; `mean_quality` None before
    enrichment."""

    persona_key: str
    arc_key: str
    topic_key: str
    count: int
    mean_quality: float | None


def coverage(db: Database, *, by_topic: bool = False) -> list[Cell]:
    """How many conversations there are a cell, with their mean quality; empty cells are left out."""
    topic = "coalesce(training_topic_key, '')" if by_topic else "''"
    rows = db.execute(
        f"select persona_key, emotional_arc_key, {topic} as topic, count(*) as n,"
        " avg(coalesce(human_score, quality_score)) as quality"
        " from conversations where deleted_at is null and status <> 'rejected' and persona_key is not null"
        " and emotional_arc_key is not null group by 1, 2, 3 order by 1, 2, 3"
    ).fetchall()
    return [Cell(r["persona_key"], r["emotional_arc_key"], r["topic"], r["n"], r["quality"]) for r in rows]


def counts(cells: Iterable[Cell]) -> dict[tuple[str, str], int]:
    """(persona, arc) -> conversations."""
    out: Counter[tuple[str, str]] = Counter()
    for cell in cells:
        out[(cell.persona_key, cell.arc_key)] += cell.count
    return dict(out)


def taken(db: Database) -> set[str]:
    """Signatures of everything that was planned and not given up."""
    rows = db.execute("select distinct signature from batch_items where status <> 'failed'").fetchall()
    return {row[0] for row in rows}


def planned_before(db: Database, plan: Plan) -> dict[str, int]:
    """How many conversations of the plan were planned alike and not given up, by the name of the batch."""
    wanted = orjson.dumps([item.signature for item in plan.items]).decode()
    rows = db.execute(
        "select b.name, count(distinct i.signature) as n from batch_items i join batch_jobs b on b.id = i.batch_job_id"
        " where i.status <> 'failed' and i.signature in (select value from json_each(?))"
        " group by b.id order by b.created_at desc, b.id",
        [wanted],
    ).fetchall()
    return {row["name"]: row["n"] for row in rows}


def planned_before_words(db: Database, plan: Plan) -> str:
    """A sentence on it, "" where nothing of the plan was planned before."""
    found = list(planned_before(db, plan).items())
    if not found:
        return ""
    named = ", ".join(f"{count:,} in {name}" for name, count in found[:3])
    return f"Planned before: {named}{', …' if len(found) > 3 else ''}. They will be written again."


def spread(db: Database, total: int, seed: int = 0, name: str = "") -> Plan:
    """`total` conversations evenly over the active library. Raises AppError `scaffolding_missing`."""
    library = Library.of(db)
    sampler = Sampler(library, seed, existing=counts(coverage(db)), taken=taken(db))
    return Plan(tuple(sampler.take(whole_library(library, total))), name, seed)


def fill_gaps(db: Database, cells: Iterable[Cell], n: int, seed: int = 0, name: str = "") -> Plan:
    """`n` conversations for the cells of persona and arc that have the fewest."""
    library = Library.of(db)
    sampler = Sampler(library, seed, existing=counts(cells), taken=taken(db))
    return Plan(tuple(sampler.fill(whole_library(library, n))), name, seed)


def gaps(library: Library, cells: Iterable[Cell], at_least: int = 1, planned: Iterable[PlanItem] = ()) -> int:
    """How many conversations are missing, beside those planned, until each cell of persona and arc has `at_least`."""
    there = Counter(counts(cells)) + Counter(item.cell for item in planned)
    pairs = itertools.product(library.personas, library.arcs)
    return sum(max(0, at_least - there.get((p.key, a.key), 0)) for p, a in pairs)
