"""Export of conversations: exactly what the filter lets through, all or nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from core.conversations import store, versions
from core.conversations.store import Filter
from core.jobs import Job
from tests.core.factories import Place, add_conversation, load, parsed, run_job


def export(here: Place, path: Path, *, form: str = "raw", folder: bool = False, **wanted: Any) -> Job:
    params = {"filter": asdict(Filter(**wanted)), "form": form, "folder": folder, "path": str(path)}
    return run_job(here, "export_conversations", params)


def test_one_file_has_the_words_in_force_and_can_be_imported_again(here: Place, tmp_path: Path) -> None:
    first = add_conversation(here, parsed(("One.", "Two."), title="First"))
    second = add_conversation(here, parsed(("Three.", "Four."), title="Second"))
    versions.edit(here.db, here.workspace, first, 2, "Edited.")
    versions.edit(here.db, here.workspace, second, 2, "Edited too.")
    job = export(here, tmp_path / "out.json", search="first")
    assert job.result == {"exported": 1, "left_out": 0, "path": str(tmp_path / "out.json")}
    (found,) = orjson.loads((tmp_path / "out.json").read_bytes())
    assert (found["title"], found["turns"][1]["content"]) == ("First", "Edited.")
    export(here, tmp_path / "all.json")
    assert len(orjson.loads((tmp_path / "all.json").read_bytes())) == 2
    assert load(here, tmp_path / "all.json").result["rejected"] == 2


def test_a_folder_has_a_file_each_and_takes_no_other_place(here: Place, tmp_path: Path) -> None:
    ids = [add_conversation(here, parsed((f"{n}.", "b"), title="Same / title")) for n in range(3)]
    job = export(here, tmp_path / "out", folder=True, ids=tuple(ids[:2]))
    assert job.result["exported"] == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"Same _ title {i[:8]}.json" for i in ids[:2]}
    again = export(here, tmp_path / "out", folder=True)
    assert again.error is not None
    assert again.error.code == "target_exists"
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_without_an_enriched_one_nothing_is_written_and_it_says_so(here: Place, tmp_path: Path) -> None:
    add_conversation(here)
    job = export(here, tmp_path / "out.json", form="enriched")
    assert job.error is not None
    assert job.error.code == "nothing_to_export"
    assert not (tmp_path / "out.json").exists()


def test_a_missing_file_leaves_the_earlier_export_as_it_was(here: Place, tmp_path: Path) -> None:
    add_conversation(here, parsed(("a", "b")))
    gone = add_conversation(here)
    (tmp_path / "out.json").write_text("before")
    here.workspace.absolute(store.get(here.db, gone).file_path or "").unlink()
    job = export(here, tmp_path / "out.json")
    assert job.error is not None
    assert "parsed.json" in job.error.message
    assert (tmp_path / "out.json").read_text() == "before"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp")]
