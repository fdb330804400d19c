"""One command over one workspace: arguments, signals, the lock and the connection; what it does is its own."""

from __future__ import annotations

import argparse
import signal
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.output import Output, as_error
from app.opening import open_workspace, settle
from core.cancel import CancelToken
from core.db import Database
from core.db.connection import connect
from core.errors import AppError
from core.workspace.paths import Workspace


@dataclass(frozen=True)
class Session:
    """What a command works with while it holds the workspace."""

    workspace: Workspace
    db: Database
    options: argparse.Namespace
    token: CancelToken
    out: Output

    def settle(self) -> None:
        """Bring in what a killed call left in its logs."""
        settle(self.db, self.workspace)

    def explain(self, exc: Exception) -> AppError:
        """Any exception in the shape that is printed."""
        return as_error(exc, self.workspace.root)


def run_session(
    args: Sequence[str], parse: Callable[[Sequence[str]], argparse.Namespace], work: Callable[[Session], int]
) -> int:
    """Parse, open `options.workspace` under its lock, work, close; returns the exit code, 2 where nothing could begin.

    SIGTERM, SIGINT and SIGHUP stop in order.
    """
    token = CancelToken()
    out = Output(token)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: token.cancel("user"))
    root = Path()
    try:
        options = parse(args)
        root = options.workspace.absolute()
        opened = open_workspace(Workspace(root), options.vertical)
    except (AppError, OSError, sqlite3.Error) as exc:
        out.error(as_error(exc, root))
        return 2
    try:
        db = connect(opened.workspace.db_path)
        try:
            return work(Session(opened.workspace, db, options, token, out))
        finally:
            db.close()
    finally:
        opened.lock.release()
