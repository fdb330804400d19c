"""The window's side of the code worker, with the real process behind it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.code_service import CodeService
from core import jobs
from core.code_index.health import Places
from core.code_index.spec import ProjectSpec
from core.db.connection import connect, open_database
from core.errors import AppError
from core.jobs import JobState
from core.projects import projects
from core.projects.jobs import index_params, spec_of
from core.workers import protocol
from core.workers.runner import run_to_end
from core.workspace.paths import Workspace
from tests.support.code_project import INDEXED, write_project
from tests.support.pages import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("code_service")]


class Answer:
    """What came back for one question."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: AppError | None = None

    @property
    def ended(self) -> bool:
        return self.result is not None or self.error is not None

    def done(self, result: Any) -> None:
        self.result = result

    def failed(self, error: AppError) -> None:
        self.error = error


class Shop:
    """An indexed project in a workspace of its own."""

    def __init__(self, folder: Path, embedder: str) -> None:
        self.root = write_project(folder / "shop")
        self.workspace = Workspace(folder / "w")
        self.workspace.create()
        self.db = open_database(self.workspace.db_path, self.workspace.backups)
        self.project = projects.add(self.db, self.root, "Shop", embedder=embedder)
        self.index()

    def index(self) -> dict[str, Any]:
        job = jobs.create(self.db, "index_project", "Index Shop", index_params(self.workspace, self.project))
        claimed = jobs.claim_next(self.db, job.id)
        assert claimed is not None
        done = run_to_end(self.db, self.workspace, claimed)
        assert done.status is JobState.COMPLETED, done.error
        return dict(done.result)

    @property
    def spec(self) -> ProjectSpec:
        return spec_of(self.workspace, self.project)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("words"), "none")


@pytest.fixture
def shop(indexed: Shop, tmp_path: Path) -> Iterator[Shop]:
    """A copy that a test may change."""
    made = Shop.__new__(Shop)
    made.root = Path(shutil.copytree(indexed.root, tmp_path / "shop", symlinks=True))
    made.workspace = Workspace(Path(shutil.copytree(indexed.workspace.root, tmp_path / "w")))
    made.db = connect(made.workspace.db_path)
    with made.db.conn:
        made.db.execute("update projects set root = ?", [str(made.root)])
    made.project = projects.find(made.db, "Shop")
    yield made
    made.db.close()


@pytest.fixture
def service(qtbot: QtBot, tmp_path: Path) -> Iterator[CodeService]:
    made = CodeService(tmp_path / "code.log", backoff_s=(0.0,))
    yield made
    made.shutdown()
    made.deleteLater()


def search(qtbot: QtBot, service: CodeService, shop: Shop, text: str) -> dict[str, Any]:
    out = Answer()
    service.search(service, shop.spec, text, out.done, out.failed)
    until(qtbot, lambda: out.ended)
    assert out.error is None, out.error
    return dict(out.result)


def symbols(answer: dict[str, Any]) -> list[str]:
    return [found["qualified"] for found in answer["found"]]


def test_the_job_says_what_the_index_holds(indexed: Shop) -> None:
    summary = projects.get(indexed.db, indexed.project.id).summary
    assert (summary["files"], summary["embedder"]) == (INDEXED, "")
    assert summary["left_out"]["holds a secret"] == 1
    assert set(summary["languages"]) >= {"python", "typescript", "go", "text"}


def test_a_changed_file_is_found_without_being_asked_for(qtbot: QtBot, service: CodeService, shop: Shop) -> None:
    told: list[tuple[str, Any]] = []
    service.changed.connect(lambda project, summary: told.append((project, summary)))
    service.watch(shop.spec)
    until(qtbot, lambda: bool(told))
    (shop.root / "core" / "rates.py").write_text("def vat_rate(country):\n    return 0.19\n")
    until(qtbot, lambda: told[-1][1]["files"] == INDEXED + 1)
    assert symbols(search(qtbot, service, shop, "vat_rate"))[0] == "vat_rate"
    (shop.root / "core" / "rates.py").unlink()
    until(qtbot, lambda: told[-1][1]["files"] == INDEXED)
    assert "vat_rate" not in symbols(search(qtbot, service, shop, "vat_rate"))


def test_a_killed_worker_starts_again_and_watches_what_it_watched(
    qtbot: QtBot, service: CodeService, shop: Shop
) -> None:
    told: list[Any] = []
    service.changed.connect(lambda _project, summary: told.append(summary))
    service.watch(shop.spec)
    until(qtbot, lambda: bool(told))
    os.kill(service.pid, signal.SIGKILL)
    until(qtbot, lambda: service.state == "off")
    assert symbols(search(qtbot, service, shop, "basketTotal"))[0] == "basketTotal"
    before = len(told)
    (shop.root / "web" / "basket.ts").write_text("export function emptyBasket() { return []; }\n")
    until(qtbot, lambda: len(told) > before and "emptyBasket" in symbols(search(qtbot, service, shop, "emptyBasket")))


def test_a_file_opens_with_its_symbols_and_what_calls_them(qtbot: QtBot, service: CodeService, shop: Shop) -> None:
    out = Answer()
    service.read(service, shop.spec, "core/refunds/policy.py", out.done, out.failed, (6, 10))
    until(qtbot, lambda: out.ended)
    assert [one["qualified"] for one in out.result["symbols"]] == ["needs_second_approval", "same_person"]
    callers = {(one["qualified"], one["is_test"]) for one in out.result["called_by"]}
    assert ("RefundService.submit", False) in callers
    assert ("test_disputed_refunds_wait", True) in callers
    out = Answer()
    service.read(service, shop.spec, "../w/workspace.db", out.done, out.failed)
    until(qtbot, lambda: out.ended)
    assert out.error is not None


def test_lines_are_found_in_the_files_as_they_are(qtbot: QtBot, service: CodeService, shop: Shop) -> None:
    out = Answer()
    service.grep(service, shop.spec, r"def \w+_approval", out.done, out.failed, regex=True)
    until(qtbot, lambda: out.ended)
    assert [(line["path"], line["line"]) for line in out.result["lines"]] == [("core/refunds/policy.py", 6)]
    out = Answer()
    service.grep(service, shop.spec, "(", out.done, out.failed, regex=True)
    until(qtbot, lambda: out.ended)
    assert out.error is not None
    assert out.error.code == "bad_pattern"


def test_a_search_that_is_not_wanted_any_more_holds_up_none(
    qtbot: QtBot, service: CodeService, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(qtbot, service, shop, "refund")
    process, written = service._process, []
    assert process is not None
    monkeypatch.setattr(process, "write", lambda line: written.append(protocol.decode(line)))
    ident = service.grep(service, shop.spec, "ref.*und", lambda _: None, lambda _: None, regex=True)
    service.drop(ident)
    service.drop(ident)
    assert [(message["id"], message["type"]) for message in written] == [(ident, "grep"), (ident, "stop")]
    assert service.idle


def test_a_damaged_index_is_told_and_a_job_is_asked_for(qtbot: QtBot, service: CodeService, shop: Shop) -> None:
    lance = Places(shop.spec.index_path, "lexical").lance
    data = max(lance.rglob("*.lance"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    told: list[AppError] = []
    behind: list[str] = []
    service.told.connect(lambda _project, error: told.append(error))
    service.behind.connect(lambda project, _chunks: behind.append(project))
    answer = search(qtbot, service, shop, "needs_second_approval")
    assert answer["found"] == []
    assert answer["notices"]
    until(qtbot, lambda: bool(told) and bool(behind))
    shop.index()
    service.job_ended(shop.project.id)
    assert symbols(search(qtbot, service, shop, "needs_second_approval"))[0] == "needs_second_approval"


def test_a_project_that_is_not_indexed_yet_says_so(qtbot: QtBot, service: CodeService, shop: Shop) -> None:
    shutil.rmtree(shop.spec.index_path)
    answer = search(qtbot, service, shop, "anything")
    assert (answer["found"], answer["notices"]) == ([], ["The code is not indexed yet."])


def test_a_search_does_not_wait_for_the_model_and_is_told_when_it_is_there(
    qtbot: QtBot, service: CodeService, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "embedded", "minilm")
    allowed, asked, ready = [False], list[int](), list[str]()

    def gate(size_bytes: int) -> bool:
        asked.append(size_bytes)
        return allowed[0]

    service.gate = gate
    service.ready.connect(ready.append)
    answer = search(qtbot, service, shop, "needs_second_approval")
    assert symbols(answer)[0] == "needs_second_approval"
    assert any("until the embedding model is in memory" in notice for notice in answer["notices"])
    until(qtbot, lambda: bool(asked))
    # There is no room: it is said, words and names go on.
    until(
        qtbot,
        lambda: any("no room" in notice for notice in search(qtbot, service, shop, "second approval")["notices"]),
    )
    # What a question is given waits for it; here there is room again.
    allowed[0] = True
    out = Answer()
    service.context(service, shop.spec, "who has to look at a refund", 500, out.done, out.failed)
    until(qtbot, lambda: out.ended)
    assert any("meaning" in source["legs"] for source in out.result["sources"])
    until(qtbot, lambda: bool(service.holds))
    answer = search(qtbot, service, shop, "who has to look at a refund")
    assert any("meaning" in found["legs"] for found in answer["found"])
    service.relieve()
    until(qtbot, lambda: not service.holds)
    search(qtbot, service, shop, "who has to look at a refund")
    until(qtbot, lambda: ready == [shop.project.id])
    shop.db.close()


def test_after_the_end_nothing_starts_again(qtbot: QtBot, service: CodeService, shop: Shop) -> None:
    search(qtbot, service, shop, "basketTotal")
    service.shutdown()
    out = Answer()
    service.search(service, shop.spec, "basketTotal", out.done, out.failed)
    assert out.error is not None
    assert (out.error.code, service.pid) == ("engine_closed", 0)
