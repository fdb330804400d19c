"""Tells what changed in a project's folder, once it has been quiet for a moment.

The system's own notices (through watchfiles) where it gives them, a slow look at the files' times where it does not:
Linux watches a limited number of folders, and network disks report nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from core.cancel import CancelToken
from core.code_index.ignore import IGNORE_FILE, Ignores
from core.code_index.walk import Walk, odd_name
from core.errors import Cancelled

log = logging.getLogger(__name__)
DEBOUNCE_MS = 500
POLL_S = 10.0
# More files than this at once are found faster by looking at everything.
MOST_PATHS = 1_000
# So many raw notices mean that the system may have dropped some.
MOST_NOTICES = 8_000
_NAP_S = 0.2

Event = threading.Event


class Reason(StrEnum):
    """Why a `Change` asks for a rescan, or what became of the watch."""

    FILES = ""
    STARTED = "the watch began"
    RULES = "the ignore rules changed"
    GIT = "another branch or commit was checked out"
    MANY = "many files changed"
    GONE = "the folder is gone"
    BACK = "the folder is back"
    POLLING = "the system does not report changes; the folder is looked through now and then"


@dataclass(frozen=True)
class Change:
    """`paths` are files that appeared, changed or vanished; one that vanished may have been a folder with files in it.

    With `rescan` anything may have changed, and `paths` is empty. `detail` is a sentence for the user. With
    `Reason.GONE` nothing is there to read, and what was indexed stays until the folder is back.
    """

    paths: frozenset[str] = frozenset()
    rescan: bool = False
    reason: Reason = Reason.FILES
    detail: str = ""


OnChange = Callable[[Change], None]


def watch(
    root: Path,
    on_change: OnChange,
    stop: Event,
    *,
    debounce_ms: int = DEBOUNCE_MS,
    polling: bool = False,
    poll_s: float = POLL_S,
    most: int = MOST_PATHS,
) -> None:
    """Call `on_change` until `stop` is set; runs in the caller's thread and calls from it.

    The first call asks for a rescan, when the watch stands: what changes from then on is told. What rules leave out
    is not told. A failure of `on_change` is logged, and the watch goes on.
    """
    _Watch(root, on_change, stop, debounce_ms, polling, poll_s, most).run()


def start(root: Path, on_change: OnChange, stop: Event, **options: object) -> threading.Thread:
    """`watch` in a thread of its own, which ends soon after `stop` is set."""
    thread = threading.Thread(
        target=watch, args=(root, on_change, stop), kwargs=options, name="code-watch", daemon=True
    )
    thread.start()
    return thread


class _Gone(Exception):  # noqa: N818 - a turn of the watch, not an error
    """The root is not there any more, or another folder is in its place."""


class _Watch:
    def __init__(
        self, root: Path, on_change: OnChange, stop: Event, debounce_ms: int, polling: bool, poll_s: float, most: int
    ) -> None:
        self._root, self._on_change, self._stop = root, on_change, stop
        self._step = max(debounce_ms // 2, 10)
        self._polling, self._poll_s, self._most = polling, poll_s, most
        self._real = Path(os.path.realpath(root))
        self._ignores: Ignores | None = None
        self._git: tuple[object, ...] = ()

    def run(self) -> None:
        """Until `stop`: one turn a life of the root."""
        reason = Reason.STARTED
        while not self._stop.is_set():
            with contextlib.suppress(_Gone, Cancelled):
                self._turn(reason)
            if self._stop.is_set():
                return
            self._tell(Change(reason=Reason.GONE, detail=f"The folder {self._root} can't be found."))
            while not self._stop.wait(_NAP_S) and not os.path.isdir(self._root):
                pass
            reason = Reason.BACK

    def _turn(self, reason: Reason) -> None:
        """Watch the root as it is now. Raises `_Gone`."""
        self._real = Path(os.path.realpath(self._root))
        identity = self._identity()
        self._read_rules()
        detail = ""
        if not self._polling:
            try:
                self._by_notices(identity, reason)
                return
            except (_Gone, Cancelled):
                raise
            # OSError or the library's own: the limit of watches, a disk that can't be watched.
            except Exception as exc:
                self._same(identity)
                log.warning("the folder %s can't be watched: %r", self._root, exc)
                reason, detail = Reason.POLLING, _limit(exc)
        self._by_looking(identity, reason, detail)

    def _by_notices(self, identity: tuple[int, int], reason: Reason) -> None:
        import watchfiles

        told = False
        for raw in watchfiles.watch(
            self._real, watch_filter=None, debounce=10 * self._step, step=self._step, stop_event=self._stop,
            rust_timeout=max(2 * self._step, 100), yield_on_timeout=True, raise_interrupt=False, force_polling=False,
            recursive=True, ignore_permission_denied=True, debug=False,
        ):  # fmt: skip
            self._same(identity)
            if not told:
                # Only now the watch is known to stand.
                told = True
                self._rescan(reason)
                continue
            self._handle([path for _, path in raw])

    def _by_looking(self, identity: tuple[int, int], reason: Reason, detail: str) -> None:
        before = self._stamps()
        self._rescan(reason, detail)
        took = 0.0
        while not self._stop.wait(max(self._poll_s, 10 * took)):
            self._same(identity)
            began = time.monotonic()
            if self._git_changed():
                # First: what changes while it is told would be lost.
                before = self._stamps()
                self._rescan(Reason.GIT, fresh=False)
                continue
            now = self._stamps()
            took = time.monotonic() - began
            changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
            before = now
            self._hand_out(changed)

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file that no rule leaves out."""
        assert self._ignores is not None
        token = CancelToken()

        def ask(_count: int, _path: str) -> None:
            if self._stop.is_set():
                token.cancel()

        walk = Walk(self._ignores, token, ask, lambda _path: "", opened=False)
        walk.run()
        return {file.path: (file.size, file.mtime_ns) for file in walk.files}

    def _handle(self, raw: Iterable[str]) -> None:
        """What the system reported, as a change."""
        raw = list(raw)
        if self._git_changed():
            self._rescan(Reason.GIT, fresh=False)
            return
        if len(raw) > MOST_NOTICES:
            self._rescan(Reason.MANY)
            return
        found: set[str] = set()
        for full in raw:
            path = os.path.relpath(full, self._real)
            if path != "." and not path.startswith(".."):
                found.update(islice(self._wanted(path, full), self._most + 1))
            if len(found) > self._most:
                break
        self._hand_out(found)

    def _wanted(self, path: str, full: str) -> Iterator[str]:
        """The files that a changed path stands for: itself, or those of a folder that has just appeared."""
        assert self._ignores is not None
        if odd_name(path) or self._ignores.why(path) is not None:
            return
        if not os.path.isdir(full) or os.path.islink(full):
            yield path
            return
        for above, folders, names in os.walk(full):
            below = os.path.relpath(above, self._real)
            folders[:] = [name for name in folders if self._ignores.why(f"{below}/{name}", folder=True) is None]
            yield from (file for name in names if self._ignores.why(file := f"{below}/{name}", folder=False) is None)

    def _hand_out(self, paths: set[str]) -> None:
        rules = [path for path in paths if path.rpartition("/")[2] == IGNORE_FILE]
        if rules:
            self._rescan(Reason.RULES, f"{min(rules)} changed.")
        elif len(paths) > self._most:
            self._rescan(Reason.MANY)
        elif paths:
            self._tell(Change(frozenset(paths)))

    def _git_changed(self) -> bool:
        """Whether Git's state asks for a rescan; the rules are read anew then."""
        assert self._ignores is not None
        stamp = _git_stamp(self._ignores)
        if stamp == self._git:
            return False
        # Git writes its index anew at every glance; only what it tracks is of interest.
        before, head = self._ignores, self._git
        self._read_rules()
        return not (self._ignores.tracked == before.tracked and stamp[:1] == head[:1] and stamp[2:] == head[2:])

    def _read_rules(self) -> None:
        self._ignores = Ignores(self._real, self._stop.is_set)
        self._git = _git_stamp(self._ignores)

    def _rescan(self, reason: Reason, detail: str = "", *, fresh: bool = True) -> None:
        if fresh:
            self._read_rules()
        self._tell(Change(rescan=True, reason=reason, detail=detail))

    def _tell(self, change: Change) -> None:
        try:
            self._on_change(change)
        except Exception:
            log.exception("what changed in %s could not be handed on", self._root)

    def _identity(self) -> tuple[int, int]:
        try:
            found = os.stat(self._real)
        except OSError as exc:
            raise _Gone from exc
        if not os.path.isdir(self._real):
            raise _Gone
        return found.st_dev, found.st_ino

    def _same(self, identity: tuple[int, int]) -> None:
        if os.path.realpath(self._root) != str(self._real) or self._identity() != identity:
            raise _Gone


def _git_stamp(ignores: Ignores) -> tuple[object, ...]:
    return ignores.git.stamp() if ignores.git else ("none", os.path.lexists(ignores.root / ".git"))


def _limit(exc: Exception) -> str:
    """What to do where a folder can't be watched."""
    said = str(exc).lower()
    if "limit" in said or "no space" in said or "too many" in said:
        return (
            "The system can't watch so many folders, so changes are found later, by looking. On Linux a larger "
            "fs.inotify.max_user_watches helps."
        )
    return f"The system can't report changes in this folder ({exc}), so they are found later, by looking."
