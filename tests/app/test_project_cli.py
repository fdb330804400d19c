"""`python -m app project`, as a user runs it: a folder becomes a project, is searched and asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.workspace.paths import source_root
from tests.support.code_project import INDEXED, write_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("project_cli")]


def project(workspace: Path, *args: object, given: str = "") -> tuple[int, list[dict[str, Any]], str]:
    command = [sys.executable, "-m", "app", "project", "--workspace", str(workspace), *map(str, args)]
    done = subprocess.run(
        command, cwd=source_root(), capture_output=True, text=True, check=False, input=given
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
    return done.returncode, lines, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workspace with one project, embedded with the small model, and its folder."""
    folder = tmp_path_factory.mktemp("project of")
    root = write_project(folder / "my shop")
    code, lines, said = project(folder / "w", "add", root, "--name", "Shop", "--embedder", "minilm")
    assert code == 0, said
    result = lines[-1]["result"]
    assert (lines[-1]["type"], lines[-1]["name"]) == ("project", "Shop")
    assert result["found"] == result["used"] + result["left_out"] + result["failed"]
    assert (result["used"], result["failed"], result["missing"]) == (INDEXED, 0, 0)
    return folder / "w", root


def found(lines: list[dict[str, Any]], query: str = "") -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "found" and query in ("", line["query"])]


def test_a_question_in_words_finds_the_symbol_with_what_each_leg_said(shop: tuple[Path, Path]) -> None:
    code, lines, _ = project(
        shop[0], "search", "Shop", "where do we decide that a refund needs a second approval", "--k", 3, "--json"
    )
    assert code == 0
    first = next(line for line in found(lines) if line["symbol"] == "needs_second_approval")
    assert first["path"] == "core/refunds/policy.py"
    assert first["lines"] == [6, 10]
    assert first["scores"]["meaning"]["rank"] >= 1
    assert first["scores"]["words"]["score"] > 0
    assert len(found(lines)) <= 3
    assert lines[-1]["type"] == "searched"


def test_several_queries_are_answered_by_one_process(shop: tuple[Path, Path]) -> None:
    queries = ["basketTotal", "RefundService", "Listen"]
    code, lines, _ = project(shop[0], "search", "Shop", "--queries", "-", "--json", given="\n".join(queries))
    assert code == 0
    assert [found(lines, query)[0]["symbol"] for query in queries] == ["basketTotal", "RefundService", "Listen"]


def test_a_query_is_a_line_whatever_is_in_it_and_not_utf_8_is_told(shop: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "queries"
    queries = ["basket\u2028Total", "Refund\x0cService\x85", "\ufeffListen"]
    file.write_bytes("\r\n \r\n\n".join(queries).encode())
    code, lines, _ = project(shop[0], "search", "Shop", "--queries", file, "--json")
    assert (code, [line["query"] for line in lines if line["type"] == "searched"]) == (0, queries)
    file.write_bytes(b"basketTotal\n\xed\xa0\x80\n")
    code, lines, _ = project(shop[0], "search", "Shop", "--queries", file)
    assert (code, lines[-1]["code"]) == (2, "usage")


def test_it_can_be_read_without_json(shop: tuple[Path, Path]) -> None:
    code, _, said = project(shop[0], "search", "Shop", "basket", "total")
    assert code == 0
    assert "web/basket.ts:3-6  basketTotal" in said


def test_a_text_is_found_as_it_is_written(shop: tuple[Path, Path]) -> None:
    code, lines, _ = project(shop[0], "search", "Shop", "text: basketTotal(", "--json")
    assert code == 0
    assert (lines[0]["type"], lines[0]["path"], lines[0]["line"]) == ("line", "web/basket.ts", 4)
    assert "basketTotal(" in lines[0]["text"]
    assert (lines[-1]["type"], lines[-1]["found"]) == ("searched", len(lines) - 1)
    code, _, said = project(shop[0], "search", "Shop", "text:basketTotal(")
    assert (code, "web/basket.ts:4: " in said) == (0, True)
    assert project(shop[0], "search", "Shop", "text:%s\\'")[0] == 1
    assert project(shop[0], "search", "Shop", "text:")[0] == 1


def test_what_is_ignored_or_secret_is_not_found_and_counted(shop: tuple[Path, Path]) -> None:
    _, lines, said = project(shop[0], "search", "Shop", "leftPad STRIPE_KEY debug.log", "--json", "--k", 200)
    assert not {line["path"] for line in found(lines)} & {".env", "debug.log", "node_modules/left/pad.js"}
    assert "sk_live" not in said
    code, lines, _ = project(shop[0], "status", "Shop")
    status = lines[-1]
    assert (code, status["files"], status["embedded"], status["chunks"]) == (
        0, INDEXED, status["chunks"], status["chunks"],
    )  # fmt: skip
    assert status["left_out"]["ignored"] == 1
    assert status["left_out"]["holds a secret"] == 1
    assert status["embedder"] == "MiniLM"


def test_again_it_brings_the_index_up_to_date(shop: tuple[Path, Path]) -> None:
    workspace, root = shop
    (root / "core" / "rates.py").write_text("def vat_rate(country):\n    return 0.19\n")
    code, lines, _ = project(workspace, "add", root)
    assert (code, lines[-1]["name"], lines[-1]["result"]["changed"]) == (0, "Shop", 1)
    (root / "core" / "rates.py").unlink()
    code, lines, _ = project(workspace, "add", root)
    assert lines[-1]["result"]["removed"] == 1
    symbols = {line["symbol"] for line in found(project(workspace, "search", "Shop", "vat_rate", "--json")[1])}
    assert "vat_rate" not in symbols


def test_a_question_is_answered_from_what_was_found(shop: tuple[Path, Path]) -> None:
    code, lines, said = project(shop[0], "ask", "Shop", "When does a refund wait?", "--max-tokens", 8)
    assert code == 0, said
    given = next(line for line in lines if line["type"] == "given")
    used = [source for source in given["sources"] if source["used"]]
    # The practice model reads little: the best of what was found is what it gets.
    assert "refunds" in used[0]["path"]
    assert len(used) < len(given["sources"])
    assert lines[-1]["type"] == "answer"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["search", "Nobody", "x"], 2, "Known: Shop."),
        (["search", "Shop"], 2, "Nothing to search for"),
        (["search", "Shop", "x", "--k", "0"], 2, "--k 0"),
        (["ask", "Shop", "x", "--max-tokens", "0"], 2, "--max-tokens 0"),
        (["add", ".", "--embedder", "nonsense"], 2, "There is no embedding model nonsense"),
        (["ask", "Shop", " "], 2, "empty"),
        (["add", "/nowhere/at/all"], 1, "does not exist"),
        (["add", "/"], 1, "whole disk"),
    ],
)
def test_what_is_wrong_is_named(shop: tuple[Path, Path], args: list[str], code: int, said: str) -> None:
    got, lines, text = project(shop[0], *args)
    assert got == code
    assert lines[-1]["type"] == "error"
    assert said in text


def test_without_a_model_it_searches_by_words_and_says_so(tmp_path: Path) -> None:
    root = write_project(tmp_path / "shop")
    code, lines, _ = project(tmp_path / "w", "add", root, "--embedder", str(tmp_path / "no model"))
    assert code == 0
    assert lines[-1]["result"]["notices"][0]["code"] == "embedder_missing"
    code, lines, _ = project(tmp_path / "w", "search", "shop", "second approval of refunds", "--json")
    assert code == 0
    assert "core/refunds/policy.py" in {line["path"] for line in found(lines)[:3]}
    assert any("words" in notice for notice in lines[-1]["notices"])


def test_the_folder_of_a_model_a_spaced_name_and_a_folder_that_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "code"
    root.mkdir()
    for name in ("first_one", "second_one"):
        (root / f"{name}.py").write_text(f"def {name}():\n    return 1\n")
    code, _, said = project(tmp_path / "w", "add", root, "--name", "a  b", "--embedder", "models/none-here")
    assert (code, f"There is no embedding model at {source_root() / 'models/none-here'}." in said) == (0, True)
    root.rename(tmp_path / "elsewhere")
    code, lines, _ = project(tmp_path / "w", "search", "a  b", "one", "--json")
    gone = [notice for notice in lines[-1]["notices"] if "Nothing that was found" in notice]
    assert (code, gone) == (1, [f"Nothing that was found can be shown: the folder {root} is not there."])
    assert not any(".py" in notice for notice in lines[-1]["notices"])
