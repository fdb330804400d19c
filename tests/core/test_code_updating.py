"""What the code worker keeps up to date by itself, change by change."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.cancel import CancelToken
from core.code_index import updating
from core.code_index.gated import Models
from core.code_index.health import Places
from core.code_index.index import Indexer
from core.code_index.spec import ProjectSpec
from core.code_index.state import reading
from core.code_index.tools import usual
from core.code_index.updating import Updating
from core.code_index.watch import Change
from core.errors import AppError


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
