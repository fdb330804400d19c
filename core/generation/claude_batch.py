"""Claude's Message Batches: half the price, an answer within a day."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core.errors import AppError
from core.generation.claude import count_tokens, new_client, parameters, read_message, trouble_of
from core.generation.provider import BatchResult, Opening, Provider, RemoteBatch, Request, Trouble
from core.generation.troubles import status_trouble
from core.workspace.files import publish_file

TTL = "1h"
COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")
_STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "timeout_error": 504,
    "overloaded_error": 529,
}  # fmt: skip

CLAUDE_BATCH = Provider(
    "claude_batch", "Claude batch", "core.generation.claude_batch:open_batches", batch=True, modes=("whole",),
    notice="Use of Claude's output to train models is subject to Anthropic's commercial terms.",
)  # fmt: skip


class ClaudeBatches:
    """See `core.generation.provider.Batches`."""

    def __init__(self, opening: Opening) -> None:
        self._model = opening.model
        # Without retries of its own: a lost reply to `create` and a second try would make two batches that are paid.
        self._client = new_client(opening.timeout_s)

    async def check(self, request: Request) -> int | None:
        """Count the tokens of a request of this shape."""
        return await count_tokens(self._client, request)

    async def create(self, requests: Sequence[Request]) -> RemoteBatch:
        """Send them once."""
        rows = [{"custom_id": request.key, "params": parameters(request, TTL)} for request in requests]
        try:
            return _remote(await self._client.messages.batches.create(requests=rows))
        except Exception as exc:
            raise trouble_of(exc, self._model) from exc

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """How it stands."""
        try:
            return _remote(await self._client.messages.batches.retrieve(batch_id))
        except Exception as exc:
            raise trouble_of(exc, self._model) from exc

    async def recent(self, since: float) -> Sequence[RemoteBatch]:
        """Batches created since then, newest first."""
        out = []
        try:
            async for batch in self._client.messages.batches.list(limit=100):
                found = _remote(batch)
                if found.created_at < since:
                    break
                out.append(found)
        except Exception as exc:
            raise trouble_of(exc, self._model) from exc
        return out

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask the service to end it early."""
        try:
            return _remote(await self._client.messages.batches.cancel(batch_id))
        except Exception as exc:
            raise trouble_of(exc, self._model) from exc

    async def download(self, batch_id: str, target: Path) -> None:
        """Write the results to a file, one JSON object a line."""
        tmp = target.with_name(f".tmp-{uuid.uuid4().hex}-{target.name}")
        try:
            with tmp.open("wb") as handle:
                try:
                    async for row in await self._client.messages.batches.results(batch_id):
                        handle.write(row.to_json(indent=None).encode() + b"\n")
                except OSError:
                    raise
                except Exception as exc:
                    raise trouble_of(exc, self._model) from exc
                handle.flush()
                os.fsync(handle.fileno())
            publish_file(tmp, target)
        finally:
            tmp.unlink(missing_ok=True)

    async def results(self, path: Path) -> AsyncIterator[BatchResult]:
        """The lines of a downloaded file."""
        with path.open("rb") as handle:
            for line in handle:
                if line.strip():
                    yield _result(json.loads(line, object_hook=lambda d: SimpleNamespace(**d)), self._model)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _remote(batch: Any) -> RemoteBatch:
    if isinstance(batch, str) or not getattr(batch, "id", None):
        from core.generation.troubles import trouble_not_the_service

        raise trouble_not_the_service(batch)
    counts = {name: int(getattr(batch.request_counts, name, 0) or 0) for name in COUNTS}
    return RemoteBatch(batch.id, batch.processing_status == "ended", counts, batch.created_at.timestamp())


def _result(row: Any, model: str) -> BatchResult:
    kind = getattr(row.result, "type", "")
    if kind == "succeeded":
        return BatchResult(row.custom_id, read_message(row.result.message, tier="batch", ttl=TTL))
    if kind == "errored":
        return BatchResult(row.custom_id, trouble=_errored(row.result, model).error)
    if kind == "expired":
        error = AppError(
            "batch_expired", "The batch expired before this conversation's turn came.",
            hint="Retry it; the service was too busy. It was not charged.", action="generate:retry",
        )  # fmt: skip
        return BatchResult(row.custom_id, trouble=error, not_run=True)
    return BatchResult(row.custom_id, not_run=True)


def _errored(result: Any, model: str) -> Trouble:
    outer = getattr(result, "error", None)
    error = getattr(outer, "error", outer)
    kind = str(getattr(error, "type", "") or "")
    text = str(getattr(error, "message", "") or "")
    return status_trouble(_STATUS.get(kind, 500), kind, "", text, {}, model)


def open_batches(opening: Opening) -> ClaudeBatches:
    """The registry's opener."""
    return ClaudeBatches(opening)
