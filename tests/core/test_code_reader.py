"""An index that is asked while its writer makes it anew."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.code_index import health, index, seal
from core.code_index.active import places
from core.code_index.gated import Models
from core.code_index.health import Places, check
from core.code_index.reader import NOT_YET, ProjectIndex
from core.code_index.records import ParsedFile
from core.code_index.seal import Verdict
from core.code_index.spec import ProjectSpec
from core.code_index.state import IndexState
from tests.support.code_index import TOOLS, Project, StubEmbedder, parse


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path, StubEmbedder())
    for number in range(6):
        made.write(f"m{number}.py", *(f"get_{number}_{at}" for at in range(5)))
    made.refresh()
    yield made
    made.indexer.close()


def asked(project: Project) -> ProjectIndex:
    spec = ProjectSpec("a", "Shop", str(project.root), str(project.folder), str(project.cache), "none")
    return ProjectIndex(spec, Models(lambda _bytes: False, lambda _bytes: None), lambda _spec: None)


def names(reader: ProjectIndex) -> list[str]:
    return [str(one["qualified"]) for one in reader.search("get_3_2", 3)["found"]]


def where(project: Project) -> Places:
    found = places(project.folder)
    assert found is not None
    return found


def test_a_damaged_index_answers_as_soon_as_its_words_are_made_again(project: Project) -> None:
    largest = max((where(project).lance / "chunks.lance/data").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    largest.write_bytes(data)
    shutil.rmtree(project.cache)
    project.restart()
    found: list[tuple[list[str], bool]] = []
    with contextlib.closing(asked(project)) as reader:
        assert not names(reader)
        assert reader.damaged
        assert reader.search("get_3_2", 3)["notices"] == [f"{reader.notice.message} {reader.notice.hint}"]  # type: ignore[union-attr]

        def embedding(_texts: Sequence[str]) -> None:
            found.append((names(reader), reader.damaged))

        project.embedder.before = embedding  # type: ignore[union-attr]
        project.refresh()
    assert found[0][0][0] == "get_3_2"
    assert not found[0][1]


def test_an_index_of_an_earlier_version_is_made_anew_without_an_alarm(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "VECTORS_VERSION", index.VECTORS_VERSION + 1)
    project.restart()
    begin, seen = health._begin, list[str]()
    with contextlib.closing(asked(project)) as before:
        assert names(before)[0] == "get_3_2"

        def met(when: str) -> None:
            with contextlib.closing(asked(project)) as fresh:
                answer = fresh.search("get_3_2", 3)
                assert {*fresh.status()["notices"]} <= {*answer["notices"]}
                names(before)
                assert not fresh.damaged
                assert not before.damaged
                assert check(where(project)).notice is None
            seen.append(f"{when}: {answer['notices']}")

        def begun(*args: Any) -> Any:
            assert check(where(project)).begun
            met("begun")
            return begin(*args)

        def reading(path: str, data: bytes, limit: int) -> ParsedFile:
            met("reading")
            return parse(path, data, limit)

        monkeypatch.setattr(health, "_begin", begun)
        project.indexer.tools = replace(TOOLS, parse=reading)
        project.refresh()
        assert seen[0] == f"begun: {[NOT_YET]}"
        # While the words are read an answer says how much is not.
        assert len(seen) == 7
        assert all("6 of 6 files are still to be read" in said for said in seen[1:])
        assert not any("still to be read" in notice for notice in before.search("get_3_2", 3)["notices"])
        assert names(before)[0] == "get_3_2"


def test_an_index_without_vectors_stays_where_only_vectors_are_made_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    project.write("m.py", "get_1")
    project.refresh()
    monkeypatch.setattr(index, "VECTORS_VERSION", index.VECTORS_VERSION + 1)
    project.restart()
    assert project.refresh().changed == 0
    project.indexer.close()


def test_what_is_made_anew_while_it_is_looked_at_is_not_damaged(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, place = seal.verify, where(project)

    def anew(*args: Any) -> Verdict:
        monkeypatch.setattr(seal, "verify", verify)
        with contextlib.closing(IndexState(place.state)) as state:
            state.start_over()
        shutil.rmtree(place.lance)
        return verify(*args)

    project.indexer.close()
    monkeypatch.setattr(seal, "verify", anew)
    seen = check(place)
    assert (seen.begun, seen.rebuild, seen.notice) == (True, False, None)
