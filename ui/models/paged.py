"""A table's source in SQL: pages, order and count, read off the GUI thread; old answers never win."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal, Slot

from app.services import Services
from core.db import Database
from ui.models.rows import RowModel

PAGE_SIZE = 200
MOST_KEPT = 1000


@dataclass(frozen=True)
class Query:
    """What to read: order (a `Column.sort`), direction, and which slice."""

    sort: str
    descending: bool
    limit: int
    offset: int


class Current(Protocol):
    """What knows the current row; a `TableView`."""

    def place(self) -> int: ...

    def current(self) -> Any | None: ...

    def let_go(self) -> None: ...


Fetch = Callable[[Database, Query], Sequence[Any]]
Count = Callable[[Database], int]


class PagedRows(QObject):
    """Feeds a `RowModel`. Give it `fetch(db, Query) -> rows` and, for "12 of 1,204", `count(db) -> int`.

    `keep` knows the current row: rows that come in above it push it out only when they are many; then no row is
    current, rather than another one. `loaded(total)` follows every answer; call `reload()` when data changed,
    `restart()` when filters did.
    """

    loaded = Signal(int)

    def __init__(
        self,
        services: Services,
        model: RowModel,
        fetch: Fetch,
        parent: QObject,
        *,
        count: Count | None = None,
        keep: Current | None = None,
        sort: str = "",
        descending: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> None:
        super().__init__(parent)
        self._services, self._model, self._fetch, self._count = services, model, fetch, count
        self._sort, self._descending, self.page_size = sort, descending, page_size
        self._keep = keep
        self._handle: int | None = None
        self._from_start = False
        self.total = 0
        model.more_wanted.connect(self._on_more_wanted)

    @property
    def all_read(self) -> bool:
        """Whether every row that there is is in the model."""
        return self.total <= len(self._model.rows)

    @Slot()
    def reload(self) -> None:
        """Read again as many rows as are shown."""
        shown = max(self.page_size, len(self._model.rows))
        if self._keep is not None:
            shown = max(shown, min(self._keep.place() + self.page_size, MOST_KEPT))
        self._ask(Query(self._sort, self._descending, shown, 0), append=False, same=True)

    @Slot()
    def restart(self) -> None:
        """Read the first page: other rows than those shown are wanted."""
        self._ask(Query(self._sort, self._descending, self.page_size, 0), append=False)

    @Slot(str, bool)
    def set_order(self, sort: str, descending: bool) -> None:
        """Another order; connect it to `TableView.sort_requested`."""
        self._sort, self._descending = sort, descending
        self.reload()

    @Slot(int)
    def _on_more_wanted(self, offset: int) -> None:
        # What is read from the start on knows the newer rows; the model asks again after it.
        if self._from_start:
            return
        self._ask(Query(self._sort, self._descending, self.page_size, offset), append=True)

    def _ask(self, query: Query, *, append: bool, same: bool = False) -> None:
        self._services.forget(self._handle)
        self._from_start = not append
        fetch, count = self._fetch, self._count

        def work(db: Database) -> tuple[Sequence[Any], int | None]:
            # One row more than asked for shows whether there are others, without a count.
            wider = Query(query.sort, query.descending, query.limit + 1, query.offset)
            return fetch(db, wider), count(db) if count is not None else None

        def done(answer: tuple[Sequence[Any], int | None]) -> None:
            self._from_start = False
            rows, total = answer
            more = len(rows) > query.limit
            if same and more:
                self._release(rows[: query.limit])
            (self._model.append_rows if append else self._model.set_rows)(rows[: query.limit], more=more)
            self.total = total if total is not None else len(self._model.rows)
            self.loaded.emit(self.total)

        def failed(exc: Exception) -> None:
            self._from_start = False
            self._model.not_appended()
            self._services.notifier.report(exc, self)

        self._handle = self._services.read(self, work, done, failed)

    def _release(self, rows: Sequence[Any]) -> None:
        """Let go of a current row that was pushed out: it and all that stood below it are gone from the list."""
        current = self._keep.current() if self._keep is not None else None
        if self._keep is None or current is None:
            return
        here = {self._model.row_id(row) for row in rows}
        if not any(self._model.row_id(row) in here for row in self._model.rows[self._keep.place() :]):
            self._keep.let_go()
