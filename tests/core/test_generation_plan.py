"""Plans: from a file, from a matrix, for the gaps; what is wrong is named by file and field."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import AppError
from core.generation.create import create_batch, library_json, library_of
from core.generation.plan import Library, PlanItem
from core.generation.plan_file import parse_plan, read_plan
from core.generation.prompts import SCHEMA, TURN_SCHEMA, Cast, Prompts
from core.generation.sampling import (
    Sampler,
    counts,
    coverage,
    fill_gaps,
    gaps,
    planned_before_words,
    spread,
    whole_library,
)
from core.generation.settings import RunSettings
from core.scaffolding.store import PromptTemplate, add
from tests.contract.wire import check_schema
from tests.core.factories import Place, add_conversation, place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    made = place(tmp_path)
    yield made
    made.db.close()


ONE = {"persona": "pragmatic_optimist", "arc": "confusion_to_clarity", "topic": "mortgage_payoff_strategy"}


def test_every_value_gets_its_quota_and_the_same_seed_the_same_plan(here: Place) -> None:
    library = Library.of(here.db)
    plan = spread(here.db, 200, 5)
    for name, entries in (("persona_key", library.personas), ("emotional_arc_key", library.arcs),
                          ("training_topic_key", library.topics)):  # fmt: skip
        found = Counter(getattr(item, name) for item in plan.items)
        assert len(found) == len(entries)
        assert max(found.values()) - min(found.values()) <= 1
    for name in plan.items[0].attributes:
        values = Counter(item.attributes[name] for item in plan.items)
        assert max(values.values()) - min(values.values()) <= 12
    assert len({item.signature for item in plan.items}) == 200
    assert spread(here.db, 200, 5).to_json() == plan.to_json()
    assert spread(here.db, 200, 6).to_json() != plan.to_json()
    for item in plan.items:
        assert library.template(item.template_key).emotional_arc_key in ("", item.emotional_arc_key)
        assert item.turns % 2 == 0


def test_a_plan_file_read_again_says_what_was_planned_before(here: Place) -> None:
    library = Library.of(here.db)
    settled = {"length": "short", "setting": "call"} | {
        name: next(iter(values)) for name, values in library.vertical.attributes.items()
    }
    value = {"items": [{**ONE, "template": library.templates_for(library.arc(ONE["arc"]))[0].key,
                        "attributes": settled}]}  # fmt: skip
    plan = parse_plan(value, library)
    assert planned_before_words(here.db, plan) == ""
    create_batch(here.db, here.workspace, plan, RunSettings("claude", "claude-sonnet-5-5"), name="October")
    assert "1 in October" in planned_before_words(here.db, parse_plan(value, library))
    assert planned_before_words(here.db, spread(here.db, 5, 1)) == ""


def test_what_was_planned_before_is_not_planned_again(here: Place) -> None:
    first = spread(here.db, 40, 1)
    create_batch(here.db, here.workspace, first, RunSettings("claude", "claude-sonnet-5-5"))
    second = spread(here.db, 40, 1)
    assert not {item.signature for item in first.items} & {item.signature for item in second.items}


def test_the_gaps_are_filled_first(here: Place) -> None:
    library = Library.of(here.db)
    for number in range(3):
        add_conversation(here, persona_key="pragmatic_optimist", emotional_arc_key="confusion_to_clarity",
                         title=str(number), quality_score=3.0 + number)  # fmt: skip
    cells = coverage(here.db)
    assert [(c.count, c.mean_quality) for c in cells] == [(3, 4.0)]
    assert coverage(here.db, by_topic=True)[0].topic_key == ""
    assert gaps(library, cells) == 29
    plan = fill_gaps(here.db, cells, 29)
    filled = Counter(item.cell for item in plan.items)
    assert len(filled) == 29
    assert ("pragmatic_optimist", "confusion_to_clarity") not in filled
    assert counts(cells) == {("pragmatic_optimist", "confusion_to_clarity"): 3}


def test_a_plan_goes_through_a_file_unchanged(here: Place, tmp_path: Path) -> None:
    library = Library.of(here.db)
    plan = spread(here.db, 7, 2, name="Seven")
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan.to_json()))
    assert read_plan(path, library) == plan
    assert library_of(library_json(plan, library)).persona(plan.items[0].persona_key).name


def test_a_short_plan_is_completed(here: Place) -> None:
    library = Library.of(here.db)
    plan = parse_plan({"items": [{**ONE, "count": 3}]}, library)
    assert [item.template_key for item in plan.items] == ["clarity_walkthrough"] * 3
    assert [item.turns for item in plan.items] == [8, 8, 8]
    assert len({item.signature for item in plan.items}) == 3
    by_id = {"persona_id": library.persona(ONE["persona"]).id, "emotional_arc_key": ONE["arc"], "topic": ONE["topic"],
             "turns": 5, "attributes": {"length": "short"}}  # fmt: skip
    item = parse_plan([by_id], library).items[0]
    assert (item.persona_key, item.turns, item.attributes["length"]) == (ONE["persona"], 6, "short")
    matrix = {"matrix": {"personas": [ONE["persona"]], "arcs": "all", "topics": [ONE["topic"]], "each": 2}}
    assert len(parse_plan(matrix, library).items) == 20
    assert len(parse_plan({"items": [ONE], "matrix": {"count": 9}}, library).items) == 10


WRONG: list[tuple[Any, str, str]] = [
    ({"items": [ONE, {**ONE, "persona": "nobody"}]}, "items[1].persona", "no_such_scaffolding"),
    ({"items": [{**ONE, "template": "gentle_disclosure"}]}, "items[0].template", "template_does_not_fit"),
    ({"items": [{**ONE, "turns": 1}]}, "items[0].turns", "bad_plan"),
    ({"items": [{**ONE, "turns": "8"}]}, "items[0].turns", "bad_plan"),
    ({"items": [{**ONE, "colour": 1}]}, "items[0].colour", "bad_plan"),
    ({"items": [{"persona": ONE["persona"]}]}, "items[0].arc", "bad_plan"),
    ({"items": [{**ONE, "attributes": [1]}]}, "items[0].attributes", "bad_plan"),
    ({"items": [{**ONE, "id": "x"}]}, "items[0].id", "bad_plan"), ({"items": []}, "items", "bad_plan"),
    ({"items": {}}, "items", "bad_plan"), ({"version": 2, "items": [ONE]}, "version", "bad_plan"),
    ({"matrix": {"arcs": ["no"], "count": 1}}, "matrix.arcs[0].arc", "no_such_scaffolding"),
    ({"matrix": {"count": 1, "each": 1}}, "matrix.count", "bad_plan"), (7, "", "bad_plan"),
    ({"matrix": {"personas": [], "count": 1}}, "matrix.personas", "bad_plan"),
    ({"name": ["n"], "items": [ONE]}, "name", "bad_plan"), ({"name": "a\nb", "items": [ONE]}, "name", "bad_plan"),
    ({"name": "n" * 201, "items": [ONE]}, "name", "bad_plan"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "field", "code"), WRONG)
def test_what_is_wrong_is_named_by_file_and_field(
    here: Place, tmp_path: Path, value: Any, field: str, code: str
) -> None:  # fmt: skip
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(value))
    with pytest.raises(AppError) as caught:
        read_plan(path, Library.of(here.db))
    assert (caught.value.where.file, caught.value.where.field, caught.value.code) == (str(path), field, code)
    assert caught.value.hint


def test_a_plan_that_is_no_json_names_its_line(here: Place, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"items": [\n  {"persona": }\n]}')
    with pytest.raises(AppError) as caught:
        read_plan(path, Library.of(here.db))
    assert caught.value.where.line == 2
    path.write_text('{"items": []}', encoding="utf-16")
    with pytest.raises(AppError, match="not UTF-8"):
        read_plan(path, Library.of(here.db))
    path.write_text(json.dumps({"items": [ONE]}), encoding="utf-8-sig")
    assert len(read_plan(path, Library.of(here.db)).items) == 1
    with pytest.raises(AppError) as caught:
        read_plan(tmp_path / "none.json", Library.of(here.db))
    assert caught.value.code == "no_such_file"


def test_when_all_variants_are_there_it_says_so(here: Place) -> None:
    given = {name: "x" for name in ("opening", "length", "difficulty", "ending", "setting")}
    with pytest.raises(AppError) as caught:
        parse_plan({"items": [{**ONE, "count": 2, "attributes": given}]}, Library.of(here.db))
    assert caught.value.code == "too_alike"


def test_a_template_that_can_not_be_filled_is_found_before_anything_is_sent(here: Place) -> None:
    add(here.db, PromptTemplate("odd", "Odd", "Say {{nothing_known}}", emotional_arc_key=ONE["arc"]))
    plan = parse_plan({"items": [{**ONE, "template": "odd"}]}, Library.of(here.db))
    with pytest.raises(AppError) as caught:
        create_batch(here.db, here.workspace, plan, RunSettings("claude", "claude-sonnet-5-5"))
    assert caught.value.code == "unknown_placeholder"
    assert "items[0]" in caught.value.where.field
    assert here.db.execute("select count(*) from jobs").fetchone()[0] == 0


def test_the_schemas_keep_to_the_services_rules() -> None:
    for schema in (SCHEMA, TURN_SCHEMA):
        count = {"optional": 0, "union": 0}
        check_schema(dict(schema), "schema", count)
        assert count == {"optional": 0, "union": 0}


def test_the_system_text_is_the_same_for_all_and_the_plan_is_data(here: Place) -> None:
    library = Library.of(here.db)
    prompts = Prompts({"name": "Elena"}, library.vertical, [{"role": "user", "content": "Hello"}])
    items: list[PlanItem] = Sampler(library, 1).take(whole_library(library, 12))
    texts = {prompts.whole(item, Cast.of(item, library)) for item in items}
    assert len(texts) == 12
    assert "Elena" in prompts.writer_system()[0]
    assert "Hello" in prompts.writer_system()[1]
    for item in items:
        text = prompts.turn(item, Cast.of(item, library), [])
        assert f"Turn 1 of {item.turns}" in text
        assert library.arc(item.emotional_arc_key).start_emotion.replace("_", " ") in text
