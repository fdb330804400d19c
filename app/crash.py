"""Unexpected exceptions, and native crashes that are found at the next start."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import traceback
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from PySide6.QtCore import QObject, Signal

from core.redact import redact

log = logging.getLogger(__name__)
MAX_REPORT = 200_000


class CrashReporter(QObject):
    """Lives in the GUI thread. `unexpected(exception)` is emitted from any thread and arrives queued."""

    unexpected = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.last_report = ""
        self._path: Path | None = None
        self._file: IO[str] | None = None
        self._hooks = (sys.excepthook, threading.excepthook)

    def install(self) -> None:
        """Handle exceptions that nothing else catches."""
        self._hooks = (sys.excepthook, threading.excepthook)
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception

    def uninstall(self) -> None:
        """Give the hooks back."""
        sys.excepthook, threading.excepthook = self._hooks

    def open_file(self, folder: Path) -> str:
        """Let native crashes write to `folder`/crash.log; returns the report the last run left, if it left one."""
        self.close_file()
        self._path = folder / "crash.log"
        self.last_report = self._read_last(self._path)
        self._file = self._path.open("w", encoding="utf-8")
        self._file.write(f"Bright Run started {datetime.now():%Y-%m-%d %H:%M:%S}\n")
        self._file.flush()
        faulthandler.enable(self._file, all_threads=True)
        return self.last_report

    def close_file(self) -> None:
        """A clean end: remove the file."""
        if self._file is None or self._path is None:
            return
        faulthandler.disable()
        self._file.close()
        self._file = None
        self._path.unlink(missing_ok=True)

    @staticmethod
    def _read_last(path: Path) -> str:
        if not path.exists():
            return ""
        text = redact(path.read_text(encoding="utf-8", errors="replace")[:MAX_REPORT])
        path.replace(path.with_name("crash-last.log"))
        if text.count("\n") <= 1:
            text += "It ended without a native crash: the process was killed, or the machine lost power.\n"
        return text

    def _on_exception(self, kind: type[BaseException], exc: BaseException, tb: TracebackType | None) -> None:
        sys.__excepthook__(kind, exc, tb)
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("unhandled %s", kind.__name__, exc_info=(kind, exc, tb))
        self.unexpected.emit(exc)

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or issubclass(args.exc_type, SystemExit):
            return
        log.critical(
            "unhandled in thread %s:\n%s",
            args.thread.name if args.thread else "?",
            "".join(traceback.format_exception(args.exc_value)),
        )
        self.unexpected.emit(args.exc_value)
