"""A pass over a project: words first, then vectors; only what changed; stopped anywhere, it goes on."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import active_children
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from core.cancel import CancelToken
from core.code_index import embedding, filling, parallel
from core.code_index.active import active
from core.code_index.index import Indexer
from core.code_index.parallel import Readers
from core.code_index.records import FoundFile, Left, ParsedFile
from core.code_index.report import Report
from core.code_index.state import FileState, Stage
from core.code_index.state_view import file_states, summary
from core.code_index.tools import usual
from core.code_index.vectors import VectorCache
from core.errors import AppError, Cancelled
from core.workspace.lock import FileLock
from core.workspace.paths import source_root
from tests.core.factories import wait_for
from tests.support.code_index import DIMENSION, PLAIN_TOOLS, TOOLS, Project, StubEmbedder, odd_parse, parse, words
from tests.support.patience import PATIENCE_S


@pytest.fixture
def embedder() -> StubEmbedder:
    return StubEmbedder()


@pytest.fixture
def project(tmp_path: Path, embedder: StubEmbedder) -> Iterator[Project]:
    made = Project(tmp_path, embedder)
    for number in range(12):
        made.write(f"pkg/m{number}.py", *(f"get_{number}_{part}" for part in range(5)))
        os.utime(made.root / f"pkg/m{number}.py", (1000 + number, 1000 + number))
    yield made
    made.indexer.close()


def adds_up(report: Report) -> bool:
    return report.found == report.used + report.left_out + report.failed


def file(project: Project, path: str) -> FileState | None:
    with contextlib.closing(project.state()) as state:
        return state.file(path)


def test_words_are_found_before_the_first_vector_is_made_and_the_newest_files_come_first(
    project: Project, embedder: StubEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "GROUP", 12)
    seen: list[tuple[int, int, int]] = []

    def asked(_texts: Sequence[str]) -> None:
        reader = project.reader()
        counts = reader.counts()
        found = reader.by_words(["get_3_2"], 1) and reader.by_exact(["get_3_2"], 5)
        seen.append((counts["rows"], counts["embedded"], len(found)))

    embedder.before = asked
    report = project.refresh()
    assert seen[0] == (72, 0, 1)
    assert [len(part) for part in ([text for text in embedder.texts],)] == [72]
    order = [text.split(".py")[0].rpartition("/m")[2] for text in embedder.texts]
    # Two files a group, whose texts come by length.
    groups = [sorted(map(int, order[start : start + 12])) for start in range(0, 72, 12)]
    assert groups == [[number - 1] * 6 + [number] * 6 for number in range(11, 0, -2)]
    assert (report.embedded, report.missing, report.chunks, report.used) == (72, 0, 72, 12)
    assert adds_up(report)
    assert not report.incomplete
    assert project.content() == project.expected()
    assert {state.state for state in file_states(project.state())[0]} == {Stage.EMBEDDED}
    assert len(project.reader().by_vector(embedder.embed_query("get_3_2"), 100)) == 72


def test_progress_counts_files_and_then_chunks(project: Project) -> None:
    project.refresh()
    stages = [step.stage for step in project.steps]
    assert list(dict.fromkeys(stages))[:3] == ["scanning", "reading", "embedding"]
    for stage, total in (("reading", 12), ("embedding", 72)):
        last = [step for step in project.steps if step.stage == stage][-1]
        assert (last.done, last.total) == (total, total)
        assert last.rate > 0


def test_only_the_changed_chunks_of_a_changed_file_are_embedded(project: Project, embedder: StubEmbedder) -> None:
    project.refresh()
    embedder.texts.clear()
    project.write("pkg/m3.py", "get_3_0", "get_3_1", "brand_new", "get_3_3")
    report = project.refresh({"pkg/m3.py"})
    assert [text.splitlines()[1] for text in embedder.texts] == ["def brand_new():"]
    assert (report.found, report.changed, report.embedded, report.from_cache) == (1, 1, 1, 4)
    assert project.content() == project.expected()
    shutil.rmtree(project.cache)
    project.restart()
    embedder.texts.clear()
    project.write("pkg/m3.py", "get_3_0", "get_3_1", "newer", "get_3_3")
    project.refresh()
    # The rows that are replaced had the others' vectors.
    assert [text.splitlines()[1] for text in embedder.texts] == ["def newer():"]


def test_nothing_changed_costs_no_row_and_a_touched_file_no_parsing(project: Project, embedder: StubEmbedder) -> None:
    project.refresh()
    before, version = project.state().index_state(), project.state().generation
    assert project.refresh().changed == 0
    os.utime(project.root / "pkg/m1.py", (2000, 2000))
    project.indexer.tools = replace(TOOLS, parse=lambda *_: pytest.fail("parsed"))
    report = project.refresh()
    assert (report.changed, report.used) == (0, 12)
    assert project.state().index_state() == before
    assert project.state().generation > version
    assert file(project, "pkg/m1.py").mtime_ns == 2000 * 10**9  # type: ignore[union-attr]


def test_renames_deletions_folders_and_what_becomes_ignored(project: Project) -> None:
    project.refresh()
    (project.root / "pkg/m0.py").rename(project.root / "pkg/zero.py")
    (project.root / "pkg/m1.py").unlink()
    report = project.refresh({"pkg/m0.py", "pkg/zero.py", "pkg/m1.py", "never/was.py"})
    assert (report.found, report.used, report.removed) == (1, 1, 2)
    assert project.content() == project.expected()
    (project.root / "pkg").rename(project.root / "lib")
    report = project.refresh({"pkg", "lib"})
    assert (report.used, report.removed) == (11, 11)
    assert project.content() == project.expected()
    shutil.rmtree(project.root / "lib")
    project.write("other.py", "one")
    assert project.refresh({"lib", "other.py"}).removed == 11
    assert project.content() == project.expected()
    (project.root / ".gitignore").write_text("other.py\n")
    report = project.refresh({".gitignore"})
    assert (report.left_out, report.used, adds_up(report)) == (1, 0, True)
    assert project.content() == set()
    ignored = file(project, "other.py")
    assert ignored is not None
    assert (ignored.state, ignored.reason, ignored.detail) == (Stage.LEFT_OUT, str(Left.IGNORED), ".gitignore")
    (project.root / ".gitignore").unlink()
    assert project.refresh().used == 1
    assert project.content() == project.expected()


def test_a_file_that_fails_says_why_and_stops_no_other(project: Project) -> None:
    project.write("pkg/bad.py", "fine")
    project.refresh()
    project.write("pkg/bad.py", "boom")
    project.write("pkg/good.py", "good")
    project.write("pkg/new_bad.py", "boom")
    report = project.refresh()
    assert (report.failed, report.used, adds_up(report)) == (2, 13, True)
    for path in ("pkg/bad.py", "pkg/new_bad.py"):
        failed = file(project, path)
        assert failed is not None
        assert (failed.state, failed.chunks) == (Stage.ERROR, 0)
        assert "can't be cut" in failed.detail
    assert project.content() == project.expected()
    project.write("pkg/bad.py", "mended")
    assert project.refresh().failed == 1
    assert project.content() == project.expected()


def test_a_file_that_vanishes_or_turns_out_a_secret_while_it_is_read_is_counted(project: Project) -> None:
    class Secret(Exception):  # noqa: N818
        reason, detail = Left.SECRET, "a key"

    def read(root: Path, path: str) -> bytes:
        if path == "pkg/m1.py":
            (root / path).unlink()
        if path == "pkg/m2.py":
            raise Secret
        if path == "pkg/m3.py":
            raise PermissionError(13, "Permission denied")
        return (root / path).read_bytes()

    project.indexer.tools = replace(TOOLS, read=read)
    report = project.refresh()
    assert (report.found, report.used, report.left_out, report.failed) == (11, 9, 1, 1)
    assert file(project, "pkg/m1.py") is None
    assert file(project, "pkg/m2.py").reason == str(Left.SECRET)  # type: ignore[union-attr]
    assert "Permission denied" in file(project, "pkg/m3.py").detail  # type: ignore[union-attr]


def test_stopped_while_reading_and_while_embedding_it_goes_on(
    project: Project, embedder: StubEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "GROUP", 20)
    token, calls = CancelToken(), list[str]()

    def slow(path: str, data: bytes, limit: int) -> ParsedFile:
        calls.append(path)
        if len(calls) == 4:
            token.cancel("pause")
        return parse(path, data, limit)

    project.indexer.tools = replace(TOOLS, parse=slow)
    with pytest.raises(Cancelled):
        project.refresh(token=token)
    waiting = [state.path for state in file_states(project.state_of("stub-16"), stages=(Stage.PENDING,))[0]]
    assert len(waiting) == 8
    token = CancelToken()

    def stop(texts: Sequence[str]) -> None:
        if len(embedder.texts) >= 40:
            token.cancel("pause")

    embedder.before = stop
    with pytest.raises(Cancelled):
        project.refresh(token=token)
    assert sorted(calls) == sorted(f"pkg/m{number}.py" for number in range(12))
    assert project.reader().counts() == {"rows": 72, "embedded": 60}
    embedder.before = lambda _texts: None
    report = project.refresh()
    assert (report.embedded, report.missing) == (12, 0)
    assert len(embedder.texts) == len(set(embedder.texts)) == 72
    assert project.content() == project.expected()


def test_a_model_that_fails_leaves_words_and_says_so_and_its_vectors_are_kept(
    project: Project, embedder: StubEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "GROUP", 20)

    def fail(_texts: Sequence[str]) -> None:
        if embedder.texts:
            raise RuntimeError("out of memory")

    embedder.before = fail
    report = project.refresh()
    assert [notice.code for notice in report.notices] == ["embedding_failed"]
    assert (report.embedded, report.missing, report.used) == (20, 52, 12)
    assert len(project.reader().by_words(["get_3_2"], 5)) == 1
    embedder.before = lambda _texts: None
    assert project.refresh().missing == 0
    assert len(embedder.texts) == 72


def test_numbers_that_are_none_are_never_kept(project: Project, embedder: StubEmbedder) -> None:
    true_embed = embedder.embed

    def embed(texts: Sequence[str], token: CancelToken | None = None) -> np.ndarray:
        out = true_embed(texts, token)
        out[[number for number, text in enumerate(texts) if "get_3_2" in text]] = np.nan
        return out

    embedder.embed = embed  # type: ignore[method-assign]
    report = project.refresh()
    assert (report.embedded, report.missing) == (71, 1)
    assert file(project, "pkg/m3.py").reason == "not all embedded"  # type: ignore[union-attr]
    embedder.embed = true_embed  # type: ignore[method-assign]
    assert project.refresh().missing == 0
    assert file(project, "pkg/m3.py").reason == ""  # type: ignore[union-attr]


def test_another_model_is_built_beside_and_swapped_when_it_is_done(
    project: Project, embedder: StubEmbedder, tmp_path: Path
) -> None:
    project.refresh()
    other, token = StubEmbedder("other-8", 8), CancelToken()
    project.indexer.embedder = project.embedder = other
    other.before = lambda _texts: token.cancel("pause") if len(other.texts) else None
    embedding_group, embedding.GROUP = embedding.GROUP, 30
    try:
        with pytest.raises(Cancelled):
            project.refresh(token=token)
        assert active(project.folder) == "stub-16"
        assert project.reader().dimension == DIMENSION
        other.before = lambda _texts: None
        project.refresh()
    finally:
        embedding.GROUP = embedding_group
    assert active(project.folder) == "other-8"
    assert not (project.folder / "stub-16").exists()
    assert project.reader().dimension == 8
    assert project.reader().counts() == {"rows": 72, "embedded": 72}
    # And back: what was embedded once is not embedded again.
    embedder.texts.clear()
    project.indexer.embedder = project.embedder = embedder
    assert (project.refresh().from_cache, embedder.texts) == (72, [])
    assert active(project.folder) == "stub-16"


def test_without_a_model_words_are_enough_and_a_model_takes_over_at_once(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("a.py", "find_me")
    report = project.refresh()
    assert (report.slug, report.missing, active(project.folder)) == ("lexical", 0, "lexical")
    assert project.reader().dimension is None
    assert file(project, "a.py").state is Stage.LEXICAL  # type: ignore[union-attr]
    model = StubEmbedder()
    project.indexer.embedder = model
    seen = []
    model.before = lambda _texts: seen.append(active(project.folder))
    project.refresh()
    # Words work in the new one before its first vector.
    assert (seen, (project.folder / "lexical").exists()) == (["stub-16"], False)
    project.indexer.embedder = None
    project.write("b.py", "later")
    report = project.refresh()
    assert (report.slug, report.missing) == ("stub-16", 2)
    assert len(project.reader().by_exact(["later"], 5)) == 1
    project.indexer.embedder = model
    assert project.refresh().missing == 0
    project.indexer.close()


def test_two_projects_share_what_was_embedded(project: Project, embedder: StubEmbedder, tmp_path: Path) -> None:
    project.refresh()
    twin = Project(tmp_path / "twin", embedder)
    shutil.copytree(project.root, twin.root, dirs_exist_ok=True)
    twin.indexer._cache_folder = project.cache
    embedder.texts.clear()
    assert (twin.refresh().from_cache, embedder.texts) == (72, [])
    twin.indexer.close()


def test_one_writer_at_a_time(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.code_index.index.LOCK_S", 0.05)
    project.refresh()
    with FileLock(project.folder / ".index.lock"):
        for work in (project.refresh, project.indexer.maintain):
            with pytest.raises(AppError) as caught:
                work()
            assert caught.value.code == "index_busy"
    other = project.new_indexer()
    project.write("pkg/m1.py", "from_elsewhere")
    other.refresh(CancelToken())
    project.write("pkg/m2.py", "from_here")
    project.refresh({"pkg/m2.py"})
    assert project.content() == project.expected()
    other.close()


def test_a_root_that_is_gone_deletes_nothing(project: Project) -> None:
    project.refresh()

    def scan(root: Path, *_: object) -> object:
        raise AppError("no_project_folder", "It is not a folder.")

    project.indexer.tools = replace(TOOLS, scan=scan)
    with pytest.raises(AppError):
        project.refresh()
    assert project.reader().counts()["rows"] == 72


def test_a_name_that_is_no_text_and_a_file_the_parser_dies_of(project: Project, tmp_path: Path) -> None:
    name = os.fsdecode(b"pkg/\xff.py")
    try:
        project.write(name, "odd")
    except OSError:
        pytest.skip("this disk keeps UTF-8 names only")
    marker = project.folder / "stub-16" / "reading"
    marker.parent.mkdir(parents=True)
    marker.write_text("2\0pkg/m7.py\0est_of_a_longer_name.py\0")
    report = project.refresh()
    assert (report.left_out, report.failed, report.used, adds_up(report)) == (1, 1, 11, True)
    assert "ended the indexing" in file(project, "pkg/m7.py").detail  # type: ignore[union-attr]
    assert not marker.exists()
    assert file_states(project.state(), search="\\xff")[1] == 1


def test_the_page_sees_sums_reasons_and_pages(project: Project) -> None:
    (project.root / ".gitignore").write_text("pkg/m1.py\n")
    project.write("pkg/it's_100%.py", "boom")
    (project.root / "notes.md").write_text("words only\n")
    project.refresh()
    with contextlib.closing(project.state()) as state:
        found = summary(state, project.folder)
        assert (found.files, found.symbols, found.chunks, found.embedded_share) == (12, 55, 67, 1.0)
        assert found.left_out == {"ignored": 1}
        assert found.errors == {"could not be indexed": 1}
        assert found.languages["text"] == (1, 11)
        assert found.changed_today == 2
        assert found.disk_bytes > 0
        assert found.last_change > 0
        paths = [one.path for one in file_states(state, limit=3, offset=2)[0]]
        assert paths == sorted(one.path for one in file_states(state)[0])[2:5]
        assert [one.path for one in file_states(state, search="100%")[0]] == ["pkg/it's_100%.py"]
        assert file_states(state, search="_")[1] == 1
        assert file_states(state, stages=(Stage.LEFT_OUT,), reason="ignored")[1] == 1
        assert file_states(state, language="text")[1] == 1


def test_the_name_of_the_content_comes_back_with_the_content(project: Project) -> None:
    names = []
    for content in ("one", "two", "one"):
        project.write("pkg/m1.py", content)
        names.append(project.refresh().index_state)
    assert names[0] == names[2] != names[1]
    project.indexer.maintain("asked")
    assert project.state().index_state() == names[2]


# ---------------------------------------------------------------- incremental equals full


@pytest.mark.slow
def test_two_hundred_edits_one_by_one_are_the_same_as_all_at_once(
    project: Project, embedder: StubEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "RACY_NS", 10**18)
    chance = random.Random(11)
    project.refresh()
    changed: set[str] = set()
    for number in range(200):
        paths = sorted(path.relative_to(project.root).as_posix() for path in project.root.rglob("*.py"))
        path = chance.choice(paths)
        what = chance.random()
        changed.add(path)
        if what < 0.55 or len(paths) < 6:
            names = [f"fn_{chance.randrange(30)}" for _ in range(chance.randrange(6))]
            project.write(path, *names, body=f"return {chance.randrange(3)}")
        elif what < 0.75:
            target = f"{chance.choice(('pkg', 'lib', 'lib/deep'))}/n{number}.py"
            (project.root / target).parent.mkdir(parents=True, exist_ok=True)
            (project.root / path).rename(project.root / target)
            changed.add(target)
        elif what < 0.9:
            (project.root / path).unlink()
        else:
            changed.add(project.write(f"pkg/new{number}.py", f"fn_{number}", "shared"))
        if chance.random() < 0.3:
            project.refresh(set(changed) if chance.random() < 0.8 else None)
            changed.clear()
        if number % 50 == 49:
            project.restart()
    project.refresh(changed)
    assert project.content() == project.expected()
    full = Project(tmp_path / "full", embedder)
    shutil.copytree(project.root, full.root, dirs_exist_ok=True)
    full.refresh()
    assert project.content() == full.content()
    assert project.reader().counts()["embedded"] == len(full.content())
    with contextlib.closing(project.state()) as a, contextlib.closing(full.state()) as b:
        assert a.index_state() == b.index_state()
        assert {p: (f.hash, f.chunks, f.embedded, f.state) for p, f in a.files().items()} == {
            p: (f.hash, f.chunks, f.embedded, f.state) for p, f in b.files().items()
        }
    full.indexer.close()


def test_a_reader_misses_no_file_while_it_changes(project: Project) -> None:
    project.refresh()
    reader, over, missed = project.reader(), threading.Event(), list[str]()

    def read() -> None:
        while not over.is_set():
            found = {path for path, _, _ in reader.pairs()}
            missed.extend({f"pkg/m{number}.py" for number in range(12)} - found)
            reader.by_words(["return"], 5)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(25):
            project.write(f"pkg/m{number % 12}.py", f"edit_{number}")
            project.refresh({f"pkg/m{number % 12}.py"})
            if number % 6 == 5:
                project.indexer.maintain("asked")
    finally:
        over.set()
        thread.join()
    assert missed == []
    assert project.content() == project.expected()


# ---------------------------------------------------------------- the cache


def test_the_cache_keeps_what_is_used_and_only_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = VectorCache(tmp_path / "c.db", 4, cap_bytes=8 * 100)
    names = [f"{number:032x}" for number in range(100)]
    made = {name: np.arange(4, dtype=np.float32) + place for place, name in enumerate(names)}
    monkeypatch.setattr("core.code_index.vectors.time.time", lambda: 1e9)
    cache.put(made)
    assert all(np.array_equal(cache.get(names)[name], made[name].astype(np.float16)) for name in names)
    monkeypatch.setattr("core.code_index.vectors.time.time", lambda: 2e9)
    assert len(cache.get(names[:60])) == 60
    cache.put({"f" * 32: np.ones(4)})
    assert len(cache) == 90
    assert len(cache.get([*names[:60], "f" * 32])) == 61
    cache._conn.execute("update vectors set vec = zeroblob(8) where rowid = 1")
    cache._conn.commit()
    assert names[0] not in cache.get(names)
    assert cache.get(["e" * 32]) == {}
    cache.close()


def test_a_damaged_cache_is_put_aside_and_costs_time_alone(project: Project, embedder: StubEmbedder) -> None:
    project.refresh()
    project.indexer.close()
    path = project.cache / "stub-16.db"
    path.write_bytes(b"no database" * 1000)
    project.restart()
    project.write("pkg/m3.py", "get_3_0", "other")
    assert project.refresh().missing == 0
    assert list((project.cache / "quarantine").iterdir())
    assert words("Get_It") == ["get_it", "get", "it"]


@pytest.mark.slow
def test_fifty_commits_of_a_real_history_are_the_same_as_all_at_once(tmp_path: Path, embedder: StubEmbedder) -> None:
    """This repository's own, core/ alone, through the real scan and the real parsers."""
    from dulwich.diff_tree import tree_changes
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        repo = Repo(str(source_root()))
    except NotGitRepository:
        pytest.skip("no history here")
    commits = [entry.commit for entry in repo.get_walker(max_entries=51)][::-1]
    if len(commits) < 51:
        pytest.skip("too short a history here")
    project, tree = Project(tmp_path, embedder, usual()), None
    for commit in commits:
        changed = set()
        for change in tree_changes(repo.object_store, tree, commit.tree):
            old, new = change.old, change.new
            if old is not None and old.path.startswith(b"core/"):
                (project.root / old.path.decode()).unlink(missing_ok=True)
                changed.add(old.path.decode())
            if new is not None and new.path.startswith(b"core/") and new.path.endswith((b".py", b".md")):
                place = project.root / new.path.decode()
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(repo[new.sha].data)
                changed.add(new.path.decode())
        project.refresh(changed if tree else None)
        tree = commit.tree
    repo.close()
    embedded = len(embedder.texts)
    full = Project(tmp_path / "full", embedder, usual())
    shutil.copytree(project.root, full.root, dirs_exist_ok=True)
    assert adds_up(full.refresh())
    assert project.content() == full.content()
    assert project.reader().counts()["embedded"] == len(full.content()) > 1000
    assert project.state().index_state() == full.state().index_state()
    # Far from all of it was embedded again with each commit.
    assert embedded < 3 * len(full.content())
    for one in (project, full):
        one.indexer.close()


@pytest.fixture
def two_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes read, however little there is."""
    monkeypatch.setattr(parallel, "WORTH_BYTES", 1)
    monkeypatch.setattr(parallel.os, "cpu_count", lambda: 2)


@pytest.mark.usefixtures("two_readers")
@pytest.mark.slow
def test_many_files_are_read_in_processes_and_one_that_hangs_or_dies_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "LIMIT_S", 4.0)
    project = Project(tmp_path, tools=replace(PLAIN_TOOLS, parse=odd_parse))
    for number in range(40):
        project.write(f"m{number}.py", f"fn_{number}")
    for name in ("hang", "die", "half"):
        project.write(f"{name}.py", f"{name}_here")
    (project.root / "halt.py").write_text(str(tmp_path / "there"))
    report = project.refresh()
    assert (report.found, report.used, report.failed) == (44, 40, 4)
    for name in ("hang", "halt"):
        assert "took more than" in file(project, f"{name}.py").detail  # type: ignore[union-attr]
    for name in ("die", "half"):
        assert "ended the process" in file(project, f"{name}.py").detail  # type: ignore[union-attr]
    assert {path for path, _, _ in project.content()} == {f"m{number}.py" for number in range(40)}
    project.indexer.close()


def test_readers_are_closed_though_one_is_in_the_midst_of_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel.os, "cpu_count", lambda: 2)
    there, before = tmp_path / "there", set(threading.enumerate())
    (tmp_path / "halt.py").write_text(str(there))
    readers = Readers.ready(replace(PLAIN_TOOLS, parse=odd_parse), tmp_path, 1600)
    assert readers is not None
    readers.read([(FoundFile("halt.py", 1, 1, "python"), "")])
    wait_for(there)
    readers.close()
    # A thread that waits for the rest would keep the program from ending.
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert not active_children()


def _no_process(*_: object) -> None:
    raise OSError("no more processes")


@pytest.mark.usefixtures("two_readers")
def test_a_file_that_ends_its_process_is_not_read_in_this_one_when_no_other_can_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, begun = SpawnProcess.start, list[SpawnProcess]()

    def two(process: SpawnProcess) -> None:
        if len(begun) == 2:
            raise OSError("no more processes")
        begun.append(process)
        start(process)

    monkeypatch.setattr(SpawnProcess, "start", two)
    project = Project(tmp_path, tools=replace(PLAIN_TOOLS, parse=odd_parse))
    for number in range(100):
        project.write(f"m{number}.py", f"fn_{number}")
    project.write("die.py", "die_here")
    project.write("half.py", "half_here")
    # Read first, by one process each: two that end leave none.
    for number, name in enumerate(("die.py", *(f"m{number}.py" for number in range(15)), "half.py")):
        os.utime(project.root / name, (2e9 - number, 2e9 - number))
    report = project.refresh()
    assert adds_up(report)
    assert [file(project, name).state for name in ("die.py", "half.py")] == [Stage.ERROR] * 2  # type: ignore[union-attr]
    # Those that were read beside them may have been lost with them, and no other.
    assert report.used >= 102 - 2 * parallel.TASK_FILES
    monkeypatch.setattr(SpawnProcess, "start", start)
    assert project.refresh().failed == 2
    project.indexer.close()


@pytest.mark.usefixtures("two_readers")
def test_a_process_that_is_killed_while_it_starts_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, begun = SpawnProcess.start, list[SpawnProcess]()

    def first_dies(process: SpawnProcess) -> None:
        start(process)
        begun.append(process)
        if len(begun) == 1:
            process.kill()

    monkeypatch.setattr(SpawnProcess, "start", first_dies)
    # Nothing is read here.
    monkeypatch.setattr(filling, "prepare", _no_process)
    project = Project(tmp_path, tools=PLAIN_TOOLS)
    for number in range(100):
        project.write(f"m{number}.py", f"fn_{number}")
    assert (project.refresh().used, len(begun)) == (100, 3)
    project.indexer.close()


@pytest.mark.usefixtures("two_readers")
def test_stop_does_not_wait_for_a_file_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, there = Project(tmp_path, tools=replace(PLAIN_TOOLS, parse=odd_parse)), tmp_path / "there"
    (project.root / "halt.py").write_text(str(there))
    token = CancelToken()

    def stop() -> None:
        wait_for(there)
        token.cancel("stopped")

    stopping = threading.Thread(target=stop)
    stopping.start()
    # Not that it was waited for until it had taken too long.
    late, end_late = list[Any](), parallel._Reader._end_late
    monkeypatch.setattr(parallel, "LIMIT_S", PATIENCE_S)
    monkeypatch.setattr(parallel._Reader, "_end_late", lambda reader: (late.append(reader), end_late(reader)))
    with pytest.raises(Cancelled):
        project.indexer.refresh(token)
    stopping.join()
    assert late == []
    assert not active_children()
    project.indexer.close()


@pytest.mark.usefixtures("two_readers")
@pytest.mark.parametrize("fails", ["start", "serve"])
def test_where_no_process_can_begin_files_are_read_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    if fails == "serve":
        monkeypatch.setattr(parallel, "_serve", os._exit)
    else:
        monkeypatch.setattr(SpawnProcess, "start", _no_process)
    project = Project(tmp_path, tools=PLAIN_TOOLS)
    for number in range(40):
        project.write(f"m{number}.py", f"fn_{number}")
    assert (project.refresh().used, project.content()) == (40, project.expected())
    project.indexer.close()


@pytest.mark.parametrize("stopped", [False, True])
def test_the_processes_that_read_start_while_a_large_folder_is_looked_at_and_end_with_the_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    monkeypatch.setattr(parallel.os, "cpu_count", lambda: 2)
    begun: list[int | None] = []

    def scan(root: Path, token: CancelToken, tell: Callable[[int, str], None], known: Mapping[str, Any]) -> Any:
        tell(parallel.WORTH_FILES - 1, "")
        assert not active_children()
        tell(parallel.WORTH_FILES, "")
        begun.extend(process.pid for process in active_children())
        if stopped:
            raise Cancelled
        return PLAIN_TOOLS.scan(root, token, tell, known)

    project = Project(tmp_path, tools=replace(PLAIN_TOOLS, scan=scan))
    for number in range(40):
        project.write(f"m{number}.py", f"fn_{number}")
    if stopped:
        with pytest.raises(Cancelled):
            project.refresh()
    else:
        assert project.refresh().used == 40
        assert project.content() == project.expected()
    assert len(begun) == 2
    assert not any(psutil.pid_exists(pid) for pid in begun)
    project.indexer.close()


def test_while_all_is_embedded_a_saved_file_does_not_wait_for_it(tmp_path: Path) -> None:
    embedder = StubEmbedder()
    project = Project(tmp_path, embedder)
    for number in range(12):
        project.write(f"m{number}.py", *(f"fn_{number}_{at}" for at in range(60)))
    first = project.indexer.refresh(CancelToken(), embed_s=0.0)
    assert first.more
    # Not even the group that it had begun.
    assert first.embedded == embedding.AT_ONCE < embedding.GROUP < first.chunks
    assert first.missing == first.chunks - first.embedded
    # Another process, without the model, in between.
    other = Indexer(project.folder, project.root, None, project.cache, TOOLS)
    project.write("m3.py", "saved_just_now")
    assert other.refresh(CancelToken(), paths={"m3.py"}).changed == 1
    other.close()
    assert project.reader().by_exact(["saved_just_now"], 5)
    passes = [first]
    while passes[-1].more:
        passes.append(project.indexer.refresh(CancelToken(), embed_s=0.0))
    assert len(passes) > 2
    whole = passes[0]
    for report in passes[1:]:
        whole = report.after(whole)
    assert (whole.missing, whole.more, whole.found, whole.used) == (0, False, 12, 12)
    assert project.content() == project.expected()
    counts = project.reader().counts()
    assert counts["embedded"] == counts["rows"]
    # Each text once, also those of the file as it was before.
    assert whole.embedded == len(embedder.texts) == len(set(embedder.texts))
    project.indexer.close()
