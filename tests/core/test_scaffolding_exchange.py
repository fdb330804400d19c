"""The library as a file: written, read back, compared, taken over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlite_utils import Database

from core import trash
from core.errors import AppError
from core.events import Changed
from core.scaffolding import exchange
from core.scaffolding.exchange import Decision, Outcome
from core.scaffolding.store import (
    KINDS,
    EmotionalArc,
    Entry,
    Persona,
    PromptTemplate,
    by_key,
    consultant_profile,
    listing,
    update,
)
from core.scaffolding.verticals import default_key
from core.workspace.paths import resources
from tests.core.factories import Place


@pytest.fixture
def db(here: Place) -> Database:
    return here.db


def whole(db: Database) -> list[Entry]:
    return [entry for kind in KINDS for entry in listing(db, kind)]


def written(path: Path, document: Any) -> Path:
    path.write_bytes(orjson.dumps(document))
    return path


def stored(db: Database, kind: Any, key: str) -> Any:
    found = by_key(db, kind, key)
    assert found is not None
    return found


def test_an_exported_library_read_back_changes_nothing(db: Database, tmp_path: Path) -> None:
    before = whole(db)
    assert exchange.write_file(tmp_path / "library.json", before) == len(before)
    plan = exchange.read_plan(db, tmp_path / "library.json")
    assert plan.counts() == {Outcome.NEW: 0, Outcome.SAME: len(before), Outcome.CONFLICT: 0, Outcome.REJECTED: 0}
    changed, taken = exchange.take(db, plan, {})
    assert (changed, taken.same) == (Changed.NOTHING, len(before))
    assert whole(db) == before


def test_the_shipped_lists_can_be_read(db: Database) -> None:
    for kind in KINDS:
        plan = exchange.read_plan(db, resources() / "verticals" / default_key() / f"{kind.TABLE}.json")
        assert {row.outcome for row in plan.rows} == {Outcome.SAME}


def test_every_row_says_what_would_happen_and_the_counts_add_up(db: Database, tmp_path: Path) -> None:
    david, maria = stored(db, Persona, "pragmatic_optimist"), stored(db, Persona, "anxious_planner")
    document = {"personas": [
        exchange.content(replace(david, summary="Theirs", is_active=False)), exchange.content(maria),
        {"persona_key": "late_starter", "name": "Ruth"}, {"persona_key": "late_starter", "name": "Ruth again"},
        {"persona_key": "young", "name": "Kim", "typical_questions": "Why?"},
    ]}  # fmt: skip
    plan = exchange.read_plan(db, written(tmp_path / "a.json", document))
    assert [row.outcome for row in plan.rows] == ["conflict", "same", "new", "rejected", "rejected"]
    assert plan.rows[0].differs == ("is_active", "summary")
    assert sum(plan.counts().values()) == len(document["personas"])
    problem = plan.rows[4].problem
    assert problem is not None
    assert (problem.where.file, problem.where.field) == ("a.json", "personas[4].typical_questions")
    assert len(listing(db, Persona)) == 3


@pytest.mark.parametrize("decision", list(Decision))
def test_a_conflict_is_decided_and_undone(db: Database, tmp_path: Path, decision: Decision) -> None:
    david = stored(db, Persona, "pragmatic_optimist")
    document = {"personas": [
        exchange.content(replace(david, summary="Theirs")), {"persona_key": "pragmatic_optimist_2", "name": "Other"},
    ]}  # fmt: skip
    plan = exchange.read_plan(db, written(tmp_path / "a.json", document))
    changed, taken = exchange.take(db, plan, {"personas[0]": decision})
    assert changed == Changed.SCAFFOLDING
    summaries = {persona.key: persona.summary for persona in listing(db, Persona)}
    assert summaries["pragmatic_optimist"] == ("Theirs" if decision is Decision.THEIRS else david.summary)
    assert summaries.get("pragmatic_optimist_3") == ("Theirs" if decision is Decision.BOTH else None)
    assert len(taken.added) + len(taken.replaced) + taken.kept + taken.same + taken.rejected == len(plan.rows)
    exchange.undo(db, taken)
    assert {exchange.content(p)["summary"] for p in listing(db, Persona)} >= {david.summary}
    assert len(listing(db, Persona)) == 3
    assert exchange.content(stored(db, Persona, "pragmatic_optimist")) == exchange.content(david)


def test_undo_leaves_what_was_changed_since(db: Database, tmp_path: Path) -> None:
    david, maria = stored(db, Persona, "pragmatic_optimist"), stored(db, Persona, "anxious_planner")
    document = {"personas": [
        exchange.content(replace(david, summary="Theirs")), exchange.content(replace(maria, summary="Theirs")),
        {"persona_key": "first", "name": "First"}, {"persona_key": "second", "name": "Second"},
    ]}  # fmt: skip
    plan = exchange.read_plan(db, written(tmp_path / "a.json", document))
    _, taken = exchange.take(db, plan, {"personas[0]": Decision.THEIRS, "personas[1]": Decision.THEIRS})
    update(db, replace(stored(db, Persona, "anxious_planner"), background="Mine, later"))
    update(db, replace(stored(db, Persona, "second"), background="Mine, later"))
    _, left = exchange.undo(db, taken)
    assert left == ("Second", maria.name)
    assert stored(db, Persona, "pragmatic_optimist").summary == david.summary
    assert by_key(db, Persona, "first") is None
    assert stored(db, Persona, "second").background == "Mine, later"
    assert stored(db, Persona, "anxious_planner").background == "Mine, later"


@pytest.mark.parametrize("decision", [Decision.MINE, Decision.THEIRS])
def test_the_profile_goes_with_the_whole_library(db: Database, tmp_path: Path, decision: Decision) -> None:
    before = consultant_profile(db)
    path = tmp_path / "a.json"
    exchange.write_file(path, whole(db), before)
    assert {row.outcome for row in exchange.read_plan(db, path).rows} == {Outcome.SAME}
    exchange.write_file(path, whole(db), {**before, "name": "Someone Else"})
    plan = exchange.read_plan(db, path)
    (row,) = [row for row in plan.rows if row.outcome is Outcome.CONFLICT]
    assert (row.place, row.differs) == ("consultant_profile", ("name",))
    assert Decision.BOTH not in row.decisions
    changed, taken = exchange.take(db, plan, {row.place: decision})
    theirs = decision is Decision.THEIRS
    assert consultant_profile(db)["name"] == ("Someone Else" if theirs else before["name"])
    assert (changed, len(taken.replaced), taken.kept) == (
        Changed.SCAFFOLDING if theirs else Changed.NOTHING, int(theirs), int(not theirs)
    )  # fmt: skip
    assert taken.same + taken.kept + len(taken.replaced) == len(plan.rows)
    exchange.undo(db, taken)
    assert consultant_profile(db) == before


def test_a_profile_that_is_nested_too_deeply_is_refused_before(db: Database, tmp_path: Path) -> None:
    deep = "[" * 300 + "]" * 300
    text = orjson.dumps({"consultant_profile": {**consultant_profile(db), "name": "A"}}).decode()
    (tmp_path / "a.json").write_text(text[:-2] + f', "more": {deep}}}}}')
    (row,) = exchange.read_plan(db, tmp_path / "a.json").rows
    assert row.outcome is Outcome.REJECTED


def test_a_profile_that_cannot_be_used_names_its_field(db: Database, tmp_path: Path) -> None:
    for value, place in (({"name": "A"}, "consultant_profile.system_prompt"), ([], "consultant_profile")):
        (row,) = exchange.read_plan(db, written(tmp_path / "a.json", {"consultant_profile": value})).rows
        assert row.problem is not None
        assert (row.outcome, row.problem.where.file, row.problem.where.field) == (Outcome.REJECTED, "a.json", place)


def test_templates_follow_an_arc_that_got_a_new_key(db: Database, tmp_path: Path) -> None:
    arc = stored(db, EmotionalArc, "confusion_to_clarity")
    template = PromptTemplate("mine", "Mine", "Hi {{persona_name}}", emotional_arc_key=arc.key)
    path = tmp_path / "a.json"
    exchange.write_file(path, [template, replace(arc, expected_outcome="Other")])
    exchange.take(db, exchange.read_plan(db, path), {"emotional_arcs[0]": Decision.BOTH})
    assert stored(db, PromptTemplate, "mine").emotional_arc_key == "confusion_to_clarity_2"


def test_an_import_is_all_or_nothing(db: Database, tmp_path: Path) -> None:
    david = stored(db, Persona, "pragmatic_optimist")
    document = {"personas": [
        {"persona_key": "a_new_one", "name": "Kim"}, exchange.content(replace(david, summary="Theirs")),
    ]}  # fmt: skip
    plan = exchange.read_plan(db, written(tmp_path / "a.json", document))
    update(db, replace(david, summary="Changed meanwhile"))
    with pytest.raises(AppError) as caught:
        exchange.take(db, plan, {"personas[1]": Decision.THEIRS})
    assert caught.value.code == "library_changed"
    assert by_key(db, Persona, "a_new_one") is None


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"personas": {}}, "personas"), ({"people": []}, "people"), ({"format": "other", "personas": []}, "format"),
        ({"version": 9, "personas": []}, "version"), ([{"name": "A"}], "[0]"), ("text", ""), ({}, ""),
        ([], ""),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused_by_name(db: Database, tmp_path: Path, document: Any, place: str) -> None:
    with pytest.raises(AppError) as caught:
        exchange.read_plan(db, written(tmp_path / "a.json", document))
    assert (caught.value.where.file, caught.value.where.field) == ("a.json", place)
    assert caught.value.hint


def test_broken_json_names_file_and_line(db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"personas": [\n  {"name": }\n]}')
    with pytest.raises(AppError) as caught:
        exchange.read_plan(db, tmp_path / "a.json")
    assert (caught.value.where.file, caught.value.where.line) == ("a.json", 2)


@pytest.mark.parametrize(
    ("kind", "values", "place"),
    [
        (EmotionalArc, {"beats": [{"emotion": "calm"}, {"emotion": "joy", "intensity": 2}]}, "beats[1].intensity"),
        (EmotionalArc, {"beats": [{"intensity": 0.5}]}, "beats[0].emotion"),
        (EmotionalArc, {"tier": "gold"}, "tier"), (Persona, {"demographics": {"age": "old"}}, "demographics.age"),
        (Persona, {"shoe_size": 43}, "shoe_size"), (PromptTemplate, {}, "text"),
        (PromptTemplate, {"text": " "}, "text"), (PromptTemplate, {"text": "Write {{nonsense}} and {{"}, "text"),
        (Persona, {"name": " "}, "name"), (Persona, {"is_active": 1}, "is_active"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_names_its_field(
    db: Database, tmp_path: Path, kind: type[Entry], values: dict[str, Any], place: str
) -> None:
    document = {kind.TABLE: [{kind.KEY: "one", "name": "One", **values}]}
    (row,) = exchange.read_plan(db, written(tmp_path / "a.json", document)).rows
    assert row.problem is not None
    assert row.problem.where.field == f"{kind.TABLE}[0].{place}"
    assert row.problem.hint


def test_an_entry_in_the_trash_is_no_conflict(db: Database, tmp_path: Path) -> None:
    david = stored(db, Persona, "pragmatic_optimist")
    exchange.write_file(tmp_path / "a.json", [david])
    trash.delete(db, "personas", [david.id])
    plan = exchange.read_plan(db, tmp_path / "a.json")
    assert [row.outcome for row in plan.rows] == [Outcome.NEW]
    _, taken = exchange.take(db, plan, {})
    assert stored(db, Persona, "pragmatic_optimist").id == taken.added[0].id
