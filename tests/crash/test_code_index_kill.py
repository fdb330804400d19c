"""kill -9 at any moment of indexing and upkeep: after the restart nothing is missing, and nothing is made twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from core.code_index.active import places
from core.code_index.health import check
from core.code_index.state import IndexState
from core.workspace.paths import source_root
from tests.support.code_index import Project, StubEmbedder
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.slow

KILLS = 25


def killed_after(place: Path, seed: int, lines: int, delay: float) -> list[str]:
    """Run the driver, kill it `delay` seconds after it has said `lines` things; what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.index_driver", str(place), str(seed)],
        stdout=subprocess.PIPE, text=True, cwd=source_root(),
    )  # fmt: skip
    limit = threading.Timer(2 * PATIENCE_S, process.kill)
    limit.start()
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.strip())
        if len(said) == lines:
            time.sleep(delay)
            os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    limit.cancel()
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert len(said) >= lines
    return said


def test_twenty_five_kills_lose_nothing(tmp_path: Path) -> None:
    chance = random.Random(9)
    project = Project(tmp_path, StubEmbedder())
    for number in range(8):
        project.write(f"pkg/m{number}.py", *(f"fn_{number}_{part}" for part in range(8)))
    for kill in range(KILLS):
        said = killed_after(tmp_path, kill, 1 + chance.randrange(4), chance.random() * 0.4)
        assert not [line for line in said if line.startswith("notice")], said
        at = places(project.folder)
        if at is None:
            continue
        # A kill is no damage, and what was marked is there before any file is read again.
        assert check(at).notice is None
        with contextlib.closing(IndexState(at.state, read_only=True)) as state:
            marked = {path: file.chunks for path, file in state.files().items() if file.chunks}
        with project.indexer._locked() as opened:
            assert opened.health.notice is None
            assert Counter(path for path, _, _ in opened.store.pairs()) == marked
        project.restart()
        if kill % 5 == 4:
            report = project.refresh()
            assert report.notices == []
            assert project.content() == project.expected()
            counts = project.reader().counts()
            assert counts["rows"] == counts["embedded"] == len(project.expected())
            project.restart()
    project.indexer.close()
    assert list((tmp_path / "project").glob("quarantine/*")) == []
