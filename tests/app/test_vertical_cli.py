"""`--vertical` on the command line: what a new workspace is for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import parse as parse_window
from core.db.connection import connect
from core.scaffolding.seeding import key_of
from core.scaffolding.store import Persona, listing
from core.workspace.files import write_json
from core.workspace.paths import source_root
from tests.support.verticals import FINANCE, OUTAGE, SUPPORT

pytestmark = pytest.mark.slow


def call(*args: object) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run(
        [sys.executable, "-m", "app", *map(str, args)], cwd=source_root(), capture_output=True, text=True, check=False
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("command", [("pipeline", "talk.json"), ("generate", "--count", 1, "--provider", "local")])
def test_an_unknown_vertical_is_answered_with_those_there_are(tmp_path: Path, command: tuple[object, ...]) -> None:
    name, *rest = command
    code, lines, said = call(name, "--workspace", tmp_path / "w", "--vertical", "suport", *rest)
    assert (code, lines[-1]["code"]) == (2, "unknown_vertical")
    assert "“suport”" in said
    assert FINANCE in said
    assert SUPPORT in said
    assert not (tmp_path / "w").exists()


def test_a_workspace_is_made_for_the_vertical_and_refuses_another_once_it_is_in_use(tmp_path: Path) -> None:
    write_json(tmp_path / "talk.json", OUTAGE)
    settings = ("--set", "max_steps=1", "--name", "Outage")
    root = tmp_path / "w"
    code, lines, said = call("pipeline", "--workspace", root, "--vertical", SUPPORT, *settings, tmp_path / "talk.json")
    assert code == 0, (said, lines[-1])
    db = connect(root / "workspace.db")
    assert key_of(db) == SUPPORT
    assert len(listing(db, Persona)) == 3
    path = db.execute("select enriched_file_path from conversations").fetchone()[0]
    document = json.loads((root / path).read_text())
    assert document["dataset_metadata"]["vertical"] == SUPPORT
    db.close()
    code, lines, said = call("pipeline", "--workspace", root, "--vertical", FINANCE, *settings, tmp_path / "talk.json")
    assert (code, lines[-1]["code"]) == (2, "vertical_is_set")
    assert SUPPORT in said


def test_the_window_takes_it_too(tmp_path: Path) -> None:
    assert parse_window(["--workspace", str(tmp_path), "--vertical", SUPPORT]).vertical == SUPPORT
