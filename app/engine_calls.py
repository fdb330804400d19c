"""What the window asked of the inference worker, and who is told what comes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject

from core.errors import AppError

log = logging.getLogger(__name__)


@dataclass
class Call:
    """A command with its callbacks; `written` once the worker has it, `stopping` once it was asked to stop it.

    A load is `asked` for at the gate, where there is one, and written once it is `granted`.
    """

    kind: str
    fields: Mapping[str, Any]
    owner: QObject
    done: Callable[[Mapping[str, Any]], None]
    failed: Callable[[AppError], None]
    text: Callable[[str], None] | None = None
    stopped: Callable[[], None] | None = None
    noticed: Callable[[AppError], None] | None = None
    progress: Callable[[float, str], None] | None = None
    written: bool = field(default=False)
    stopping: bool = field(default=False)
    asked: bool = field(default=False)
    granted: bool = field(default=False)

    def end(self, kind: str, message: Mapping[str, Any]) -> None:
        """The one event that ends it: done, stopped or failed."""
        if kind == "done":
            self.done(message["result"])
        elif kind == "stopped" and self.stopped is not None:
            self.stopped()
        elif kind == "failed":
            self.failed(AppError.from_json(message["error"]))

    def tell(self, kind: str, message: Mapping[str, Any]) -> None:
        """What comes before the end: token, progress or notice."""
        if kind == "token" and self.text is not None:
            self.text(message["text"])
        elif kind == "progress" and self.progress is not None:
            self.progress(float(message["share"]), str(message["words"]))
        elif kind == "notice" and self.noticed is not None:
            self.noticed(AppError.from_json(message["error"]))


def nothing(_facts: Mapping[str, Any]) -> None:
    """For commands whose answer is not needed."""


def engine_closed() -> AppError:
    """What calls under way get when the engine is unloaded in order."""
    return AppError(
        "engine_closed",
        "The model was unloaded before it finished answering.",
        hint="Ask again; the model is loaded again.",
    )


def log_only(error: AppError) -> None:
    """For what only the log needs: the callers get the same error themselves."""
    log.info("configure: %s", error)


def ignore(_error: AppError) -> None:
    """For hints whose failure changes nothing."""
