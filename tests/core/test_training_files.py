from __future__ import annotations

import hashlib
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from core import jobs, trash
from core.cancel import CancelToken
from core.errors import AppError, Cancelled
from core.registries import EXPORT_FORMATS
from core.training_files import export, store
from core.training_files.aggregate import Aggregation, Member
from core.workers.runner import run_to_end
from core.workspace.files import TMP_PREFIX, read_json
from core.workspace.paths import resources
from tests.core.factories import COLD, PARAMETERS, Place, add_conversation, enrich, parsed, read, run_job, run_killed


def three(here: Place) -> list[str]:
    """Enriched conversations: two of one persona, one of another with a pair without an answer."""
    other = {**PARAMETERS, "persona_key": "anxious_planner", "emotional_arc_key": "fear_to_confidence"}
    idents = [
        add_conversation(here, parsed(title="Alpha")),
        add_conversation(here, parsed(COLD, title="Beta"), human_reviewed=1),
        add_conversation(here, parsed([*COLD, "And now?", None], title="Gamma", input_parameters=other)),
    ]
    enrich(here, *idents)
    return idents


def build(here: Place, idents: list[str], **more: Any) -> Any:
    return run_job(
        here, "build_training_file", {"name": "Spring", "description": "d", "conversation_ids": idents, **more}
    )


def test_json_and_jsonl_hold_every_pair_against_the_schema(here: Place) -> None:
    idents = three(here)
    job = build(here, idents)
    assert job.status == "completed", job.error
    result = dict(job.result)
    ident = result["training_file_id"]
    assert (result["version"], result["in"], result["used"], result["rejected"], result["cut"]) == (1, 5, 4, 0, 1)

    found = store.get(here.db, ident)
    document = read(here, found.json_file_path)
    lines = here.workspace.absolute(found.jsonl_file_path).read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == document["training_pairs"]
    schema = read_json(resources() / "schemas" / "aggregate.schema.json")
    assert list(Draft202012Validator(schema).iter_errors(document)) == []

    head = document["dataset_metadata"]
    assert (head["dataset_name"], head["version"]) == ("Spring", "4.0.0")
    assert (head["total_conversations"], head["total_turns"]) == (3, 5)
    assert head["scaffolding_distribution"]["personas"] == {"anxious_planner": 1, "pragmatic_optimist": 2}
    assert head["scaffolding_distribution"]["emotional_arcs"] == {"confusion_to_clarity": 2, "fear_to_confidence": 1}
    assert head["scaffolding_distribution"]["training_topics"] == {"mortgage_payoff_strategy": 3}
    summary = head["quality_summary"]
    assert summary["human_reviewed_count"] == 1
    assert summary["min_quality_score"] < summary["avg_quality_score"] < summary["max_quality_score"]

    assert (found.name, found.description, found.status, found.version) == ("Spring", "d", "active", 1)
    assert (found.conversation_count, found.total_training_pairs, found.human_reviewed_count) == (3, 5, 1)
    assert found.avg_quality_score == summary["avg_quality_score"]
    assert found.scaffolding_distribution == head["scaffolding_distribution"]
    assert found.json_file_size == here.workspace.absolute(found.json_file_path).stat().st_size
    assert found.jsonl_file_size == here.workspace.absolute(found.jsonl_file_path).stat().st_size
    assert found.json_file_path == f"training_files/{ident}/v1/training.json"
    folder = here.workspace.absolute(found.json_file_path).parent
    assert sorted(path.name for path in folder.iterdir()) == ["training.json", "training.jsonl"]
    assert store.versions(here.db, ident)[0].content_hash == hashlib.sha256(b"\n".join(lines) + b"\n").hexdigest()
    assert [member.conversation_id for member in store.members(here.db, ident)] == idents
    assert store.eligible(here.db, ident) == []
    assert [item.name for item in store.listing(here.db, search="spr")] == ["Spring"]


def test_adding_makes_a_new_version_and_keeps_the_old(here: Place) -> None:
    alpha, beta, gamma = three(here)
    ident = build(here, [alpha]).result["training_file_id"]
    assert [found.title for found in store.eligible(here.db, ident)] == ["Beta", "Gamma"]
    job = build(here, [beta, gamma], training_file_id=ident)
    assert (job.result["version"], job.result["in"]) == (2, 5)
    found = store.get(here.db, ident)
    assert (found.version, found.conversation_count, found.name) == (2, 3, "Spring")
    assert [item.version for item in store.versions(here.db, ident)] == [2, 1]
    assert [member.title for member in store.members(here.db, ident)] == ["Alpha", "Beta", "Gamma"]
    old = read(here, f"training_files/{ident}/v1/training.json")
    assert old["dataset_metadata"]["total_conversations"] == 1
    again = build(here, [], training_file_id=ident)
    assert (again.result["version"], again.result["in"]) == (3, 5)


def test_a_review_after_enrichment_is_in_the_file(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    here.db.execute("update conversations set human_reviewed = 1, reviewer_notes = 'good' where id = ?", [ident])
    here.db.conn.commit()
    found = store.get(here.db, build(here, [ident]).result["training_file_id"])
    metadata = read(here, found.json_file_path)["training_pairs"][0]["training_metadata"]
    assert (metadata["human_reviewed"], metadata["reviewer_notes"]) == (True, "good")
    assert found.human_reviewed_count == 1


def test_ineligible_conversations_are_all_named(here: Place) -> None:
    good = add_conversation(here, parsed(title="Good"))
    bad = add_conversation(here, {"title": "Bad", "turns": []})
    enrich(here, good, bad)
    fresh = add_conversation(here, parsed(COLD, title="Fresh"))
    gone = add_conversation(here, parsed(COLD, title="Gone"))
    trash.delete(here.db, "conversations", [gone])
    job = build(here, [good, bad, fresh, gone, "nowhere"])
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "not_eligible"
    assert job.error.message == (
        "4 conversations can't go into a training file: “Bad” (its enrichment failed), “Fresh” (not enriched yet),"
        " “Gone” (in the trash), “nowhere” (there is no such conversation)."
    )
    assert store.listing(here.db) == []
    assert list(here.workspace.training_files.iterdir()) == []


def test_duplicates_are_all_named(here: Place) -> None:
    alpha, beta, _ = three(here)
    ident = build(here, [alpha, beta]).result["training_file_id"]
    with pytest.raises(AppError) as caught:
        store.check_conversations(here.db, [beta, alpha], ident)
    assert caught.value.code == "duplicate_conversations"
    assert "“Beta” (already in the file), “Alpha” (already in the file)" in caught.value.message
    with pytest.raises(AppError, match="chosen twice"):
        store.check_conversations(here.db, [alpha, alpha])
    job = build(here, [alpha], training_file_id=ident)
    assert job.error is not None
    assert job.error.code == "duplicate_conversations"
    assert store.get(here.db, ident).version == 1


def test_names_are_unique_and_can_be_changed(here: Place) -> None:
    alpha, beta, _ = three(here)
    build(here, [alpha])
    job = build(here, [beta])
    assert job.error is not None
    assert job.error.code == "name_taken"
    other = build(here, [beta], name="Summer").result["training_file_id"]
    with pytest.raises(AppError, match="already a training file"):
        store.rename(here.db, other, " Spring ", "")
    store.rename(here.db, other, "Autumn", "new")
    assert store.get(here.db, other).name == "Autumn"
    with pytest.raises(AppError) as caught:
        store.check_name(here.db, "  ")
    assert caught.value.code == "name_missing"
    with pytest.raises(AppError) as caught:
        store.check_conversations(here.db, [])
    assert caught.value.code == "no_conversations"
    with pytest.raises(AppError) as caught:
        store.get(here.db, "nowhere")
    assert caught.value.code == "no_such_training_file"


def test_a_name_taken_meanwhile_does_not_lose_the_build(here: Place) -> None:
    kind = jobs.job_kind("build_training_file")
    event = {
        "type": "training_file", "name": "Spring", "description": "", "added": [], "scaffolding_distribution": {},
        **dict.fromkeys(("json_file_path", "jsonl_file_path", "content_hash"), "x"),
        **dict.fromkeys(("conversation_count", "total_training_pairs", "json_file_size", "jsonl_file_size"), 1),
        **dict.fromkeys(("avg_quality_score", "min_quality_score", "max_quality_score"), None),
        "human_reviewed_count": 0, "version": 1,
    }  # fmt: skip
    job: Any = None
    for ident in ("a", "b", "b"):
        kind.apply(here.db, here.workspace, job, {**event, "training_file_id": ident})
    assert sorted(found.name for found in store.listing(here.db)) == ["Spring", "Spring 2"]


def test_a_damaged_member_is_named_and_nothing_is_kept(here: Place) -> None:
    alpha, beta, _ = three(here)
    (here.workspace.conversations / beta / "enriched.json").write_text("{")
    job = build(here, [alpha, beta])
    assert job.error is not None
    assert (job.error.code, "Beta" in job.error.message) == ("enriched_file_unreadable", True)
    (here.workspace.conversations / beta / "enriched.json").write_text('{"training_pairs": [{}]}')
    job = build(here, [alpha, beta])
    assert job.error is not None
    assert job.error.code == "not_v4"
    assert [path for path in here.workspace.training_files.rglob("*") if path.is_file()] == []


def test_export_writes_the_chosen_version_whole(here: Place, tmp_path: Path) -> None:
    alpha, beta, gamma = three(here)
    ident = build(here, [alpha]).result["training_file_id"]
    build(here, [beta, gamma], training_file_id=ident)
    target = tmp_path / "out.json"
    target.write_text("old")
    assert export.export_to(here.db, here.workspace, ident, target, "v4_json") == 5
    assert target.read_bytes() == (here.workspace.training_files / ident / "v2" / "training.json").read_bytes()
    lines = tmp_path / "out.jsonl"
    assert export.export_to(here.db, here.workspace, ident, lines, "v4_jsonl", version=1) == 2
    assert lines.read_bytes() == (here.workspace.training_files / ident / "v1" / "training.jsonl").read_bytes()
    with pytest.raises(AppError, match="no version 9"):
        export.export_to(here.db, here.workspace, ident, target, "v4_json", version=9)
    token = CancelToken()
    token.cancel()
    before = target.read_bytes()
    with pytest.raises(Cancelled):
        export.export_to(here.db, here.workspace, ident, target, "v4_json", token=token)
    with pytest.raises(AppError) as caught:
        export.export_to(here.db, here.workspace, ident, tmp_path / "no" / "x.json", "v4_json")
    assert caught.value.code == "file_error"
    assert target.read_bytes() == before
    assert list(tmp_path.glob(f"{TMP_PREFIX}*")) == []
    assert export.suggested_name("Spring / 1", 2, "v4_jsonl") == "Spring _ 1 v2.jsonl"
    assert [found.name for found in export.formats()] == ["v4_json", "v4_jsonl"]


def test_a_format_from_elsewhere_works_in_the_worker_and_in_export(here: Place, tmp_path: Path) -> None:
    EXPORT_FORMATS.register("tiny", "tests.plugins.tiny_format:FORMAT")
    idents = three(here)
    ident = build(here, idents, formats=["tiny"]).result["training_file_id"]
    text = (here.workspace.training_files / ident / "v1" / "training.tiny.txt").read_text("utf-8")
    assert text.splitlines()[-1] == "And now?"
    assert export.export_to(here.db, here.workspace, ident, tmp_path / "x.txt", "tiny") == 5
    assert (tmp_path / "x.txt").read_text("utf-8") == text


def test_a_format_of_several_files_is_a_folder(here: Place, tmp_path: Path) -> None:
    EXPORT_FORMATS.register("folder", "tests.plugins.tiny_format:FOLDER")
    ident = build(here, three(here)).result["training_file_id"]
    (tmp_path / "out").mkdir()
    assert export.suggested_name("Spring", 1, "folder") == "Spring v1"
    assert export.export_to(here.db, here.workspace, ident, tmp_path / "out" / "x", "folder") == 5
    assert sorted(path.name for path in (tmp_path / "out" / "x").iterdir()) == ["train.jsonl", "valid.jsonl"]
    with pytest.raises(AppError, match="could not be"):
        export.export_to(here.db, here.workspace, ident, tmp_path / "out" / "x", "folder")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]


def test_killing_the_worker_while_it_writes_leaves_no_version(here: Place) -> None:
    idents = three(here)
    ident = build(here, idents[:1]).result["training_file_id"]
    whole = (here.workspace.training_files / ident / "v1" / "training.json").read_bytes()
    EXPORT_FORMATS.register("v4_json", "tests.plugins.tiny_format:ENDLESS")
    params = {"conversation_ids": idents[1:], "training_file_id": ident}
    run_killed(here, "build_training_file", params, here.workspace.training_files / "half-written")
    folder = here.workspace.training_files / ident
    assert [path.name for path in folder.iterdir() if not path.name.startswith(TMP_PREFIX)] == ["v1"]
    assert (folder / "v1" / "training.json").read_bytes() == whole
    assert store.get(here.db, ident).version == 1
    assert len(store.members(here.db, ident)) == 1

    EXPORT_FORMATS.register("v4_json", "core.training_files.exports.v4_json:FORMAT")
    trash.sweep(here.db, here.workspace)
    assert [path.name for path in folder.iterdir()] == ["v1"]
    (folder / "v2").mkdir()
    (folder / "v2" / "training.json").write_text("left by a build that was never recorded")
    assert build(here, idents[1:], training_file_id=ident).result["version"] == 2
    assert read(here, f"training_files/{ident}/v2/training.json")["dataset_metadata"]["total_conversations"] == 3


def test_stopping_a_build_leaves_nothing(here: Place) -> None:
    idents = three(here)
    EXPORT_FORMATS.register("v4_json", "tests.plugins.tiny_format:ENDLESS")
    token = CancelToken()

    def stop() -> None:
        while not (here.workspace.training_files / "half-written").exists():
            time.sleep(0.02)
        token.cancel()

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    jobs.create(here.db, "build_training_file", "Build", {"name": "Spring", "conversation_ids": idents})
    job = jobs.claim_next(here.db)
    assert job is not None
    assert run_to_end(here.db, here.workspace, job, token=token).status == "cancelled"
    assert [path for path in here.workspace.training_files.rglob("*") if path.is_file()] == [
        here.workspace.training_files / "half-written"
    ]
    assert store.listing(here.db) == []


def test_the_profile_is_that_of_the_member_enriched_last(here: Place, tmp_path: Path) -> None:
    idents = three(here)
    path = here.workspace.absolute(f"conversations/{idents[0]}/enriched.json")
    document = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(document | {"consultant_profile": {"name": "Newer"}}))
    members = [
        replace(member, enriched_at=f"2026-01-0{3 - number}")
        for number, member in enumerate(store.check_conversations(here.db, idents))
    ]
    aggregation = Aggregation(here.workspace, "n", "v", CancelToken())
    aggregation.write_lines(members, tmp_path / "lines", lambda done, title: None)
    assert aggregation.profile == {"name": "Newer"}
    assert aggregation.mixed_profiles == 2
    rows = [here.db.execute("select quality_score from conversations where id = ?", [i]).fetchone()[0] for i in idents]
    assert aggregation.totals.scores == rows


def test_a_large_build_stays_flat_in_memory(here: Place, tmp_path: Path) -> None:
    ident = add_conversation(here, parsed([f"Question {i} " + "words " * 40 for i in range(40)]))
    enrich(here, ident)
    path = f"conversations/{ident}/enriched.json"
    size = here.workspace.absolute(path).stat().st_size
    member = Member(ident, "Big", path, False, None)

    def peak(count: int) -> int:
        aggregation = Aggregation(here.workspace, "n", "v", CancelToken())
        tracemalloc.start()
        aggregation.write_lines([member] * count, tmp_path / "lines", lambda done, title: None)
        aggregation.frame()
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(1)
    assert peak(8) < peak(1) + size


def test_a_dataset_is_made_of_the_version_that_is_asked_for(here: Place) -> None:
    alpha, beta, _ = three(here)
    ident = build(here, [alpha]).result["training_file_id"]
    assert build(here, [beta], training_file_id=ident).result["version"] == 2
    for version, conversations in ((1, 1), (None, 2), (2, 2)):
        params = {"training_file_id": ident, "name": f"Of {version}"}
        made = run_job(here, "build_dataset", params if version is None else params | {"version": version})
        assert made.status == "completed", made.error
        row = here.db.execute("select * from datasets where id = ?", [made.result["dataset_id"]]).fetchone()
        assert (row["total_conversations"], row["training_file_version"]) == (conversations, version or 2)
