"""What every provider speaks: a request, its reply, and what can go wrong. Registered in `registries.PROVIDERS`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import orjson

from core.errors import AppError
from core.generation.models import ModelFacts
from core.generation.prices import Usage

# What the service adds to a request with a schema, in tokens, generously.
HIDDEN_TOKENS = 600


@dataclass(frozen=True)
class Request:
    """One call. `key` is unique within a run: item, turn (0 for a whole conversation), attempt.

    `system` are stable blocks; with `cache` the provider marks the end of the last one. `messages` end with the user.
    """

    key: str
    item_id: str
    turn: int
    model: str
    system: tuple[str, ...]
    messages: tuple[Mapping[str, str], ...]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    effort: str | None = None
    thinking: Mapping[str, Any] | None = None
    cache: bool = False
    seed: int = 0

    @property
    def most_prompt_tokens(self) -> int:
        """An upper bound of the prompt's tokens: no token is shorter than a byte."""
        size = sum(len(text.encode()) for text in self.system)
        size += sum(len(message["content"].encode()) + 16 for message in self.messages)
        return size + (len(orjson.dumps(dict(self.schema))) if self.schema else 0) + HIDDEN_TOKENS

    def asked(self) -> dict[str, Any]:
        """What was asked, for the record of a failure; the stable system text is in the batch."""
        return {
            "model": self.model, "max_tokens": self.max_tokens, "effort": self.effort, "turn": self.turn,
            "messages": [dict(message) for message in self.messages],
        }  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """What came back. `stop_reason` None: the stream ended early. `category` and `explanation` are a refusal's."""

    text: str
    stop_reason: str | None
    usage: Usage
    model: str = ""
    message_id: str = ""
    request_id: str = ""
    category: str = ""
    explanation: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in an event."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reply:
        """The reverse of `to_json`."""
        return cls(**{**data, "usage": Usage.from_json(data["usage"])})


class Scope(StrEnum):
    """Whom a trouble concerns: the request may be sent again, its conversation is given up, or the run ends."""

    RETRY = "retry"
    ITEM = "item"
    RUN = "run"


class Trouble(Exception):  # noqa: N818 - it may be a wait, not an error
    """A request without a reply. `error` is what the user reads when nothing helps.

    `charged`: the request may have been paid for although no reply came; `usage` is then what is known of it.
    `retry_after_s` is the service's wish. `slow_down`: fewer requests at once. `raw` is what came instead of a reply.
    """

    def __init__(
        self,
        error: AppError,
        scope: Scope,
        *,
        charged: bool = False,
        usage: Usage | None = None,
        retry_after_s: float | None = None,
        slow_down: bool = False,
        request_id: str = "",
        raw: str = "",
    ) -> None:
        super().__init__(error.message)
        self.error, self.scope, self.charged, self.usage = error, scope, charged, usage
        self.retry_after_s, self.slow_down, self.request_id, self.raw = retry_after_s, slow_down, request_id, raw


@dataclass(frozen=True)
class Limits:
    """What the service said of its rate limits with a reply; None where it said nothing."""

    requests_remaining: int | None = None
    requests_limit: int | None = None


class Live(Protocol):
    """An open provider that answers one request at a time, from one event loop."""

    async def send(self, request: Request) -> Reply:
        """Send once, without retries. Raises Trouble."""
        ...

    def limits(self) -> Limits:
        """The newest rate limits seen."""
        ...

    async def close(self) -> None:
        """Give back connections or memory."""
        ...


@dataclass(frozen=True)
class RemoteBatch:
    """A batch at the service. `counts` by processing, succeeded, errored, canceled, expired."""

    id: str
    ended: bool
    counts: Mapping[str, int]
    created_at: float

    @property
    def total(self) -> int:
        """Requests in it."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class BatchResult:
    """One line of a batch's results: a reply, or why there is none (`trouble` None and `reply` None: not run)."""

    key: str
    reply: Reply | None = None
    trouble: AppError | None = None
    not_run: bool = False


class Batches(Protocol):
    """An open provider that takes many requests at once and answers within a day."""

    async def check(self, request: Request) -> int | None:
        """Let the service look at a request of this shape for nothing; its prompt tokens, None if it can't say."""
        ...

    async def create(self, requests: Sequence[Request]) -> RemoteBatch:
        """Send them. Never sent twice by itself. Raises Trouble; `charged` when the batch may be there all the same."""
        ...

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """How it stands. Raises Trouble."""
        ...

    async def recent(self, since: float) -> Sequence[RemoteBatch]:
        """Batches created since then (seconds since the epoch), newest first. Raises Trouble."""
        ...

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask the service to end it early. Raises Trouble."""
        ...

    async def download(self, batch_id: str, target: Path) -> None:
        """Write the results to a file, whole or not at all. Raises Trouble."""
        ...

    def results(self, path: Path) -> AsyncIterator[BatchResult]:
        """The lines of a downloaded file, in any order."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


@dataclass(frozen=True)
class Provider:
    """One entry of the registry; light to import. `opener` is the dotted path of `open(settings) -> Live | Batches`.

    `batch`: takes many requests at once. `paid`: costs money and needs a key. `modes` are the ways it can write,
    the first one by default. `job_kind` names the lane it runs in.
    """

    name: str
    label: str
    opener: str
    job_kind: str = "generate"
    batch: bool = False
    paid: bool = True
    structured: bool = True
    modes: tuple[str, ...] = ("whole", "turns")
    notice: str = ""


def _nobody_asks(_size_bytes: int) -> None:
    pass


@dataclass(frozen=True)
class Opening:
    """What a provider is opened with; plain data out of the job's settings."""

    model: str
    facts: ModelFacts
    timeout_s: float = 300.0
    base: Mapping[str, Any] = field(default_factory=dict)
    run_dir: Path = Path()
    # Told how much memory a local model has taken.
    hold: Callable[[int], None] = _nobody_asks
