"""A conversation against its arc: which beat was planned where, and which was heard."""

from __future__ import annotations

from pathlib import Path

from core.conversations.parse import Turn
from core.scaffolding.store import EmotionalArc, add
from tests.core.factories import Place, place
from ui.pages.conversations.arc import read_arc

TURNS = [Turn(("user", "assistant")[number % 2], "Words.") for number in range(8)]


def arc(here: Place, *emotions: str) -> None:
    beats = tuple({"emotion": name, "intensity": 0.5, "goal": "", "guidance": f"on {name}"} for name in emotions)
    add(here.db, EmotionalArc("own_arc", "Own", start_emotion=emotions[0], end_emotion=emotions[-1], beats=beats))


def heard(*words: list[str]) -> dict[str, object]:
    return {"training_pairs": [{"emotional_context": {"detected_emotions": found}} for found in words]}


def test_the_planned_beat_counts_else_the_nearest_else_none(tmp_path: Path) -> None:
    here = place(tmp_path, scaffolding=False)
    arc(here, "fear", "self_blame", "fear", "calm")
    document = heard(["fear"], ["Self blame", "hope"], ["hope"], ["fear"])
    found = read_arc(here.db, "own_arc", TURNS, document)
    assert found.planned == (0, 1, 2, 3)
    assert found.heard == (0, 1, None, 2)
    assert found.met == 2
    assert found.remark(TURNS[2], 1) == "beat: self blame 0.5 · heard: self blame, hope"
    assert found.remark(TURNS[3], 1) == "on self_blame"
    here.db.close()


def test_without_arc_or_enrichment_nothing_is_made_up(tmp_path: Path) -> None:
    here = place(tmp_path, scaffolding=False)
    assert read_arc(here.db, None, TURNS, {}).planned == ()
    assert read_arc(here.db, "unknown", TURNS, heard(["fear"])).remark(TURNS[0], 0) == "heard: fear"
    arc(here, "fear", "calm")
    found = read_arc(here.db, "own_arc", TURNS, {})
    assert (found.planned, found.heard, found.met) == ((0, 0, 1, 1), (), 0)
    assert read_arc(here.db, "own_arc", [], {}).planned == ()
    assert read_arc(here.db, "own_arc", TURNS, heard([], [], [], [], ["fear"])).heard == (None,) * 4
    here.db.close()
