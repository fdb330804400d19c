from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.cancel import CancelToken
from core.db.connection import now
from core.enrichment import library, provenance, store
from core.enrichment.lexicon import lexicon_of
from core.enrichment.normal_form import clean
from core.enrichment.normalize import STAGE as NORMALIZE
from core.enrichment.pipeline import STATE_FILE, run_conversation
from core.enrichment.stage import StageContext, State
from core.registries import STAGES
from core.scaffolding.store import EmotionalArc, Persona, TrainingTopic, add, by_key, update
from core.scaffolding.verticals import default_key, load
from core.workspace import settings as app_settings
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace, resources
from tests.core.factories import (
    COLD,
    KIND,
    PARAMETERS,
    Place,
    add_conversation,
    conversation,
    enrich,
    parsed,
    read,
    run_job,
    run_killed,
    wait_for,
)

SCAFFOLDING_KEYS = (
    "client_persona", "persona_archetype", "client_background", "emotional_arc", "emotional_arc_key",
    "training_topic", "training_topic_key", "session_context", "conversation_phase", "expected_outcome",
)  # fmt: skip


def schema_errors(document: Any) -> list[str]:
    schema = read_json(resources() / "schemas" / "individual.schema.json")
    return [error.message for error in Draft202012Validator(schema).iter_errors(document)]


def in_process(here: Place, ident: str) -> Any:
    return run_conversation(here.workspace, conversation(here, ident), library.load(here.db), CancelToken())


# The whole way, in a real worker


def test_a_conversation_becomes_a_v4_document_with_reports(here: Place) -> None:
    ident = add_conversation(here, parsed([*KIND, "And the rest?", None]))
    job = enrich(here, ident)
    assert dict(job.result) == {"in": 1, "used": 1, "rejected": 0, "cut": 0}

    row = conversation(here, ident)
    assert row["enrichment_status"] == "completed"
    assert row["status"] == "needs_review"
    assert row["tier"] == "template"
    assert row["warning_count"] == 1
    assert row["persona_id"] == by_key(here.db, Persona, "pragmatic_optimist").id  # type: ignore[union-attr]
    assert 1 <= row["quality_score"] <= 5
    assert set(orjson.loads(row["quality_criteria"])) == {
        "empathy_score", "clarity_score", "appropriateness_score", "brand_voice_alignment",
    }  # fmt: skip

    document = read(here, row["enriched_file_path"])
    assert schema_errors(document) == []
    pairs = document["training_pairs"]
    assert [pair["turn_number"] for pair in pairs] == [1, 2, 3]
    assert pairs[2]["target_response"] is None
    assert pairs[2]["training_metadata"]["quality_score"] is None
    assert [turn["content"] for turn in pairs[2]["conversation_history"]] == list(KIND)
    assert pairs[0]["id"] == "initial_opportunity_exploration_turn1"
    assert "confusion" in pairs[0]["emotional_context"]["detected_emotions"]
    assert pairs[0]["training_metadata"]["emotional_progression_target"] == "confusion"
    assert pairs[2]["training_metadata"]["emotional_progression_target"] == "clarity"

    reports = store.reports(here.db, ident)
    assert [report.stage for report in reports] == ["fetch", "validate", "enrich", "normalize", "store"]
    assert all(report.status == "completed" and report.duration_ms >= 0 for report in reports)
    assert any(found.severity == "warning" for found in reports[1].findings)


def test_every_field_has_a_stated_source(here: Place) -> None:
    ident = add_conversation(here, parsed([*KIND, "And the rest?", None]))
    enrich(here, ident)
    row = conversation(here, ident)
    document, said = read(here, row["enriched_file_path"]), provenance.load(here.workspace, row["enriched_file_path"])
    assert provenance.unsourced(document, said["fields"]) == []
    assert {entry["source"] for entry in said["fields"].values()} == set(provenance.KINDS)
    assert all(entry["reason"] for entry in said["fields"].values())

    def source(path: str) -> str:
        return provenance.entry(said["fields"], path)["source"]  # type: ignore[index]

    assert source("training_pairs[1].target_response") == "file"
    assert source("training_pairs[2].target_response") == "null"
    assert source("training_pairs[2].training_metadata.quality_criteria.clarity_score") == "null"
    assert source("training_pairs[0].conversation_metadata.client_background") == "scaffolding"
    assert source("training_pairs[0].training_metadata.quality_criteria.empathy_score") == "rule"
    assert source("consultant_profile.communication_style.tone") == "setting"
    assert "in 2 of 2 answers" in said["quality"]["criteria"]["empathy_score"]["reason"]

    warm, cold = add_conversation(here), add_conversation(here, parsed(COLD))
    enrich(here, warm, cold)
    warm_row, cold_row = conversation(here, warm), conversation(here, cold)
    assert warm_row["quality_score"] > cold_row["quality_score"] + 1
    for name, value in orjson.loads(warm_row["quality_criteria"]).items():
        assert value > orjson.loads(cold_row["quality_criteria"])[name]
    reason = provenance.load(here.workspace, cold_row["enriched_file_path"])["fields"][
        "training_pairs[0].training_metadata.quality_criteria.appropriateness_score"
    ]["reason"]
    assert "risk-free" in reason
    assert "you should have" in reason


def test_the_shipped_samples_are_all_enriched(here: Place) -> None:
    files = sorted((resources() / "sample" / "conversations").glob("*.json"))
    assert len(files) >= 14
    idents = [add_conversation(here, read_json(path)) for path in files]
    job = enrich(here, *idents)
    assert job.result["used"] == len(files)
    scores = {conversation(here, ident)["quality_score"] for ident in idents}
    assert len(scores) > len(files) / 2


def test_ids_of_elsewhere_are_kept_as_source(here: Place) -> None:
    ident = add_conversation(here, source_ids='{"conversation_id": "fp-7"}')
    enrich(here, ident)
    row = conversation(here, ident)
    assert orjson.loads(row["source_ids"]) == {
        "conversation_id": "fp-7",
        "persona_id": PARAMETERS["persona_id"],
        "emotional_arc_id": PARAMETERS["emotional_arc_id"],
        "training_topic_id": PARAMETERS["training_topic_id"],
    }
    document = read(here, row["enriched_file_path"])
    assert document["input_parameters"]["persona_id"] == row["persona_id"] != PARAMETERS["persona_id"]
    assert document["input_parameters"]["emotional_arc_id"] == row["emotional_arc_id"]


# Faults of the reference system


def test_scaffolding_comes_from_the_parsed_file_although_a_raw_one_is_there(here: Place) -> None:
    raw = parsed()
    del raw["input_parameters"]
    ident = add_conversation(here, raw=raw)
    enrich(here, ident)
    document = read(here, conversation(here, ident)["enriched_file_path"])
    assert document["input_parameters"]["persona_key"] == "pragmatic_optimist"


def test_demographics_are_words(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    pair = read(here, conversation(here, ident)["enriched_file_path"])["training_pairs"][0]
    background = pair["conversation_metadata"]["client_background"]
    assert background == "Age 37, male, Urban/Suburban; High earner, first house, two children"


def test_every_pair_carries_the_scaffolding_keys(here: Place) -> None:
    ident = add_conversation(here, parsed([*KIND, *KIND]))
    enrich(here, ident)
    for pair in read(here, conversation(here, ident)["enriched_file_path"])["training_pairs"]:
        assert all(pair["conversation_metadata"][key] for key in SCAFFOLDING_KEYS)
        assert pair["conversation_metadata"]["persona_archetype"] == "pragmatic_optimist"
        assert pair["conversation_metadata"]["emotional_arc"] == "Confusion → Clarity"


def test_the_raw_file_is_read_where_it_is_the_only_one(here: Place) -> None:
    ident = add_conversation(here, file_path=None)
    enrich(here, ident)
    found = store.reports(here.db, ident)[0].findings
    assert found[0].severity == "warning"


# Failures: stage, reason, mend; resumption


@pytest.mark.parametrize(
    ("key", "code", "noun"),
    [
        ("persona_key", "unknown_persona", "persona"),
        ("emotional_arc_key", "unknown_arc", "emotional arc"),
        ("training_topic_key", "unknown_topic", "training topic"),
    ],
)
def test_an_unknown_key_stops_stage_three_with_what_to_add(here: Place, key: str, code: str, noun: str) -> None:
    wrong = PARAMETERS[key][:-1]
    ident = add_conversation(here, parsed(input_parameters={**PARAMETERS, key: wrong}))
    job = enrich(here, ident)
    assert dict(job.result) == {"in": 1, "used": 0, "rejected": 1, "cut": 0}
    row = conversation(here, ident)
    assert (row["enrichment_status"], row["failed_stage"], row["status"]) == ("failed", "enrich", "draft")
    error = orjson.loads(row["enrichment_error"])
    assert error["code"] == code
    assert PARAMETERS[key] in error["message"]
    assert error["hint"] == f"Add the {noun} “{wrong}” on the Scaffolding page, then enrich again."
    assert error["action"] == "page:scaffolding"
    assert [report.status for report in store.reports(here.db, ident)] == ["completed", "completed", "failed"]


def test_missing_input_parameters_stop_stage_three(here: Place) -> None:
    content = parsed()
    del content["input_parameters"]
    ident = add_conversation(here, content)
    enrich(here, ident)
    row = conversation(here, ident)
    assert row["failed_stage"] == "enrich"
    error = orjson.loads(row["enrichment_error"])
    assert error["code"] == "missing_input_parameters"
    assert "persona_key, emotional_arc_key and training_topic_key" in error["message"]


def test_a_rerun_resumes_at_the_failed_stage(here: Place) -> None:
    ident = add_conversation(here, parsed(input_parameters={**PARAMETERS, "persona_key": "night_owl"}))
    enrich(here, ident)
    kept = read(here, f"conversations/{ident}/{STATE_FILE}")
    assert kept["failed_stage"] == "enrich"
    assert kept["reason"]["code"] == "unknown_persona"
    first = {report.stage: report.finished_at for report in store.reports(here.db, ident)}

    add(here.db, Persona(persona_key="night_owl", name="Nova"))
    time.sleep(0.005)
    resumed: list[str] = []
    job = run_job(
        here, "enrich", {"conversation_ids": [ident]},
        listen=lambda event: resumed.append(event["resumed_at"]) if event["type"] == "enriched" else None,
    )  # fmt: skip
    assert job.result["used"] == 1
    assert resumed == ["enrich"]
    again = {report.stage: report.finished_at for report in store.reports(here.db, ident)}
    assert again["fetch"] == first["fetch"]
    assert again["enrich"] > first["enrich"]
    row = conversation(here, ident)
    assert (row["enrichment_status"], row["failed_stage"], row["enrichment_error"]) == ("completed", None, None)
    assert not (here.workspace.conversations / ident / STATE_FILE).exists()


def test_a_kept_state_is_dropped_when_what_it_rests_on_changed(here: Place) -> None:
    STAGES.register("normalize", "tests.plugins.tiny_stage:FAILING")
    ident = add_conversation(here)
    failed = in_process(here, ident)
    assert (failed.failed_stage, failed.error.code) == ("normalize", "internal_error")
    (here.workspace.root / "mended").touch()
    assert in_process(here, ident).resumed_at == "normalize"

    (here.workspace.root / "mended").unlink()
    in_process(here, ident)
    persona = by_key(here.db, Persona, "pragmatic_optimist")
    assert persona is not None
    update(here.db, replace(persona, name="Renamed Chen"))
    (here.workspace.root / "mended").touch()
    result = in_process(here, ident)
    assert result.resumed_at == ""
    assert "Renamed Chen" in (here.workspace.conversations / ident / "enriched.json").read_text()

    (here.workspace.root / "mended").unlink()
    in_process(here, ident)
    write_json(here.workspace.conversations / ident / "parsed.json", parsed(COLD))
    (here.workspace.root / "mended").touch()
    assert in_process(here, ident).resumed_at == ""


def test_enriching_twice_writes_the_same_bytes(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    path = here.workspace.conversations / ident / "enriched.json"
    first = path.read_bytes()
    enrich(here, ident)
    assert path.read_bytes() == first
    assert len(store.reports(here.db, ident)) == 5


def test_failing_again_leaves_the_old_file(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    old = (here.workspace.conversations / ident / "enriched.json").read_bytes()
    write_json(here.workspace.conversations / ident / "parsed.json", {"title": "x", "turns": []})
    enrich(here, ident)
    row = conversation(here, ident)
    assert (row["enrichment_status"], row["failed_stage"]) == ("failed", "validate")
    assert (here.workspace.conversations / ident / "enriched.json").read_bytes() == old
    assert [report.stage for report in store.reports(here.db, ident)] == ["fetch", "validate"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"turns": []}, "turns"),
        ({"turns": "none"}, "turns"),
        ({"turns": [{"role": "system", "content": "x"}]}, "turns[0].role"),
        ({"turns": [{"role": "user", "content": " \u200b"}]}, "turns[0].content"),
        ({"turns": [{"role": "user", "content": 3}]}, "turns[0].content"),
        ({"turns": ["hello"]}, "turns[0].role"),
        ({"turns": [{"role": "assistant", "content": "x"}]}, "turns"),
        ({"turns": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "turns[1]"),
        ({"input_parameters": ["x"]}, "input_parameters"),
    ],
)
def test_blockers_name_the_field_and_the_mend(here: Place, change: dict[str, Any], field: str) -> None:
    result = in_process(here, add_conversation(here, parsed() | change))
    assert result.failed_stage == "validate"
    assert result.error is not None
    assert result.error.code == "enrichment_blocked"
    assert result.error.hint
    blockers = [found for found in result.reports[-1].findings if found.severity == "blocker"]
    assert field in [found.field for found in blockers]
    assert all(found.mend for found in blockers)


def test_an_unreadable_or_missing_file_stops_stage_one(here: Place) -> None:
    damaged, missing = add_conversation(here), add_conversation(here, parsed(COLD))
    (here.workspace.conversations / damaged / "parsed.json").write_text('{"title": "cut')
    for name in ("raw.json", "parsed.json"):
        (here.workspace.conversations / missing / name).unlink()
    assert in_process(here, damaged).error.code == "damaged_file"
    result = in_process(here, missing)
    assert (result.failed_stage, result.error.code) == ("fetch", "conversation_file_missing")


def test_one_failure_does_not_stop_the_others_and_the_counts_add_up(here: Place) -> None:
    good, bad = add_conversation(here), add_conversation(here, parsed() | {"turns": []})
    job = enrich(here, bad, good, "not-there")
    assert dict(job.result) == {"in": 3, "used": 1, "rejected": 2, "cut": 0}
    assert conversation(here, good)["enrichment_status"] == "completed"


# What the stages do to fields


def test_text_is_put_into_one_form_and_the_changes_are_counted(here: Place) -> None:
    ident = add_conversation(
        here, parsed(["Cafe\u0301\u00a0\u201cnow\u201d\r\nand then\u200b\n", "It\u2019s  fine. \n\n\n\nYes\n"])
    )
    result = in_process(here, ident)
    pair = read(here, result.columns["enriched_file_path"])["training_pairs"][0]
    assert pair["current_user_input"] == 'Café "now"\nand then'
    assert pair["target_response"] == "It's  fine.\n\nYes"
    found = [(item.field, item.message) for item in result.reports[3].findings if item.severity == "normalised"]
    assert ("training_pairs[0].current_user_input", "Curly quotes: 2.") in found
    assert ("training_pairs[0].current_user_input", "Decomposed accents: 1.") in found


@given(st.text())
def test_cleaning_is_idempotent(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def test_joined_emoji_stay_joined() -> None:
    assert clean("\U0001f468\u200d\U0001f469\u200d\U0001f467") == "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def test_scores_of_other_stages_are_brought_into_range(here: Place) -> None:
    ident = add_conversation(here)
    context = StageContext(here.workspace, conversation(here, ident), library.load(here.db), CancelToken())
    metadata = {"quality_score": 7, "quality_criteria": {"empathy_score": 3.14, "clarity_score": None}}
    out = NORMALIZE.run(context, State(document={"training_pairs": [{"training_metadata": metadata}]}))
    found = out.document["training_pairs"][0]["training_metadata"]
    assert found == {"quality_score": 5.0, "quality_criteria": {"empathy_score": 3.1, "clarity_score": None}}
    assert [item.severity for item in context.findings] == ["normalised", "normalised"]


def test_what_the_file_says_itself_goes_first(here: Place) -> None:
    content = parsed(conversation_metadata={"session_context": "First call after a raise", "mood": "x"}, extra=1)
    content["turns"][0]["emotional_context"] = {"detected_emotions": ["hope"], "intensity": 0.4}
    result = in_process(here, add_conversation(here, content))
    pair = read(here, result.columns["enriched_file_path"])["training_pairs"][0]
    assert pair["conversation_metadata"]["session_context"] == "First call after a raise"
    assert pair["emotional_context"] == {"detected_emotions": ["hope"], "intensity": 0.4}
    notes = {found.field for report in result.reports for found in report.findings}
    assert {"extra", "conversation_metadata.mood"} <= notes


def test_an_assistant_that_speaks_first_is_history(here: Place) -> None:
    content = parsed()
    content["turns"].insert(0, {"role": "assistant", "content": "Welcome."})
    result = in_process(here, add_conversation(here, content))
    pairs = read(here, result.columns["enriched_file_path"])["training_pairs"]
    assert len(pairs) == 2
    assert pairs[0]["conversation_history"] == [{"role": "assistant", "content": "Welcome."}]


def test_a_review_is_carried_into_the_pairs(here: Place) -> None:
    result = in_process(here, add_conversation(here, human_reviewed=1, reviewer_notes="good"))
    metadata = read(here, result.columns["enriched_file_path"])["training_pairs"][0]["training_metadata"]
    assert (metadata["human_reviewed"], metadata["reviewer_notes"]) == (True, "good")


def test_without_a_profile_the_minimal_one_says_so(here: Place) -> None:
    app_settings.put(here.db, "consultant_profile", {})
    result = in_process(here, add_conversation(here))
    document = read(here, result.columns["enriched_file_path"])
    assert "Minimal profile" in document["consultant_profile"]["note"]
    assert "consultant_profile" in {found.field for found in result.reports[2].findings}


def test_the_profile_of_the_workspace_is_used(here: Place) -> None:
    app_settings.put(here.db, "consultant_profile", {"name": "Ines", "system_prompt": "You are Ines."})
    result = in_process(here, add_conversation(here))
    document = read(here, result.columns["enriched_file_path"])
    assert document["consultant_profile"] == {"name": "Ines"}
    assert document["training_pairs"][0]["system_prompt"] == "You are Ines."


def test_sources_of_another_run_are_refused(here: Place) -> None:
    result = in_process(here, add_conversation(here))
    path = here.workspace.absolute(result.columns["enriched_file_path"])
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(Exception, match="different runs"):
        provenance.load(here.workspace, result.columns["enriched_file_path"])


# Generated scaffolding

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 200) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_demographics = st.dictionaries(st.sampled_from(["age", "gender", "location", "income", "ключ"]), _json, max_size=4)
_beats = st.lists(_text | st.fixed_dictionaries({"emotion": st.none() | _text}), max_size=4)
_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda text: clean(text) != ""
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    persona=st.builds(
        Persona, persona_key=st.just("p_key"), name=_text, title=_text, summary=_text, demographics=_demographics,
        background=_text, id=st.just("p1"),
    ),
    arc=st.builds(
        EmotionalArc, emotional_arc_key=st.just("a_key"), name=_text, start_emotion=_text, end_emotion=_text,
        beats=_beats.map(tuple), conversation_phase=_text, expected_outcome=_text, id=st.just("a1"),
        tier=st.sampled_from(["template", "edge_case"]),
    ),
    topic=st.builds(
        TrainingTopic, training_topic_key=st.just("t_key"), name=_text, complexity=_text, key_learning_objective=_text,
        skills=st.lists(_text, max_size=3).map(tuple), id=st.just("t1"),
    ),
    turns=st.lists(st.tuples(_words, st.none() | _text), min_size=1, max_size=4),
)  # fmt: skip
def test_every_pair_has_all_scaffolding_keys_whatever_the_library_holds(
    tmp_path: Path, persona: Persona, arc: EmotionalArc, topic: TrainingTopic, turns: list[tuple[str, str | None]]
) -> None:
    workspace = Workspace(tmp_path)
    folder = workspace.conversations / "c1"
    folder.mkdir(parents=True, exist_ok=True)
    keys = {"persona_key": "p_key", "emotional_arc_key": "a_key", "training_topic_key": "t_key"}
    content = parsed([text for pair in turns for text in pair], input_parameters=keys)
    write_json(folder / "parsed.json", content)
    scaffolding = library.Library(
        {"p_key": persona},
        {"a_key": arc},
        {"t_key": topic},
        "anything",
        lexicon_of(load(default_key())),
        {"name": "x"},
        "Be kind.",
        True,
        True,
        "f",
    )
    row = {
        "conversation_id": "c1", "title": "t", "file_path": "conversations/c1/parsed.json", "raw_response_path": None,
        "human_reviewed": 0, "reviewer_notes": None, "created_at": now(),
    }  # fmt: skip
    result = run_conversation(workspace, row, scaffolding, CancelToken())
    assert result.error is None, result.error
    document = read_json(workspace.absolute(result.columns["enriched_file_path"]))
    assert schema_errors(document) == []
    assert len(document["training_pairs"]) == len(turns)
    for pair in document["training_pairs"]:
        metadata = pair["conversation_metadata"]
        assert set(metadata) == set(SCAFFOLDING_KEYS)
        assert (metadata["persona_archetype"], metadata["emotional_arc_key"]) == ("p_key", "a_key")
        assert metadata["training_topic_key"] == "t_key"
        assert "{" not in metadata["client_background"] or "{" in str(persona)
    said = provenance.load(workspace, result.columns["enriched_file_path"])
    assert provenance.unsourced(document, said["fields"]) == []


# Registration, stopping, dying


def test_a_stage_from_elsewhere_runs_in_the_worker(here: Place) -> None:
    STAGES.unregister("store")
    STAGES.register("tiny", "tests.plugins.tiny_stage:STAGE")
    STAGES.register("store", "core.enrichment.store_stage:STAGE")
    ident = add_conversation(here)
    enrich(here, ident)
    document = read(here, conversation(here, ident)["enriched_file_path"])
    assert document["training_pairs"][0]["emotional_context"]["tiny"] is True
    report = store.reports(here.db, ident)[4]
    assert (report.stage, report.title, report.version) == ("tiny", "Tiny", "7")
    assert report.findings[0].message == "Marked 2 pairs."


def test_stopping_lets_the_conversation_be_enriched_again(here: Place) -> None:
    STAGES.register("normalize", "tests.plugins.tiny_stage:SLOW")
    ident = add_conversation(here)
    token = CancelToken()

    def stop() -> None:
        wait_for(here.workspace.root / "waiting")
        token.cancel()

    thread = threading.Thread(target=stop)
    thread.start()
    job = run_job(here, "enrich", {"conversation_ids": [ident]}, token=token)
    thread.join()
    assert job.status == "cancelled"
    assert conversation(here, ident)["enrichment_status"] == "not_started"


def test_killing_the_worker_leaves_nothing_half(here: Place) -> None:
    done, stuck = add_conversation(here), add_conversation(here, parsed(COLD))
    enrich(here, done)
    STAGES.register("normalize", "tests.plugins.tiny_stage:SLOW")
    ended = run_killed(here, "enrich", {"conversation_ids": [stuck]}, here.workspace.root / "waiting")
    assert ended.status == "failed"
    assert conversation(here, stuck)["enrichment_status"] == "not_started"
    assert not (here.workspace.conversations / stuck / "enriched.json").exists()
    assert conversation(here, done)["enrichment_status"] == "completed"
    STAGES.register("normalize", "core.enrichment.normalize:STAGE")
    enrich(here, stuck)
    assert schema_errors(read(here, conversation(here, stuck)["enriched_file_path"])) == []
