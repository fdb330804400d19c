"""The parent's side of the inference worker without Qt: blocking calls for the command line and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import registries
from core.cancel import CancelToken
from core.inference.engine import AdapterRef, Answer, EngineOptions, GenerateRequest
from core.workers.client import WorkerClient


class InferenceClient(WorkerClient):
    """Owns one inference worker; used as a context manager, from one thread."""

    WORKER = "inference"
    WHO = "The model's process"

    def __init__(self, log: Path | None = None, options: EngineOptions | None = None) -> None:
        super().__init__(
            {"registries": registries.snapshot(), "options": (options or EngineOptions()).to_json()}, log
        )  # fmt: skip

    def load(self, base: Path, engine: str = "mlx", token: CancelToken | None = None) -> Mapping[str, Any]:
        """Load a base model."""
        return self.call("load", None, token, base=str(base), engine=engine)

    def generate(
        self, request: GenerateRequest, token: CancelToken | None = None, heard: Callable[[str], None] | None = None
    ) -> tuple[str, Mapping[str, Any]]:
        """The whole answer and its stats; `heard` gets it as it comes. Raises Cancelled when `token` asks to end it."""
        parts: list[str] = []

        def told(message: Mapping[str, Any]) -> None:
            if message["type"] == "token":
                parts.append(message["text"])
                if heard is not None:
                    heard(message["text"])

        result = self.call("generate", told, token, request=request.to_json())
        return "".join(parts), result

    def answers(self, request: GenerateRequest, count: int, token: CancelToken | None = None) -> list[Answer]:
        """So many answers to one question; those that were not ready when `token` asked to end are cut there."""
        found = self.call("answers", None, token, request=request.to_json(), count=count)
        return [Answer(**answer) for answer in found["answers"]]

    def score(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], adapter: AdapterRef | None = None
    ) -> list[list[float]]:
        """Log-probabilities of each conversation's supervised tokens."""
        reference = asdict(adapter) if adapter else None
        found = self.call("score", conversations=[list(messages) for messages in conversations], adapter=reference)
        return [list(values) for values in found["logprobs"]]
