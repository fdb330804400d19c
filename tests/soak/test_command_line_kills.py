"""Forty kills of the command line, in four workspaces; its last result stands in docs/testing.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from core.sample import sample_files
from tests.crash.test_command_line_kill import SETTINGS, chats, killed_and_compared
from tests.support.command_line import call, census

pytestmark = pytest.mark.soak


def test_forty_kills_leave_what_one_call_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = (*SETTINGS, *sample_files(), chats(tmp_path / "chats.jsonl", 20))
    report = call(tmp_path / "straight", inputs)
    wanted = census(tmp_path / "straight")
    where: list[str] = []
    for seed in range(4):
        where += killed_and_compared(tmp_path / f"killed-{seed}", inputs, report, wanted, kills=10, seed=seed)
    with capsys.disabled():
        print(f"\n{sum(map(bool, where))} of {len(where)} calls killed while at {dict(Counter(where))}")  # noqa: T201
        print(f"rows, folders and adapters of each: {wanted}")  # noqa: T201
