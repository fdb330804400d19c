"""The bundle of build_mac.spec, built for this platform: starts as window and as worker, without the source tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.workspace.paths import source_root
from tests.support.code_project import write_project
from tests.support.patience import PATIENCE_S

# What they are compared with is made once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundle")]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built into a folder with a space and an umlaut in its name."""
    folder = tmp_path_factory.mktemp("Bündel of")
    done = subprocess.run(
        [
            sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR",
            "--distpath", str(folder / "dist"), "--workpath", str(folder / "work"), "build_mac.spec",
        ],
        cwd=source_root(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "dist" / "brightrun" / "brightrun"


def environment(folder: Path) -> dict[str, str]:
    """Nothing of this checkout, no Python on the path."""
    return {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "QT_QPA_PLATFORM": "offscreen",
        "BRIGHTRUN_DATA": str(folder / "data"),
    }  # fmt: skip


def test_it_starts_as_a_window(bundle: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [bundle, "--workspace", tmp_path / "w", "--self-exit-after-paint"],
        env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.strip().splitlines()[-1])
    assert report["heavy"] == []


def test_its_workers_go_the_whole_way(bundle: Path, tmp_path: Path) -> None:
    samples = bundle.parent / "_internal" / "resources" / "sample" / "conversations"
    done = subprocess.run(
        [bundle, "pipeline", "--workspace", tmp_path / "w", "--set", "max_steps=2", "--ask", "Who are you?", samples],
        env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    final = json.loads(done.stdout.strip().splitlines()[-1])
    assert (final["in"], final["used"]) == (24, 24)
    assert final["adapters"][0]["answers"]["base"]
    # An installed app keeps its base models in the user's data folder, not in the bundle.
    assert (tmp_path / "data" / "models" / "practice" / "config.json").exists()
    assert not os.path.lexists(bundle.parent / "_internal" / "models_cache")


def test_it_indexes_and_searches_a_project(bundle: Path, tmp_path: Path) -> None:
    root = write_project(tmp_path / "shop")
    said = []
    for args in (["add", root, "--name", "Shop", "--embedder", "none"], ["search", "Shop", "basketTotal", "--json"]):
        done = subprocess.run(
            [bundle, "project", "--workspace", tmp_path / "w", *args],
            env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=3 * PATIENCE_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
        said = [json.loads(line) for line in done.stdout.splitlines()]
    assert (said[0]["type"], said[0]["symbol"], said[0]["path"]) == ("found", "basketTotal", "web/basket.ts")
