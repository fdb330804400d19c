"""Entries duplicated, switched off and on again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.conversations.parse import KEYS
from core.errors import AppError
from core.events import Changed
from core.scaffolding import editing
from core.scaffolding.store import (
    EmotionalArc,
    Persona,
    PromptTemplate,
    TrainingTopic,
    add,
    by_key,
    get,
    listing,
    update,
)
from tests.core.factories import PARAMETERS, Place, add_conversation


def test_a_copy_has_the_next_free_key_and_name(here: Place) -> None:
    db = here.db
    first = add(db, Persona("late_starter", "Ruth", demographics={"age": 58}, is_active=False, source_id="x"))
    add(db, Persona("other", "Ruth 2"))
    (copy,) = editing.duplicate(db, Persona, [first.id])
    assert (copy.key, copy.name, copy.demographics) == ("late_starter_3", "Ruth 3", {"age": 58})
    assert get(db, Persona, copy.id) == copy
    assert copy.is_active
    assert copy.source_id is None
    assert get(db, Persona, first.id) == first
    (again,) = editing.duplicate(db, Persona, [first.id])
    assert again.key == "late_starter_4"


def test_of_several_copies_all_are_made_or_none(here: Place) -> None:
    before = listing(here.db, TrainingTopic)
    with pytest.raises(AppError) as caught:
        editing.duplicate(here.db, TrainingTopic, [before[0].id, "gone"])
    assert caught.value.code == "no_such_scaffolding"
    assert listing(here.db, TrainingTopic) == before


def test_what_is_switched_off_is_left_out_until_it_is_on_again(here: Place) -> None:
    db = here.db
    entries = listing(db, TrainingTopic)
    off, kept = entries[:2], entries[2:]
    assert editing.switch(db, TrainingTopic, [off[0].id], False) == (Changed.SCAFFOLDING, [off[0].id])
    changed, ids = editing.switch(db, TrainingTopic, [entry.id for entry in off], False)
    assert (changed, ids) == (Changed.SCAFFOLDING, [off[1].id])
    assert listing(db, TrainingTopic, active_only=True) == kept
    assert len(listing(db, TrainingTopic)) == len(entries)
    assert editing.switch(db, TrainingTopic, ids, False) == (Changed.NOTHING, [])
    editing.switch(db, TrainingTopic, [entry.id for entry in off], True)
    found = by_key(db, TrainingTopic, off[0].key)
    assert found is not None
    assert found.is_active


def test_the_templates_of_an_arc_follow_its_key(here: Place) -> None:
    arc = by_key(here.db, EmotionalArc, "anxiety_to_calm")
    assert arc is not None
    before = [t.key for t in listing(here.db, PromptTemplate) if t.emotional_arc_key == "anxiety_to_calm"]
    assert before
    update(here.db, replace(arc, emotional_arc_key="anxiety_to_peace"))
    after = [t.key for t in listing(here.db, PromptTemplate) if t.emotional_arc_key == "anxiety_to_peace"]
    assert after == before


def test_the_key_that_conversations_name_stays(here: Place) -> None:
    add_conversation(here, **{name: PARAMETERS[name] for name in KEYS})
    for kind in (Persona, EmotionalArc, TrainingTopic):
        used = next(entry for entry in listing(here.db, kind) if entry.key in PARAMETERS.values())
        free = next(entry for entry in listing(here.db, kind) if entry.key not in PARAMETERS.values())
        with pytest.raises(AppError) as refused:
            update(here.db, replace(used, **{kind.KEY: "another_key"}))
        assert (refused.value.code, refused.value.where.field) == ("key_in_use", kind.KEY)
        assert "1 conversation " in refused.value.message
        update(here.db, replace(used, name="Another name"))
        update(here.db, replace(free, **{kind.KEY: "another_key"}))
        assert get(here.db, kind, free.id).key == "another_key"
