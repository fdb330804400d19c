"""Long-lived workers, spoken to as the window does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from core.workers import protocol
from core.workers.session import worker_environment
from core.workspace.paths import source_root


@pytest.mark.parametrize(("worker", "command"), [("code", "relieve"), ("inference", "relieve")])
def test_a_stop_that_comes_when_nothing_is_asked_stops_nothing_later(worker: str, command: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "--worker", worker],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=worker_environment(), cwd=source_root(),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        fields: dict[str, Any] = {"registries": {}, "watch": []} if worker == "code" else {"options": {}}
        for ident, kind, more in (("0", "configure", fields), ("7", "stop", {}), ("7", command, {}), ("", "quit", {})):
            process.stdin.write(protocol.encode(ident, kind, more))
        process.stdin.flush()
        answers = [protocol.decode(line) for line in process.stdout]
    assert [answer["type"] for answer in answers if answer.get("id") == "7"] == ["done"]
