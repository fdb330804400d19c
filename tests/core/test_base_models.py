from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlite_utils import Database

from core import jobs
from core.db.connection import open_database
from core.errors import AppError
from core.jobs import Job, JobState
from core.models import practice, store
from core.models.fingerprint import content_fingerprint, structure_fingerprint
from core.models.folder import mended_config, parameter_count, read_header
from core.models.practice_builder import PracticeConfig, build, read_dialogues
from core.workers.runner import run_to_end
from core.workspace.paths import Workspace
from tests.support.hf_model import THETA, hf_config, write_hf_model


@pytest.fixture
def opened(tmp_path: Path) -> tuple[Workspace, Database]:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    return workspace, open_database(workspace.db_path, workspace.backups)


def run(opened: tuple[Workspace, Database], kind: str, params: dict[str, Any]) -> Job:
    workspace, db = opened
    job = jobs.create(db, kind, "Test", params)
    claimed = jobs.claim_next(db, job.id)
    assert claimed is not None
    return run_to_end(db, workspace, claimed)


def test_the_shipped_practice_model_is_as_its_manifest_says() -> None:
    assert practice.damaged_files(practice.shipped_folder()) == []
    assert sum(p.stat().st_size for p in practice.shipped_folder().parent.rglob("*") if p.is_file()) < 6_000_000


def test_the_practice_model_is_copied_checked_and_mended() -> None:
    folder = practice.ensure_practice_model()
    (folder / "tokenizer.json").write_text("{}")
    assert practice.damaged_files(folder) == ["tokenizer.json"]
    practice.ensure_practice_model()
    assert practice.damaged_files(folder) == []


def test_several_at_once_get_the_same_model() -> None:
    begin = threading.Barrier(4)

    def get(_: int) -> Path:
        begin.wait()
        return practice.ensure_practice_model()

    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(get, range(4)))
    (folder,) = folders
    assert practice.damaged_files(folder) == []


def test_a_damaged_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "shipped_folder", lambda: tmp_path)
    with pytest.raises(AppError, match="manifest"):
        practice.ensure_practice_model()


def test_the_practice_model_becomes_a_row_through_the_worker(opened: tuple[Workspace, Database]) -> None:
    job = run(opened, "add_base_model", {"path": "practice"})
    assert job.status is JobState.COMPLETED, job.error
    model = store.default(opened[1])
    assert model is not None
    assert (model.id, model.is_practice, model.architecture) == ("practice", True, "llama")
    assert model.parameter_count == 311_872
    assert any("knows almost nothing" in note for note in model.notes)


@pytest.mark.parametrize("model_type", ["llama", "qwen2"])
def test_a_hugging_face_folder_is_added_with_its_rope_mended(
    tmp_path: Path, opened: tuple[Workspace, Database], model_type: str
) -> None:
    source = write_hf_model(tmp_path / "My Base ü", model_type=model_type)
    before = (source / "config.json").read_bytes()
    job = run(opened, "add_base_model", {"path": str(source), "name": "My base"})
    assert job.status is JobState.COMPLETED, job.error
    model = store.get(opened[1], job.result["base_model_id"])
    assert orjson.loads((model.path / "config.json").read_bytes())["rope_theta"] == THETA
    assert (source / "config.json").read_bytes() == before
    assert any("rope_theta" in note for note in model.notes)
    assert (model.path / "model.safetensors").resolve() == (source / "model.safetensors").resolve()


def test_the_mended_rope_gives_other_logits_than_the_silent_default(tmp_path: Path) -> None:
    import mlx.core as mx
    from mlx_lm.utils import load_model

    source = write_hf_model(tmp_path / "base")
    ids = mx.array([list(range(5, 60))])
    wrong = load_model(source)[0](ids)
    config, _ = mended_config(hf_config(), source)
    (source / "config.json").write_bytes(orjson.dumps(config))
    right = load_model(source)[0](ids)
    assert mx.abs(wrong - right).max().item() > 1e-3


def spoil(folder: Path, how: str) -> None:
    config = folder / "config.json"
    values = orjson.loads(config.read_bytes())
    if how == "no_config":
        config.unlink()
    elif how == "no_weights":
        (folder / "model.safetensors").unlink()
    elif how == "truncated":
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-7])
    elif how == "unknown":
        config.write_bytes(orjson.dumps(values | {"model_type": "wonder"}))
    elif how == "path_trick":
        config.write_bytes(orjson.dumps(values | {"model_type": "../../evil"}))
    elif how == "no_tokenizer":
        (folder / "tokenizer.json").unlink()
    elif how == "no_template":
        file = folder / "tokenizer_config.json"
        rest = {k: v for k, v in orjson.loads(file.read_bytes()).items() if k != "chat_template"}
        file.write_bytes(orjson.dumps(rest))
    elif how == "other_shape":
        config.write_bytes(orjson.dumps(values | {"hidden_size": 96, "head_dim": 24}))
    elif how == "layered_rope":
        config.write_bytes(orjson.dumps(values | {"rope_parameters": {"full": {"rope_theta": 1.0}}}))


@pytest.mark.parametrize(
    ("how", "code"),
    [("no_config", "not_a_model"), ("no_weights", "not_a_model"), ("truncated", "damaged_weights"),
     ("unknown", "unknown_architecture"), ("path_trick", "unknown_architecture"), ("no_tokenizer", "tokenizer_missing"),
     ("no_template", "no_chat_template"), ("other_shape", "weights_do_not_fit"), ("layered_rope", "unreadable_rope")],
)  # fmt: skip
def test_a_folder_that_can_not_be_used_says_why_and_leaves_nothing(
    tmp_path: Path, opened: tuple[Workspace, Database], how: str, code: str
) -> None:
    from core.workspace.paths import models_cache

    source = write_hf_model(tmp_path / "base")
    spoil(source, how)
    job = run(opened, "add_base_model", {"path": str(source), "name": ""})
    assert job.status is JobState.FAILED
    assert job.error is not None
    assert job.error.code == code, job.error.detail
    assert job.error.hint
    assert not [p for p in models_cache().glob("*") if p.name != "practice"]
    assert store.listing(opened[1]) == []


@pytest.mark.parametrize("field", ["model_file", "auto_map"])
def test_a_folder_that_wants_to_run_its_own_code_is_refused_for_that(
    tmp_path: Path, opened: tuple[Workspace, Database], field: str
) -> None:
    folder = write_hf_model(tmp_path / "wild", **{field: "model.py"})
    (folder / "model.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    job = run(opened, "add_base_model", {"path": str(folder), "name": ""})
    assert job.error is not None
    assert (job.error.code, job.error.where.field) == ("own_code", field)
    assert not (tmp_path / "ran").exists()


def header_of(entry: Any) -> bytes:
    text = orjson.dumps(entry)
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"model_type": "..os"}),
        ("config.json", {"rope_parameters": {"rope_theta": "big"}}),
        ("config.json", {"text_config": "x"}),
        ("config.json", {"quantization": [4]}),
        ("config.json", {"quantization": {"bits": "four"}}),
        ("config.json", {"vocab_size": "many"}),
        ("config.json", {"max_position_embeddings": "inf"}),
        ("generation_config.json", [1]),
        ("generation_config.json", {"eos_token_id": "end"}),
        ("model.safetensors", header_of([])),
        ("model.safetensors", header_of({"x": {"data_offsets": [0, 0]}})),
    ],
)
def test_whatever_the_files_hold_it_is_no_internal_error(
    tmp_path: Path, opened: tuple[Workspace, Database], file: str, values: Any
) -> None:
    path = write_hf_model(tmp_path / "my base") / file
    if isinstance(values, bytes):
        path.write_bytes(values)
    elif isinstance(values, dict) and path.exists():
        path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | values))
    else:
        path.write_bytes(orjson.dumps(values))
    job = run(opened, "add_base_model", {"path": str(path.parent), "name": ""})
    assert job.error is not None
    assert job.error.code in ("not_a_model", "unknown_architecture", "damaged_weights", "tokenizer_missing")
    assert file in f"{job.error.where} {job.error.message}" or job.error.code == "tokenizer_missing"
    assert "my-base-" not in str(job.error.to_json())


def test_fingerprints_tell_structure_from_content(tmp_path: Path) -> None:
    one, two = write_hf_model(tmp_path / "one", seed=1), write_hf_model(tmp_path / "two", seed=2)
    assert content_fingerprint(one) != content_fingerprint(two)
    assert content_fingerprint(one) == content_fingerprint(one)
    assert structure_fingerprint(hf_config()) == structure_fingerprint(hf_config(rms_norm_eps=1.0))
    assert structure_fingerprint(hf_config()) != structure_fingerprint(hf_config(hidden_size=96))
    header = read_header(one / "model.safetensors")
    assert parameter_count(one) == sum(
        int.__mul__(*(e["shape"] * 2)[:2]) if len(e["shape"]) == 2 else e["shape"][0]
        for k, e in header.items()
        if k != "__metadata__"
    )


def test_the_builder_makes_a_checked_model_and_the_same_one_from_the_same_seed(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for name in ("cooking.txt", "small_talk.txt"):
        (text / name).write_bytes((practice.text_folder() / name).read_bytes())
    config = PracticeConfig(vocab_size=400, hidden_size=16, layers=1, heads=2, intermediate_size=32, steps=6, rows=2)
    seen: list[tuple[int, int]] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        build(text, tmp_path / name, config, lambda done, total, _w: seen.append((done, total)))
        assert practice.damaged_files(tmp_path / name) == []
    assert content_fingerprint(tmp_path / "a") == content_fingerprint(tmp_path / "b")
    assert seen[-1] == (6, 6)


def test_a_bad_line_of_practice_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text("Q: One?\nA: Two.\nA: Three.\n")
    with pytest.raises(AppError) as caught:
        read_dialogues(tmp_path)
    assert str(caught.value).startswith("odd.txt, line 3")


def test_the_practice_model_is_built_anew_in_the_worker(opened: tuple[Workspace, Database]) -> None:
    run(opened, "add_base_model", {"path": "practice"})
    shipped = store.get(opened[1], "practice").content_fingerprint
    job = run(opened, "build_practice_model", {"config": {"steps": 4, "rows": 2}})
    assert job.status is JobState.COMPLETED, job.error
    built = store.get(opened[1], "practice")
    assert built.content_fingerprint != shipped
    assert "Built on this machine" in built.notes
    assert practice.damaged_files(practice.cached_folder()) == []
    assert [p.name for p in practice.cached_folder().parent.iterdir() if p.is_dir()] == ["practice"]
