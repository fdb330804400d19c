"""What changes in a project's folder is told once it is quiet; so are new rules, a checkout and a lost folder."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from core.code_index import watch as module
from core.code_index.watch import Change, Reason
from tests.core.test_code_ignore import repository
from tests.core.test_code_scan import write
from tests.support.patience import PATIENCE_S


class Told:
    """The changes as they came."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._new = threading.Condition()

    def __call__(self, change: Change) -> None:
        with self._new:
            self.changes.append(change)
            self._new.notify_all()

    def until(self, what: Any) -> None:
        with self._new:
            assert self._new.wait_for(lambda: what(self), PATIENCE_S), self.changes

    def reason(self, reason: Reason) -> None:
        self.until(lambda told: any(change.reason is reason for change in told.changes))

    def path(self, *paths: str) -> None:
        self.until(lambda told: set(paths) <= told.paths)

    @property
    def paths(self) -> set[str]:
        return {path for change in self.changes for path in change.paths}

    @property
    def reasons(self) -> list[Reason]:
        return [change.reason for change in self.changes]


class Watching:
    def __init__(self, root: Path, **options: Any) -> None:
        self.told, self.stop = Told(), threading.Event()
        self.thread = module.start(root, self.told, self.stop, **{"debounce_ms": 40, "poll_s": 0.05, **options})
        self.told.until(lambda told: told.changes)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


@pytest.fixture(params=["notices", "polling"])
def polling(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "polling")


@pytest.fixture
def watching(source: Path, polling: bool) -> Iterator[Any]:
    made: list[Watching] = []

    def begin(root: Path = source, **options: Any) -> Told:
        made.append(Watching(root, polling=polling, **options))
        return made[-1].told

    yield begin
    for one in made:
        one.end()


def test_it_begins_with_a_rescan_and_tells_files_that_come_change_and_go(source: Path, watching: Any) -> None:
    write(source, {"a.py": "x\n", "sub/b.py": "x\n"})
    told = watching()
    assert told.changes == [Change(rescan=True, reason=Reason.STARTED)]
    write(source, {"a.py": "longer\n"})
    told.path("a.py")
    write(source, {"sub/deep/new.py": "x\n"})
    told.path("sub/deep/new.py")
    (source / "sub/b.py").rename(source / "c.py")
    told.path("sub/b.py", "c.py")
    (source / "a.py").unlink()
    told.until(lambda t: sum("a.py" in change.paths for change in t.changes) >= 2)
    assert not any(change.rescan for change in told.changes[1:])


def test_a_folder_that_is_moved_away_is_told(source: Path, tmp_path: Path, watching: Any) -> None:
    write(source, {"sub/a.py": "x\n", "sub/b.py": "x\n"})
    told = watching()
    (source / "sub").rename(tmp_path / "elsewhere")
    told.until(lambda t: "sub" in t.paths or {"sub/a.py", "sub/b.py"} <= t.paths)
    (tmp_path / "elsewhere").rename(source / "back")
    told.path("back/a.py", "back/b.py")


def test_what_rules_leave_out_is_not_told(source: Path, watching: Any) -> None:
    write(source, {".gitignore": "*.log\nout/\n", "a.py": "x\n", "out/x.py": "x\n"})
    told = watching()
    write(source, {"a.log": "x\n", "out/x.py": "yy\n", "out/new/y.py": "x\n", "node_modules/m/i.js": "x\n",
                   ".git/objects/aa": "x", "__pycache__/a.pyc": "x"})  # fmt: skip
    write(source, {"last.py": "x\n"})
    told.path("last.py")
    assert told.paths == {"last.py"}


def test_changed_rules_ask_for_a_rescan(source: Path, watching: Any) -> None:
    write(source, {".gitignore": "*.log\n", "sub/a.log": "x\n"})
    told = watching()
    write(source, {"sub/.gitignore": "!a.log\n"})
    told.reason(Reason.RULES)
    write(source, {"sub/a.log": "changed\n"})
    told.path("sub/a.log")


def test_a_checkout_asks_for_a_rescan_and_a_glance_does_not(source: Path, watching: Any) -> None:
    git = repository(source, ["a.log"])
    write(source, {".gitignore": "*.log\n", "a.log": "x\n", "b.log": "x\n"})
    told = watching()
    os.utime(git / "index", (1, 1))
    write(source, {"a.log": "tracked\n"})
    told.path("a.log")
    assert told.reasons.count(Reason.GIT) == 0
    (git / "new").write_text("ref: refs/heads/other\n")
    (git / "new").rename(git / "HEAD")
    told.reason(Reason.GIT)
    assert all(change.rescan for change in told.changes if change.reason is Reason.GIT)
    other = repository(source.parent / "other", ["a.log", "b.log"])
    shutil.copy(other / "index", git / "index.lock")
    (git / "index.lock").rename(git / "index")
    told.until(lambda t: t.reasons.count(Reason.GIT) == 2)
    write(source, {"b.log": "now tracked\n"})
    told.path("b.log")


def test_many_files_at_once_ask_for_a_rescan(source: Path, watching: Any) -> None:
    told = watching(most=50)
    write(source, {f"sub{number % 7}/f{number}.py": "x\n" for number in range(400)})
    told.reason(Reason.MANY)
    assert all(len(change.paths) <= 50 for change in told.changes)


def test_a_folder_that_vanishes_and_comes_back(source: Path, tmp_path: Path, watching: Any) -> None:
    write(source, {"a.py": "x\n"})
    told = watching()
    source.rename(tmp_path / "away")
    told.reason(Reason.GONE)
    assert not next(change for change in told.changes if change.reason is Reason.GONE).rescan
    write(source, {"b.py": "x\n"})
    told.reason(Reason.BACK)
    assert told.changes[-1].rescan
    write(source, {"c.py": "x\n"})
    told.path("c.py")


def test_a_root_behind_a_link_is_watched(source: Path, tmp_path: Path, watching: Any) -> None:
    (tmp_path / "link").symlink_to(source)
    told = watching(tmp_path / "link")
    write(source, {"a.py": "x\n"})
    told.path("a.py")


def test_a_failure_of_the_one_who_is_told_does_not_end_the_watch(source: Path, polling: bool) -> None:
    told, stop = Told(), threading.Event()

    def fail(change: Change) -> None:
        told(change)
        raise ValueError("no")

    thread = module.start(source, fail, stop, debounce_ms=40, poll_s=0.05, polling=polling)
    told.until(lambda t: t.changes)
    write(source, {"a.py": "x\n"})
    told.path("a.py")
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_where_the_system_can_watch_no_more_it_looks_and_says_so(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise OSError("OS file watch limit reached. (about 8192)")

    monkeypatch.setattr(watchfiles, "watch", refuse)
    one = Watching(source)
    assert one.told.changes[0].reason is Reason.POLLING
    assert one.told.changes[0].rescan
    assert "fs.inotify.max_user_watches" in one.told.changes[0].detail
    write(source, {"a.py": "x\n"})
    one.told.path("a.py")
    one.end()


def test_a_flood_of_notices_asks_for_a_rescan(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NOTICES", 100)
    one = Watching(source)
    write(source, {f"node_modules/f{number}.js": "x\n" for number in range(600)})
    one.told.reason(Reason.MANY)
    one.end()


def test_nothing_is_told_after_the_end_nor_while_nothing_changes(source: Path, polling: bool) -> None:
    write(source, {"a.py": "x\n"})
    one = Watching(source, polling=polling)
    time.sleep(0.5)
    one.end()
    write(source, {"b.py": "x\n"})
    time.sleep(0.2)
    assert one.told.reasons == [Reason.STARTED]


def test_what_changes_while_a_checkout_is_told_is_told_after_it(source: Path) -> None:
    git = repository(source, ["a.py"])
    write(source, {"a.py": "x\n"})

    class Late(Told):
        def __call__(self, change: Change) -> None:
            if change.reason is Reason.GIT:
                write(source, {"late.py": "x\n"})
            super().__call__(change)

    told, stop = Late(), threading.Event()
    thread = module.start(source, told, stop, debounce_ms=40, poll_s=0.05, polling=True)
    told.until(lambda t: t.changes)
    (git / "new").write_text("ref: refs/heads/other\n")
    (git / "new").rename(git / "HEAD")
    told.path("late.py")
    stop.set()
    thread.join()
