from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import AppError
from core.workspace import files
from core.workspace.files import atomic_write, new_folder, read_json, sweep_temporary, write_json
from core.workspace.lock import FileLock
from core.workspace.paths import Workspace, source_root


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": True})

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(AppError) as caught:
        write_json(path, {"new": True})
    monkeypatch.undo()
    assert caught.value.code == "disk_full"
    assert read_json(path) == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> None:
        with new_folder(tmp_path / "v1") as tmp:
            (tmp / "one").write_text("1")
            raise ValueError

    with pytest.raises(ValueError):
        broken()
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "v1") as tmp:
        (tmp / "one").write_text("1")
        assert not (tmp_path / "v1").exists()
    assert (tmp_path / "v1" / "one").read_text() == "1"


def test_what_a_killed_write_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".tmp-123-a.json").write_text("half")
    (tmp_path / ".tmp-456").mkdir()
    (tmp_path / "kept").mkdir()
    assert len(sweep_temporary(tmp_path)) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_damaged_file_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(AppError, match=r"a\.json is damaged"):
        read_json(tmp_path / "a.json")
    with pytest.raises(AppError) as caught:
        read_json(tmp_path / "missing.json")
    assert caught.value.code == "file_error"


HOLD = "import sys,time\nfrom core.workspace.lock import FileLock\nfrom pathlib import Path\n" + (
    "lock = FileLock(Path(sys.argv[1]))\nassert lock.try_acquire()\nprint('held', flush=True)\ntime.sleep(60)\n"
)


def test_a_lock_ends_with_its_process_also_after_kill(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, cwd=source_root()
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    lock = FileLock(path)
    assert not lock.try_acquire()
    assert lock.holder() == holder.pid
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert lock.acquire(5)
    lock.release()


def test_a_workspace_that_can_not_be_made_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AppError) as caught:
        Workspace(tmp_path / "file" / "w").create()
    assert caught.value.code == "workspace_not_writable"
    assert "--workspace" in caught.value.hint


def test_paths_in_the_database_are_relative(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    relative = workspace.relative(tmp_path / "datasets" / "x" / "data.jsonl")
    assert relative == os.path.join("datasets", "x", "data.jsonl")
    assert workspace.absolute(relative) == tmp_path / "datasets" / "x" / "data.jsonl"


def test_atomic_write_replaces(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"1")
    atomic_write(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"2"
