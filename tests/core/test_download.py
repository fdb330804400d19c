"""Download of a base from a local server that speaks the hub's API, through real workers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from sqlite_utils import Database

from core import jobs, trash
from core.cancel import CancelToken
from core.db.connection import open_database
from core.errors import AppError
from core.jobs import Job, JobState
from core.models import download, store
from core.models.fingerprint import content_fingerprint
from core.models.hub_files import RepoName, needed, parse_name
from core.redact import redact
from core.workers.runner import run_to_end
from core.workspace import secrets
from core.workspace.paths import Workspace, models_cache
from tests.contract.hub_server import TOKEN, HubServer
from tests.core.test_secrets import MemoryKeyring
from tests.support.hf_model import write_hf_model
from tests.support.hub import use_hub
from tests.support.in_process import run_in_process

REPO = "tiny/Llama-3_b.it"
Opened = tuple[Workspace, Database]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        use_hub(monkeypatch, server)
        yield server


@pytest.fixture
def model(tmp_path: Path, hub: HubServer) -> Path:
    folder = write_hf_model(tmp_path / "published")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling_tiny.py").write_text("raise SystemExit")
    (folder / "README.md").write_text("# Tiny")
    (folder / "original").mkdir()
    (folder / "original" / "model.safetensors").write_bytes(b"no")
    hub.add(REPO, folder)
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    db = open_database(workspace.db_path, workspace.backups)
    yield workspace, db
    db.close()


def start(opened: Opened, kind: str = "download_base", **params: Any) -> Job:
    jobs.create(opened[1], kind, "Test", {"repo": REPO, "revision": "", **params})
    job = jobs.claim_next(opened[1])
    assert job is not None
    return job


def run(opened: Opened, kind: str = "download_base", **params: Any) -> Job:
    return run_in_process(opened[1], opened[0], kind, {"repo": REPO, "revision": "", **params})


def again(opened: Opened, job: Job) -> Job:
    jobs.requeue(opened[1], job.id)
    claimed = jobs.claim_next(opened[1], job.id)
    assert claimed is not None
    return run_to_end(opened[1], opened[0], claimed)


def code(job: Job) -> str:
    assert job.status is JobState.FAILED
    assert job.error is not None
    assert job.error.hint
    return job.error.code


def gathered() -> list[str]:
    return sorted(p.name for p in (models_cache() / "hub").glob(".part-*/*"))


def test_a_base_is_looked_up_downloaded_and_added(opened: Opened, model: Path, hub: HubServer) -> None:
    found = run_to_end(opened[1], opened[0], start(opened, "look_up_base"))
    assert found.status is JobState.COMPLETED, found.error
    facts = found.result
    names = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
    assert [entry["name"] for entry in facts["files"]] == names
    assert facts["size"] == sum((model / name).stat().st_size for name in names)
    assert (facts["here"], facts["commit"]) == (0, hub.repos[REPO].commit)
    assert set(hub.sent) == {"config.json"}
    seen: list[tuple[int, int]] = []
    job = run_to_end(
        opened[1], opened[0], start(opened, commit=facts["commit"], name="My tiny"),
        listen=lambda m: seen.append((m["done"], m["total"])) if m.get("stage") == "Downloading" else None,
    )  # fmt: skip
    assert job.status is JobState.COMPLETED, job.error
    assert seen[-1] == (facts["size"], facts["size"])
    base = store.get(opened[1], job.result["base_model_id"])
    assert (base.name, base.kind) == ("My tiny", "hub")
    assert base.content_fingerprint == content_fingerprint(model)
    assert any(REPO in note and "hash" in note for note in base.notes)
    folder = (base.path / "model.safetensors").resolve().parent
    assert sorted(p.name for p in folder.iterdir()) == sorted([*names, "download.json"])
    assert not gathered()


def test_the_same_files_again_are_the_same_base_and_cost_nothing(opened: Opened, model: Path, hub: HubServer) -> None:
    first = run(opened)
    hub.sent.clear()
    second = run(opened)
    assert second.status is JobState.COMPLETED, second.error
    assert first.result["base_model_id"] == second.result["base_model_id"]
    (base,) = store.listing(opened[1])
    assert set(hub.sent) == {"config.json"}
    assert [path for path in models_cache().iterdir() if path.name != "hub"] == [base.path]


def test_deleted_for_good_it_gives_the_disk_back_with_the_last_workspace_that_has_it(
    tmp_path: Path, opened: Opened, model: Path, hub: HubServer
) -> None:
    other = Workspace(tmp_path / "other")
    other.create()
    both = [opened, (other, open_database(other.db_path, other.backups))]
    bases = [store.get(here[1], run(here).result["base_model_id"]) for here in both]
    (downloaded,) = (models_cache() / "hub").glob("[!.]*")
    added = run_in_process(opened[1], opened[0], "add_base_model", {"path": str(model), "name": "By hand"})
    by_hand = store.get(opened[1], added.result["base_model_id"])
    for number, ((workspace, db), base) in enumerate(zip(both, bases, strict=True)):
        trash.delete(db, "base_models", [base.id])
        assert base.path.is_dir()
        trash.purge(db, workspace, "base_models", [base.id])
        assert not base.path.exists()
        assert downloaded.is_dir() is (number == 0)
    trash.delete(opened[1], "base_models", [by_hand.id])
    trash.purge(opened[1], opened[0], "base_models", [by_hand.id])
    assert not by_hand.path.exists()
    assert (model / "model.safetensors").is_file()
    both[1][1].close()


def test_what_was_damaged_on_the_disk_is_found_and_fetched_alone(opened: Opened, model: Path, hub: HubServer) -> None:
    base = store.get(opened[1], run(opened).result["base_model_id"])
    weights = (base.path / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    tokenizer = weights.with_name("tokenizer.json")
    tokenizer.write_bytes(tokenizer.read_bytes()[:-1] + b"?")
    job = run(opened)
    assert code(job) == "wrong_hash"
    hub.sent.clear()
    assert again(opened, job).status is JobState.COMPLETED
    assert weights.read_bytes() == (model / "model.safetensors").read_bytes()
    assert tokenizer.read_bytes() == (model / "tokenizer.json").read_bytes()
    assert set(hub.sent) == {"config.json", "tokenizer.json", "model.safetensors"}


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_stopped_or_killed_it_goes_on_where_it_was(opened: Opened, model: Path, hub: HubServer, how: str) -> None:
    size = (model / "model.safetensors").stat().st_size
    hub.hold["model.safetensors"] = size // 2 // 16384 * 16384
    token, pids = CancelToken(), []

    def interrupt() -> None:
        hub.held.wait()
        # What the server sent is not on the disk yet: wait for it there.
        (part,) = (models_cache() / "hub").glob(".part-*")
        file = part / "model.safetensors.part"
        while not file.exists() or file.stat().st_size < hub.hold["model.safetensors"]:
            threading.Event().wait(0.01)
        token.cancel() if how == "stop" else os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=interrupt)
    thread.start()
    job = run_to_end(
        opened[1], opened[0], start(opened), token=token,
        listen=lambda m: pids.append(m["pid"]) if m["type"] == "hello" else None,
    )  # fmt: skip
    thread.join()
    assert job.status is (JobState.CANCELLED if how == "stop" else JobState.INTERRUPTED), job.error
    assert job.can_resume
    hub.released.set()
    here = run(opened, "look_up_base").result["here"]
    assert here >= hub.hold["model.safetensors"]
    hub.sent.clear()
    hub.requests.clear()
    job = again(opened, job)
    assert job.status is JobState.COMPLETED, job.error
    assert hub.sent["model.safetensors"] == size - hub.hold["model.safetensors"]
    assert set(hub.sent) == {"config.json", "model.safetensors"}
    assert store.get(opened[1], job.result["base_model_id"]).content_fingerprint == content_fingerprint(model)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_taken_up_again(opened: Opened, model: Path, hub: HubServer, ranges: bool) -> None:
    hub.cut["model.safetensors"] = (65536, 3 if ranges else 1)
    hub.no_ranges = not ranges
    hub.status = [503]
    job = run(opened)
    assert job.status is JobState.COMPLETED, job.error
    size = (model / "model.safetensors").stat().st_size
    assert hub.sent["model.safetensors"] == (size if ranges else size + 65536)


def test_a_file_with_a_wrong_hash_is_refused_and_fetched_again(opened: Opened, model: Path, hub: HubServer) -> None:
    hub.spoil = {"model.safetensors"}
    job = run(opened)
    assert code(job) == "wrong_hash"
    assert job.error is not None
    assert "model.safetensors" in job.error.message
    assert store.listing(opened[1]) == []
    assert gathered() == ["config.json", "tokenizer.json", "tokenizer_config.json"]
    hub.spoil = set()
    assert again(opened, job).status is JobState.COMPLETED


@pytest.mark.parametrize("field", ["auto_map", "model_file"])
def test_a_model_with_code_of_its_own_is_refused_before_its_weights(
    tmp_path: Path, opened: Opened, hub: HubServer, field: str
) -> None:
    hub.add(REPO, write_hf_model(tmp_path / "wild", **{field: "model.py"}))
    job = run(opened)
    assert code(job) == "own_code"
    assert job.error is not None
    assert job.error.where.field == field
    assert set(hub.sent) == {"config.json"}
    assert code(run(opened, "look_up_base")) == "own_code"


def test_what_the_hub_refuses_is_told_with_what_to_do(opened: Opened, model: Path, hub: HubServer) -> None:
    job = run(opened, "look_up_base", repo="no/body")
    assert code(job) == "no_such_repository"
    assert job.error is not None
    assert "no/body" in job.error.message
    assert code(run(opened, "look_up_base", revision="v9")) == "no_such_revision"
    hub.repos[REPO].gated = True
    job = run(opened)
    assert code(job) == "gated"
    assert job.error is not None
    assert f"{hub.url}/{REPO}" in job.error.hint
    assert "token" in job.error.hint
    assert job.error.action == "page:settings"
    hub.portal = True
    assert code(run(opened, "look_up_base")) == "not_a_hub"


def test_a_token_opens_a_gated_model_and_reaches_no_other_host(
    opened: Opened, model: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos[REPO].gated = True
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrongwrong")
    assert code(run(opened)) == "bad_token"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.requests.clear()
    assert run(opened).status is JobState.COMPLETED
    signed = [asked.path for asked in hub.requests if asked.authorization]
    assert signed
    assert not [path for path in signed if path.startswith("/cdn/")]
    assert "/cdn/" in str([asked.path for asked in hub.requests])
    # What is public is asked for without one.
    assert not hub.requests[0].authorization
    kept = b"".join(p.read_bytes() for p in opened[0].root.rglob("*") if p.is_file())
    assert TOKEN.encode() not in kept


def test_without_a_network_it_says_so_and_can_be_resumed(
    opened: Opened, model: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(download, "WAITS_S", (0.0, 0.0))
    job = run(opened)
    assert code(job) == "no_network"
    assert code(run(opened, "look_up_base")) == "no_network"
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert again(opened, job).status is JobState.COMPLETED


def test_too_little_room_is_told_before_anything_comes(
    model: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from core.models.hub import Hub

    monkeypatch.setattr(download, "_free", lambda _folder: 1_000_000)

    async def fetch() -> None:
        async with Hub(hub.url) as client:
            offer = await download.inspect(client, RepoName(REPO))
            await download.Fetch(client, offer, CancelToken(), lambda *_: None).all()

    with pytest.raises(AppError, match="room") as caught:
        asyncio.run(fetch())
    assert caught.value.code == "disk_full"
    assert set(hub.sent) == {"config.json"}


def test_a_stored_token_goes_to_the_usual_hub_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before, made = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(made)
    try:
        monkeypatch.delenv("HF_TOKEN", raising=False)
        secrets.put(secrets.HUB_TOKEN, TOKEN)
        assert secrets.hub_token("https://huggingface.co", "https://huggingface.co") == TOKEN
        assert secrets.hub_token("http://mirror", "https://huggingface.co") is None
        keyring.set_keyring(NoKeyring())
        assert secrets.hub_token("https://huggingface.co", "https://huggingface.co") is None
        monkeypatch.setenv("HF_TOKEN", "from-outside")
        assert secrets.hub_token("http://mirror", "https://huggingface.co") == "from-outside"
    finally:
        keyring.set_keyring(before)
    assert TOKEN not in redact(f"token={TOKEN}")


@pytest.mark.parametrize(
    ("text", "repo", "revision"),
    [("owner/name", "owner/name", ""), (" mlx-community/Qwen2.5-1.5B-4bit ", "mlx-community/Qwen2.5-1.5B-4bit", ""),
     ("owner/name@v1.0", "owner/name", "v1.0"), ("https://huggingface.co/owner/name", "owner/name", ""),
     ("hf.co/owner/name/tree/refs%2Fpr%2F1", "owner/name", "refs/pr/1"),
     ("https://huggingface.co/owner/name/blob/main/config.json?x=1", "owner/name", "main")],
)  # fmt: skip
def test_names_and_addresses_are_read(text: str, repo: str, revision: str) -> None:
    assert parse_name(text) == RepoName(repo, revision)


@pytest.mark.parametrize(
    "text",
    ["", "name", "../etc", "a/..", "a/b/c", "https://evil.example/owner/name", "owner/na me", "a/b@../x", "a/-b"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(AppError) as caught:
        parse_name(text)
    assert caught.value.code == "not_a_repository"


def entry(name: str, **changes: Any) -> dict[str, Any]:
    return {"rfilename": name, "size": 5, "blobId": "a" * 40, **changes}


@pytest.mark.parametrize(
    ("names", "said"),
    [(["model.safetensors"], "config.json"), (["config.json", "m.gguf"], "GGUF"),
     (["config.json", "pytorch_model.bin"], "never loaded"), (["config.json", "sub/model.safetensors"], "folders")],
)  # fmt: skip
def test_a_repository_without_a_base_says_what_it_has(names: list[str], said: str) -> None:
    with pytest.raises(AppError, match=said):
        needed([entry(name) for name in names], REPO)


def test_a_file_without_a_hash_or_with_a_path_is_never_taken() -> None:
    listed = [
        entry("config.json"),
        entry("model.safetensors"),
        entry("../model.safetensors"),
        entry("model/x.safetensors"),
    ]
    assert [file.name for file in needed(listed, REPO)] == ["config.json", "model.safetensors"]
    for odd in ({"blobId": None}, {"blobId": "a"}, {"lfs": {"size": 5}}, {"lfs": {"sha256": "b" * 64, "size": "5"}},
                {"size": -1}, {"size": True}, {"size": None}):  # fmt: skip
        with pytest.raises(AppError) as caught:
            needed([entry("config.json"), entry("model.safetensors", **odd)], REPO)
        assert caught.value.code == "no_hashes", odd
    with pytest.raises(AppError, match="larger than"):
        needed([entry("config.json", size=1 << 40), entry("model.safetensors")], REPO)
