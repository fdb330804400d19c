"""A base is quantised as mlx-lm does it, and becomes a base of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlite_utils import Database

from core import jobs
from core.cancel import CancelToken
from core.db.connection import open_database
from core.errors import AppError
from core.jobs import JobState
from core.models import quantise, store
from core.models.store import BaseModel
from core.models.work import base_row
from core.workers.runner import run_to_end
from core.workspace.paths import Workspace, models_cache
from tests.support.hf_model import write_hf_model
from tests.support.in_process import run_in_process

WIDE = {"hidden_size": 64, "head_dim": 16, "intermediate_size": 128}
Opened = tuple[Workspace, Database]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    workspace = Workspace(tmp_path / "workspace")
    workspace.create()
    db = open_database(workspace.db_path, workspace.backups)
    yield workspace, db
    db.close()


def add(opened: Opened, folder: Path) -> BaseModel:
    """Added as by hand, its rope mended."""
    job = run_in_process(opened[1], opened[0], "add_base_model", {"path": str(folder), "name": folder.name})
    return store.get(opened[1], job.result["base_model_id"])


def by_mlx_lm(base: BaseModel, bits: int) -> Any:
    import mlx.core as mx
    from mlx_lm.utils import load_model, quantize_model

    model, config = load_model(base.path)
    model, _ = quantize_model(model, config, 64, bits)
    return model(mx.array([list(range(5, 40))]))


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_base_answers_as_mlx_lm_quantises_it(opened: Opened, tmp_path: Path, bits: int) -> None:
    import mlx.core as mx
    from mlx_lm.utils import load_model

    workspace, db = opened
    base = add(opened, write_hf_model(tmp_path / "Tiny", **WIDE))
    params = {"base_id": base.id, "bits": bits, "name": ""}
    seen: list[tuple[int, int]] = []
    if bits == 4:
        claimed = jobs.claim_next(db, jobs.create(db, "quantise_base", "Test", params).id)
        assert claimed is not None
        job = run_to_end(db, workspace, claimed, listen=lambda m: seen.append((m["done"], m["total"]))
                         if m.get("stage") == "Quantizing" else None)  # fmt: skip
        assert len(seen) > 10
        assert seen[0][0] == 0
    else:
        job = run_with_memory(opened, params)
    assert job.status is JobState.COMPLETED, job.error
    made = store.get(db, job.result["base_model_id"])
    assert (made.name, made.kind, made.quantization) == (f"Tiny {bits}-bit", "quantised", f"{bits}-bit")
    assert any(f"{bits} bits from Tiny" in note for note in made.notes)
    assert made.structure_fingerprint == base.structure_fingerprint
    assert made.content_fingerprint != base.content_fingerprint
    assert made.rendering_fingerprint == base.rendering_fingerprint
    assert abs(made.size_bytes - quantise.size_after(base, bits)) < 0.2 * made.size_bytes
    out = load_model(made.path)[0](mx.array([list(range(5, 40))]))
    assert mx.array_equal(out, by_mlx_lm(base, bits)).item()
    again = run_with_memory(opened, {"base_id": made.id, "bits": 4, "name": ""})
    assert again.error is not None
    assert again.error.code == "already_quantised"


def run_with_memory(opened: Opened, params: dict[str, Any]) -> Any:
    from core.workers.host import JobContext

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobContext, "ask_memory", lambda *_: None)
        return run_in_process(opened[1], opened[0], "quantise_base", params)


def test_a_base_whose_layers_are_too_narrow_is_told_and_leaves_nothing(opened: Opened, tmp_path: Path) -> None:
    base = add(opened, write_hf_model(tmp_path / "Narrow"))
    job = run_with_memory(opened, {"base_id": base.id, "bits": 4, "name": ""})
    assert job.error is not None
    assert job.error.code == "nothing_to_quantise"
    assert [p for p in (models_cache() / "quantised").iterdir() if p.is_dir()] == []
    assert len(store.listing(opened[1])) == 1


def test_too_little_room_is_told_first(opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = add(opened, write_hf_model(tmp_path / "Tiny", **WIDE))
    monkeypatch.setattr(quantise, "SPARE_BYTES", 1 << 60)
    job = run_with_memory(opened, {"base_id": base.id, "bits": 4, "name": ""})
    assert job.error is not None
    assert job.error.code == "disk_full"


def test_stopped_it_leaves_nothing(opened: Opened, tmp_path: Path) -> None:
    workspace, db = opened
    base = add(opened, write_hf_model(tmp_path / "Tiny", **WIDE, num_hidden_layers=40))
    params = {"base_id": base.id, "bits": 4, "name": ""}
    claimed = jobs.claim_next(db, jobs.create(db, "quantise_base", "Test", params).id)
    assert claimed is not None
    token = CancelToken()

    def listen(message: Any) -> None:
        if message.get("stage") == "Loading the base model":
            token.cancel()

    job = run_to_end(db, workspace, claimed, token=token, listen=listen)
    assert job.status is JobState.CANCELLED, job.error
    assert [p for p in (models_cache() / "quantised").iterdir() if p.is_dir()] == []
    assert len(store.listing(db)) == 1


def test_what_a_kill_left_is_swept_by_the_next(opened: Opened, tmp_path: Path) -> None:
    left = models_cache() / "quantised" / ".tmp-left"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    base = add(opened, write_hf_model(tmp_path / "Tiny", **WIDE))
    assert run_with_memory(opened, {"base_id": base.id, "bits": 4, "name": "Mine"}).status is JobState.COMPLETED
    assert not left.exists()
    facts = next((models_cache() / "quantised").glob("*/quantised.json"))
    assert orjson.loads(facts.read_bytes())["source"] == "Tiny"


def test_a_base_that_was_added_quantised_is_refused_by_the_window_too(tmp_path: Path, opened: Opened) -> None:
    base = add(opened, write_hf_model(tmp_path / "Tiny", **WIDE))
    quantise.refuse_quantised(base)
    row = base_row("q", "Q", base.path, "folder", []) | {"quantization": "4-bit"}
    store.upsert(opened[1], row | {"path": str(tmp_path)})
    with pytest.raises(AppError, match="4-bit"):
        quantise.refuse_quantised(store.get(opened[1], "q"))
