"""A damaged index is noticed when it is opened, put aside, made again without embedding, and the user is told."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.code_index.active import places
from core.code_index.health import Opened, Places, check
from core.code_index.seal import walk
from core.code_index.state import Change, IndexState, Stage
from core.code_index.state_view import file_states
from core.code_index.store_writer import ChunkWriter
from core.errors import AppError
from tests.support.code_index import Project, StubEmbedder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[tuple[str, str, str]]]:
    """A project closed in order, to copy."""
    place = tmp_path_factory.mktemp("whole")
    project = Project(place, StubEmbedder())
    for number in range(6):
        project.write(f"pkg/m{number}.py", *(f"get_{number}_{part}" for part in range(40)))
    project.refresh()
    project.write("pkg/m1.py", "changed")
    project.refresh({"pkg/m1.py"})
    project.indexer.close()
    project.write("pkg/m2.py", "changed_too")
    project.refresh({"pkg/m2.py"})
    project.restart()
    return place, project.expected()


def copied(whole: tuple[Path, set[tuple[str, str, str]]], place: Path) -> Project:
    shutil.copytree(whole[0], place, dirs_exist_ok=True)
    return Project(place, StubEmbedder())


def where(project: Project) -> Places:
    found = places(project.folder)
    assert found is not None
    return found


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 0x10
    path.write_bytes(bytes(data))


def flip_first(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 0xFF
    path.write_bytes(bytes(data))


HARM: dict[str, Callable[[Path], None]] = {
    "truncated": truncate, "deleted": Path.unlink, "flipped": flip, "flipped at the start": flip_first,
    "emptied": lambda path: path.write_bytes(b""),
}  # fmt: skip
PARTS = ("data/", "_versions/", "_indices/", "_deletions/")


def files_of(project: Project, part: str) -> list[Path]:
    lance = where(project).lance
    return sorted(
        lance / name for name, entry in walk(lance)
        if f"/{part}" in name and entry.name != "latest_version_hint.json" and entry.stat().st_size > 0
    )  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("part", PARTS)
def test_harm_to_the_store_is_noticed_and_made_good(
    whole: tuple[Path, set[tuple[str, str, str]]], tmp_path: Path, part: str, harm: str
) -> None:
    project = copied(whole, tmp_path)
    found = files_of(project, part)
    # The first, the last and one between; of the manifests the newest is the first.
    for number, place in enumerate(sorted({0, len(found) // 2, len(found) - 1})):
        target = files_of(project, part)
        if not target:
            break
        HARM[harm](target[min(place, len(target) - 1)])
        seen = check(where(project))
        assert seen.rebuild, (harm, target)
        report = project.refresh()
        assert [notice.code for notice in report.notices] == ["index_damaged"], (harm, number)
        assert project.embedder is not None
        assert project.embedder.texts == []
        assert project.content() == whole[1]
        assert project.reader().counts()["embedded"] == len(whole[1])
        assert list(where(project).quarantine.iterdir())
        project.restart()
        assert project.refresh().notices == []
        assert check(where(project)).notice is None
        project.indexer.close()


def test_a_whole_store_that_is_gone_is_made_again(
    whole: tuple[Path, set[tuple[str, str, str]]], tmp_path: Path
) -> None:
    project = copied(whole, tmp_path)
    shutil.rmtree(where(project).lance)
    assert check(where(project)).rebuild
    assert [notice.code for notice in project.refresh().notices] == ["index_damaged"]
    assert project.content() == whole[1]
    project.indexer.close()


@pytest.mark.parametrize("harm", HARM)
def test_harm_to_the_state_is_noticed_and_made_good(
    whole: tuple[Path, set[tuple[str, str, str]]], tmp_path: Path, harm: str
) -> None:
    project = copied(whole, tmp_path)
    path = where(project).state
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    HARM[harm](path)
    assert check(Places(project.folder, "stub-16")).rebuild
    report = project.refresh()
    assert "index_damaged" in [notice.code for notice in report.notices]
    assert project.content() == whole[1]
    assert project.embedder is not None
    assert project.embedder.texts == []
    project.restart()
    assert project.refresh().notices == []
    project.indexer.close()


def test_any_flipped_byte_of_the_state_is_noticed_or_harmless(
    whole: tuple[Path, set[tuple[str, str, str]]], tmp_path: Path
) -> None:
    project = copied(whole, tmp_path)
    path = where(project).state
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("pragma wal_checkpoint(truncate)")
        before = db.execute("select * from files order by path").fetchall()
    data = path.read_bytes()
    noticed = 0
    for place in range(100, len(data), 997):
        harmed = bytearray(data)
        harmed[place] ^= 0x21
        path.write_bytes(bytes(harmed))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if check(Places(project.folder, "stub-16")).rebuild:
            noticed += 1
            continue
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("select * from files order by path").fetchall() == before
    assert noticed > 5


def test_a_state_of_an_older_day_is_used_where_it_fits_the_store(tmp_path: Path) -> None:
    project = Project(tmp_path, StubEmbedder())
    project.write("a.py", "one")
    project.refresh()
    project.indexer.close()
    assert len(list(where(project).backups.iterdir())) >= 1
    flip_first(where(project).state)
    parsed = list[str]()
    report = project.refresh()
    assert [notice.code for notice in report.notices] == ["index_damaged"]
    assert (report.changed, parsed) == (0, [])
    assert project.content() == project.expected()
    for number in range(4):
        project.write("a.py", f"one_{number}")
        project.refresh()
        project.indexer.close()
    assert len(list(where(project).backups.iterdir())) == 2


def test_rows_that_nobody_acknowledged_go_and_torn_commits_too(tmp_path: Path) -> None:
    project = Project(tmp_path, StubEmbedder())
    project.write("a.py", "one", "two")
    project.refresh()
    project.restart()
    whole, lance = project.content(), where(project).lance
    for torn in (False, True):
        before = {name for name, _ in walk(lance)}
        store = ChunkWriter.open(lance)
        store.delete(["a.py"])
        store.optimise()
        store.close()
        if torn:
            for name in {name for name, _ in walk(lance)} - before:
                truncate(lance / name)
        assert project.refresh().notices == []
        assert project.content() == whole
        project.restart()
        assert check(where(project)).notice is None
    project.indexer.close()


def test_a_long_lived_writer_goes_back_behind_what_another_left_when_it_was_killed(tmp_path: Path) -> None:
    project = Project(tmp_path, StubEmbedder())
    project.write("a.py", "one", "two")
    project.refresh()
    store = ChunkWriter.open(where(project).lance)
    store.delete(["a.py"])
    project.write("b.py", "three")
    assert project.refresh({"b.py"}).notices == []
    assert project.content() == project.expected()
    project.indexer.close()


def test_searches_degrade_while_the_index_is_made_again(
    whole: tuple[Path, set[tuple[str, str, str]]], tmp_path: Path
) -> None:
    project = copied(whole, tmp_path)
    reader = project.reader()
    for path in files_of(project, "data/"):
        path.unlink()
    with pytest.raises(AppError) as caught:
        project.reader().by_words(["get_3_3"], 5)
    assert caught.value.code == "index_damaged"
    with contextlib.suppress(AppError):
        reader.by_words(["get_3_3"], 5)
    project.refresh()
    assert len(reader.by_words(["get_3_3"], 5)) == 1
    project.indexer.close()


@pytest.mark.parametrize(("key", "value"), [("chunker", 0), ("words", 0), ("schema", 0), ("soft_limit", 7)])
def test_rows_of_another_version_are_made_again_with_their_vectors(tmp_path: Path, key: str, value: int) -> None:
    project = Project(tmp_path, StubEmbedder())
    project.write("a.py", "one", "two")
    project.refresh()
    project.restart()
    with contextlib.closing(IndexState(where(project).state)) as state:
        state.set_meta(**{key: value})
    report = project.refresh()
    assert (report.changed, report.from_cache, report.notices) == (1, 3, [])
    assert project.content() == project.expected()
    project.indexer.close()


# ---------------------------------------------------------------- upkeep


def test_three_failures_of_the_upkeep_in_a_row_are_said_and_the_store_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, StubEmbedder())
    project.write("a.py", "one", "two")
    project.refresh()

    def fail(_store: ChunkWriter) -> None:
        raise RuntimeError("Retryable commit conflict")

    with monkeypatch.context() as patched:
        patched.setattr(ChunkWriter, "optimise", fail)
        told = [[notice.code for notice in project.indexer.maintain("asked")[1]] for _ in range(3)]
    assert told == [[], [], ["index_upkeep_failed"]]
    assert project.state().meta("rebuild")
    report = project.refresh()
    assert (report.changed, report.from_cache, report.incomplete) == (1, 3, False)
    assert project.content() == project.expected()
    with monkeypatch.context() as patched:
        patched.setattr(ChunkWriter, "clean", fail)
        project.indexer.maintain("asked")
    assert project.indexer.maintain("asked")[1] == []
    assert project.state().meta("upkeep_failures") == 0
    project.restart()
    assert project.refresh().notices == []
    project.indexer.close()


def about_to_clean(project: Project) -> Opened:
    """Where upkeep is when the first file goes."""
    opened = project.indexer._opened
    assert opened is not None
    opened.store.optimise()
    opened.acknowledge(Change())
    opened.state.set_meta(cleaning=True)
    return opened


def test_a_cleaning_that_was_cut_short_is_no_damage_and_harm_in_it_is(tmp_path: Path) -> None:
    for harmed in (False, True):
        project = Project(tmp_path / str(harmed), StubEmbedder())
        project.write("a.py", "one", "two")
        for number in range(4):
            project.write("b.py", f"edit_{number}")
            project.refresh()
        about_to_clean(project).store.clean()
        if harmed:
            files_of(project, "data/")[-1].unlink()
        project.restart()
        report = project.refresh()
        assert [notice.code for notice in report.notices] == (["index_damaged"] if harmed else [])
        assert project.content() == project.expected()
        project.indexer.close()


def test_a_cleaning_commits_nothing_and_one_that_did_and_was_cut_short_is_no_damage(tmp_path: Path) -> None:
    project = Project(tmp_path, StubEmbedder())
    for number in range(6):
        project.write(f"m{number}.py", *(f"fn_{number}_{part}" for part in range(8)))
    project.refresh()
    for number in range(4):
        for other in range(3):
            path = project.write(f"m{(number + other) % 6}.py", *(f"fn_{number}_{other}_{part}" for part in range(9)))
            project.refresh({path})
        opened = project.indexer._opened
        assert opened is not None
        if number % 2:
            # Without the rounds before it, so that everything acknowledged goes.
            known = opened.state.sealed().keys()
            opened.state.set_meta(cleaning=True)
            opened.store.clean()
            assert not known & {name for name, entry in walk(opened.store.folder) if "/data/" in name}
        else:
            opened.store.optimise()
            opened.acknowledge(Change())
            version, names = opened.store.version, {name for name, _ in walk(opened.store.folder)}
            opened.state.set_meta(cleaning=True)
            opened.store.clean()
            assert opened.store.version == version
            assert {name for name, _ in walk(opened.store.folder)} <= names
            opened.acknowledge(Change(meta={"cleaning": False}))
        project.restart()
        assert project.refresh().notices == []
        assert project.content() == project.expected()
    project.indexer.close()


@pytest.mark.parametrize("process", ["killed", "goes on"])
def test_a_cleaning_that_ended_before_it_began_takes_no_later_commit_for_its_own(tmp_path: Path, process: str) -> None:
    project = Project(tmp_path, StubEmbedder())
    for number in range(3):
        project.write(f"m{number}.py", f"fn_{number}")
    project.refresh()
    # As if it was killed here, or cleaning failed: not one file is gone, and none is new.
    about_to_clean(project)
    if process == "killed":
        project.restart()
    project.write("m1.py", "changed")
    assert project.refresh({"m1.py"}).notices == []
    before = project.content()
    with project.indexer._locked() as opened:
        assert not opened.state.meta("cleaning")
        # A commit that nobody acknowledged, and a kill.
        opened.store.delete(["m2.py"])
    project.restart()
    with project.indexer._locked() as opened:
        assert opened.health.notice is None
    assert project.content() == before
    project.indexer.close()


def test_a_full_disk_is_said_and_what_was_written_before_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, StubEmbedder())
    project.write("a.py", "one", "two")
    project.refresh()
    before = project.content()
    project.write("a.py", "three")

    def full(*_: object) -> None:
        raise RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(ChunkWriter, "upsert", full)
        with pytest.raises(AppError) as caught:
            project.refresh()
    assert caught.value.code == "disk_full"
    assert project.content() == before
    assert [one.path for one in file_states(project.state(), stages=(Stage.PENDING,))[0]] == ["a.py"]
    project.refresh()
    assert project.content() == project.expected()

    class Usage:
        free = 10

    with monkeypatch.context() as patched:
        patched.setattr("core.code_index.maintain.shutil.disk_usage", lambda _path: Usage)
        assert [notice.code for notice in project.indexer.maintain("asked")[1]] == ["disk_nearly_full"]
    project.indexer.close()


@pytest.mark.slow
def test_many_saves_leave_few_files_few_bytes_and_few_descriptors(tmp_path: Path) -> None:
    """500 saves and 200 optimise cycles at size are in benchmarks/code_index.py."""
    import psutil

    project = Project(tmp_path, StubEmbedder("stub-64", 64))
    for number in range(40):
        project.write(f"pkg/m{number}.py", *(f"get_{number}_{part}" for part in range(40)))
    project.refresh()
    reader, me = project.reader(), psutil.Process()
    before = me.num_fds()
    for number in range(60):
        path = project.write(f"pkg/m{number % 40}.py", *(f"get_{number}_{part}" for part in range(40)))
        project.indexer.refresh(CancelToken(), paths={path})
        if number % 2 == 0:
            project.indexer.maintain("asked")
        assert reader.by_exact([f"get_{number}_7"], 5)
    assert me.num_fds() - before < 40
    project.indexer.maintain("asked")
    opened = project.indexer._opened
    assert opened is not None
    names = [entry.stat().st_size for _, entry in walk(opened.store.folder)]
    assert len(names) < 200
    assert sum(names) < 3 * opened.store.statistics().live_bytes
    assert project.content() == project.expected()
    project.indexer.close()
