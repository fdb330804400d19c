"""The beats of an arc while they are edited, and how they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from core.errors import AppError
from core.generation.beats import beats_of
from core.scaffolding import beats, editing, exchange, store
from core.scaffolding.beats import BeatsEdit
from core.scaffolding.store import EmotionalArc
from tests.core.factories import Place

CALM, HOPE = {"emotion": "calm", "intensity": 0.2, "goal": "Begin", "colour": "blue"}, {"emotion": "hope"}


@pytest.fixture
def db(here: Place) -> Database:
    return here.db


def test_a_field_is_put_and_nothing_else_of_the_beat_changes() -> None:
    edit = BeatsEdit([CALM, HOPE])
    edit.put("intensity", 0.4)
    edit.put("goal", "")
    edit.put("guidance", "Ask.")
    assert edit.beats == ({"emotion": "calm", "intensity": 0.4, "colour": "blue", "guidance": "Ask."}, HOPE)
    edit.choose(1)
    # What the beat reckons with already is no change, and is not written down.
    edit.put("intensity", beats.INTENSITY)
    edit.put("goal", "")
    assert edit.beats[1] == HOPE


def test_beats_are_added_copied_moved_and_removed() -> None:
    edit = BeatsEdit([CALM, HOPE])
    edit.add()
    assert (edit.at, edit.beats[1]) == (1, {"emotion": "", "intensity": 0.2})
    edit.put("emotion", "doubt")
    edit.move(2)
    assert [beats.text_of(beat, "emotion") for beat in edit.beats] == ["calm", "hope", "doubt"]
    edit.duplicate()
    assert (edit.at, len(edit.beats), edit.beats[3]) == (3, 4, edit.beats[2])
    edit.move(9)
    edit.remove()
    edit.remove()
    assert (edit.at, edit.beats) == (1, (CALM, HOPE))
    edit.remove()
    edit.remove()
    edit.remove()
    assert (edit.at, edit.beats) == (-1, ())
    edit.put("emotion", "joy")
    edit.duplicate()
    assert not edit.beats
    edit.add()
    assert edit.beats == ({"emotion": "", "intensity": beats.INTENSITY},)


def test_a_word_or_a_drag_is_one_step_back() -> None:
    edit = BeatsEdit([CALM, HOPE])
    for value in (0.3, 0.5, 0.7):
        edit.put("intensity", value)
    edit.rest()
    for word in ("j", "jo", "joy"):
        edit.put("emotion", word)
    edit.undo()
    assert (edit.beats[0]["emotion"], edit.beats[0]["intensity"]) == ("calm", 0.7)
    edit.undo()
    assert not edit.changed
    assert not edit.can_undo
    edit.redo()
    edit.redo()
    assert (edit.beats[0]["emotion"], edit.beats[0]["intensity"], edit.can_redo) == ("joy", 0.7, False)
    edit.undo()
    edit.put("goal", "Other")
    assert not edit.can_redo


@given(st.lists(st.sampled_from(["add", "duplicate", "remove", "undo", "redo", "left", "right", "put", "choose"])))
def test_undo_leads_back_to_the_beginning(steps: list[str]) -> None:
    edit = BeatsEdit([CALM, HOPE])
    for number, step in enumerate(steps):
        if step in ("left", "right"):
            edit.move(edit.at + (1 if step == "right" else -1))
        elif step == "put":
            edit.put("goal", f"Goal {number}")
        elif step == "choose":
            edit.choose(number)
        else:
            getattr(edit, step)()
        assert -1 <= edit.at < max(1, len(edit.beats))
        assert (edit.at < 0) == (not edit.beats)
    while edit.can_undo:
        edit.undo()
    assert edit.beats == (CALM, HOPE)


@pytest.mark.parametrize(
    ("wrong", "place", "field"),
    [
        ([CALM, {"emotion": " "}], 1, "emotion"), ([{"intensity": 0.5}, HOPE], 0, "emotion"),
        ([CALM, HOPE | {"intensity": 1.01}], 1, "intensity"), ([CALM, HOPE | {"intensity": "much"}], 1, "intensity"),
        ([CALM, HOPE | {"intensity": True}], 1, "intensity"), ([CALM], -1, ""), ([], -1, ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_not_stored(db: Database, wrong: list[Any], place: int, field: str) -> None:
    (problem,) = beats.problems(wrong)
    assert (problem.place, problem.field) == (place, field)
    assert problem.hint
    stored = store.listing(db, EmotionalArc)[0]
    with pytest.raises(AppError) as caught:
        editing.put_beats(db, stored.id, wrong)
    assert caught.value.code == "bad_beats"
    assert caught.value.where.field == (f"beats[{place}].{field}" if field else "beats")
    assert store.get(db, EmotionalArc, stored.id) == stored


def test_only_the_beats_are_stored(db: Database) -> None:
    arc = store.listing(db, EmotionalArc)[0]
    _, (before, after) = editing.put_beats(db, arc.id, [CALM, HOPE])
    assert before == arc
    assert after == store.get(db, EmotionalArc, arc.id)
    assert after.beats == (CALM, HOPE)
    editing.put_beats(db, arc.id, before.beats)
    assert exchange.content(store.get(db, EmotionalArc, arc.id)) == exchange.content(arc)
    with pytest.raises(AppError, match="There is no"):
        editing.put_beats(db, "nobody", [CALM, HOPE])


def test_what_is_not_edited_stays_as_it_was_stored(db: Database, tmp_path: Path) -> None:
    old: tuple[Any, ...] = ({"emotion": " worry ", "note": [1]}, {"emotion": "calm", "goal": None}, "hope")
    arc = store.add(db, EmotionalArc("old_one", "Old", beats=old))
    edit = BeatsEdit(beats.to_edit(arc))
    edit.choose(1)
    edit.put("goal", " Listen ")
    edit.put("goal", "")
    edit.undo()
    assert edit.result == old
    edit.put("guidance", " Ask ")
    assert edit.result == (old[0], {"emotion": "calm", "goal": None, "guidance": "Ask"}, "hope")
    kept = store.add(db, EmotionalArc("kept", "Kept", beats=old[:2]))
    assert exchange.write_file(tmp_path / "a.json", [kept]) == 1
    (row,) = exchange.read_plan(db, tmp_path / "a.json").rows
    assert row.outcome is exchange.Outcome.SAME


def test_an_arc_without_beats_begins_with_its_ends() -> None:
    arc = EmotionalArc("a", "A", start_emotion="fear", end_emotion="calm")
    assert beats_of(arc) == beats_of(EmotionalArc("a", "A", beats=beats.to_edit(arc)))
    assert beats.to_edit(EmotionalArc("a", "A")) == ()
