"""What is left of an adapter on a base in another format is measured on held-out turns."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from core.adapters import parity
from core.jobs import JobState
from core.models.practice import PRACTICE_ID
from tests.core.factories import Place, run_job
from tests.support.chat import add_adapter, add_dataset
from tests.support.gguf_base import practice_gguf, write_random_adapter

pytestmark = [pytest.mark.slow]
TALK = [
    {"role": "user", "content": "How do I keep bread fresh?"},
    {"role": "assistant", "content": "Keep it in a cloth, and cut it when you eat it."},
    {"role": "user", "content": "And rolls?"}, {"role": "assistant", "content": "Warm them for a moment."},
]  # fmt: skip


def held_out(here: Place, *splits: str) -> None:
    """A dataset with conversations of these splits."""
    add_dataset(here.db, "d", [])
    folder = here.workspace.datasets / "d"
    folder.mkdir(parents=True)
    rows = [{"id": str(n), "split": split, "messages": TALK} for n, split in enumerate(splits)]
    (folder / "data.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    here.db.execute("update datasets set file_path = 'datasets/d/data.jsonl'")


def loud(here: Place, dataset: str | None) -> None:
    write_random_adapter(here.workspace.adapters / "loud")
    add_adapter(here.db, here.workspace, "loud", "Loud", base=PRACTICE_ID, dataset=dataset)


def gguf(here: Place, path: Path) -> str:
    ident = str(run_job(here, "add_base_model", {"path": str(path)}).result["base_model_id"])
    run_job(here, "compare_bases", {})
    return ident


def test_the_same_weights_say_the_same_and_others_do_not(here: Place, tmp_path: Path) -> None:
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    held_out(here, "train", "validation", "validation")
    loud(here, "d")
    same = gguf(here, practice_gguf(tmp_path / "same"))
    other = gguf(here, practice_gguf(tmp_path / "other", louder="blk.1.ffn_down"))
    job = run_job(here, "measure_parity", {"adapter_id": "loud", "base_id": same})
    assert (job.status, job.error) == (JobState.COMPLETED, None)
    assert job.result["same"] == 1.0
    assert job.result["drift"] < 1e-3
    assert job.result["left"] > 0.999
    # Two conversations with two answers each, and the end of each answer.
    assert 40 < job.result["tokens"] < 200
    worse = run_job(here, "measure_parity", {"adapter_id": "loud", "base_id": other})
    assert worse.result["same"] < 1.0
    assert worse.result["drift"] > 0.1
    found = {one.base_id: one for one in parity.listing(here.db)}
    assert (found[same].weakened, found[same].is_current) == (False, True)
    assert found[other].weakened
    here.db.execute("update model_artifacts set sha256 = 'retrained'")
    assert not any(one.is_current for one in parity.listing(here.db))


@pytest.mark.parametrize(("splits", "dataset"), [(("train",), "d"), ((), None)])
def test_without_held_out_turns_nothing_is_measured(
    here: Place, tmp_path: Path, splits: tuple[str, ...], dataset: str | None
) -> None:
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    held_out(here, *splits)
    loud(here, dataset)
    base = gguf(here, practice_gguf(tmp_path / "same"))
    job = run_job(here, "measure_parity", {"adapter_id": "loud", "base_id": base})
    assert job.error is not None
    assert job.error.code == "nothing_held_out"
    own = run_job(here, "measure_parity", {"adapter_id": "loud", "base_id": PRACTICE_ID})
    assert own.error is not None
    assert own.error.code == "wrong_base"
