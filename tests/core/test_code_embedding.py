"""Vectors in small steps: what comes first, when a pass ends, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.cancel import CancelToken
from core.code_index import embedding
from core.code_index.report import Report, Step
from core.code_index.state import Stage
from core.code_index.vectors import VectorCache
from tests.support.code_index import DIMENSION, Project, StubEmbedder


@pytest.fixture
def embedder() -> StubEmbedder:
    return StubEmbedder()


@pytest.fixture
def project(tmp_path: Path, embedder: StubEmbedder, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(embedding, "AT_ONCE", 8)
    made = Project(tmp_path, embedder)
    for number in range(5):
        made.write(f"m{number}.py", *(f"fn_{number}_{at}{'x' * (at + 5)}" for at in range(10)))
        os.utime(made.root / f"m{number}.py", (1000 + number, 1000 + number))
    return made


def step(project: Project) -> Report:
    """A pass whose time is over at once."""
    return project.indexer.refresh(CancelToken(), embed_s=0.0)


def test_the_newest_file_is_whole_first_however_short_its_texts_are(project: Project) -> None:
    project.write("new.py", "a", "b", "c")
    report, passes = step(project), 1
    while report.more and project.state().file("new.py").state is not Stage.EMBEDDED:  # type: ignore[union-attr]
        report, passes = step(project), passes + 1
    # Its texts are of two lengths.
    assert passes <= 2
    while report.more:
        report = step(project)
    assert report.missing == 0
    project.indexer.close()


def test_what_comes_from_the_cache_takes_no_longer_than_a_pass_may(
    project: Project, embedder: StubEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "GROUP", 20)
    first = step(project)
    assert first.more
    # Another project has embedded the same code meanwhile.
    cache = VectorCache(project.cache / f"{embedder.slug}.db", DIMENSION)
    cache.put({digest: np.ones(DIMENSION) for digest in hashes(project)})
    cache.close()
    second = step(project)
    assert (second.from_cache, second.embedded, second.more) == (20, 0, True)
    project.indexer.close()


def hashes(project: Project) -> list[str]:
    files = [file.path for file in project.state().files().values() if file.state is not Stage.EMBEDDED]
    return [row["embed_hash"] for rows in project.reader().file_rows(files, ("embed_hash",)).values() for row in rows]


def test_texts_that_are_refused_have_an_end(project: Project, embedder: StubEmbedder) -> None:
    true_embed = embedder.embed

    def embed(texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        out = true_embed(texts, token)
        out[[number for number, text in enumerate(texts) if "fn_3_" not in text and "fn 3 " not in text]] = np.nan
        return out

    embedder.embed = embed  # type: ignore[method-assign]
    reports = [step(project)]
    while reports[-1].more:
        assert reports[-1].embedded
        reports.append(step(project))
    assert sum(report.embedded for report in reports) >= 10
    assert reports[-1].missing == reports[0].chunks - sum(report.embedded for report in reports)
    project.indexer.close()


def test_progress_counts_what_was_embedded_before(project: Project) -> None:
    first = step(project)
    told: list[tuple[int, int]] = []

    def tell(said: Step) -> None:
        if said.stage == "embedding":
            told.append((said.done, said.total))

    project.indexer.refresh(CancelToken(), tell)
    assert told[0] == (first.embedded, first.chunks)
    assert told[-1] == (first.chunks, first.chunks)
    project.indexer.close()
