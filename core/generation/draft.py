"""A plan while it is put together: what is added is drawn so that it is like nothing that is there or planned."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.db import Database
from core.errors import AppError
from core.generation.plan import MAX_ITEMS, Library, Plan, PlanItem
from core.generation.sampling import Matrix, Sampler, counts, coverage, taken, whole_library


@dataclass(frozen=True)
class Line:
    """The conversations of a draft that share persona, arc, topic, template and turns."""

    id: str
    persona: str
    arc: str
    topic: str
    template: str
    tier: str
    turns: int
    items: tuple[PlanItem, ...]

    @property
    def count(self) -> int:
        """How many conversations."""
        return len(self.items)


@dataclass(frozen=True)
class Draft:
    """Never changed: every step gives another one. `name` is that of the plan file it was read from."""

    items: tuple[PlanItem, ...] = ()
    name: str = ""

    def plan(self) -> Plan:
        """As a batch takes it."""
        return Plan(self.items, self.name)

    def without(self, lines: Sequence[str]) -> Draft:
        """Without these lines."""
        return replace(self, items=tuple(item for item in self.items if line_id(item) not in lines))

    def with_matrix(self, db: Database, library: Library, matrix: Matrix) -> Draft:
        """With the conversations of a matrix. Raises AppError `too_alike`, `template_missing` or `too_many`."""
        self._check_room(matrix.total or matrix.each * len(matrix.personas) * len(matrix.arcs) * len(matrix.topics))
        return self._plus(self._sampler(db, library).take(matrix))

    def with_gaps(self, db: Database, library: Library, total: int) -> Draft:
        """With `total` conversations where there are fewest. Raises as `with_matrix`, and `scaffolding_missing`."""
        self._check_room(total)
        return self._plus(self._sampler(db, library).fill(whole_library(library, total)))

    def resized(self, db: Database, library: Library, line: str, count: int) -> Draft:
        """With another number of conversations in a line; 0 removes it. Raises as `with_matrix`."""
        there = [item for item in self.items if line_id(item) == line]
        if count <= len(there):
            dropped = {item.id for item in there[count:]}
            return replace(self, items=tuple(item for item in self.items if item.id not in dropped))
        self._check_room(count - len(there))
        first, sampler = there[0], self._sampler(db, library)
        more = [
            sampler.one(
                library.persona(first.persona_key), library.arc(first.emotional_arc_key),
                library.topic(first.training_topic_key), library.template(first.template_key), first.turns, {},
            )
            for _ in range(count - len(there))
        ]  # fmt: skip
        # Beside those of the same line, so that the order on the page stays.
        place = self.items.index(there[-1]) + 1
        return replace(self, items=(*self.items[:place], *more, *self.items[place:]))

    def _plus(self, items: Sequence[PlanItem]) -> Draft:
        return replace(self, items=(*self.items, *items))

    def _check_room(self, more: int) -> None:
        if len(self.items) + more > MAX_ITEMS:
            raise AppError(
                "too_many",
                f"A batch holds {MAX_ITEMS:,} conversations, and this would make {len(self.items) + more:,}.",
                hint="Plan fewer, or make a second batch.",
            )  # fmt: skip

    def _sampler(self, db: Database, library: Library) -> Sampler:
        there = Counter(counts(coverage(db)))
        there.update(item.cell for item in self.items)
        known = taken(db) | {item.signature for item in self.items}
        return Sampler(library, uuid.uuid4().int, existing=there, taken=known)


def line_id(item: PlanItem) -> str:
    """Equal for items of one line."""
    return "|".join((
        item.persona_key, item.emotional_arc_key, item.training_topic_key, item.template_key, str(item.turns)
    ))  # fmt: skip


def lines(draft: Draft, library: Library) -> list[Line]:
    """The draft as it is shown, in the order in which its lines were added; keys stand in for what is not active."""
    grouped: dict[str, list[PlanItem]] = {}
    for item in draft.items:
        grouped.setdefault(line_id(item), []).append(item)
    names = {
        kind: {entry.key: entry.name for entry in entries}
        for kind, entries in (("persona", library.personas), ("arc", library.arcs), ("topic", library.topics),
                              ("template", library.templates))
    }  # fmt: skip
    tiers = {arc.key: arc.tier for arc in library.arcs}
    out = []
    for ident, items in grouped.items():
        first = items[0]
        out.append(Line(
            ident, names["persona"].get(first.persona_key, first.persona_key),
            names["arc"].get(first.emotional_arc_key, first.emotional_arc_key),
            names["topic"].get(first.training_topic_key, first.training_topic_key),
            names["template"].get(first.template_key, first.template_key),
            tiers.get(first.emotional_arc_key, ""), first.turns, tuple(items),
        ))  # fmt: skip
    return out
