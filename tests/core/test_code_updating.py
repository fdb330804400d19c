"""What the code worker keeps up to date by itself, change by change."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.cancel import CancelToken
from core.code_index import embedding, gated, updating
from core.code_index.active import folder_name
from core.code_index.gated import Models
from core.code_index.health import Places
from core.code_index.index import Indexer
from core.code_index.spec import ProjectSpec
from core.code_index.state import reading
from core.code_index.tools import usual
from core.code_index.updating import Updating
from core.code_index.watch import Change
from core.errors import AppError
from tests.support.code_index import StubEmbedder
from tests.support.patience import PATIENCE_S


def test_what_could_not_be_written_is_brought_in_with_the_next_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "code"
    root.mkdir()
    (root / "a.py").write_text("def first(): ...\n")
    spec = ProjectSpec("p", "Code", str(root), str(tmp_path / "w/projects/p"), str(tmp_path / "w/vectors"), "none")
    Indexer(spec.index_path, root, None, spec.vectors_path, usual()).refresh(CancelToken())
    changed: list[Callable[[Change], None]] = []
    monkeypatch.setattr(updating, "start", lambda _root, on_change, _stop: changed.append(on_change))
    told: queue.Queue[tuple[str, Any]] = queue.Queue()
    kept = Updating(Models(lambda _bytes: True, lambda _bytes: None), lambda kind, **said: told.put((kind, said)))
    refresh = Indexer.refresh

    def full(*_args: Any, **_more: Any) -> Any:
        raise AppError("disk_full", "The disk is full.", hint="")

    try:
        kept.watch(spec)
        monkeypatch.setattr(Indexer, "refresh", full)
        (root / "b.py").write_text("def second(): ...\n")
        changed[0](Change(frozenset({"b.py"})))
        kind, said = told.get(timeout=30)
        assert (kind, said["error"]["code"]) == ("notice", "disk_full")
        monkeypatch.setattr(Indexer, "refresh", refresh)
        (root / "c.py").write_text("def third(): ...\n")
        changed[0](Change(frozenset({"c.py"})))
        assert told.get(timeout=30)[0] == "changed"
    finally:
        kept.close()
    assert not kept._thread.is_alive()
    # Closed in order: tidied up, and its state copied.
    with reading(Places(spec.index_path, "lexical").state) as state:
        assert set(state.files()) == {"a.py", "b.py", "c.py"}
        assert state.meta("backup_generation") == state.generation


class OneModel:
    """Stands for the models of a worker."""

    def __init__(self, model: StubEmbedder) -> None:
        self.model = model

    def of_index(self, _slug: str, _setting: str) -> StubEmbedder:
        return self.model


def test_where_many_chunks_wait_a_change_is_found_by_words_and_the_rest_is_left_to_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "GROUP", 4)
    monkeypatch.setattr(updating, "FEW_CHUNKS", 10)
    root, model = tmp_path / "code", StubEmbedder()
    root.mkdir()
    (root / "a.py").write_text("".join(f"def first_{number}():\n    return {number}\n\n\n" for number in range(40)))
    spec = ProjectSpec("p", "Code", str(root), str(tmp_path / "w/projects/p"), str(tmp_path / "w/vectors"), "")
    indexer = Indexer(spec.index_path, root, model, spec.vectors_path, usual())
    first = indexer.refresh(CancelToken(), embed_s=0.0)
    assert first.missing > 30
    changed: list[Callable[[Change], None]] = []
    monkeypatch.setattr(updating, "start", lambda _root, on_change, _stop: changed.append(on_change))
    told: queue.Queue[tuple[str, Any]] = queue.Queue()
    kept = Updating(OneModel(model), lambda kind, **said: told.put((kind, said)))  # type: ignore[arg-type]
    embedded = len(model.texts)
    try:
        kept.watch(spec)
        (root / "b.py").write_text("def second():\n    return 2\n")
        changed[0](Change(frozenset({"b.py"})))
        assert [told.get(timeout=PATIENCE_S)[0] for _ in range(2)] == ["changed", "behind"]
        assert len(model.texts) == embedded
        # The job has done its part; what is new now is embedded at once.
        while indexer.refresh(CancelToken(), embed_s=0.0).more:
            pass
        indexer.close()
        embedded = len(model.texts)
        (root / "c.py").write_text("def third():\n    return 3\n")
        changed[0](Change(frozenset({"c.py"})))
        assert told.get(timeout=PATIENCE_S)[0] == "changed"
        assert len(model.texts) > embedded
    finally:
        kept.close()


def test_none_as_the_model_is_none_also_for_an_index_that_was_made_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = SimpleNamespace(slug="mini-4", dimension=4, max_tokens=8, soft_limit=1600, bytes_needed=0)
    choice = SimpleNamespace(key="mini", name="Mini", slug="mini-4", open=lambda: inner)
    monkeypatch.setattr(gated, "available", lambda: [choice])
    models = Models(lambda _bytes: True, lambda _bytes: None)
    assert models.of_index(folder_name("mini-4"), "none") is None
    # One that is not here any more: what there is is still searched with the model it was made with.
    found = models.of_index(folder_name("mini-4"), "/nowhere/at/all")
    assert found is not None
    assert found.name == "Mini"


def test_what_a_paused_job_left_stays_so_and_only_what_is_saved_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, model = tmp_path / "code", StubEmbedder()
    root.mkdir()
    (root / "a.py").write_text("".join(f"def first_{number}():\n    return {number}\n\n\n" for number in range(80)))
    spec = ProjectSpec("p", "Code", str(root), str(tmp_path / "w/projects/p"), str(tmp_path / "w/vectors"), "")
    indexer = Indexer(spec.index_path, root, model, spec.vectors_path, usual())
    left = indexer.refresh(CancelToken(), embed_s=0.0).missing
    indexer.close()
    assert 0 < left < updating.FEW_CHUNKS
    # Written while nobody looked.
    (root / "b.py").write_text("def second():\n    return 2\n")
    changed: list[Callable[[Change], None]] = []
    monkeypatch.setattr(updating, "start", lambda _root, on_change, _stop: changed.append(on_change))
    told: queue.Queue[tuple[str, Any]] = queue.Queue()
    kept = Updating(OneModel(model), lambda kind, **said: told.put((kind, said)))  # type: ignore[arg-type]
    model.texts.clear()
    try:
        kept.watch(spec)
        kept.look_again("p")
        assert told.get(timeout=PATIENCE_S)[0] == "changed"
        assert told.get(timeout=PATIENCE_S) == ("behind", {"project": "p", "chunks": left})
        assert {text.split(" | ")[0] for text in model.texts} == {"# b.py"}
        (root / "c.py").write_text("def third():\n    return 3\n")
        changed[0](Change(frozenset({"c.py"})))
        while "# c.py" not in {text.split(" | ")[0] for text in model.texts}:
            told.get(timeout=PATIENCE_S)
        # Other rules: everything is looked at once more.
        while not told.empty():
            told.get()
        (root / ".gitignore").write_text("b.py\n")
        changed[0](Change(frozenset({".gitignore"})))
        while told.get(timeout=PATIENCE_S)[0] != "behind":
            pass
        assert {text.split(" | ")[0] for text in model.texts} == {"# b.py", "# c.py", "# .gitignore"}
    finally:
        kept.close()
