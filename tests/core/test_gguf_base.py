"""A GGUF file becomes a base, is compared with those in MLX's format, and only answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.adapters import siblings
from core.db.connection import now
from core.errors import AppError
from core.events import Changed
from core.jobs import Job, JobState
from core.models import store as models
from core.models.practice import PRACTICE_ID
from core.training import store as training
from core.training.config import TrainingConfig
from tests.core.factories import Place, run_job
from tests.support.chat import add_adapter
from tests.support.gguf_base import practice_gguf


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return practice_gguf(tmp_path_factory.mktemp("gguf"))


def add(here: Place, path: Path | str, **params: Any) -> Job:
    return run_job(here, "add_base_model", {"path": str(path), **params})


def test_a_file_is_added_as_it_lies_and_again_keeps_its_id(here: Place, file: Path) -> None:
    job = add(here, file, name="Practice as GGUF")
    base = models.get(here.db, str(job.result["base_model_id"]))
    assert (base.engine, base.kind, base.path, base.trains) == ("gguf", "gguf", file.resolve(), False)
    assert (base.architecture, base.quantization, base.context_length) == ("llama", "F32", 1024)
    assert base.size_bytes == file.stat().st_size
    assert models.require_folder(base) == file.resolve()
    again = add(here, file, name="Renamed", ollama="practice:latest")
    assert again.result["base_model_id"] == base.id
    found = models.get(here.db, base.id)
    assert (found.name, found.kind, found.ollama) == ("Renamed", "ollama", "practice:latest")


def test_a_model_that_was_pulled_again_is_the_same_base(here: Place, file: Path, tmp_path: Path) -> None:
    first = models.get(here.db, str(add(here, file, ollama="qwen3:4b").result["base_model_id"]))
    newer = practice_gguf(tmp_path, louder="blk.1.ffn_down")
    again = models.get(here.db, str(add(here, newer, ollama="qwen3:4b").result["base_model_id"]))
    assert (again.id, again.path) == (first.id, newer.resolve())
    assert again.content_fingerprint != first.content_fingerprint
    other = add(here, file, ollama="llama3:8b").result["base_model_id"]
    assert other != first.id


@pytest.mark.parametrize(("changes", "code", "said"), [
    ({"type": "adapter"}, "not_a_base", "it holds an adapter"), ({"type": "mmproj"}, "not_a_base", "it holds a mmproj"),
    ({"split": 3}, "not_a_base", "it is one of 3 parts"), ({"template": ""}, "not_a_base", "it has no chat template"),
])  # fmt: skip
def test_what_is_no_base_is_refused_by_name(
    here: Place, tmp_path: Path, changes: dict[str, Any], code: str, said: str
) -> None:
    job = add(here, practice_gguf(tmp_path, **changes))
    assert job.status is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, said in job.error.message) == (code, True)
    assert models.listing(here.db) == []


def test_what_is_no_gguf_file_is_refused(here: Place, file: Path, tmp_path: Path) -> None:
    cut, text = tmp_path / "cut.gguf", tmp_path / "text.gguf"
    cut.write_bytes(file.read_bytes()[:-1000])
    text.write_text("hello")
    for path in (cut, text):
        job = add(here, path)
        assert job.error is not None
        assert (job.error.code, path.name in job.error.message) == ("bad_gguf", True)


def test_the_same_model_in_both_formats_shares_its_adapters(here: Place, file: Path, tmp_path: Path) -> None:
    add(here, PRACTICE_ID)
    other = str(add(here, file).result["base_model_id"])
    alien = str(add(here, practice_gguf(tmp_path, block_count=9)).result["base_model_id"])
    add_adapter(here.db, here.workspace, "a", "Calm", base=PRACTICE_ID)
    adapter = training.get_adapter(here.db, "a")
    assert "not compared yet" in siblings.why_not(here.db, adapter, models.get(here.db, other))
    assert siblings.adapters_for(here.db, other) == []
    job = run_job(here, "compare_bases", {})
    assert (job.status, job.result["in"], job.result["used"]) == (JobState.COMPLETED, 2, 2)
    assert [one.id for one in siblings.adapters_for(here.db, other)] == ["a"]
    assert siblings.why_not(here.db, adapter, models.get(here.db, other)) == ""
    assert siblings.adapters_for(here.db, alien) == []
    assert "they differ in layers: 4 against 9" in siblings.why_not(here.db, adapter, models.get(here.db, alien))
    points = {one["name"]: one for one in next(s for s in siblings.listing(here.db) if s.fits).points}
    assert points["Vocabulary"]["same"]
    assert points["Chat template"]["same"]
    # Nothing is compared twice, and what has become another is compared again.
    assert siblings.unchecked(here.db) == []
    here.db.execute("update base_models set content_fingerprint = 'other' where id = ?", [other])
    assert [(a.id, b.id) for a, b in siblings.unchecked(here.db)] == [(PRACTICE_ID, other)]


def test_a_pair_that_can_not_be_read_is_counted_and_the_others_are_compared(
    here: Place, file: Path, tmp_path: Path
) -> None:
    add(here, PRACTICE_ID)
    gone = practice_gguf(tmp_path)
    add(here, gone)
    add(here, file)
    gone.unlink()
    job = run_job(here, "compare_bases", {})
    assert [job.result[key] for key in ("in", "used", "rejected", "cut")] == [2, 1, 1, 0]
    assert [notice["code"] for notice in job.result["notices"]] == ["base_missing"]


def test_a_comparison_with_a_base_that_is_gone_is_dropped(here: Place) -> None:
    row = {"base_id": "x", "other_id": "y", "fits": 1, "points": [], "contents": "", "checked_at": now()}
    assert siblings.put(here.db, row) is Changed.NOTHING


def test_nothing_trains_on_a_file_and_it_is_no_default(here: Place, file: Path) -> None:
    ident = str(add(here, file).result["base_model_id"])
    assert models.default(here.db) is None
    add(here, PRACTICE_ID)
    here.db.execute("insert into settings(key, value) values('default_base', ?)", [f'"{ident}"'])
    default = models.default(here.db)
    assert default is not None
    assert default.id == PRACTICE_ID
    with pytest.raises(AppError) as caught:
        models.require_trainable(models.get(here.db, ident))
    assert (caught.value.code, caught.value.action) == ("not_trainable", "page:adapters")
    for kind, params in (("quantise_base", {"base_id": ident, "bits": 4}),):
        job = run_job(here, kind, params)
        assert job.error is not None
        assert job.error.code == "not_trainable"
    here.db.execute(
        "insert into datasets(id, name, format, status, training_ready, created_at, updated_at)"
        " values('d', 'd', 'v4', 'ready', 1, '', '')"
    )
    with pytest.raises(AppError, match="GGUF file"):
        training.create_run(
            here.db, name="run", dataset_id="d", base_model_id=ident, preset="balanced", config=TrainingConfig()
        )


def test_one_that_ollama_has_deleted_says_how_to_get_it_back(here: Place, tmp_path: Path) -> None:
    path = practice_gguf(tmp_path)
    base = models.get(here.db, str(add(here, path, ollama="qwen3:4b").result["base_model_id"]))
    path.unlink()
    with pytest.raises(AppError) as caught:
        models.require_folder(base)
    assert "Pull qwen3:4b again" in caught.value.hint
