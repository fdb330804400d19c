"""Claude, one request at a time, through the `anthropic` client; imported in workers only, since it takes a second.

Key and address are always given to the client, or it would look for others in the environment and in profiles.
`create` and `stream` alone are used: `parse` loses the usage of a reply that it can't read.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

from core.generation.models import ModelFacts, from_api
from core.generation.prices import Usage
from core.generation.provider import Limits, Opening, Provider, Reply, Request, Trouble
from core.generation.troubles import (
    NEVER_SENT,
    status_trouble,
    trouble_before_reply,
    trouble_broken_json,
    trouble_mid_stream,
    trouble_not_the_service,
    trouble_timeout,
)
from core.workspace.secrets import DEFAULT_URL, anthropic_credentials

# A read timeout is between bytes: what may take long is streamed, so that silence means trouble.
STREAM_ABOVE = 4_000
CONNECT_S = 10.0

CLAUDE = Provider(
    "claude", "Claude", "core.generation.claude:open_live",
    notice="Use of Claude's output to train models is subject to Anthropic's commercial terms.",
)  # fmt: skip


def new_client(timeout_s: float) -> Any:
    """A client with the user's key. Raises AppError `no_key` and those of the keychain."""
    import anthropic

    found = anthropic_credentials()
    # Its debug log prints prompts.
    logging.getLogger("anthropic").setLevel(logging.WARNING)
    # What a deprecated model means is said in the window, with a date and a replacement.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="anthropic")
    warnings.filterwarnings("ignore", message="The model .* is deprecated", category=DeprecationWarning)
    return anthropic.AsyncAnthropic(
        api_key=found.api_key, base_url=found.base_url, max_retries=0, open_telemetry=False,
        timeout=anthropic.Timeout(timeout_s, connect=CONNECT_S),
    )  # fmt: skip


def _address(exc: Any) -> str:
    """Where a request went, if it was not to Anthropic itself."""
    url = str(exc.request.url.copy_with(path="", query=None)) if exc.request is not None else ""
    return "" if url.startswith(DEFAULT_URL) else url.rstrip("/")


def parameters(request: Request, ttl: str = "") -> dict[str, Any]:
    """The request as arguments of `messages.create`, and as `params` of a batch. `ttl` of the cache: "" or 1h."""
    system: list[dict[str, Any]] = [{"type": "text", "text": text} for text in request.system]
    if request.cache and system:
        system[-1]["cache_control"] = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    config: dict[str, Any] = {}
    if request.effort:
        config["effort"] = request.effort
    if request.schema:
        config["format"] = {"type": "json_schema", "schema": dict(request.schema)}
    out: dict[str, Any] = {
        "model": request.model, "max_tokens": request.max_tokens, "messages": [dict(m) for m in request.messages],
    }  # fmt: skip
    for name, value in (("system", system), ("output_config", config), ("thinking", request.thinking)):
        if value:
            out[name] = dict(value) if isinstance(value, Mapping) else value
    return out


def usage_of(usage: Any, tier: str = "", ttl: str = "") -> Usage:
    """The tokens of a reply; what the service leaves out counts as none."""

    def number(part: Any, name: str) -> int:
        value = getattr(part, name, None)
        return int(value) if isinstance(value, (int, float)) else 0

    written = number(usage, "cache_creation_input_tokens")
    by_ttl = getattr(usage, "cache_creation", None)
    five, hour = number(by_ttl, "ephemeral_5m_input_tokens"), number(by_ttl, "ephemeral_1h_input_tokens")
    if five + hour == 0:
        five, hour = (0, written) if ttl == "1h" else (written, 0)
    return Usage(
        input_tokens=number(usage, "input_tokens"), output_tokens=number(usage, "output_tokens"),
        cache_write_5m_tokens=five, cache_write_1h_tokens=hour,
        cache_read_tokens=number(usage, "cache_read_input_tokens"),
        thinking_tokens=number(getattr(usage, "output_tokens_details", None), "thinking_tokens"),
        service_tier=str(getattr(usage, "service_tier", None) or tier or "standard"),
        inference_geo=str(getattr(usage, "inference_geo", None) or ""),
    )  # fmt: skip


def reply_of(message: Any, request_id: str = "", tier: str = "", ttl: str = "") -> Reply:
    """A `Message` as a reply. Raises Trouble for anything else: a page of a captive portal, JSON of somebody else."""
    from anthropic.types import Message

    whole = isinstance(message, Message) and isinstance(getattr(message, "content", None), list)
    if not whole or getattr(message, "usage", None) is None:
        raise trouble_not_the_service(message)
    return read_message(message, request_id, tier, ttl)


def read_message(message: Any, request_id: str = "", tier: str = "", ttl: str = "") -> Reply:
    """A message, as the client gives it or as plain attributes out of a file, as a reply."""
    # A thinking block may come before the text.
    text = "".join(getattr(b, "text", None) or "" for b in message.content if getattr(b, "type", "") == "text")
    details = getattr(message, "stop_details", None)
    return Reply(
        text, getattr(message, "stop_reason", None), usage_of(message.usage, tier, ttl),
        str(getattr(message, "model", None) or ""), str(getattr(message, "id", None) or ""),
        request_id or str(getattr(message, "_request_id", None) or ""),
        str(getattr(details, "category", None) or ""), str(getattr(details, "explanation", None) or ""),
    )  # fmt: skip


def trouble_of(exc: BaseException, model: str, usage: Usage | None = None) -> Trouble:
    """Whatever the client raised as Trouble; `usage` is what a broken stream had reported."""
    import json

    import anthropic

    if isinstance(exc, Trouble):
        return exc
    if isinstance(exc, anthropic.APIStatusError):
        if exc.status_code == 200:
            return trouble_mid_stream(exc.type or "", exc.api_message or "", usage, exc.request_id or "")
        return status_trouble(
            exc.status_code, exc.type or "", exc.error_code or "", exc.api_message or "", exc.response.headers,
            model, exc.request_id or "",
        )  # fmt: skip
    if isinstance(exc, anthropic.APIConnectionError):
        cause = type(exc.__cause__).__name__
        if isinstance(exc, anthropic.APITimeoutError) and cause not in NEVER_SENT:
            return trouble_timeout()
        return trouble_before_reply(cause, charged=cause not in NEVER_SENT, address=_address(exc))
    if isinstance(exc, json.JSONDecodeError):
        return trouble_broken_json(exc.doc)
    if type(exc).__module__.split(".")[0] in ("httpx2", "httpcore2", "h11") or isinstance(exc, AssertionError):
        return trouble_mid_stream("", type(exc).__name__, usage)
    raise exc


class ClaudeLive:
    """See `core.generation.provider.Live`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._client = new_client(opening.timeout_s)
        self._limits = Limits()

    async def send(self, request: Request) -> Reply:
        """Send once."""
        arguments = parameters(request)
        if request.max_tokens > STREAM_ABOVE:
            return await self._stream(arguments)
        try:
            raw = await self._client.messages.with_raw_response.create(**arguments)
            self._note(raw.headers)
            body = await raw.text()
            try:
                message = await raw.parse()
            except ValueError as exc:
                raise trouble_broken_json(body) from exc
            return reply_of(message, str(raw.headers.get("request-id") or ""))
        except Exception as exc:
            raise trouble_of(exc, request.model) from exc

    async def _stream(self, arguments: Mapping[str, Any]) -> Reply:
        seen: Usage | None = None
        try:
            async with self._client.messages.stream(**arguments) as stream:
                self._note(stream.response.headers)
                async for event in stream:
                    if event.type == "message_start":
                        seen = usage_of(event.message.usage)
                    elif event.type == "message_delta" and seen is not None:
                        seen = Usage(**{**seen.to_json(), "output_tokens": int(event.usage.output_tokens or 0)})
                message = await stream.get_final_message()
                if getattr(message, "stop_reason", None) is None:
                    # It ended before its usage was complete, so what it cost is not known.
                    raise trouble_mid_stream("", "no end", seen, str(stream.request_id or ""))
                return reply_of(message, str(stream.request_id or ""))
        except Exception as exc:
            raise trouble_of(exc, str(arguments["model"]), seen) from exc

    def _note(self, headers: Any) -> None:
        def number(name: str) -> int | None:
            text = str(headers.get(f"anthropic-ratelimit-requests-{name}") or "")
            return int(text) if text.isdigit() else None

        if (remaining := number("remaining")) is not None:
            self._limits = Limits(remaining, number("limit"))

    def limits(self) -> Limits:
        """The newest rate limits seen."""
        return self._limits

    async def facts(self) -> ModelFacts | None:
        """What the service says of the model; None where it can't be asked."""
        try:
            return from_api(await self._client.models.retrieve(self._opening.model))
        except Exception:
            logging.getLogger(__name__).info("the model could not be looked up")
            return None

    async def count_tokens(self, request: Request) -> int | None:
        """Prompt tokens of a request; None where the service can't say. Raises Trouble when it refuses the request."""
        return await count_tokens(self._client, request)

    async def list_models(self) -> list[ModelFacts]:
        """Every model of the account, as facts. Raises Trouble."""
        try:
            return [from_api(info) async for info in self._client.models.list(limit=100)]
        except Exception as exc:
            raise trouble_of(exc, self._opening.model) from exc

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


async def count_tokens(client: Any, request: Request) -> int | None:
    """See `ClaudeLive.count_tokens`."""
    arguments = {key: value for key, value in parameters(request).items() if key != "max_tokens"}
    try:
        counted = await client.messages.count_tokens(**arguments)
        return int(counted.input_tokens)
    except Exception as exc:
        trouble = trouble_of(exc, request.model)
        # A gateway may lack the route; whatever else is wrong will be said again by the request itself.
        if trouble.error.code in ("bad_request", "bad_key", "no_permission", "billing"):
            raise trouble from exc
        return None


def open_live(opening: Opening) -> ClaudeLive:
    """The registry's opener."""
    return ClaudeLive(opening)
