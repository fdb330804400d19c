"""`python -m app ollama` and `ask` over its models, as a user runs them, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.models.practice import PRACTICE_ID
from core.workspace.files import write_json
from core.workspace.paths import source_root
from tests.core.factories import place, run_job
from tests.support.chat import add_adapter
from tests.support.gguf_base import practice_gguf, write_random_adapter
from tests.support.ollama import NEW, RealOllama, add_model, free_port, running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ollama")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOllama]:
    with running(NEW, tmp_path_factory.mktemp("ollama")) as made:
        add_model(made, practice_gguf(tmp_path_factory.mktemp("gguf")), "practice")
        yield made


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the practice model and one loud adapter on it."""
    here = place(tmp_path_factory.mktemp("cli"))
    run_job(here, "add_base_model", {"path": PRACTICE_ID})
    write_random_adapter(here.workspace.adapters / "loud")
    add_adapter(here.db, here.workspace, "loud", "Loud", base=PRACTICE_ID)
    here.db.close()
    return here.workspace.root


def app(command: str, workspace: Path, *args: object, address: str = "") -> tuple[int, list[dict[str, Any]], str]:
    environment = {**os.environ, "OLLAMA_HOST": address} if address else None
    done = subprocess.run(
        [sys.executable, "-m", "app", command, "--workspace", str(workspace), *map(str, args)], cwd=source_root(),
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_its_models_are_listed_taken_and_asked_with_an_adapter(server: RealOllama, workspace: Path) -> None:
    at = ("--address", server.address)
    code, lines, _ = app("ollama", workspace, *at, "status")
    assert (code, lines[-1]["state"], lines[-1]["models"]) == (0, "running", 1)
    code, lines, _ = app("ollama", workspace, *at, "list")
    assert [(line["name"], line["base"]) for line in lines] == [("practice:latest", None)]
    # A base by the name that only Ollama knows it by is taken on the way.
    answers = {}
    for engine in ("gguf", "mlx"):
        code, lines, said = app(
            "ask", workspace, "--base", "practice:latest", "--engine", engine, "--adapter", "Loud", "--max-tokens", 12,
            "How do I keep bread fresh?", address=server.address,
        )  # fmt: skip
        assert code == 0, said
        answers[engine] = next(line for line in lines if line["type"] == "answer")["text"]
    assert answers["gguf"] == answers["mlx"] != ""
    # Ollama itself can be asked too, and takes no adapter.
    asked = ("ask", workspace, "--base", "practice:latest", "--engine", "ollama", "--max-tokens", 12)
    code, lines, said = app(*asked, "How do I keep bread fresh?", address=server.address)
    assert code == 0, said
    assert next(line for line in lines if line["type"] == "answer")["text"]
    code, lines, said = app(*asked, "--adapter", "Loud", "How do I keep bread fresh?", address=server.address)
    assert (code, "takes no adapters" in said, "Use --engine mlx or gguf" in said) == (2, True, True)
    # Named by its sibling it is found too.
    code, lines, said = app("ask", workspace, "--engine", "ollama", "--max-tokens", 4, "Hello", address=server.address)
    assert (code, lines[0]["name"]) == (0, "practice"), said
    code, lines, _ = app("ollama", workspace, *at, "list")
    assert lines[0]["base"] == "practice"
    code, lines, said = app("ollama", workspace, *at, "share", "Loud", "loud")
    assert (code, lines[-1]["type"], lines[-1]["same"]) == (0, "shared", 5), said
    code, lines, _ = app("ollama", workspace, *at, "shared")
    assert [(line["name"], line["current"]) for line in lines] == [("loud:latest", True)]
    # What is a base here is deleted only by who says so.
    for spelling in ("practice", "Practice", "registry.ollama.ai/library/practice:latest"):
        code, lines, said = app("ollama", workspace, *at, "delete", spelling)
        assert (code, "Its adapters: Loud." in said) == (1, True)
    assert app("ollama", workspace, *at, "unshare", "loud")[0] == 0
    assert app("ollama", workspace, *at, "shared")[1] == []


def test_a_model_of_ollama_writes_conversations(server: RealOllama, workspace: Path, tmp_path: Path) -> None:
    assert app("ollama", workspace, "--address", server.address, "take", "practice")[0] == 0
    # Short, so that whatever the practice model says has room in its context.
    item = {"persona": "anxious_planner", "arc": "anxiety_to_calm", "topic": "tax_debt_resolution", "turns": 4}
    write_json(tmp_path / "plan.json", {"version": 1, "name": "Short", "seed": 7, "items": [item]})
    args = ("--provider", "local", "--model", "practice:latest", "--plan", tmp_path / "plan.json")
    code, lines, said = app("generate", workspace, *args, "--name", "From Ollama")
    assert code == 0, (said, lines)
    assert lines[-1]["type"] == "report"
    assert lines[-1]["made"] == 1


def test_an_empty_name_is_no_name(workspace: Path) -> None:
    code, _lines, errors = app("ollama", workspace, "delete", " ")
    assert (code, "The name is empty" in errors) == (2, True)


@pytest.mark.parametrize(("args", "said"), [
    (["take", "nothing-of-that-name"], "has no model nothing-of-that-name"),
    (["delete", "nothing-of-that-name"], "has no model nothing-of-that-name"),
    (["share", "Nobody", "x"], "There is no adapter “Nobody”"),
    (["pull", "127.0.0.1:1/nobody/nothing"], "does not reach its registry"),
])  # fmt: skip
def test_what_can_not_be_done_is_named(server: RealOllama, workspace: Path, args: list[str], said: str) -> None:
    code, lines, errors = app("ollama", workspace, "--address", server.address, *args)
    assert code == 1
    assert said in errors
    assert [line["type"] for line in lines].count("error") == 1


def test_where_it_does_not_run_that_is_the_state(workspace: Path) -> None:
    code, lines, _ = app("ollama", workspace, "--address", f"127.0.0.1:{free_port()}", "status")
    assert code == 1
    assert lines[-1]["state"] in ("stopped", "absent")
    assert lines[-1]["error"]["hint"]
    code, _, errors = app("ollama", workspace, "--address", "no address/", "status")
    assert (code, "is no address" in errors) == (2, True)
