from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlite_utils import Database

from core import trash
from core.errors import AppError
from core.events import Changed
from core.scaffolding import render
from core.scaffolding.seeding import seed
from core.scaffolding.store import (
    KINDS,
    EmotionalArc,
    Persona,
    PromptTemplate,
    TrainingTopic,
    add,
    by_key,
    consultant_profile,
    from_mapping,
    get,
    listing,
    update,
)
from tests.core.factories import Place


@pytest.fixture
def db(here: Place) -> Database:
    return here.db


def david(db: Database) -> Persona:
    found = by_key(db, Persona, "pragmatic_optimist")
    assert found is not None
    return found


def test_the_shipped_library_is_complete(db: Database) -> None:
    assert [p.key for p in listing(db, Persona)] != []
    assert {"pragmatic_optimist", "anxious_planner", "overwhelmed_avoider"} == {p.key for p in listing(db, Persona)}
    for kind in (EmotionalArc, PromptTemplate):
        tiers = [entry.tier for entry in listing(db, kind)]
        assert (tiers.count("template"), tiers.count("edge_case")) == (7, 3)
    topics = {t.key for t in listing(db, TrainingTopic)}
    assert {"mortgage_payoff_strategy", "estate_planning_basics", "debt_consolidation"} <= topics
    arcs = {a.key for a in listing(db, EmotionalArc)}
    assert {t.emotional_arc_key for t in listing(db, PromptTemplate)} <= arcs
    assert consultant_profile(db)["system_prompt"]


def test_seeding_again_changes_nothing_and_brings_nothing_back(here: Place) -> None:
    workspace, db = here.workspace, here.db
    persona = david(db)
    update(db, replace(persona, summary="Mine"))
    trash.delete(db, "personas", [persona.id])
    assert seed(db) == Changed.NOTHING
    assert by_key(db, Persona, "pragmatic_optimist") is None
    trash.purge(db, workspace, "personas", [persona.id])
    assert seed(db) == Changed.NOTHING
    assert len(listing(db, Persona)) == 2


def test_add_change_and_find_again(db: Database) -> None:
    new = add(db, Persona("first_time_buyer", "Eva Lind", demographics={"age": 29}, typical_questions=("Rent?",)))
    assert get(db, Persona, new.id) == new
    assert update(db, replace(new, name="Eva Berg", is_active=False)) == Changed.SCAFFOLDING
    found = by_key(db, Persona, "first_time_buyer")
    assert found is not None
    assert (found.name, found.is_active, found.demographics, found.typical_questions) == (
        "Eva Berg", False, {"age": 29}, ("Rent?",),
    )  # fmt: skip
    assert "first_time_buyer" not in {p.key for p in listing(db, Persona, active_only=True)}
    assert [p.key for p in listing(db, Persona, search="BERG")] == ["first_time_buyer"]


@pytest.mark.parametrize("key", ["", "First", "two words", "a__b", "_a", "a_", "1a", "a-b", "ä", "a\n"])
def test_a_key_that_is_not_snake_case_is_refused(db: Database, key: str) -> None:
    with pytest.raises(AppError) as caught:
        add(db, TrainingTopic(key, "Name"))
    assert caught.value.code == "bad_key"
    assert caught.value.where.field == "training_topic_key"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (Persona("a", " "), "name_missing"),
        (Persona("a", "A", demographics={"age": "old"}), "bad_demographics"),
        (EmotionalArc("a", "A", tier="gold"), "bad_tier"),
        (Persona("pragmatic_optimist", "A"), "key_taken"),
    ],
)
def test_what_cannot_be_stored_is_named(db: Database, entry: Any, code: str) -> None:
    with pytest.raises(AppError) as caught:
        add(db, entry)
    assert caught.value.code == code


def test_changing_a_key_to_one_that_is_taken_is_refused(db: Database) -> None:
    with pytest.raises(AppError) as caught:
        update(db, replace(david(db), persona_key="anxious_planner"))
    assert caught.value.code == "key_taken"


def test_unknown_fields_of_a_file_are_named() -> None:
    with pytest.raises(AppError, match="shoe_size"):
        from_mapping(Persona, {"persona_key": "a", "name": "A", "shoe_size": 43})
    with pytest.raises(AppError, match="persona_key"):
        from_mapping(Persona, {"name": "A"})


def test_demographics_are_words_never_an_object(db: Database) -> None:
    persona = david(db)
    assert render.demographics_text(persona.demographics) == "Age 37, male, Urban/Suburban"
    assert render.client_background(persona) == ("Age 37, male, Urban/Suburban; High earner, first house, two children")
    odd = replace(persona, demographics={"age": 40, "location": {"city": "Graz", "tags": ["old", "town"]}})
    assert render.client_background(odd).startswith("Age 40, Graz, old, town; ")
    for entry in listing(db, Persona):
        assert not set("{}[]") & set(render.client_background(entry))
    assert render.demographics_text("Age 50, retired") == "Age 50, retired"
    assert render.client_background(Persona("a", "A")) == ""


def test_every_shipped_template_can_be_filled(db: Database) -> None:
    topic = listing(db, TrainingTopic)[0]
    for template in listing(db, PromptTemplate):
        arc = by_key(db, EmotionalArc, template.emotional_arc_key)
        assert arc is not None
        values = render.template_values(david(db), arc, topic, {"turn_count": 6})
        text = render.render(template.text, values)
        assert "{{" not in text
        assert "David Chen" in text


def test_a_placeholder_that_is_unknown_or_empty_is_named() -> None:
    with pytest.raises(AppError, match="shoe") as caught:
        render.render("Hi {{ shoe }}", {"name": "A"})
    assert caught.value.code == "unknown_placeholder"
    with pytest.raises(AppError, match="name") as caught:
        render.render("Hi {{name}}", {"name": " "})
    assert caught.value.code == "unfilled_placeholder"
    assert render.render("{{a}}-{{a}}", {"a": "{{b}}"}) == "{{b}}-{{b}}"


def test_every_kind_is_in_the_trash_list() -> None:
    assert {kind.TABLE for kind in KINDS} <= set(trash.KINDS)
