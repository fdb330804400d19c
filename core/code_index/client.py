"""The parent's side of the code worker without Qt: blocking calls for the command line and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core import registries
from core.cancel import CancelToken
from core.code_index.spec import ProjectSpec
from core.errors import AppError
from core.lanes import Lane
from core.workers.client import WorkerClient


class CodeClient(WorkerClient):
    """Owns one code worker; used as a context manager, from one thread. Memory is granted at once.

    `told(AppError)` gets what the user should know.
    """

    WORKER = "code"
    LANE = Lane.INDEX
    WHO = "The process that searches code"

    def __init__(self, log: Path | None = None, told: Callable[[AppError], None] | None = None) -> None:
        self._told = told
        super().__init__({"registries": registries.snapshot(), "watch": []}, log)

    def _heard(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "memory" and "asks" in message:
            self._write("", "memory", {"granted": True})
        elif message["type"] == "notice" and self._told is not None:
            self._told(AppError.from_json(message["error"]))

    def search(self, spec: ProjectSpec, text: str, k: int = 10, token: CancelToken | None = None) -> dict[str, Any]:
        """`{"found": [...], "notices": [...], "total", "seconds"}`, best first."""
        return self.call("search", None, token, project=spec.to_json(), text=text, k=k)

    def grep(self, spec: ProjectSpec, text: str, limit: int, token: CancelToken | None = None) -> dict[str, Any]:
        """`{"lines": [...], "more", "notices"}`: lines that hold a text as it is written."""
        return self.call("grep", None, token, project=spec.to_json(), pattern=text, limit=limit)

    def context(
        self, spec: ProjectSpec, text: str, budget_tokens: int, token: CancelToken | None = None
    ) -> dict[str, Any]:
        """What a question is given, packed to a budget: `core.projects.assistant.Given` as JSON."""
        return self.call("context", None, token, project=spec.to_json(), text=text, budget=budget_tokens)

    def status(self, spec: ProjectSpec) -> dict[str, Any]:
        """The summary of a project's index, and what is wrong with it."""
        return self.call("status", project=spec.to_json())
