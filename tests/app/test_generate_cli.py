"""`python -m app generate` as a user runs it: a process, its lines, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.db.connection import connect
from core.workspace.lock import FileLock
from core.workspace.paths import source_root
from tests.contract import anthropic_server as acts
from tests.contract.anthropic_server import AnthropicServer, fail

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[AnthropicServer]:
    with AnthropicServer() as running:
        yield running


def generate(root: Path, server: AnthropicServer | None, *args: object) -> tuple[int, list[dict[str, Any]]]:
    env = {**os.environ, **(server.environment() if server else {})}
    env["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    done = subprocess.run(
        [sys.executable, "-m", "app", "generate", "--workspace", str(root), *map(str, args)], cwd=source_root(),
        capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip
    assert not server or server.key not in done.stdout + done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def report(lines: list[dict[str, Any]]) -> dict[str, Any]:
    final = lines[-1]
    assert final["type"] == "report"
    assert final["planned"] == final["made"] + final["failed"] + final["refused"] + final["not_reached"]
    assert final["adds_up"] is True
    return final


def test_a_count_is_written_once_however_often_it_is_called(tmp_path: Path, server: AnthropicServer) -> None:
    code, lines = generate(tmp_path / "w", server, "--count", 6, "--max-cost", "1", "--name", "Six")
    final = report(lines)
    assert (code, final["made"], final["name"], final["max_cost_usd"]) == (0, 6, "Six", "1")
    assert Decimal(final["spent_usd"]) == server.spent
    kinds = [line["type"] for line in lines]
    assert {"plan", "estimate", "job", "progress", "conversation", "report"} <= set(kinds)
    assert Decimal(final["estimate"]["low"]) <= Decimal(final["estimate"]["usd"]) <= Decimal(final["estimate"]["high"])
    code, again = generate(tmp_path / "w", server, "--count", 6, "--max-cost", "1", "--name", "Six")
    assert (code, len(server.asked)) == (0, 6)
    assert {k: v for k, v in report(again).items()} == final
    assert generate(tmp_path / "w", server, "--count", 6, "--name", "Other")[0] == 0
    assert len(server.asked) == 12


def test_a_cap_stops_and_a_higher_one_goes_on(tmp_path: Path, server: AnthropicServer) -> None:
    code, lines = generate(tmp_path / "w", server, "--count", 12, "--max-cost", "0.09")
    final = report(lines)
    assert code == 3
    assert 0 < final["made"] < 12
    assert Decimal(final["spent_usd"]) == server.spent <= Decimal("0.09")
    assert final["reasons"][-1]["code"] == "budget_reached"
    code, lines = generate(tmp_path / "w", server, "--count", 12, "--max-cost", "2")
    assert (code, report(lines)["made"], len(server.answered)) == (0, 12, 12)


def test_some_fail_and_only_those_that_may_pass_are_tried_again(tmp_path: Path, server: AnthropicServer) -> None:
    server.script(None, acts.REFUSE, fail(400, "invalid_request_error"))
    code, lines = generate(tmp_path / "w", server, "--count", 5, "--in-flight", 1)
    final = report(lines)
    assert (code, final["made"], final["refused"], final["failed"]) == (3, 3, 1, 1)
    assert {reason["code"] for reason in final["reasons"]} == {"refused", "bad_request"}
    assert all(reason["message"] and reason["hint"] for reason in final["reasons"])
    before = len(server.asked)
    assert generate(tmp_path / "w", server, "--count", 5)[0] == 3
    assert len(server.asked) == before
    code, lines = generate(tmp_path / "w", server, "--count", 5, "--retry-failed")
    assert (code, report(lines)["made"]) == (0, 5)
    assert len(server.asked) == before + 2


def test_a_bad_key_is_exit_1_and_the_next_call_goes_on(tmp_path: Path, server: AnthropicServer) -> None:
    server.script(every=fail(401, "authentication_error"))
    code, lines = generate(tmp_path / "w", server, "--count", 3)
    final = report(lines)
    assert (code, final["made"], final["not_reached"]) == (1, 0, 3)
    assert final["reasons"][-1]["code"] == "bad_key"
    server.clear()
    code, lines = generate(tmp_path / "w", server, "--count", 3)
    assert (code, report(lines)["made"]) == (0, 3)


def test_a_plan_file_and_a_batch_at_the_service(tmp_path: Path, server: AnthropicServer) -> None:
    plan = tmp_path / "plan.json"
    item = {"persona": "anxious_planner", "arc": "anxiety_to_calm", "topic": "tax_debt_resolution", "turns": 6}
    plan.write_text(json.dumps({"version": 1, "items": [{**item, "count": 4}]}))
    code, lines = generate(tmp_path / "w", server, "--plan", plan, "--provider", "claude-batch", "--model",
                           "claude-haiku-5-5")  # fmt: skip
    final = report(lines)
    assert (code, final["made"], final["model"]) == (0, 4, "claude-haiku-5-5")
    assert Decimal(final["spent_usd"]) == server.spent
    assert {entry.usage["service_tier"] for entry in server.answered} == {"batch"}
    db = connect(tmp_path / "w" / "workspace.db")
    rows = db.execute("select persona_key, training_topic_key, turn_count from conversations").fetchall()
    assert {tuple(row) for row in rows} == {("anxious_planner", "tax_debt_resolution", 6)}
    db.close()
    assert generate(tmp_path / "w", server, "--plan", plan, "--provider", "claude-batch", "--model",
                    "claude-haiku-5-5")[0] == 0  # fmt: skip
    assert len(server.batches) == 1


def test_offline_with_the_practice_model(tmp_path: Path) -> None:
    code, lines = generate(tmp_path / "w", None, "--count", 2, "--provider", "local")
    final = report(lines)
    assert (code, final["made"], final["model"]) == (0, 2, "Practice model")
    assert Decimal(final["spent_usd"]) == 0
    assert generate(tmp_path / "w", None, "--count", 2, "--provider", "local")[0] == 0


USAGE = [
    [], ["--count", "0"], ["--count", "x"], ["--count", "2", "--plan", "p.json"],
    ["--count", "2", "--max-cost", "much"], ["--count", "2", "--provider", "other"], ["--plan", "missing.json"],
    ["--count", "2", "--model", "claude-fable-5-2", "--max-cost", "1"],
    ["--count", "2", "--provider", "local", "--model", "no such base"],
]  # fmt: skip


@pytest.mark.parametrize("args", USAGE, ids=" ".join)
def test_usage_is_exit_2_and_says_what_to_do(tmp_path: Path, args: list[str]) -> None:
    code, lines = generate(tmp_path / "w", None, *args)
    assert code == 2
    assert lines[-1]["type"] == "error"
    assert lines[-1]["hint"]


def test_a_workspace_that_is_open_elsewhere_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with FileLock(tmp_path / "w" / ".lock"):
        code, lines = generate(tmp_path / "w", None, "--count", 1)
    assert (code, lines[-1]["code"]) == (2, "workspace_locked")
