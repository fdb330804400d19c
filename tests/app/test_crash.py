"""What nobody catches is told, and a native crash is found at the next start."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.crash import CrashReporter
from core.workspace.paths import source_root

CRASH = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.crash import CrashReporter
app = QCoreApplication([])
reporter = CrashReporter()
reporter.open_file(Path(sys.argv[1]))
if sys.argv[2] == "segfault":
    import ctypes
    ctypes.string_at(0)
elif sys.argv[2] == "kill":
    import os
    os.kill(os.getpid(), 9)
reporter.close_file()
"""


def crash(folder: Path, how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", CRASH, str(folder), how], cwd=source_root(), capture_output=True, check=False
    )
    return run.returncode


def report(folder: Path) -> str:
    reporter = CrashReporter()
    text = reporter.open_file(folder)
    reporter.close_file()
    return text


def test_a_segfault_is_reported_at_the_next_start(qtbot: QtBot, tmp_path: Path) -> None:
    assert crash(tmp_path, "segfault") == -signal.SIGSEGV
    text = report(tmp_path)
    assert "Segmentation fault" in text
    assert "string_at" in text
    assert report(tmp_path) == ""


def test_a_kill_is_told_as_such(qtbot: QtBot, tmp_path: Path) -> None:
    assert crash(tmp_path, "kill") == -signal.SIGKILL
    assert "killed, or the machine lost power" in report(tmp_path)


def test_a_clean_end_leaves_nothing(qtbot: QtBot, tmp_path: Path) -> None:
    assert crash(tmp_path, "nothing") == 0
    assert not (tmp_path / "crash.log").exists()
    assert report(tmp_path) == ""


def test_unhandled_exceptions_of_any_thread_arrive_here(qtbot: QtBot, caplog: pytest.LogCaptureFixture) -> None:
    reporter, seen = CrashReporter(), []
    reporter.unexpected.connect(lambda exc: seen.append((str(exc), threading.get_ident())))
    reporter.install()
    try:
        sys.excepthook(ValueError, ValueError("here"), None)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        qtbot.waitUntil(lambda: len(seen) == 2)
    finally:
        reporter.uninstall()
    assert [text for text, _ in seen] == ["here", "division by zero"]
    assert {ident for _, ident in seen} == {threading.get_ident()}
