"""The same command again, where something of the earlier call was changed, renamed or deleted in between."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.cli.output import Output
from app.cli.steps import Steps
from core import jobs
from core.cancel import CancelToken
from core.db.connection import connect
from core.jobs import JobState
from core.models import practice
from core.sample import sample_files
from core.workspace.paths import Workspace
from tests.app.test_pipeline import QUICK, pipeline, report, talks


@pytest.mark.usefixtures("tiny_jobs")
def test_what_was_cut_short_is_run_as_it_is_asked_for_now(workspace: Workspace) -> None:
    db = connect(workspace.db_path)
    cut_short = jobs.create(db, "tiny", "X", {"name": "taken by now"}, key="same")
    jobs.set_state(db, cut_short.id, JobState.FAILED)
    token = CancelToken()
    steps = Steps(db, workspace, token, Output(token), lambda _message: None, lambda _job: None)
    done = steps.step("tiny", "X", {"name": "X 2"}, "same", lambda _job: True)
    assert (done.id, done.params) == (cut_short.id, {"name": "X 2"})
    db.close()


@pytest.mark.slow
def test_files_that_changed_names_are_told_apart(tmp_path: Path) -> None:
    a, b = talks(tmp_path / "a.jsonl", 3), tmp_path / "b.jsonl"
    assert pipeline(tmp_path / "w", *QUICK, a)[0] == 0
    a.rename(b)
    talks(a, 4, "Count to")
    code, lines = pipeline(tmp_path / "w", *QUICK, a, b)
    final = report(lines)
    assert (code, final["in"], final["used"], len(final["adapters"])) == (0, 7, 7, 2)


@pytest.mark.slow
def test_what_is_missing_on_the_disk_is_made_again(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    args = (*QUICK, *sample_files()[:2], talks(tmp_path / "a.jsonl", 3))
    code, lines = pipeline(workspace, *args)
    assert (code, report(lines)["used"]) == (0, 5)
    for room in ("adapters", "datasets", "training_files"):
        for found in (workspace / room).iterdir():
            shutil.rmtree(found)
    code, lines = pipeline(workspace, *args)
    final = report(lines)
    assert (code, final["used"]) == (0, 5)
    assert all(Path(adapter["path"]).is_dir() for adapter in final["adapters"])
    assert len(final["adapters"]) == 2


@pytest.mark.slow
def test_a_base_whose_chat_template_changed_is_another_base(tmp_path: Path) -> None:
    base, workspace = tmp_path / "base", tmp_path / "w"
    shutil.copytree(practice.shipped_folder(), base)
    args = (*QUICK, "--base", base, talks(tmp_path / "a.jsonl", 3))
    first = report(pipeline(workspace, *args)[1])["adapters"]
    tokenizer = json.loads((base / "tokenizer_config.json").read_text())
    tokenizer["chat_template"] = "{# mine #}" + tokenizer["chat_template"]
    (base / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    changed = report(pipeline(workspace, *args)[1])["adapters"]
    again = report(pipeline(workspace, *args)[1])["adapters"]
    assert first != changed == again
    db = connect(Workspace(workspace).db_path, read_only=True)
    counts = [db[table].count for table in ("base_models", "datasets", "training_jobs", "model_artifacts")]
    db.close()
    assert counts == [2, 1, 2, 2]
