"""From somebody's file through import and enrichment: what the file says is not lost on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core import trash
from core.cancel import CancelToken
from core.conversations import store
from core.enrichment.emotions import finder
from core.enrichment.lexicon import lexicon_of
from core.enrichment.quality import read as take_apart
from core.registries import STAGES
from core.scaffolding.verticals import default_key, load
from tests.core.factories import Place, add_conversation, conversation, enrich, parsed, read, run_job


def bring_in(here: Place, path: Path, content: dict[str, Any]) -> str:
    path.write_text(json.dumps(content))
    return str(run_job(here, "import", {"files": [str(path)]}).result["conversations"][0])


def test_what_the_file_says_reaches_the_enriched_file(here: Place, tmp_path: Path) -> None:
    content = parsed(
        tier="scenario", mood="odd",
        conversation_metadata={"session_context": "First call after a raise", "conversation_phase": "opening"},
    )  # fmt: skip
    content["turns"][0] |= {"emotional_context": {"detected_emotions": ["dread"]}, "stars": 5}
    content["turns"][1]["emotional_context"] = ["odd"]
    ident = bring_in(here, tmp_path / "one.json", content)
    notes = " ".join(store.get(here.db, ident).import_notes)
    assert "Not used; kept in the raw file only: mood, turns[].stars." in notes
    assert "“turns[1].emotional_context” is a list, not an object, and was left out." in notes
    enrich(here, ident)
    row = conversation(here, ident)
    assert row["tier"] == "scenario"
    pair = read(here, row["enriched_file_path"])["training_pairs"][0]
    assert pair["emotional_context"] == {"detected_emotions": ["dread"]}
    assert pair["conversation_metadata"]["session_context"] == "First call after a raise"
    assert pair["conversation_metadata"]["conversation_phase"] == "opening"


@pytest.mark.parametrize(
    ("text", "emotions"),
    [
        ("We have a small investment account and overall income.", []),
        ("I seem to be done.", []),
        ("I want to go all in.", ["overconfidence"]),
        ("All in? I see!", ["overconfidence", "clarity"]),
    ],
)
def test_phrases_are_found_as_whole_words(text: str, emotions: list[str]) -> None:
    reading = take_apart(text)
    assert list(finder((), lexicon_of(load(default_key()))).find(reading.tokens, reading.folded)) == emotions


def test_an_aim_is_no_machine_speaking() -> None:
    assert take_apart("Keep it as an aim for the year.").hits(("as an ai",)) == []
    assert take_apart("As an AI, I can't.").hits(("as an ai",)) == ["as an ai"]


def test_one_trashed_before_its_turn_keeps_its_state(here: Place) -> None:
    ident, other = add_conversation(here), add_conversation(here, parsed(title="Other"))
    enrich(here, ident)
    trash.delete(here.db, "conversations", [ident])
    job = run_job(here, "enrich", {"conversation_ids": [ident, other]})
    assert (job.result["used"], job.result["rejected"]) == (1, 1)
    trash.restore(here.db, "conversations", [ident])
    assert conversation(here, ident)["enrichment_status"] == "completed"


def test_stopping_a_second_enrichment_leaves_the_first(here: Place) -> None:
    ident = add_conversation(here)
    enrich(here, ident)
    token = CancelToken()
    before = STAGES.paths()
    STAGES.register("normalize", "tests.plugins.tiny_stage:SLOW")
    try:
        job = run_job(
            here, "enrich", {"conversation_ids": [ident]}, token=token,
            listen=lambda event: token.cancel() if event["type"] == "stage" else None,
        )  # fmt: skip
    finally:
        STAGES.replace(before)
    assert job.status == "cancelled"
    assert conversation(here, ident)["enrichment_status"] == "completed"
