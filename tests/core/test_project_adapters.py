"""A project's adapter: what is queued, when it becomes the project's, what is said where it does not; with kills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from core import jobs
from core.datasets import store as datasets
from core.datasets.messages import supervised
from core.errors import AppError
from core.jobs import Job, JobState
from core.models import store as models
from core.models.work import practice_row
from core.projects import adapter_state, adapters, assistant, moved, projects
from core.projects.adapter_state import Decision, Stage
from core.projects.adapters import Wanted
from core.projects.examples.plan import plan
from core.projects.projects import Project
from core.training import store as training
from core.workers import protocol
from core.workers.session import JobSession, run_folder
from tests.core.factories import Place
from tests.support.code_adapters import SMALL, made, state, under_way
from tests.support.codebase import files, parsed, write
from tests.support.in_process import run_claimed

SECRET = 'TOKEN = "ghp_' + "a1B2c3D4e5F6" * 3 + '"\n'


@pytest.fixture
def project(here: Place, tmp_path: Path) -> Project:
    models.upsert(here.db, practice_row())
    return projects.add(here.db, write(tmp_path / "brightrun-api", files(8)))


def look(here: Place, project: Project, wanted: Wanted = SMALL, *, start: bool = False) -> Job:
    params = adapters.look_params(here.db, here.workspace, project.id, wanted, start=start)
    return run_claimed(here.db, here.workspace, jobs.create(here.db, "look_at_examples", "Look", params))


def refused(here: Place, project: Project, counts: dict[str, Any] | None = None) -> AppError:
    before = [job.id for job in jobs.listing(here.db)]
    with pytest.raises(AppError) as error:
        adapters.start(here.db, here.workspace, project.id, SMALL, counts)
    assert [job.id for job in jobs.listing(here.db)] == before
    return error.value


# Before anything begins


def test_without_a_base_nothing_is_queued(here: Place, tmp_path: Path) -> None:
    project = projects.add(here.db, write(tmp_path / "code", files(2)))
    assert refused(here, project).code == "no_base"


def test_a_base_without_a_template_or_files_is_refused(here: Place, project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    row = {**practice_row(), "id": "plain", "name": "Plain", "kind": "folder", "path": str(folder)}
    models.upsert(here.db, row)
    projects.update(here.db, project.id, base_model_id="plain")
    assert refused(here, project).code == "base_missing"
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "tokenizer_config.json").write_text("{}")
    error = refused(here, project)
    assert error.code == "no_chat_template"
    assert "Plain" in error.message
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert adapters.base_of(here.db, projects.get(here.db, project.id)).id == "plain"


def test_a_look_tells_the_plan_and_queues_nothing(here: Place, project: Project) -> None:
    job = look(here, project)
    assert job.status is JobState.COMPLETED
    assert jobs.listing(here.db, states=jobs.ACTIVE) == []
    found = plan(job.result, SMALL.config(), 0.01, "balanced")
    assert found.problem is None
    assert found.training == 40
    assert found.validation >= 3
    assert len(found.held_out) == 1
    assert found.estimate.steps == SMALL.config().total_steps(40)
    assert found.estimate.seconds == pytest.approx(found.estimate.tokens * 0.01)
    assert f"40 examples from {found.symbols['used']} of 32 symbols; 1 file is held out" in found.words
    assert found.symbols["in"] == found.symbols["used"] + sum(found.symbols["rejected"].values())


def test_too_little_code_is_said_before_anything_is_queued(here: Place, tmp_path: Path) -> None:
    models.upsert(here.db, practice_row())
    for name, count, code in (("one", 1, "too_few_held_out"), ("none", 0, "no_code_to_train_on")):
        project = projects.add(here.db, write(tmp_path / name, {"notes.md": "# Notes\n", **files(count)}), name)
        job = look(here, project, Wanted(limits={"least_training": 1}))
        with pytest.raises(AppError) as error:
            adapters.start(here.db, here.workspace, project.id, Wanted(limits={"least_training": 1}), job.result)
        assert error.value.code == code
        assert error.value.hint
    project = projects.add(here.db, write(tmp_path / "few", files(2)), "few")
    counts = look(here, project).result
    short = Wanted(limits={"least_training": 1_000})
    with pytest.raises(AppError, match="1,000 are needed"):
        adapters.start(here.db, here.workspace, project.id, short, counts)
    assert jobs.listing(here.db, states=jobs.ACTIVE) == []


def test_a_look_that_was_to_start_queues_the_chain_in_the_same_transaction(here: Place, project: Project) -> None:
    look(here, project, start=True)
    queued = {job.kind: job for job in jobs.listing(here.db, states=jobs.ACTIVE)}
    assert set(queued) == {"project_examples", "training"}
    assert queued["training"].waits_for == (queued["project_examples"].id,)
    assert state(here, project).stage is Stage.EXAMPLES
    with pytest.raises(AppError) as error:
        adapters.start(here.db, here.workspace, project.id, SMALL)
    assert error.value.code == "training_under_way"


def test_an_automatic_start_that_can_not_begin_is_said_by_the_project(here: Place, tmp_path: Path) -> None:
    models.upsert(here.db, practice_row())
    project = projects.add(here.db, write(tmp_path / "tiny", files(1)))
    look(here, project, start=True)
    assert jobs.listing(here.db, states=jobs.ACTIVE) == []
    found = state(here, project)
    assert found.decision is Decision.NOT_STARTED
    assert "to measure an adapter with" in found.words
    assert found.hint


# Examples


def test_the_dataset_has_the_split_of_the_files_and_says_where_it_is_from(here: Place, project: Project) -> None:
    chain = made(here, project)
    dataset = datasets.get(here.db, chain.examples.result["dataset_id"])
    assert dataset.name == adapters.name_for(project)
    assert dataset.name.startswith("brightrun-api code, ")
    assert dataset.source_path == str(project.root)
    assert dataset.stats["project"] == {"id": project.id, "name": project.name, "root": str(project.root)}
    assert dataset.system_prompt == assistant.system_prompt(project.name)
    rows = datasets.rows(here.workspace, dataset, limit=1_000)
    held_out = set(chain.examples.result["made"]["held_out"])
    assert held_out
    for row in rows:
        place = row["source"]["provenance"]
        assert (row["split"] == "validation") == (place["path"] in held_out)
        assert row["messages"][0] == {"role": "system", "content": assistant.system_prompt(project.name)}
        assert supervised(row["messages"]) == 1
    counts = chain.examples.result
    assert counts["in"] == counts["used"] + counts["rejected"] + counts["cut"] == len(rows)
    run = training.get_run(here.db, chain.training.id)
    assert (run.dataset_id, run.base_model_id, run.preset) == (dataset.id, "practice", "balanced")
    assert chain.training.params["dataset"]["content_hash"] == dataset.content_hash
    assert not list(run_folder(here.workspace, chain.examples.id).glob("examples.jsonl"))


def test_the_run_is_claimed_after_its_examples_and_not_before(here: Place, project: Project) -> None:
    _, chain = adapters.start(here.db, here.workspace, project.id, SMALL)
    with pytest.raises(AppError) as error:
        training.get_run(here.db, chain.training.id)
    assert error.value.code == "run_waits"
    claimed = jobs.claim_next(here.db)
    assert claimed is not None
    assert claimed.id == chain.examples.id
    assert jobs.claim_next(here.db) is None


def test_nothing_of_files_that_are_left_out_is_trained_on(here: Place, project: Project) -> None:
    texts = {
        "shop/keys.py": SECRET + files(9)["shop/shelf.py"],
        "shop/built.py": "# @generated by a tool. DO NOT EDIT\n" + files(10)["shop/voucher.py"],
        "shop/large.py": "x = 1\n" * 200_000,
        "ignored/mine.py": files(12)["shop/depot.py"],
        ".gitignore": "ignored/\n",
    }
    write(project.root, texts)
    chain = made(here, project)
    dataset = datasets.get(here.db, chain.examples.result["dataset_id"])
    paths = {r["source"]["provenance"]["path"] for r in datasets.rows(here.workspace, dataset, limit=1_000)}
    assert paths <= set(files(8))
    left = chain.examples.result["made"]["left_out"]
    assert {"holds a secret", "generated", "too large"} <= set(left)


def test_examples_that_can_not_be_made_end_the_run_and_the_project_says_why(here: Place, project: Project) -> None:
    _, chain = adapters.start(here.db, here.workspace, project.id, SMALL)
    for path in files(8):
        (project.root / path).unlink()
    done = run_claimed(here.db, here.workspace, chain.examples)
    assert done.status is JobState.FAILED
    assert [job.id for job in jobs.fail_waiting(here.db)] == [chain.training.id]
    found = state(here, project)
    assert found.stage is Stage.FAILED
    assert "no code here" in found.words
    # Nothing is in the way of another try.
    write(project.root, files(8))
    adapters.start(here.db, here.workspace, project.id, SMALL)


def test_examples_that_were_killed_behind_their_dataset_make_no_second_one(here: Place, project: Project) -> None:
    chain = made(here, project)
    log = run_folder(here.workspace, chain.examples.id) / "events.jsonl"
    kept = [line for line in log.read_bytes().splitlines() if orjson.loads(line)["type"] != "done"]
    log.write_bytes(b"\n".join(kept) + b"\n")
    # The final event moves `last_seq` with the state: neither was written.
    jobs.set_state(here.db, chain.examples.id, JobState.INTERRUPTED)
    here.db.execute("update jobs set last_seq = ? where id = ?", [protocol.last_seq(log), chain.examples.id])
    here.db.conn.commit()
    again = run_claimed(here.db, here.workspace, jobs.requeue(here.db, chain.examples.id))
    assert again.status is JobState.COMPLETED, again.error
    assert again.result["dataset_id"] == chain.examples.result["dataset_id"]
    assert datasets.count(here.db) == 1


# What comes of a run


def ended(here: Place, project: Project, verdict: str, **losses: float) -> str:
    """A run with that verdict; its adapter's id."""
    job, events = under_way(here, project, verdict, **losses)
    session = JobSession(here.workspace, job)
    session.apply(here.db, events)
    session.finish(here.db, "exit code 0")
    return str(jobs.get(here.db, job.id).result["artifact_id"])


def test_one_that_is_better_becomes_the_projects(here: Place, project: Project) -> None:
    adapter = ended(here, project, "better")
    assert projects.get(here.db, project.id).artifact_id == adapter
    found = state(here, project)
    assert (found.stage, found.decision, found.adapter_id) == (Stage.DECIDED, Decision.IN_USE, adapter)
    assert "better than the base on held-out files (loss 2.000, the base's is 2.500)" in found.words
    record = adapter_state.record_of(projects.get(here.db, project.id))
    examples = jobs.get(here.db, record.examples_job).result
    assert record.held_out == len(examples["made"]["held_out"]) > 0
    assert not found.can_use_all_the_same


@pytest.mark.parametrize(("verdict", "word"), [
    ("not_better", "not better"), ("worse", "worse than the base"), ("unmeasured", "Nothing held out"),
    ("of a later version", "Nothing held out"),
])  # fmt: skip
def test_one_that_is_not_is_kept_and_may_be_used_all_the_same(
    here: Place, project: Project, verdict: str, word: str
) -> None:
    adapter = ended(here, project, verdict)
    assert projects.get(here.db, project.id).artifact_id is None
    assert training.get_adapter(here.db, adapter).id == adapter
    found = state(here, project)
    assert word in found.words
    assert "Use it all the same" in found.hint
    assert found.can_use_all_the_same
    adapters.use_all_the_same(here.db, project.id)
    assert projects.get(here.db, project.id).artifact_id == adapter
    assert state(here, project).decision is Decision.CHOSEN
    adapters.use_none(here.db, project.id)
    assert projects.get(here.db, project.id).artifact_id is None
    assert state(here, project).can_use_all_the_same


def test_a_worse_one_leaves_the_earlier_in_use(here: Place, project: Project) -> None:
    first = ended(here, project, "better")
    second = ended(here, project, "worse")
    now = projects.get(here.db, project.id)
    assert now.artifact_id == first != second
    names = {adapter.name for adapter in training.list_adapters(here.db)}
    assert names == {adapters.name_for(project), f"{adapters.name_for(project)} 2"}
    assert "the earlier one stays in use" in state(here, project).words
    record = adapter_state.record_of(now)
    assert record is not None
    assert record.in_use["artifact_id"] == first


def test_an_adapter_of_a_base_that_the_project_left_is_not_used(here: Place, project: Project, tmp_path: Path) -> None:
    job, events = under_way(here, project, "better")
    models.upsert(here.db, {**practice_row(), "id": "other", "name": "Other", "path": str(tmp_path / "other")})
    projects.update(here.db, project.id, base_model_id="other")
    session = JobSession(here.workspace, job)
    session.apply(here.db, events)
    session.finish(here.db, "exit code 0")
    assert projects.get(here.db, project.id).artifact_id is None
    assert "which the project no longer uses" in state(here, project).words


def test_a_run_whose_project_is_gone_ends_well(here: Place, project: Project) -> None:
    job, events = under_way(here, project, "better")
    here.db.execute("delete from projects where id = ?", [project.id])
    here.db.conn.commit()
    session = JobSession(here.workspace, job)
    session.apply(here.db, events)
    session.finish(here.db, "exit code 0")
    assert jobs.get(here.db, job.id).status is JobState.COMPLETED


def test_nothing_can_be_used_that_was_never_made(here: Place, project: Project) -> None:
    with pytest.raises(AppError) as error:
        adapters.use_all_the_same(here.db, project.id)
    assert error.value.code == "no_adapter_kept"
    adapters.use_none(here.db, project.id)


def test_settings_of_others_stay_and_those_of_a_later_version_are_read(here: Place, project: Project) -> None:
    projects.keep_settings(here.db, project.id, {"editor": "vim"})
    ended(here, project, "better")
    kept = projects.get(here.db, project.id).settings
    assert kept["editor"] == "vim"
    later = {**kept["adapter"], "decision": "of a later version", "more": 1}
    projects.keep_settings(here.db, project.id, {"adapter": later})
    record = adapter_state.record_of(projects.get(here.db, project.id))
    assert record is not None
    assert record.decision is Decision.PENDING


def test_the_code_moves_and_training_again_is_worth_it(here: Place, project: Project) -> None:
    def drift() -> Any:
        now = projects.get(here.db, project.id)
        texts = {str(p.relative_to(now.root)): p.read_text() for p in now.root.rglob("*.py")}
        return moved.drift(now, now.folder(here.workspace), {file.path: file.hash for file in parsed(texts)})

    assert drift() is None
    ended(here, project, "better")
    found = drift()
    assert (found.new, found.changed, found.symbols) == (0, 0, 32)
    write(project.root, {f"later/{path}": text for path, text in files(16).items() if path not in files(8)})
    found = drift()
    assert found.new == 32
    assert found.worth_retraining
    # What a later run that was refused had been made of takes nothing away.
    ended(here, project, "worse")
    assert drift().new == 32
