"""A record that says which split it is for: honoured by the build, told in the facts, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from core.cancel import CancelToken
from core.datasets import store
from core.datasets.build import Builder, Split
from core.datasets.candidates import Candidate
from core.errors import AppError
from tests.core.factories import Place, run_job


def talk(number: int, **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": f"Answer {number}."}]
    return {"id": f"talk-{number}", "messages": said, **more}


def imported(here: Place, folder: Path, rows: list[dict[str, Any]]) -> store.Dataset:
    path = folder / "talks.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert run_job(here, "import", {"files": [str(path)]}).status == "completed"
    (found,) = store.listing(here.db)
    return found


def test_records_that_say_their_split_get_it_with_their_provenance(here: Place, source: Path) -> None:
    rows = [talk(n, split="validation" if n in (2, 5) else "train") for n in range(8)]
    rows[2]["provenance"] = {"path": "a.py", "lines": [1, 9]}
    dataset = imported(here, source, rows)
    kept = {row["source"]["id"]: row for row in store.rows(here.workspace, dataset)}
    assert {ident for ident, row in kept.items() if row["split"] == "validation"} == {"talk-2", "talk-5"}
    assert kept["talk-2"]["source"]["provenance"] == {"path": "a.py", "lines": [1, 9]}
    assert "provenance" not in kept["talk-3"]["source"]
    assert dataset.total_validation_conversations == 2
    assert dataset.stats["split"] == {"share": 0.25, "seed": None, "reason": "", "given": 8}
    assert "The split is the file's own: 2 of 8 are for validation." in dataset.stats["notes"]


def test_a_file_of_training_records_has_no_validation_and_says_so(here: Place, source: Path) -> None:
    dataset = imported(here, source, [talk(n, split="train") for n in range(8)])
    assert dataset.total_validation_conversations == 0
    assert dataset.stats["notes"][-1].startswith("No validation set: every conversation of the file says")


def test_other_words_are_no_split_and_the_pick_is_as_ever(here: Place, source: Path) -> None:
    dataset = imported(
        here, source, [talk(n, split=word) for n, word in enumerate(("test", None, 3, "dev", "", ["x"]))]
    )
    assert "given" not in dataset.stats["split"]
    expected = Split().pick(6)
    rows = store.rows(here.workspace, dataset)
    assert {n for n, row in enumerate(rows) if row["split"] == "validation"} == set(expected)


@given_settings(max_examples=60, deadline=None)
@given(said=st.lists(st.sampled_from(["", "train", "validation"]), min_size=1, max_size=30))
def test_the_split_that_is_said_is_the_split(said: list[str], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("split")

    def refused(line: int, error: AppError, units: int) -> None:
        raise AssertionError((line, error, units))

    builder = Builder(folder, Split(), None, refused, CancelToken())
    found = (Candidate(n, 1, 0, talk(n)["messages"], "", word) for n, word in enumerate(said))
    columns = builder.write(found, folder)
    builder.spool.close()
    assert columns is not None
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_bytes().splitlines()]
    wanted = {n for n, word in enumerate(said) if word == "validation"} if any(said) else set(Split().pick(len(said)))
    assert {n for n, row in enumerate(rows) if row["split"] == "validation"} == wanted
    assert columns["total_validation_conversations"] == len(wanted)
    assert columns["total_training_pairs"] + columns["total_validation_pairs"] == len(said)
