"""Edits of conversations: versions, what follows from them, and what stays."""

from __future__ import annotations

import pytest

from core.conversations import digests, store, versions
from core.conversations.checks import Check
from core.conversations.store import Filter
from core.enrichment import jobs as enrichment
from core.enrichment.store import waiting
from core.errors import AppError
from core.jobs import Job
from core.training_files import store as training_files
from tests.core.factories import KIND, Place, add_conversation, conversation, enrich, parsed, read, run_job


def words(here: Place, ident: str) -> list[str | None]:
    return [turn.content for turn in store.turns(here.workspace, store.get(here.db, ident))]


def test_an_edit_is_a_version_and_everything_follows(here: Place) -> None:
    ident = add_conversation(here)
    raw = read(here, f"conversations/{ident}/raw.json")
    before = conversation(here, ident)
    changed, step = versions.edit(here.db, here.workspace, ident, 1, "  Mail me at a@b.org.  ")
    assert changed
    assert step == (1, 2)
    after = conversation(here, ident)
    assert words(here, ident) == ["Mail me at a@b.org.", *KIND[1:]]
    assert after["file_path"] == f"conversations/{ident}/parsed-2.json"
    assert after["content_hash"] != before["content_hash"]
    assert read(here, f"conversations/{ident}/raw.json") == raw
    assert read(here, f"conversations/{ident}/parsed.json")["turns"][0]["content"] == KIND[0]
    assert store.get(here.db, ident).check_flags == Check.PERSONAL
    assert digests.behind(here.db) == 0
    assert store.ids(here.db, Filter(search="mail")) == [ident]
    assert store.ids(here.db, Filter(search="stupid")) == [ident]
    assert store.ids(here.db, Filter(search="everyone")) == []
    found = store.get(here.db, ident)
    assert [(v.version, v.current) for v in versions.versions(here.db, found)] == [(2, True), (1, False)]
    versions.restore(here.db, here.workspace, ident, 1)
    assert words(here, ident) == list(KIND)
    assert conversation(here, ident)["content_hash"] == before["content_hash"]
    assert store.get(here.db, ident).check_flags == Check.NONE
    assert versions.edit(here.db, here.workspace, ident, 2, "Other.")[1] == (1, 3)
    assert len(versions.versions(here.db, store.get(here.db, ident))) == 3


def test_enrichment_goes_stale_and_comes_back_with_the_words_it_was_made_of(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    assert not store.get(here.db, ident).stale
    versions.edit(here.db, here.workspace, ident, 2, "We look at one number first. What is it?")
    found = store.get(here.db, ident)
    assert (found.stale, found.enrichment_status, found.enriched_file_path) == (True, "not_started", None)
    assert waiting(here.db) == [ident]
    with pytest.raises(AppError) as refused:
        training_files.check_conversations(here.db, [ident])
    assert refused.value.code == "not_eligible"
    versions.restore(here.db, here.workspace, ident, 1)
    assert store.get(here.db, ident).enrichment_status == "completed"
    versions.restore(here.db, here.workspace, ident, 2)
    enrich(here, ident)
    found = store.get(here.db, ident)
    assert (found.stale, found.enrichment_status) == (False, "completed")
    assert read(here, found.enriched_file_path or "")["training_pairs"][0]["target_response"].startswith("We look")
    versions.restore(here.db, here.workspace, ident, 1)
    assert store.get(here.db, ident).stale


def test_an_enrichment_of_earlier_words_does_not_count(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    old = conversation(here, ident)
    columns = {"enriched_file_path": old["enriched_file_path"], "quality_score": 4.0}
    event = {
        "type": "enriched", "conversation_id": ident, "reports": [], "warnings": 0, "columns": columns,
        "content_hash": old["content_hash"],
    }  # fmt: skip
    versions.edit(here.db, here.workspace, ident, 2, "Other words.")
    job: Job | None = None
    enrichment.apply(here.db, here.workspace, job, event)  # type: ignore[arg-type]
    assert store.get(here.db, ident).stale


def test_what_can_not_be_edited_is_refused_and_nothing_changes(here: Place) -> None:
    ident = add_conversation(here, parsed(("One.", "Two.")))
    other = add_conversation(here, parsed(("One.", "Three.")))
    versions.edit(here.db, here.workspace, other, 2, "Four.")
    before = conversation(here, ident)
    for turn, text, code in ((1, "  ", "empty_content"), (3, "x", "no_such_turn"), (2, "Four.", "duplicate")):
        with pytest.raises(AppError) as refused:
            versions.edit(here.db, here.workspace, ident, turn, text)
        assert refused.value.code == code
    here.db.execute("update conversations set enrichment_status = 'enrichment_in_progress' where id = ?", [ident])
    here.db.conn.commit()
    with pytest.raises(AppError) as refused:
        versions.edit(here.db, here.workspace, ident, 2, "x")
    assert refused.value.code == "being_enriched"
    here.db.execute("update conversations set enrichment_status = 'not_started' where id = ?", [ident])
    here.db.conn.commit()
    assert versions.edit(here.db, here.workspace, ident, 2, "Two.")[1] is None
    assert conversation(here, ident) == before
    with pytest.raises(AppError) as refused:
        versions.restore(here.db, here.workspace, ident, 7)
    assert refused.value.code == "no_such_version"


def test_persona_arc_and_topic_are_not_a_versions(here: Place) -> None:
    bare = parsed(("One.", "Two."))
    bare["input_parameters"] = {}
    ident = add_conversation(here, bare)
    versions.edit(here.db, here.workspace, ident, 2, "Three.")
    store.set_scaffolding(
        here.db, here.workspace, ident, persona_key="anxious_planner", emotional_arc_key="anxiety_to_calm",
        training_topic_key="tax_debt_resolution",
    )  # fmt: skip
    versions.restore(here.db, here.workspace, ident, 1)
    assert words(here, ident) == ["One.", "Two."]
    found = store.read_parsed(here.workspace, store.get(here.db, ident))
    assert found["input_parameters"]["persona_key"] == "anxious_planner"
    enrich(here, ident)
    assert store.get(here.db, ident).enrichment_status == "completed"


def test_one_can_go_back_from_a_version_whose_file_is_damaged(here: Place) -> None:
    ident = add_conversation(here)
    versions.edit(here.db, here.workspace, ident, 2, "Other.")
    here.workspace.absolute(str(store.get(here.db, ident).file_path)).write_text("{")
    versions.restore(here.db, here.workspace, ident, 1)
    assert words(here, ident) == list(KIND)


def test_what_is_in_the_trash_is_not_edited_and_notes_are_no_review(here: Place) -> None:
    ident = add_conversation(here)
    store.set_status(here.db, [ident], "approved")
    store.set_notes(here.db, ident, "Fine.")
    found = store.get(here.db, ident)
    assert (found.reviewer_notes, found.human_reviewed, found.status) == ("Fine.", True, "approved")
    here.db.execute("update conversations set deleted_at = '2026-01-01' where id = ?", [ident])
    here.db.conn.commit()
    with pytest.raises(AppError) as refused:
        versions.edit(here.db, here.workspace, ident, 2, "x")
    assert refused.value.code == "deleted"


def test_an_answer_can_be_taken_out_and_written(here: Place) -> None:
    ident = add_conversation(here, parsed(("One.", None)))
    versions.edit(here.db, here.workspace, ident, 2, "Now there.")
    assert words(here, ident) == ["One.", "Now there."]
    versions.edit(here.db, here.workspace, ident, 2, "")
    assert words(here, ident) == ["One.", None]


def test_a_title_made_of_the_first_words_follows_them(here: Place) -> None:
    ident = add_conversation(here, parsed(("One.", "Two."), title="One."))
    versions.edit(here.db, here.workspace, ident, 2, "Three.")
    assert store.get(here.db, ident).title == "One."
    versions.edit(here.db, here.workspace, ident, 1, "Another beginning.")
    assert store.get(here.db, ident).title == "Another beginning."
    versions.restore(here.db, here.workspace, ident, 1)
    assert store.get(here.db, ident).title == "One."


def test_a_training_file_keeps_the_earlier_words_and_says_so(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    params = {"conversation_ids": [ident], "name": "Spring", "description": ""}
    built = run_job(here, "build_training_file", params).result["training_file_id"]
    file = training_files.get(here.db, built)
    before = here.workspace.absolute(file.jsonl_file_path).read_bytes()
    assert training_files.edited(here.db, built) == []
    versions.edit(here.db, here.workspace, ident, 2, "Other words.")
    assert training_files.edited(here.db, built) == ["The mortgage and the raise"]
    assert here.workspace.absolute(file.jsonl_file_path).read_bytes() == before


def test_undo_does_not_take_a_later_edit_along(here: Place) -> None:
    ident = add_conversation(here)
    _, first = versions.edit(here.db, here.workspace, ident, 2, "One.")
    assert first == (1, 2)
    versions.edit(here.db, here.workspace, ident, 2, "Two.")
    with pytest.raises(AppError) as refused:
        versions.restore(here.db, here.workspace, ident, 1, instead_of=2)
    assert (refused.value.code, "version 3" in refused.value.message) == ("edited_since", True)
    assert words(here, ident)[1] == "Two."
    versions.restore(here.db, here.workspace, ident, 2, instead_of=3)
    versions.restore(here.db, here.workspace, ident, 1, instead_of=2)
    assert words(here, ident) == list(KIND)
