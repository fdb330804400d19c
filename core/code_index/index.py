"""Keeps the index of one project: a pass over all of it or over a few files, upkeep, and the change of the model.

A pass is scan -> what differs -> rows found by words (`filling`) -> vectors (`embedding`) -> upkeep. It can be stopped
anywhere, by a token or by kill -9: each batch is durable before its files are marked, and the next pass goes on.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.cancel import CancelToken
from core.code_index import maintain, seal
from core.code_index.active import LEXICAL, active, folder_name, make_active
from core.code_index.filling import Filling, Marker, pending, to_read, writable
from core.code_index.health import Opened, Places, open_index
from core.code_index.maintain import Upkeep
from core.code_index.parallel import WORTH_FILES, Readers
from core.code_index.reading import CHUNKER_VERSION, SOFT_LIMIT, WORDS_VERSION, Tools
from core.code_index.records import VECTORS_VERSION, FoundFile, LeftOut
from core.code_index.report import Report, Step, Tell, silent
from core.code_index.state import Change, FileState, IndexState, Stage
from core.code_index.vectors import VectorCache
from core.errors import AppError, Cancelled
from core.workspace.lock import FileLock

if TYPE_CHECKING:
    from core.code_index.embedding import Makes

LOCK_S = 30.0
# More than these at once are a branch switch; looking at all is quicker than at each.
FEW = 500
# So long one embeds before others may write what changed meanwhile.
EMBED_S = 4.0
# Their content says what is a part of the project.
_RULES = (".gitignore", ".git/info/exclude", ".git/index", ".git/HEAD")
_DAY_S = 86_400


_Found = tuple[list[FoundFile], list[LeftOut]]


class _Ahead(NamedTuple):
    """What was done before the index was open: what is in the folder, and who reads it."""

    found: _Found
    readers: Readers | None


class Indexer:
    """The one who writes a project's index. For one thread; another process waits for the lock of each pass.

    Without an `embedder` the index that answers is kept up to date by words, and gets what vectors the cache has.
    `project` is its folder in the workspace, `root` the code, `cache` the folder of the embedding caches.
    """

    def __init__(self, project: Path, root: Path, embedder: Makes | None, cache: Path, tools: Tools) -> None:
        self.project, self.root, self.embedder, self.tools = project, root, embedder, tools
        self._cache_folder = cache
        self._opened: Opened | None = None
        self._cache: VectorCache | None = None
        self._slug = ""

    @property
    def slug(self) -> str:
        """The index that is written."""
        return folder_name(self.embedder.slug) if self.embedder else active(self.project) or LEXICAL

    # ---------------------------------------------------------------- passes

    def refresh(
        self, token: CancelToken, tell: Tell = silent, paths: set[str] | None = None, embed_s: float = math.inf,
        *, embed_all: bool = True,
    ) -> Report:  # fmt: skip
        """Make the index fit the files, all of them or those of `paths` (relative, with "/"; folders too).

        Embedding ends after `embed_s` seconds; the report says where there is `more`, for another call. Between two
        calls others may write: a saved file does not wait for the vectors of the whole project. Without `embed_all`
        a look at all files embeds only what it read anew; what waited before is left to whoever embeds it.
        A failing file is counted and kept as `error`, a failing model is a notice. Raises Cancelled, and AppError
        `index_busy`, `no_project_folder`, `disk_full`, `index_write_failed`.
        """
        began, report = time.monotonic(), Report()
        with contextlib.ExitStack() as stack:
            ahead = self._read_ahead(token, tell, stack) if paths is None else None
            opened = stack.enter_context(self._locked())
            stack.enter_context(self._explained())
            if opened.health.notice:
                report.notices.append(opened.health.notice)
            report.slug = self._slug
            few = self._few(paths, opened.state)
            if few is None:
                self._all(opened, report, token, tell, ahead)
            else:
                self._some(opened, few, report, token, tell)
            report.words_s = time.monotonic() - began
            report.whole = few is None
            only = report.read if report.whole and not embed_all else None
            self._embed(opened, report, token, tell, few, embed_s, only)
            self._finish(opened, report, tell)
            report.index_state = opened.state.index_state()
            report.incomplete = bool(opened.state.meta("incomplete", True))
        report.seconds = time.monotonic() - began
        return report

    def _few(self, paths: set[str] | None, state: IndexState) -> set[str] | None:
        """Files to look at, or None for all: where too many, a folder or the rules have changed."""
        if paths is None or len(paths) > FEW:
            return None
        out = set()
        for path in paths:
            if path.endswith(_RULES) or self._is_folder(path):
                return None
            out |= {path, *state.below(path)}
        return out if len(out) <= FEW else None

    def _is_folder(self, path: str) -> bool:
        place = self.root / path
        return place.is_dir() and not place.is_symlink()

    def _read_ahead(self, token: CancelToken, tell: Tell, stack: contextlib.ExitStack) -> _Ahead | None:
        """Of a project that has no index yet: look and begin to read, while the library of the store is loaded."""
        places = Places(self.project, self.slug)
        if self._opened is not None or places.state.exists() or not self.root.is_dir():
            return None
        limit, early = self._shape(places)[1], list[Readers | None]()

        def told(step: Step) -> None:
            if step.done >= WORTH_FILES and not early:
                early.append(Readers.ready(self.tools, self.root, limit))
                if early[0] is not None:
                    stack.callback(early[0].close)
            tell(step)

        found = self._scan(token, told, {})
        jobs = [(file, "") for file in to_read(found[0], {})]
        readers = early[0] if early else None
        if readers is not None:
            readers.read(jobs)
        elif readers := Readers.begin(self.tools, self.root, limit, jobs):
            stack.callback(readers.close)
        return _Ahead(found, readers)

    def _scan(self, token: CancelToken, tell: Tell, seen: Mapping[str, tuple[int, int]]) -> _Found:
        tell(Step("scanning", 0, 0))
        scan = self.tools.scan(self.root, token, lambda met, place: tell(Step("scanning", met, 0, 0, place)), seen)
        found = writable([*scan.files, *scan.left_out])
        token.raise_if_cancelled()
        return found

    def _all(self, opened: Opened, report: Report, token: CancelToken, tell: Tell, ahead: _Ahead | None = None) -> None:
        state = opened.state
        state.set_meta(incomplete=True)
        known = state.files()
        if known and ahead:
            # Another process was quicker.
            if ahead.readers:
                ahead.readers.close()
            ahead = None
        seen = {
            file.path: (file.size, file.mtime_ns) for file in known.values()
            if file.state in (Stage.LEXICAL, Stage.EMBEDDED)
        }  # fmt: skip
        files, left = ahead.found if ahead else self._scan(token, tell, seen)
        gone = known.keys() - {file.path for file in files}
        filling = self._filling(opened, report, token)
        filling.readers = ahead.readers if ahead else None
        filling.remove(sorted(gone))
        state.replace_left_out(left)
        report.found = len(files) + len(left)
        began = time.monotonic()
        self._fill(filling, to_read(files, known), known, tell)
        if not known:
            report.first_bytes, report.first_s = sum(file.size for file in files), time.monotonic() - began
        self._count(report, state)
        state.set_meta(incomplete=False)

    def _some(self, opened: Opened, paths: set[str], report: Report, token: CancelToken, tell: Tell) -> None:
        known = opened.state.files(paths)
        found = {path: self.tools.look(self.root, path) for path in sorted(paths)}
        files, left = writable(entry for entry in found.values() if entry is not None)
        filling = self._filling(opened, report, token)
        filling.remove(sorted(known.keys() - {file.path for file in files}))
        opened.state.replace_left_out(left, paths)
        report.found = len(files) + len(left)
        # Whoever names them knows that they changed, whatever their times say.
        self._fill(filling, files, known, tell)
        self._count(report, opened.state, paths)

    def _filling(self, opened: Opened, report: Report, token: CancelToken) -> Filling:
        marker = Marker(Places(self.project, self._slug).folder / "reading")
        limit = int(opened.state.meta("soft_limit", SOFT_LIMIT))
        return Filling(opened, self.tools, self.root, self._cache, report, token, limit, marker)

    @staticmethod
    def _fill(filling: Filling, changed: Sequence[FoundFile], known: dict[str, FileState], tell: Tell) -> None:
        if waiting := pending(changed, known):
            filling.opened.state.write(Change(waiting))
        filling.run(changed, known, tell)

    @staticmethod
    def _count(report: Report, state: IndexState, paths: set[str] | None = None) -> None:
        """How the files stand now: found = used + left out + failed."""
        if paths is None:
            counts = dict(state.db.conn.execute("select state, count(*) from files group by state").fetchall())
        else:
            counts = {}
            for path in paths:
                if file := state.file(path):
                    counts[file.state] = counts.get(file.state, 0) + 1
        report.left_out, report.failed = counts.get(Stage.LEFT_OUT, 0), counts.get(Stage.ERROR, 0)
        report.used = sum(counts.values()) - report.left_out - report.failed

    def _embed(
        self, opened: Opened, report: Report, token: CancelToken, tell: Tell, paths: set[str] | None, embed_s: float,
        only: set[str] | None,
    ) -> None:  # fmt: skip
        """Vectors for what has none, of these files or of all, and of these `only` those."""
        if paths is None:
            # What is found by words can be asked for while it is tidied and the rest is embedded.
            if active(self.project) in ("", LEXICAL):
                make_active(self.project, self._slug)
            self._tidy(opened, report, tell)
        if opened.store.dimension is None:
            return
        files = [file for file in opened.state.files(paths).values() if only is None or file.path in only]
        if self.embedder is not None and self._cache is not None:
            from core.code_index.embedding import Embedding, ModelStopped

            try:
                until = time.monotonic() + embed_s
                Embedding(opened, self.embedder, self._cache, report, token, until).run(files, tell)
            except ModelStopped as exc:
                report.notices.append(exc.error)
        after = opened.state.files(paths).values()
        report.missing = sum(file.chunks - file.embedded for file in after)

    def _finish(self, opened: Opened, report: Report, tell: Tell) -> None:
        """Upkeep, the swap, and the day's copy of the state."""
        if report.changed or report.removed:
            opened.state.set_meta(changed_at=time.time())
        if not report.missing and opened.store.dimension is not None:
            tell(Step("indexing", 0, 0))
            if opened.store.index_vectors():
                opened.acknowledge(Change())
        self._tidy(opened, report, tell)
        if (report.whole and not report.missing) or active(self.project) in ("", self._slug):
            make_active(self.project, self._slug)
        if time.time() - float(opened.state.meta("backed_up", 0.0)) > _DAY_S:
            self._back_up(opened)

    def _tidy(self, opened: Opened, report: Report, tell: Tell, reason: str = "") -> Upkeep | None:
        if not reason and not maintain.due(opened.store.statistics(), seal.total(opened.store.folder)):
            return None
        tell(Step("indexing", 0, 0))
        done, notice = maintain.keep_up(opened, reason=reason)
        if notice:
            report.notices.append(notice)
        return done

    # ---------------------------------------------------------------- upkeep, the end

    def maintain(self, reason: str = "") -> tuple[Upkeep | None, list[AppError]]:
        """The upkeep that is due, or all of it for a `reason`. Raises AppError `index_busy`."""
        report = Report()
        with self._locked() as opened, self._explained():
            return self._tidy(opened, report, silent, reason), report.notices

    def close(self) -> None:
        """Tidy up where due, copy the state, let go of all files. Where another process writes, it does that."""
        if self._opened is not None:
            with contextlib.suppress(AppError), self._locked(0.0) as opened, self._explained():
                if opened.state.meta("backup_generation") != opened.state.generation:
                    # What is due: merging the indexes for one changed file would hold up whoever quits.
                    maintain.keep_up(opened)
                    self._back_up(opened)
        self._let_go()

    def distrust(self) -> None:
        """Something could not be read: before the next pass every byte is looked at."""
        self._let_go()

    def _back_up(self, opened: Opened) -> None:
        opened.state.set_meta(backed_up=time.time(), backup_generation=opened.state.generation)
        opened.state.back_up(Places(self.project, self._slug).backups)

    def _let_go(self) -> None:
        if self._opened is not None:
            self._opened.close()
        if self._cache is not None:
            self._cache.close()
        self._opened = self._cache = None

    # ---------------------------------------------------------------- the handle

    @contextlib.contextmanager
    def _locked(self, timeout_s: float | None = None) -> Iterator[Opened]:
        """The index, open and whole, while nobody else writes."""
        self.project.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.project / ".index.lock")
        if not lock.acquire(LOCK_S if timeout_s is None else timeout_s):
            raise AppError(
                "index_busy",
                "The code index of this project is being written by another process.",
                hint="Wait until indexing has ended, then try again.",
                detail=f"{lock.path}, process {lock.holder()}",
            )
        try:
            with self._explained():
                opened = self._ready()
            yield opened
        finally:
            lock.release()

    def _ready(self) -> Opened:
        maintain.raise_file_limit()
        opened = self._opened
        if opened and self._slug == self.slug and opened.whole() and not opened.state.meta("rebuild"):
            opened.health = type(opened.health)()
            return opened
        self._let_go()
        self._slug = self.slug
        places = Places(self.project, self._slug)
        dimension, limit = self._shape(places)
        vectors = None if dimension is None else VECTORS_VERSION
        meta = {"chunker": CHUNKER_VERSION, "words": WORDS_VERSION, "vectors": vectors, "soft_limit": limit}
        self._opened = open_index(places, dimension, meta)
        if dimension is not None:
            self._cache = VectorCache(self._cache_folder / f"{self._slug}.db", dimension)
        return self._opened

    def _shape(self, places: Places) -> tuple[int | None, int]:
        """Dimension and limit of the chunks: the embedder's, else those the index was made with."""
        if self.embedder is not None:
            return self.embedder.dimension, self.embedder.soft_limit
        if not places.state.exists():
            return None, SOFT_LIMIT
        with contextlib.suppress(AppError):
            state = IndexState(places.state, read_only=True)
            try:
                return state.meta("dimension"), int(state.meta("soft_limit", SOFT_LIMIT))
            except Exception:
                return None, SOFT_LIMIT
            finally:
                state.close()
        return None, SOFT_LIMIT

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """After anything unexpected the handle is let go: the next pass opens anew, and goes back to what is sure."""
        try:
            yield
        except (Cancelled, MemoryError):
            raise
        except BaseException as exc:
            self._let_go()
            if isinstance(exc, AppError) or not isinstance(exc, Exception):
                raise
            raise _write_failed(exc, self.project) from exc


def _write_failed(exc: Exception, project: Path) -> AppError:
    """What LanceDB raises, in the user's words."""
    if "No space left" in str(exc) or "os error 28" in str(exc):
        return AppError(
            "disk_full",
            f"The disk is full: the code index in {project} could not be written.",
            hint="Free some space there and start indexing again. Everything written before is intact.",
            detail=repr(exc)[:2000],
        )
    return AppError(
        "index_write_failed",
        f"The code index could not be written ({type(exc).__name__}).",
        hint="Start indexing again; it goes on with what is not done yet.",
        detail=f"{project}: {exc!r}"[:2000],
    )
