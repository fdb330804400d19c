"""What the command line prints: one JSON object a line on stdout, errors in words on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import orjson

from core.cancel import CancelToken
from core.db.connection import explain
from core.errors import AppError


class Output:
    """Writes lines; when their reader is gone (`| head`), the work is asked to stop."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token

    def line(self, kind: str, /, **fields: Any) -> None:
        """One line on stdout, in UTF-8 whatever the locale."""
        if sys.stdout is None:
            return
        try:
            sys.stdout.buffer.write(orjson.dumps({"type": kind, **fields}) + b"\n")
            sys.stdout.buffer.flush()
        except OSError:
            # What is still in the buffer goes nowhere too, or the interpreter complains at exit.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            self._token.cancel("user")

    def error(self, error: AppError) -> None:
        """An error as a line, and in words on stderr."""
        self.line("error", **error.to_json())
        if sys.stderr is not None:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{error}\n{error.hint}".rstrip("\n") + "\n")
                sys.stderr.flush()


def as_error(exc: Exception, workspace: Path) -> AppError:
    """Whatever went wrong, in the shape that is printed."""
    return explain(exc, traceback.format_exc(), workspace / "workspace.db")
