"""`python -m app ask`, as a user runs it: processes, their lines, their exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.workspace.paths import source_root
from tests.app.test_pipeline import QUICK, pipeline, report, talks

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ask")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two adapters on the practice model."""
    folder = tmp_path_factory.mktemp("ask")
    for name in ("one", "two"):
        code, lines = pipeline(
            folder / "w", *QUICK, "--name", name, talks(folder / f"{name}.jsonl", 3, f"Count {name}")
        )
        assert (code, len(report(lines)["adapters"])) == (0, 1)
    return folder / "w"


def command(workspace: Path, *args: object) -> list[str]:
    return [sys.executable, "-m", "app", "ask", "--workspace", str(workspace), *map(str, args)]


def ask(workspace: Path, *args: object) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run(command(workspace, *args), cwd=source_root(), capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_several_adapters_answer_the_same_conversation_switching_in_place(trained: Path) -> None:
    code, lines, _ = ask(trained, "--adapter", "one", "--adapter", "none", "--adapter", "two", "--max-tokens", 8,
                         "What is bread?", "And rolls?")  # fmt: skip
    answers, last = [line for line in lines if line["type"] == "answer"], lines[-1]
    assert [(a["adapter"], a["question"]) for a in answers] == [
        (adapter, question) for question in ("What is bread?", "And rolls?") for adapter in ("one", "none", "two")
    ]
    assert (code, last["type"], last["exit_code"], last["asked"], last["answered"]) == (0, "report", 0, 6, 6)
    assert last["tokens"] == sum(a["stats"]["tokens"] for a in answers)
    # The second question goes on from what was read for the first, each adapter from its own.
    assert all(a["stats"]["reused_tokens"] > 0 for a in answers[3:])
    assert [line["type"] for line in lines].count("base") == 1


def test_the_same_question_gets_the_same_answer_and_the_base_needs_no_name(trained: Path) -> None:
    first, second = (ask(trained, "--max-tokens", 8, "What is bread?")[1][1]["text"] for _ in range(2))
    assert first == second
    code, lines, _ = ask(trained, "--base", "Practice model", "--system", "Be brief.", "--max-tokens", 8, "What?")
    assert code == 0
    assert lines[1]["adapter"] == "none"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--adapter", "three", "Hello"], "Known: two, one"), (["--base", "Llama", "Hello"], "Known: Practice model"),
        (["--max-tokens", "0", "Hello"], "--max-tokens 0"), (["  "], "Question 1 is empty"), ([], "required: TEXT"),
        (["--temperature", "9", "Hello"], "--temperature 9"),
    ],
)  # fmt: skip
def test_what_can_not_be_asked_is_named_and_nothing_begins(trained: Path, args: list[str], said: str) -> None:
    code, lines, stderr = ask(trained, *args)
    assert code == 2
    assert [line["type"] for line in lines] == ["error"]
    assert said in stderr


def test_where_no_workspace_is_none_is_made(tmp_path: Path) -> None:
    code, _, stderr = ask(tmp_path / "new", "Hello")
    assert (code, (tmp_path / "new").exists()) == (2, False)
    assert "no workspace" in stderr


def test_a_broken_adapter_is_named_and_the_others_answer(trained: Path) -> None:
    (broken,) = (path for path in (trained / "adapters").iterdir() if "one" in path.name or _name(path) == "one")
    tensors = broken / "adapters.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-50])
    try:
        code, lines, stderr = ask(trained, "--adapter", "one", "--adapter", "two", "--max-tokens", 4, "A?", "B?")
    finally:
        tensors.write_bytes(whole)
    last = lines[-1]
    assert (code, last["answered"], last["failed"], last["not_asked"]) == (3, 2, 1, 1)
    assert "The adapter one can't be used" in stderr


def _name(folder: Path) -> str:
    return (
        str(json.loads((folder / "passport.json").read_text())["name"]) if (folder / "passport.json").exists() else ""
    )


def test_where_the_models_process_is_killed_the_next_one_is_asked_in_another(trained: Path) -> None:
    asked = ["--adapter", "one", "--adapter", "two", "--max-tokens", 600, "--temperature", "1.5", "A?"]
    with subprocess.Popen(command(trained, *asked), cwd=source_root(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline())]
        for worker in psutil.Process(process.pid).children():
            worker.kill()
        lines += [json.loads(line) for line in process.stdout]
    # What had come of the first is kept, if anything had.
    assert [line["type"] for line in lines if line["type"] != "partial"] == [
        "base",
        "error",
        "base",
        "answer",
        "report",
    ]
    assert next(line for line in lines if line["type"] == "error")["code"] == "worker_crashed"
    last = lines[-1]
    assert (process.returncode, last["answered"], last["failed"], last["not_asked"]) == (3, 1, 1, 0)


def test_where_the_models_process_is_killed_while_it_loads_another_one_loads(trained: Path) -> None:
    asked = ["--adapter", "one", "--max-tokens", 4, "A?"]
    with subprocess.Popen(command(trained, *asked), cwd=source_root(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        parent, workers = psutil.Process(process.pid), list[psutil.Process]()
        while not workers:
            assert process.poll() is None
            workers = parent.children()
        # It has not even been told what to load.
        workers[0].kill()
        lines = [json.loads(line) for line in process.stdout]
    assert [line["type"] for line in lines] == ["error", "base", "answer", "report"]
    assert (lines[0]["code"], lines[0]["hint"]) == ("worker_crashed", "Ask again; the process restarts.")
    assert (process.returncode, lines[-1]["answered"], lines[-1]["failed"]) == (0, 1, 0)


def test_a_signal_ends_it_with_what_was_answered(trained: Path) -> None:
    asked = [f"Question {n}?" for n in range(200)]
    with subprocess.Popen(
        command(trained, "--max-tokens", 600, "--temperature", "1.5", *asked), cwd=source_root(),
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["type"] == "answer":
                process.send_signal(signal.SIGTERM)
                break
        last = json.loads(process.stdout.read().splitlines()[-1])
    assert process.returncode == 3
    assert last["type"] == "report"
    assert last["asked"] == last["answered"] + last["failed"] + last["not_asked"] == 200
    assert last["not_asked"] > 0
