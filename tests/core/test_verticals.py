"""Verticals: data, not code. What a workspace is for decides its library, its words, and nothing else does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.opening import create_workspace, open_workspace, settle
from core import sample
from core.cancel import CancelToken
from core.db.connection import connect
from core.enrichment import lexicon, library, provenance, quality
from core.enrichment.pipeline import run_conversation
from core.errors import AppError
from core.generation.beats import beats_of, client_meets, cues_of
from core.generation.create import create_batch, library_json, library_of
from core.generation.plan import Library, PlanItem
from core.generation.prompts import Cast, Prompts
from core.generation.replies import read_turn
from core.generation.sampling import spread
from core.generation.settings import RunSettings
from core.scaffolding import verticals
from core.scaffolding.render import render, template_values
from core.scaffolding.seeding import choose, key_of, seed, vertical_of
from core.scaffolding.store import (
    KINDS,
    EmotionalArc,
    Persona,
    PromptTemplate,
    TrainingTopic,
    add,
    by_key,
    consultant_profile,
    listing,
    update,
)
from core.scaffolding.verticals import load, offered
from core.workspace import settings
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace, resources
from tests.core.factories import Place, add_conversation, conversation, enrich, parsed, place, read, run_job
from tests.support.verticals import COLD, FINANCE, LOSS, OUTAGE, SUPPORT, TALKS, TINY, copy_of_support, plug_in_tiny

SAMPLES = Path(__file__).parents[1] / "fixtures" / "enrichment" / "samples.json"
MONEY = re.compile(
    r"\b(?:money|dollars?|financ\w*|mortgage|debts?|savings?|invest(?:or|ing|ment)?s?|retire\w*|budget\w*|banks?|loans?"
    r"|income|tax(?:es)?|pay(?:s|ing|ment)?|paid|prices?|costs?|fees?|bills?|invoices?|refunds?|portfolio|stocks?)\b|\$"
)


def enriched(here: Place, content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    ident = add_conversation(here, content)
    result = run_conversation(here.workspace, conversation(here, ident), library.load(here.db), CancelToken())
    assert result.error is None, result.error
    path = result.columns["enriched_file_path"]
    return read(here, path), provenance.load(here.workspace, path)


@pytest.fixture
def support(tmp_path: Path) -> Place:
    here = place(tmp_path, scaffolding=False)
    choose(here.db, SUPPORT)
    return here


# What is shipped


def test_the_shipped_ones_are_offered_the_default_first() -> None:
    good, bad = offered()
    assert ([found.key for found in good], bad) == ([FINANCE, SUPPORT], [])
    assert all(found.name and found.description.endswith(".") for found in good)
    assert verticals.default_key() == FINANCE
    assert set(verticals.PHRASES) == set(lexicon.PHRASES)
    assert verticals.CRITERIA == quality.CRITERIA == tuple(quality.TITLES)


@pytest.mark.parametrize("key", [FINANCE, SUPPORT])
def test_a_shipped_library_is_whole(key: str) -> None:
    found = load(key)
    counts = [len(found.entries[kind]) for kind in KINDS]
    assert all(count >= least for count, least in zip(counts, (3, 5, 8, 4), strict=True))
    arcs = {arc.key: arc for arc in found.entries[EmotionalArc]}
    assert {t.emotional_arc_key for t in found.entries[PromptTemplate] if isinstance(t, PromptTemplate)} == set(arcs)
    known = cues_of(found)
    for arc in arcs.values():
        assert isinstance(arc, EmotionalArc)
        beats = beats_of(arc)
        assert (beats[0].emotion, beats[-1].emotion) == (arc.start_emotion, arc.end_emotion)
        assert {beat.emotion for beat in beats} <= set(known)
        assert all(beat.goal and beat.guidance for beat in beats)
    for template in found.entries[PromptTemplate]:
        assert isinstance(template, PromptTemplate)
        arc = arcs[template.emotional_arc_key]
        for persona in found.entries[Persona]:
            for topic in found.entries[TrainingTopic]:
                assert isinstance(persona, Persona)
                assert isinstance(arc, EmotionalArc)
                assert isinstance(topic, TrainingTopic)
                text = render(template.text, template_values(persona, arc, topic, {"turn_count": 8}))
                assert persona.name in text


def test_the_support_vertical_has_no_word_about_money() -> None:
    for path in (resources() / "verticals" / SUPPORT).iterdir():
        assert MONEY.findall(path.read_text()) == [], path.name
    assert MONEY.search((resources() / "verticals" / FINANCE / "training_topics.json").read_text())
    shared = orjson.dumps([lexicon.EMOTIONS, lexicon.PHRASES, lexicon.SKILLS]).decode()
    assert MONEY.findall(shared) == []


# The first vertical is what it was


def test_the_shipped_samples_are_enriched_byte_for_byte_as_before_there_were_verticals(here: Place) -> None:
    for kind in KINDS:
        here.db.execute(f"update {kind.TABLE} set id = {kind.KEY}")
    here.db.conn.commit()
    wanted, known = read_json(SAMPLES), library.load(here.db)
    found = {}
    for path in sample.sample_files():
        ident = add_conversation(here, read_json(path), id=path.stem, created_at="2026-11-20T12:00:00.000Z")
        result = run_conversation(here.workspace, conversation(here, ident), known, CancelToken())
        assert result.error is None, result.error
        folder = here.workspace.conversations / ident
        written = (folder / "enriched.json").read_bytes() + (folder / "sources.json").read_bytes()
        found[path.stem] = hashlib.sha256(written).hexdigest()
    assert len(wanted) == 24
    assert found == wanted


def test_a_workspace_without_a_choice_is_the_first_ones(here: Place) -> None:
    assert here.db.execute("select count(*) from settings where key = 'vertical'").fetchone()[0] == 0
    assert (key_of(here.db), vertical_of(here.db).name) == (FINANCE, "Financial planning consultant")
    document, _ = enriched(here, parsed())
    assert document["dataset_metadata"]["vertical"] == FINANCE


# The second vertical


def test_a_support_conversation_gets_the_fields_of_its_field(support: Place) -> None:
    document, said = enriched(support, OUTAGE)
    assert document["dataset_metadata"]["vertical"] == SUPPORT
    assert document["consultant_profile"]["name"] == "Priya Raman"
    assert "support engineer" in document["training_pairs"][0]["system_prompt"]
    feelings = [pair["emotional_context"]["detected_emotions"] for pair in document["training_pairs"]]
    assert feelings == [["panic"], ["focus", "urgency"], ["relief", "composure"]]
    shown = [set(pair["training_metadata"]["demonstrates_skills"]) for pair in document["training_pairs"]]
    assert shown[0] >= {"evidence_gathering", "safe_sequencing"}
    assert shown[1] >= {"taking_ownership", "rollback_planning", "plain_explanation"}
    reason = said["fields"]["training_pairs[0].training_metadata.quality_criteria.appropriateness_score"]["reason"]
    assert "protects the data first with “leave it as it is” (+0.4)" in reason
    assert "client_choice" not in orjson.dumps(document).decode()


def test_good_support_is_scored_above_bad_support_for_reasons_of_support(support: Place) -> None:
    scores = {}
    for name, talk in (("loss", LOSS), ("cold", COLD)):
        document, said = enriched(support, talk)
        scores[name] = document["training_pairs"][0]["training_metadata"]["quality_criteria"]
        reasons = " ".join(entry["reason"] for entry in said["fields"].values())
    assert all(scores["loss"][name] > scores["cold"][name] for name in verticals.CRITERIA)
    for words in ("“send me your password”", "“delete the database”", "“never happen again”", "“works on my machine”"):
        assert words in reasons


def test_no_word_about_money_gets_into_an_enriched_support_conversation(support: Place) -> None:
    for talk in TALKS:
        document, said = enriched(support, talk)
        assert MONEY.findall(orjson.dumps([document, said]).decode()) == []


# Another one is a folder


def test_a_vertical_is_plugged_in_as_a_folder_and_used_by_a_real_worker(tmp_path: Path) -> None:
    plug_in_tiny()
    here = place(tmp_path, scaffolding=False)
    choose(here.db, TINY)
    assert [entry.key for entry in listing(here.db, Persona)] == ["beginner"]
    keys = {"persona_key": "beginner", "emotional_arc_key": "fear_to_calm", "training_topic_key": "swarms"}
    texts = ("I am alone, and the whole swarm is angry.", "No sting ever! A little smoke calms the hive.")
    ident = add_conversation(here, parsed(texts, input_parameters=keys))
    assert enrich(here, ident).result["used"] == 1
    row = conversation(here, ident)
    document, said = read(here, row["enriched_file_path"]), provenance.load(here.workspace, row["enriched_file_path"])
    assert document["dataset_metadata"]["vertical"] == TINY
    (pair,) = document["training_pairs"]
    # “alone” says nothing among bees; the shared word for anger still does.
    assert pair["emotional_context"]["detected_emotions"] == ["awe", "anger"]
    assert pair["training_metadata"]["demonstrates_skills"] == ["smoking"]
    own = "training_pairs[0].training_metadata.quality_criteria."
    assert "promises too much with “no sting ever” (-1.2)" in said["fields"][own + "appropriateness_score"]["reason"]
    assert "sees the bees with “the hive” (-0.5)" in said["fields"][own + "empathy_score"]["reason"]
    assert here.db.execute("select count(*) from enrichment_stages").fetchone()[0] == 5
    here.db.close()


def _set(*path: Any, value: Any) -> Callable[[Any], Any]:
    def change(document: Any) -> Any:
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        return document

    return change


BROKEN: list[tuple[str, Callable[[Any], Any], str]] = [
    ("vertical", _set("name", value=" "), "name"), ("vertical", _set("key", value="other"), "key"),
    ("vertical", _set("colour", value=1), "colour"), ("vertical", lambda _d: [], ""),
    ("consultant_profile", _set("system_prompt", value=""), "system_prompt"),
    ("personas", _set(1, "demographics", value="old"), "[1].demographics"), ("personas", lambda _d: [], ""),
    ("personas", _set(1, "persona_key", value="admin_under_fire"), "[1].persona_key"),
    ("emotional_arcs", _set(0, "beats", 2, "intensity", value=7), "[0].beats[2].intensity"),
    ("training_topics", _set(0, "nmae", value="x"), "[0].nmae"),
    ("prompt_templates", _set(0, "emotional_arc_key", value="nowhere"), "[0].emotional_arc_key"),
    ("enrichment", _set("emotions", "panic", value="down"), "emotions.panic"),
    ("enrichment", _set("emotions", "panic", 1, value="Down"), "emotions.panic[1]"),
    ("enrichment", _set("phrases", "praise", value=["well done"]), "phrases.praise"),
    ("enrichment", _set("neutral", value=[3]), "neutral[0]"), ("enrichment", _set("skills", value=[]), "skills"),
    ("enrichment", _set("rules", 0, "criterion", value="speed"), "rules[0].criterion"),
    ("enrichment", _set("rules", 1, "points", value=9), "rules[1].points"),
    ("enrichment", _set("rules", 1, "phrases", value=[]), "rules[1].phrases"),
    ("generation", _set("attributes", "length", "short", value=""), "attributes.length.short"),
    ("generation", _set("writing", 0, value=None), "writing[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "field"), BROKEN, ids=[f"{name}-{field}" for name, _, field in BROKEN])
def test_a_broken_file_is_named_with_its_field(name: str, change: Callable[[Any], Any], field: str) -> None:
    folder = copy_of_support("mine")
    path = folder / f"{name}.json"
    write_json(path, change(read_json(path)))
    with pytest.raises(AppError) as caught:
        load("mine")
    where = caught.value.where
    assert (caught.value.code, where.file, where.field) == ("bad_vertical", f"mine/{name}.json", field)
    assert caught.value.hint
    good, bad = offered()
    assert [found.key for found in good] == [FINANCE, SUPPORT]
    assert [error.where for error in bad] == [where]


@pytest.mark.parametrize("name", ["vertical", "consultant_profile", "emotional_arcs", "enrichment", "generation"])
def test_a_missing_or_unreadable_file_is_named(name: str) -> None:
    folder = copy_of_support("mine")
    path = folder / f"{name}.json"
    path.write_text('{\n "key": }')
    with pytest.raises(AppError) as caught:
        load("mine")
    assert (caught.value.where.file, caught.value.where.line) == (f"mine/{name}.json", 2)
    path.unlink()
    with pytest.raises(AppError, match=f"has no {name}.json") as caught:
        load("mine")
    assert caught.value.where.file == f"mine/{name}.json"


def test_a_shipped_vertical_is_not_replaced_by_a_folder_of_its_name() -> None:
    write_json(copy_of_support(FINANCE) / "vertical.json", {"key": FINANCE})
    assert load(FINANCE).client == "client"


def test_an_unknown_key_is_answered_with_those_there_are(tmp_path: Path) -> None:
    plug_in_tiny()
    for wrong in ("suport", "../verticals", ""):
        with pytest.raises(AppError) as caught:
            load(wrong)
        assert caught.value.code == "unknown_vertical"
        assert all(key in caught.value.hint for key in (FINANCE, SUPPORT, TINY))
    with pytest.raises(AppError):
        open_workspace(Workspace(tmp_path / "new"), "suport")
    assert not (tmp_path / "new").exists()


# Chosen when a workspace is made


def test_a_new_workspace_is_made_for_a_vertical_and_keeps_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "helpdesk")
    create_workspace(workspace, SUPPORT)
    for vertical in ("", SUPPORT):
        opened = open_workspace(workspace, vertical)
        db = connect(workspace.db_path)
        settle(db, workspace)
        assert key_of(db) == SUPPORT
        assert {entry.key for entry in listing(db, Persona)} == {e.key for e in load(SUPPORT).entries[Persona]}
        db.close()
        opened.lock.release()
    with pytest.raises(AppError) as caught:
        create_workspace(workspace, FINANCE)
    assert (caught.value.code, caught.value.where.field) == ("folder_in_use", "name")
    assert workspace.db_path.exists()


def test_a_workspace_with_conversations_keeps_its_vertical(here: Place) -> None:
    add_conversation(here)
    before = listing(here.db, Persona)
    with pytest.raises(AppError) as caught:
        choose(here.db, SUPPORT)
    assert (caught.value.code, caught.value.where.field) == ("vertical_is_set", "vertical")
    assert (key_of(here.db), listing(here.db, Persona)) == (FINANCE, before)
    choose(here.db, FINANCE)
    assert listing(here.db, Persona) == before


def test_before_there_is_work_another_vertical_brings_its_library_and_what_was_written_stays(here: Place) -> None:
    mine = add(here.db, Persona("late_starter", "Ruth"))
    edited = by_key(here.db, EmotionalArc, "shame_to_acceptance")
    assert edited is not None
    update(here.db, EmotionalArc(**{**vars(edited), "name": "Mine"}))
    choose(here.db, SUPPORT)
    personas = {entry.key for entry in listing(here.db, Persona)}
    assert personas == {mine.key, *(entry.key for entry in load(SUPPORT).entries[Persona])}
    arcs = {entry.key: entry for entry in listing(here.db, EmotionalArc)}
    assert arcs.keys() == {"shame_to_acceptance", *(entry.key for entry in load(SUPPORT).entries[EmotionalArc])}
    # Both have an arc of this key: it is the new one's.
    assert arcs["confusion_to_clarity"].conversation_phase == "configuration_guidance"
    assert consultant_profile(here.db) == load(SUPPORT).profile
    choose(here.db, FINANCE)
    assert {entry.key for entry in listing(here.db, Persona)} == {
        mine.key, *(entry.key for entry in load(FINANCE).entries[Persona])
    }  # fmt: skip


def test_the_sample_workspace_is_the_first_ones(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "sample")
    sample.create(workspace)
    db = connect(workspace.db_path)
    assert settings.get(db, "vertical") == FINANCE
    assert len(listing(db, EmotionalArc)) == 10
    db.close()


def test_a_workspace_whose_vertical_this_machine_lacks_opens_and_says_so_when_it_is_needed(here: Place) -> None:
    ident = add_conversation(here)
    settings.put(here.db, "vertical", "falconry")
    settle(here.db, here.workspace)
    assert len(listing(here.db, Persona)) == 3
    job = run_job(here, "enrich", {"conversation_ids": [ident]})
    assert job.error is not None
    assert (job.error.code, job.error.where.field) == ("unknown_vertical", "vertical")
    assert conversation(here, ident)["enrichment_status"] == "not_started"


# Generation


def test_conversations_are_written_in_the_words_of_the_vertical(support: Place) -> None:
    known = Library.of(support.db)
    plan = spread(support.db, 12, 3)
    allowed = known.vertical.attributes
    assert all(value in allowed[name] for item in plan.items for name, value in item.attributes.items())
    prompts = Prompts(consultant_profile(support.db), known.vertical)
    assert "between a customer and a support engineer" in prompts.writer_system()[0]
    assert "- The support engineer never asks for a password" in prompts.writer_system()[0]
    for item in plan.items:
        cast = Cast.of(item, known)
        texts = [
            *prompts.writer_system(), *prompts.client_system(), *prompts.consultant_system(), prompts.whole(item, cast),
            prompts.turn(item, cast, []), prompts.turn(item, cast, [{"role": "user", "content": "It is down."}]),
        ]  # fmt: skip
        for text in texts:
            assert MONEY.findall(text) == []
            assert "consultant" not in text.lower()
    assert "Customer: It is down." in texts[-1]
    assert read_turn("Support engineer: Try it now.", known.vertical.speakers, structured=False) == "Try it now."


def test_the_first_vertical_asks_for_conversations_in_the_words_it_always_did(here: Place) -> None:
    known = Library.of(here.db)
    keys = ("anxious_planner", "anxiety_to_calm", "tax_debt_resolution", "months_and_not_millions")
    item = PlanItem(*keys, 8, {"opening": "asks", "setting": "letter"}, "0" * 32)
    prompts = Prompts(load(FINANCE).profile, known.vertical)
    # Of the version before there were verticals.
    assert prompts.fingerprint(item, Cast.of(item, known), "whole") == "ad21e742b8426f968237bc879e2e25ca"


def test_a_beat_is_met_by_the_words_of_its_vertical() -> None:
    (beat,) = [b for arc in load(SUPPORT).entries[EmotionalArc] if arc.key == "doubt_to_readiness"
               and isinstance(arc, EmotionalArc) for b in beats_of(arc) if b.emotion == "readiness"]  # fmt: skip
    text = "The window is booked, and we roll back at two."
    assert client_meets(beat, text, cues_of(load(SUPPORT))) is True
    assert client_meets(beat, text, cues_of(load(FINANCE))) is None


def test_a_batch_freezes_its_vertical_and_an_older_one_is_the_firsts(support: Place) -> None:
    known, plan = Library.of(support.db), spread(support.db, 2, 1)
    job = create_batch(support.db, support.workspace, plan, RunSettings("claude", "claude-sonnet-5-5"))
    row = support.db.execute("select library from batch_jobs where id = ?", [job.id]).fetchone()
    assert library_of(orjson.loads(row[0])).vertical.key == SUPPORT
    with pytest.raises(AppError, match="already"):
        choose(support.db, FINANCE)
    old = {name: value for name, value in library_json(plan, known).items() if name != "vertical"}
    assert library_of(old).vertical.key == FINANCE
    assert seed(support.db).value == 0
