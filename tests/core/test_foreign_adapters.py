"""Adapters from elsewhere: imported with the same logits, refused by name, checked again, exported."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlite_utils import Database

from core import jobs
from core.adapters.layouts import layout_of
from core.db.connection import open_database
from core.inference.engine import AdapterRef
from core.inference.mlx.pool import AdapterPool
from core.jobs import Job, JobState
from core.models import store as models
from core.models.store import BaseModel
from core.models.work import base_row
from core.training.store import Adapter, get_adapter, list_adapters
from core.workers.runner import run_to_end
from core.workspace.files import sha256_file
from core.workspace.paths import Workspace
from tests.support.foreign import by_hand, peft_tensors, write_mlx, write_peft
from tests.support.hf_model import write_hf_model
from tests.support.in_process import run_in_process


class Here:
    """A workspace with the random base. `do` runs a job here, `run` in a worker."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root / "workspace")
        self.workspace.create()
        self.db: Database = open_database(self.workspace.db_path, self.workspace.backups)
        self.base = self.add_base(write_hf_model(root / "base"))

    def run(self, kind: str, **params: Any) -> Job:
        job = jobs.claim_next(self.db, jobs.create(self.db, kind, "Test", params).id)
        assert job is not None
        return run_to_end(self.db, self.workspace, job)

    def do(self, kind: str, **params: Any) -> Job:
        return run_in_process(self.db, self.workspace, kind, params)

    def add_base(self, folder: Path) -> BaseModel:
        models.upsert(self.db, base_row(folder.name, folder.name, folder, "folder", []))
        return models.get(self.db, folder.name)

    def bring(self, folder: Path) -> Job:
        return self.do("import_adapter", path=str(folder), base_id=self.base.id, name="")

    def brought(self, folder: Path) -> Adapter:
        job = self.bring(folder)
        assert job.status is JobState.COMPLETED, job.error
        return get_adapter(self.db, job.result["artifact_id"])

    def refusal(self, folder: Path) -> Any:
        job = self.bring(folder)
        assert job.status is JobState.FAILED
        assert job.error is not None
        assert job.error.hint
        assert list_adapters(self.db) == []
        assert list(self.workspace.adapters.iterdir()) == []
        return job.error


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    found = Here(tmp_path)
    yield found
    found.db.close()


def logits_of(here: Here, adapter: Adapter) -> Any:
    """As chat computes them."""
    import mlx.core as mx
    from mlx_lm.utils import load_model

    model = load_model(here.base.path)[0]
    pool = AdapterPool(model, here.base.structure_fingerprint, here.base.content_fingerprint)
    pool.activate(AdapterRef(adapter.id, str(here.workspace.absolute(adapter.path))))
    return model(mx.array([list(range(5, 40))]))


def logits_by_mlx_lm(here: Here, folder: Path) -> Any:
    import mlx.core as mx
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    model = load_adapters(load_model(here.base.path)[0], str(folder))
    model.eval()
    return model(mx.array([list(range(5, 40))]))


@pytest.mark.parametrize(
    ("options", "changes", "scale"),
    [({}, {}, 3.0), ({}, {"use_rslora": True}, 6.0), ({"dora": True}, {"use_dora": True}, 3.0),
     ({"embedding": True}, {"init_lora_weights": "gaussian"}, 3.0), ({"rank": 8}, {"r": 8}, 1.5)],
    ids=["lora", "rslora", "dora", "embedding", "rank 8"],
)  # fmt: skip
def test_a_peft_adapter_answers_as_its_weights_turned_by_hand_do_in_mlx_lm(
    here: Here, tmp_path: Path, options: dict[str, Any], changes: dict[str, Any], scale: float
) -> None:
    import mlx.core as mx

    tensors = peft_tensors(**options)
    kind = "dora" if options.get("dora") else "lora"
    rank = options.get("rank", 4)
    adapter = here.brought(write_peft(tmp_path / "Their adapter", tensors, **changes))
    wanted = logits_by_mlx_lm(here, write_mlx(tmp_path / "by hand", by_hand(tensors), scale, rank=rank, kind=kind))
    assert mx.array_equal(logits_of(here, adapter), wanted).item()
    stored = here.workspace.absolute(adapter.path)
    assert mx.array_equal(logits_by_mlx_lm(here, stored), wanted).item(), "mlx-lm reads what was stored otherwise"
    plain = logits_by_mlx_lm(here, write_mlx(tmp_path / "none", by_hand(tensors), 0.0, rank=rank, kind="lora"
                             )) if kind == "lora" else None  # fmt: skip
    assert plain is None or mx.abs(plain - wanted).max().item() > 1e-2
    passport = adapter.passport
    assert (adapter.name, adapter.training_job_id, adapter.verdict) == ("Their adapter", None, "unmeasured")
    assert passport["imported"]["layout"] == "PEFT"
    file = "adapter_model.safetensors"
    assert passport["imported"]["files"][file] == sha256_file(tmp_path / "Their adapter" / file)
    assert passport["hyperparameters"] == {"rank": rank, "scale": scale, "fine_tune_type": kind}


def test_an_mlx_lm_adapter_is_taken_as_it_is(here: Here, tmp_path: Path) -> None:
    import mlx.core as mx

    folder = write_mlx(tmp_path / "theirs", by_hand(peft_tensors()), 2.5)
    job = here.run("import_adapter", path=str(folder), base_id=here.base.id, name="Theirs")
    assert job.status is JobState.COMPLETED, job.error
    adapter = get_adapter(here.db, job.result["artifact_id"])
    assert (adapter.name, adapter.passport["imported"]["layout"]) == ("Theirs", "mlx-lm")
    assert mx.array_equal(logits_of(here, adapter), logits_by_mlx_lm(here, folder)).item()
    assert layout_of(folder) == "mlx-lm"
    assert layout_of(tmp_path) == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [("modules_to_save", ["lm_head"]), ("bias", "all"), ("rank_pattern", {"q_proj": 8}), ("alpha_pattern", {"x": 1}),
     ("peft_type", "IA3"), ("task_type", "SEQ_CLS"), ("fan_in_fan_out", True), ("layer_replication", [[0, 2]]),
     ("init_lora_weights", "pissa"), ("lora_bias", True), ("target_parameters", ["x"]), ("r", 0), ("r", "four"),
     ("lora_alpha", None), ("a_setting_of_tomorrow", {"on": True})],
)  # fmt: skip
def test_what_peft_can_and_mlx_lm_can_not_is_refused_by_its_name(
    here: Here, tmp_path: Path, field: str, value: Any
) -> None:
    error = here.refusal(write_peft(tmp_path / "theirs", **{field: value}))
    assert (error.code, error.where.field) == ("foreign_adapter", field)
    assert field in error.message or str(value) in error.message or f"({field})" in error.message


def odd_tensors(how: str) -> dict[str, Any]:
    import mlx.core as mx

    q = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = peft_tensors()
    if how == "no_b":
        del tensors[f"{q}.lora_B.weight"]
    elif how == "shape":
        tensors[f"{q}.lora_A.weight"] = mx.zeros((4, 50))
    elif how == "rank":
        tensors[f"{q}.lora_A.weight"] = mx.zeros((5, 48))
    elif how == "nan":
        tensors[f"{q}.lora_A.weight"] = mx.full((4, 48), float("nan"))
    elif how == "whole_numbers":
        tensors[f"{q}.lora_A.weight"] = mx.zeros((4, 48), dtype=mx.int32)
    elif how == "other_tensor":
        tensors["base_model.model.lm_head.weight"] = mx.zeros((1536, 48))
    elif how == "no_module":
        tensors = {k.replace("q_proj", "query"): v for k, v in tensors.items()}
    elif how == "no_dora":
        tensors[f"{q}.lora_magnitude_vector"] = mx.ones(48)
    return tensors


def spoiled(folder: Path, how: str) -> Path:
    write_peft(folder, odd_tensors(how))
    weights = folder / "adapter_model.safetensors"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif how == "pickled":
        weights.rename(folder / "adapter_model.bin")
    elif how == "link_out":
        shutil.move(weights, folder.parent / "elsewhere.safetensors")
        os.symlink(folder.parent / "elsewhere.safetensors", weights)
    elif how == "no_json":
        (folder / "adapter_config.json").write_text("{")
    elif how == "list":
        (folder / "adapter_config.json").write_text("[]")
    elif how == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("how", "said"),
    [("no_b", "lacks its lora_b"), ("shape", "shapes"), ("rank", "rank is 4"), ("nan", "not numbers"),
     ("whole_numbers", "int32"), ("other_tensor", "lm_head.weight"), ("no_module", "no module"),
     ("no_dora", "magnitude"), ("truncated", "complete safetensors"), ("pickled", "pickled"),
     ("link_out", "link out"), ("no_json", "not valid JSON"), ("list", "no settings"),
     ("empty", "adapter_config.json")],
)  # fmt: skip
def test_a_folder_that_can_not_be_used_says_why_and_leaves_nothing(
    here: Here, tmp_path: Path, how: str, said: str
) -> None:
    error = here.refusal(spoiled(tmp_path / "theirs", how))
    assert error.code == "foreign_adapter", error.detail
    assert said in error.message
    assert "theirs" in error.message


def test_an_adapter_is_exported_without_places_and_comes_back_the_same(here: Here, tmp_path: Path) -> None:
    import mlx.core as mx

    adapter = here.brought(write_peft(tmp_path / "theirs"))
    out = tmp_path / "out"
    out.mkdir()
    job = here.run("export_adapter", adapter_id=adapter.id, folder=str(out))
    assert job.status is JobState.COMPLETED, job.error
    folder = Path(job.result["path"])
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "adapter_config.json", "adapters.safetensors", "passport.json",
    ]  # fmt: skip
    assert adapter.sha256 in (folder / "README.md").read_text()
    for path in folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name
    for name, files in (("peft", ["adapter_config.json", "adapter_model.safetensors"]), ("gguf", ["adapter.gguf"])):
        job = here.run("export_adapter", adapter_id=adapter.id, folder=str(out), format=name)
        assert job.status is JobState.COMPLETED, job.error
        other = Path(job.result["path"])
        assert other.name == f"{folder.name} ({name.upper()})"
        assert sorted(p.name for p in other.iterdir()) == ["README.md", *files, "passport.json"]
        assert "system prompt" not in (other / "README.md").read_text()
    again = here.do("export_adapter", adapter_id=adapter.id, folder=str(out))
    assert again.error is not None
    assert again.error.code == "already_there"
    passport = orjson.loads((folder / "passport.json").read_bytes())
    (folder / "passport.json").write_bytes(orjson.dumps({**passport, "system_prompt": "Be kind."}))
    back = here.brought(folder)
    assert back.passport["system_prompt"] == "Be kind."
    assert mx.array_equal(logits_of(here, back), logits_of(here, adapter)).item()
    other = here.add_base(write_hf_model(tmp_path / "other", seed=9))
    job = here.do("import_adapter", path=str(folder), base_id=other.id, name="")
    assert job.error is not None
    assert job.error.code == "wrong_base"


def test_an_adapter_is_checked_again(here: Here, tmp_path: Path) -> None:
    adapter = here.brought(write_peft(tmp_path / "theirs"))
    job = here.run("check_adapter", adapter_id=adapter.id)
    assert job.status is JobState.COMPLETED, job.error
    assert job.result["sha256"] == adapter.sha256
    file = here.workspace.absolute(adapter.path) / "adapters.safetensors"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    job = here.do("check_adapter", adapter_id=adapter.id)
    assert job.error is not None
    assert job.error.code == "damaged_adapter"
    file.unlink()
    job = here.do("check_adapter", adapter_id=adapter.id)
    assert job.error is not None
    assert "adapters.safetensors" in job.error.message
    file.write_bytes(good)
    weights = (here.base.path / "model.safetensors").resolve()
    data = weights.read_bytes()
    weights.write_bytes(data[:-4] + b"\0\0\0\0")
    job = here.do("check_adapter", adapter_id=adapter.id)
    assert job.error is not None
    assert job.error.code == "base_changed"
