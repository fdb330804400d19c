"""A second start raises the first window and leaves; a held workspace is refused in words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.single_instance import SingleInstance, raise_first
from core.workspace.lock import FileLock
from core.workspace.paths import source_root
from tests.support.patience import PATIENCE_S

COMMAND = [sys.executable, "-m", "app", "--workspace"]


@pytest.fixture
def first(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([*COMMAND, str(tmp_path / "w")], cwd=source_root(), stderr=subprocess.DEVNULL)
    log = tmp_path / "w" / "logs" / "brightrun.log"
    end = time.monotonic() + PATIENCE_S
    while not (log.exists() and "opened" in log.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    yield process
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def test_the_ear_hears_and_gives_its_name_back(qtbot: QtBot, tmp_path: Path) -> None:
    assert not raise_first(tmp_path)
    ear = SingleInstance(tmp_path)
    assert ear.listen()
    with qtbot.waitSignal(ear.raise_requested):
        assert raise_first(tmp_path)
    assert not raise_first(tmp_path / "another")
    ear.close()
    assert not raise_first(tmp_path)


def test_a_socket_left_by_a_killed_window_is_taken_over(qtbot: QtBot, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from PySide6.QtCore import QCoreApplication;"
        "from app.single_instance import SingleInstance; a = QCoreApplication([]);"
        "s = SingleInstance(Path(sys.argv[1])); assert s.listen(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=source_root(), check=False)
    assert ended.returncode == -signal.SIGKILL
    ear = SingleInstance(tmp_path)
    assert ear.listen()
    ear.close()


def test_a_second_start_leaves_with_0(first: subprocess.Popen[bytes], tmp_path: Path) -> None:
    second = subprocess.run([*COMMAND, str(tmp_path / "w")], cwd=source_root(), timeout=PATIENCE_S, check=False)
    assert second.returncode == 0
    assert first.poll() is None


def test_a_workspace_the_command_line_holds_is_not_opened(tmp_path: Path) -> None:
    root = tmp_path / "w"
    root.mkdir()
    with FileLock(root / ".lock"):
        process = subprocess.Popen(
            [*COMMAND, str(root)], cwd=source_root(), env=os.environ | {"BRIGHTRUN_DEV": "1"}, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        line = b""
        while b"workspace_locked" not in line:
            line = process.stderr.readline()
            assert line
        process.terminate()
        process.stderr.close()
        assert process.wait(PATIENCE_S) == 1
    assert not (root / "workspace.db").exists()
