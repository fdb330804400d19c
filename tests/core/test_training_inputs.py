"""What a run rests on is checked before it begins and before it goes on: base, dataset, event log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sqlite_utils import Database

from core import jobs
from core.errors import AppError
from core.jobs import Job, JobState
from core.models import store as models
from core.models.fingerprint import content_fingerprint, rendering_fingerprint
from core.training import store
from core.training.config import TrainingConfig
from core.training.work import _check_inputs
from core.workers.protocol import EventLog, read_events
from core.workers.runner import run_to_end
from core.workspace.files import sha256_file
from tests.support.workspaces import DATASET_ID, workspace_with_dataset

QUICK = TrainingConfig(batch_size=4, epochs=1, rank=4, alpha=8, targets="attention")


def queued(db: Database) -> Job:
    base = models.listing(db)[0]
    return store.create_run(
        db, name="Run", dataset_id=DATASET_ID, base_model_id=base.id, preset="balanced", config=QUICK
    )


def test_a_dataset_that_changed_is_named_and_not_trained_on(tmp_path: Path) -> None:
    workspace, db = workspace_with_dataset(tmp_path)
    queued(db)
    data = workspace.datasets / DATASET_ID / "data.jsonl"
    data.write_bytes(data.read_bytes().replace(b"the", b"THE", 1))
    job = jobs.claim_next(db)
    assert job is not None
    done = run_to_end(db, workspace, job)
    db.close()
    assert done.status is JobState.FAILED
    assert done.error is not None
    assert done.error.code == "dataset_changed"
    assert str(data) in done.error.message


def made(folder: Path) -> tuple[dict[str, dict[str, str]], Path, Path]:
    base, data = folder / "base", folder / "data.jsonl"
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"weights")
    (base / "chat_template.jinja").write_text("{{ messages }}")
    data.write_text("{}\n")
    params = {
        "base": {
            "name": "B",
            "content_fingerprint": content_fingerprint(base),
            "rendering_fingerprint": rendering_fingerprint(base),
        },
        "dataset": {"name": "D", "content_hash": sha256_file(data)},
    }
    return params, base, data


def test_inputs_as_they_were_pass(tmp_path: Path) -> None:
    _check_inputs(*made(tmp_path))


@pytest.mark.parametrize(
    ("what", "code", "named"),
    [
        ("weights", "base_changed", "The weights of the base B"),
        ("template", "base_changed", "The tokenizer or chat template of the base B"),
        ("gone", "dataset_changed", "is missing"),
    ],
)
def test_inputs_that_changed_are_named(tmp_path: Path, what: str, code: str, named: str) -> None:
    params, base, data = made(tmp_path)
    if what == "weights":
        (base / "model.safetensors").write_bytes(b"others!")
    elif what == "template":
        (base / "chat_template.jinja").write_text("{{ messages | upper }}")
    else:
        data.unlink()
    with pytest.raises(AppError) as caught:
        _check_inputs(params, base, data)
    assert caught.value.code == code
    assert named in caught.value.message


def test_a_run_of_an_earlier_version_does_not_know_its_template(tmp_path: Path) -> None:
    params, base, data = made(tmp_path)
    del params["base"]["rendering_fingerprint"]
    (base / "chat_template.jinja").write_text("{{ messages | upper }}")
    _check_inputs(params, base, data)


def test_a_view_whose_source_moved_away_is_missing_and_says_where_it_was(tmp_path: Path) -> None:
    source, view = tmp_path / "source", tmp_path / "view"
    source.mkdir()
    view.mkdir()
    (source / "model.safetensors").write_bytes(b"")
    (view / "config.json").write_text("{}")
    (view / "source.json").write_text(json.dumps({"source": str(source)}))
    (view / "model.safetensors").symlink_to(source / "model.safetensors")
    models.require_files("My base", view)
    source.rename(tmp_path / "moved")
    with pytest.raises(AppError) as caught:
        models.require_files("My base", view)
    assert caught.value.code == "base_missing"
    assert str(source) in caught.value.message


def test_numbers_go_on_behind_what_was_applied_though_the_log_is_damaged(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for _ in range(5):
        log.append("j", "x", {})
    log.close()
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join([lines[0], b"\0garbage\n", *lines[2:]]))
    again = EventLog(log.path, 5)
    again.append("j", "x", {})
    again.close()
    assert [event["seq"] for event, _ in read_events(log.path)] == [1, 6]


def test_a_run_whose_log_was_lost_still_ends(tmp_path: Path) -> None:
    workspace, db = workspace_with_dataset(tmp_path, train=4, validation=0)
    job = queued(db)
    db.execute("update jobs set last_seq = 500 where id = ?", [job.id])
    claimed = jobs.claim_next(db)
    assert claimed is not None
    done = run_to_end(db, workspace, claimed)
    assert done.status is JobState.COMPLETED
    assert store.get_adapter(db, done.result["artifact_id"]).name == "Run"
    db.close()


def test_what_is_left_out_is_counted_in_conversations_and_in_answers(tmp_path: Path) -> None:
    workspace, db = workspace_with_dataset(tmp_path, train=4, validation=0)
    shutil.rmtree(workspace.root / "backups", ignore_errors=True)
    rows = [json.loads(line) for line in (workspace.datasets / DATASET_ID / "data.jsonl").read_text().splitlines()]
    db.close()
    from core.cancel import CancelToken
    from core.models.practice import shipped_folder
    from core.models.rendering import load_tokenizer
    from core.training.batches import Limits, read_rows

    tokenizer = load_tokenizer(shipped_folder())
    lengths = sorted(len(tokenizer.render(row["messages"]).ids) for row in rows)
    data = workspace.datasets / DATASET_ID / "data.jsonl"
    found = read_rows(data, tokenizer, Limits(lengths[-1] - 1), CancelToken(), lambda _n: None)
    assert found.counts == {"in": 4, "used": 3, "rejected": 0, "cut": 1}
    longest = max(rows, key=lambda row: len(tokenizer.render(row["messages"]).ids))
    answers = sum(1 for message in longest["messages"] if message.get("weight"))
    assert found.left_out_pairs == {"rejected": 0, "cut": answers}
    assert found.left_out[0]["hint"]
    found = read_rows(data, tokenizer, Limits(100_000, lengths[-1] - 1), CancelToken(), lambda _n: None)
    assert "that the base model accepts" in found.left_out[0]["reason"]
