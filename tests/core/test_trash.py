from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from core import jobs, trash
from core.adapters import shares
from core.db import schema
from core.db.connection import now, transaction
from core.errors import AppError
from core.events import Changed
from core.workspace.files import TMP_PREFIX
from tests.core.factories import Place, add_conversation


def insert(here: Place, table: str, **values: Any) -> str:
    with transaction(here.db):
        here.db.execute(
            f"insert into {table}({', '.join(values)}) values({', '.join('?' * len(values))})", list(values.values())
        )
    return str(values.get("id", ""))


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text("x")
    return path


@pytest.fixture
def chain(here: Place) -> dict[str, str]:
    """A conversation in a training file, a dataset of it, a run, its adapter, a chat with it."""
    stamps = {"created_at": now(), "updated_at": now()}
    ids = {"conversations": add_conversation(here)}
    ids["training_files"] = insert(here, "training_files", id="tf", name="File", status="active", **stamps)
    insert(
        here, "training_file_conversations", training_file_id="tf", conversation_id=ids["conversations"], added_at=now()
    )
    ids["datasets"] = insert(
        here, "datasets", id="ds", name="Data", format="v4", status="ready", training_file_id="tf", **stamps
    )
    ids["base_models"] = insert(
        here, "base_models", id="base", name="Base", path="/base", kind="folder", architecture="llama",
        parameter_count=1, size_bytes=1, vocab_size=1, context_length=1, structure_fingerprint="s",
        content_fingerprint="c", template_hash="t", created_at=now(),
    )  # fmt: skip
    insert(
        here, "jobs", id="run", kind="training", title="Run", status="completed", lane="gpu", params="{}",
        queued_at=now(),
    )  # fmt: skip
    ids["training_jobs"] = insert(
        here, "training_jobs", id="run", name="Run", dataset_id="ds", base_model_id="base", preset="fast",
        hyperparameters="{}",
    )  # fmt: skip
    insert(here, "metrics_points", job_id="run", step=1)
    ids["model_artifacts"] = insert(
        here, "model_artifacts", id="ad", type="adapter", name="Adapter", training_job_id="run", base_model_id="base",
        dataset_id="ds", path="adapters/ad", size_bytes=1, sha256="0", created_at=now(),
    )  # fmt: skip
    ids["chats"] = insert(here, "chats", id="chat", title="Talk", base_model_id="base", artifact_id="ad", **stamps)
    insert(
        here, "chat_messages", id="m", chat_id="chat", position=0, role="user", content="x", status="done",
        created_at=now(),
    )  # fmt: skip
    for name in ("training_files/tf", "datasets/ds", "runs/run", "adapters/ad"):
        folder(here.workspace.root / name)
    return ids


USED_BY = {
    "conversations": "training file “File”", "training_files": "dataset “Data”", "datasets": "training run “Run”",
    "training_jobs": "adapter “Adapter”", "model_artifacts": "chat “Talk”", "base_models": "adapter “Adapter”",
}  # fmt: skip


def test_what_is_used_can_go_to_the_trash_and_back_but_not_further(here: Place, chain: dict[str, str]) -> None:
    for table, user in USED_BY.items():
        assert trash.delete(here.db, table, [chain[table]]) == trash.KINDS[table].changed
        with pytest.raises(AppError) as caught:
            trash.purge(here.db, here.workspace, table, [chain[table]])
        assert caught.value.code == "in_use"
        assert user in caught.value.message
        assert caught.value.hint
        assert trash.restore(here.db, table, [chain[table]]) == trash.KINDS[table].changed
        assert trash.restore(here.db, table, [chain[table]]) == Changed.NOTHING
    assert trash.listing(here.db) == []


def test_a_user_in_the_trash_still_blocks_and_says_so(here: Place, chain: dict[str, str]) -> None:
    for table in ("datasets", "training_jobs"):
        trash.delete(here.db, table, [chain[table]])
    assert trash.used_by(here.db, "datasets", "ds")[0] == "the training run “Run” (in the trash)"


def test_the_whole_trash_is_emptied_in_the_right_order_with_its_files(here: Place, chain: dict[str, str]) -> None:
    for table, ident in chain.items():
        trash.delete(here.db, table, [ident])
    assert {item.table for item in trash.listing(here.db)} == set(chain)
    changed, errors = trash.purge_all(here.db, here.workspace)
    assert errors == []
    assert Changed.DATASETS in changed
    assert trash.listing(here.db) == []
    for table in [*chain, "jobs", "metrics_points", "chat_messages", "training_file_conversations"]:
        assert here.db.execute(f"select count(*) from {table}").fetchone()[0] == 0
    for name in ("conversations", "training_files", "datasets", "runs", "adapters"):
        assert list((here.workspace.root / name).iterdir()) == []


def test_emptying_names_what_stays(here: Place, chain: dict[str, str]) -> None:
    trash.delete(here.db, "datasets", ["ds"])
    changed, errors = trash.purge_all(here.db, here.workspace)
    assert (changed, [error.code for error in errors]) == (Changed.NOTHING, ["in_use"])
    assert (here.workspace.datasets / "ds").exists()


def test_purging_touches_only_the_trash_and_is_all_or_nothing(here: Place, chain: dict[str, str]) -> None:
    free = add_conversation(here)
    assert trash.purge(here.db, here.workspace, "conversations", [free]) == Changed.NOTHING
    trash.delete(here.db, "conversations", [free, chain["conversations"]])
    with pytest.raises(AppError):
        trash.purge(here.db, here.workspace, "conversations", [free, chain["conversations"]])
    assert (here.workspace.conversations / free).exists()
    assert trash.purge(here.db, here.workspace, "conversations", [free]) == Changed.CONVERSATIONS
    assert not (here.workspace.conversations / free).exists()


def test_scaffolding_in_use_is_not_purged(here: Place) -> None:
    persona = here.db.execute("select id from personas where persona_key = 'anxious_planner'").fetchone()[0]
    add_conversation(here, persona_id=persona)
    trash.delete(here.db, "personas", [persona])
    with pytest.raises(AppError, match="The mortgage"):
        trash.purge(here.db, here.workspace, "personas", [persona])


def test_restoring_into_a_taken_name_says_what_to_do(here: Place) -> None:
    stamps = {"created_at": now(), "updated_at": now()}
    insert(here, "training_files", id="one", name="Same", status="active", **stamps)
    trash.delete(here.db, "training_files", ["one"])
    insert(here, "training_files", id="two", name="Same", status="active", **stamps)
    with pytest.raises(AppError, match="same name") as caught:
        trash.restore(here.db, "training_files", ["one"])
    assert caught.value.code == "restore_conflict"
    assert "rename" in caught.value.hint
    trash.delete(here.db, "training_files", ["two"])
    assert trash.restore(here.db, "training_files", ["one"]) == Changed.TRAINING_FILES


def test_a_run_that_is_under_way_is_not_deleted(here: Place, chain: dict[str, str]) -> None:
    here.db.execute("update jobs set status = 'running'")
    here.db.conn.commit()
    with pytest.raises(AppError) as caught:
        trash.delete(here.db, "training_jobs", ["run"])
    assert caught.value.code == "job_active"


def test_an_unknown_table_is_refused(here: Place) -> None:
    with pytest.raises(AppError):
        trash.delete(here.db, "jobs; drop table jobs", ["a"])


def test_the_sweep_removes_only_what_no_row_names(here: Place, chain: dict[str, str]) -> None:
    keep = here.workspace.conversations / chain["conversations"]
    trash.delete(here.db, "conversations", [chain["conversations"]])
    version = folder(here.workspace.training_files / "tf" / "v1")
    insert(
        here, "training_file_versions", training_file_id="tf", version=1, conversation_count=1,
        json_file_path="training_files/tf/v1/a.json", jsonl_file_path="training_files/tf/v1/a.jsonl",
        total_training_pairs=1, content_hash="0", created_at=now(),
    )  # fmt: skip
    root = here.workspace.root
    gone = [
        folder(root / "conversations" / f"{TMP_PREFIX}abc"), folder(root / "conversations" / "nobody"),
        folder(root / "datasets" / "nobody"), folder(root / "adapters" / f"{TMP_PREFIX}1"),
        folder(root / "training_files" / "nobody"), folder(root / "training_files" / "tf" / "v2"),
    ]  # fmt: skip
    half = keep / f"{TMP_PREFIX}enriched.json"
    half.write_text("{")
    here.db.execute("update jobs set status = 'running'")
    here.db.conn.commit()
    assert trash.sweep(here.db, here.workspace) == []
    here.db.execute("update jobs set status = 'interrupted'")
    here.db.conn.commit()
    assert set(trash.sweep(here.db, here.workspace)) == {*gone, half}
    assert not any(path.exists() for path in [*gone, half])
    assert (keep / "parsed.json").exists()
    assert (version / "file").exists()
    assert (root / "adapters" / "ad" / "file").exists()
    assert trash.sweep(here.db, here.workspace) == []


def test_a_deleted_run_can_not_be_resumed_until_it_is_restored(here: Place, chain: dict[str, str]) -> None:
    with transaction(here.db):
        here.db.execute("update jobs set status = 'interrupted', resumable = 1 where id = 'run'")
    trash.delete(here.db, "training_jobs", ["run"])
    assert [job.id for job in jobs.listing(here.db)] == []
    with pytest.raises(AppError, match="in the trash"):
        jobs.requeue(here.db, "run")
    trash.restore(here.db, "training_jobs", ["run"])
    assert jobs.requeue(here.db, "run").status == "queued"


@pytest.fixture
def batch(here: Place) -> str:
    """A batch of conversations that is paused."""
    insert(
        here, "jobs", id="batch", kind="generate", title="Batch", status="paused", lane="network", params="{}",
        queued_at=now(), resumable=1,
    )  # fmt: skip
    return insert(
        here, "batch_jobs", id="batch", name="Batch", status="paused", total_items=1, provider="claude", model="m",
        mode="live", settings="{}", library="{}", created_at=now(), updated_at=now(),
    )  # fmt: skip


def test_a_deleted_batch_can_not_be_resumed_and_paid_for_until_it_is_restored(here: Place, batch: str) -> None:
    assert Changed.JOBS in trash.delete(here.db, "batch_jobs", [batch])
    assert jobs.listing(here.db) == []
    with pytest.raises(AppError, match="in the trash"):
        jobs.requeue(here.db, batch)
    assert Changed.JOBS in trash.restore(here.db, "batch_jobs", [batch])
    assert jobs.requeue(here.db, batch).status == "queued"


def test_an_index_that_rests_is_not_built_out_of_the_trash(here: Place) -> None:
    for name in ("gone", "kept"):
        insert(here, "projects", id=name, name=name, root=f"/code/{name}", created_at=now(), updated_at=now())
        for state in ("paused", "completed", "running"):
            insert(
                here, "jobs", id=f"{name} {state}", kind="index_project", title="Indexing", status=state, lane="index",
                params=orjson.dumps({"project": {"id": name}}).decode(), queued_at=now(), resumable=1,
            )  # fmt: skip
    assert Changed.JOBS in trash.delete(here.db, "projects", ["gone"])
    everything = {f"{name} {state}" for name in ("gone", "kept") for state in ("paused", "completed", "running")}
    assert {job.id for job in jobs.listing(here.db)} == everything - {"gone paused"}
    with pytest.raises(AppError, match="in the trash"):
        jobs.requeue(here.db, "gone paused")
    assert Changed.JOBS in trash.restore(here.db, "projects", ["gone"])
    assert {job.id for job in jobs.listing(here.db)} == everything
    trash.delete(here.db, "projects", ["gone"])
    with transaction(here.db):
        here.db.execute("update jobs set status = 'completed' where id = 'gone running'")
    trash.purge(here.db, here.workspace, "projects", ["gone"])
    with pytest.raises(AppError, match="no job"):
        jobs.get(here.db, "gone paused")
    assert {job.id for job in jobs.listing(here.db)} == everything - {"gone paused"}


def test_the_job_of_a_batch_that_an_older_version_deleted_goes_where_it_is(here: Place, batch: str) -> None:
    with transaction(here.db):
        here.db.execute("update batch_jobs set deleted_at = '2026-11-01T00:00:00Z'")
    assert [job.id for job in jobs.listing(here.db)] == [batch]
    with transaction(here.db):
        schema.m015_trashed_batches(here.db)
    assert jobs.listing(here.db) == []


def test_a_run_can_be_opened_when_its_adapter_is_gone_for_good(here: Place, chain: dict[str, str]) -> None:
    with transaction(here.db):
        here.db.execute("update training_jobs set artifact_id = 'ad' where id = 'run'")
    for table in ("chats", "model_artifacts"):
        trash.delete(here.db, table, [chain[table]])
        trash.purge(here.db, here.workspace, table, [chain[table]])
    assert here.db.execute("select artifact_id from training_jobs").fetchone()[0] is None


def test_what_a_waiting_job_names_is_not_purged(here: Place, chain: dict[str, str]) -> None:
    free = add_conversation(here)
    jobs.create(here.db, "build_training_file", "Building Spring", {"name": "Spring", "conversation_ids": [free]})
    trash.delete(here.db, "conversations", [free])
    with pytest.raises(AppError, match="the job “Building Spring”"):
        trash.purge(here.db, here.workspace, "conversations", [free])


def test_what_a_killed_share_wrote_of_a_base_is_swept(here: Place) -> None:
    left = folder(here.workspace.runs / "killed" / f"{TMP_PREFIX}share")
    assert trash.sweep(here.db, here.workspace) == [left]
    assert not left.exists()
    assert left.parent.is_dir()


def test_what_was_shared_from_an_adapter_and_outlives_it_is_named(here: Place, chain: dict[str, str]) -> None:
    for name in ("kind:latest", "kind-small:latest"):
        row = {
            "name": name, "artifact_id": "ad", "base_id": "base", "address": "http://127.0.0.1:1", "way": "create",
            "digest": name, "adapter_sha256": "0", "same": 5, "asked": 5,
        }  # fmt: skip
        shares.put(here.db, row)
    trash.delete(here.db, "model_artifacts", ["ad"])
    trash.delete(here.db, "chats", ["chat"])
    stays = {item.table: set(filter(None, item.stays.split(","))) for item in trash.listing(here.db)}
    assert stays == {"model_artifacts": {"kind:latest", "kind-small:latest"}, "chats": set()}
