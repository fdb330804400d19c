"""A local server that speaks the wire format of the Messages API, for the real client: records, rules, failures.

`with AnthropicServer() as server:` listens on 127.0.0.1 at a free port. `server.script(...)` says what happens to which
request; `server.answered` holds every reply that went out whole, with its usage.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

from core.generation.prices import Usage, shipped
from tests.contract.wire import CUSTOM_ID, MODELS, VERSIONS, Model, PromptCache, Refused, bad, check_request, tokens_of
from tests.contract.writer import answer

KEY = "sk-ant-test-0123456789"


@dataclass(frozen=True)
class Act:
    """What happens to one request instead of an ordinary reply."""

    kind: str
    status: int = 0
    error: str = ""
    code: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    text: str = ""
    seconds: float = 0.0


def fail(status: int, error: str = "api_error", *, code: str = "", **headers: str) -> Act:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Act("fail", status, error, code, named)


REFUSE = Act("refuse", text="reasoning_extraction")
TRUNCATE, MALFORMED, DROP, DROP_AFTER = Act("truncate"), Act("malformed"), Act("drop"), Act("drop_after")
PORTAL, OTHER_JSON, CUT_STREAM, STREAM_ERROR = Act("portal"), Act("other_json"), Act("cut_stream"), Act("stream_error")
CONTEXT, BROKEN_BODY = Act("context"), Act("broken_body")


def say(text: str) -> Act:
    return Act("say", text=text)


def slow(seconds: float) -> Act:
    return Act("slow", seconds=seconds)


@dataclass
class Answered:
    """One reply that went out whole."""

    request_id: str
    model: str
    usage: dict[str, Any]
    batch: str = ""
    at: float = 0.0

    @property
    def cost(self) -> Decimal | None:
        by_ttl = self.usage["cache_creation"]
        usage = Usage(
            self.usage["input_tokens"], self.usage["output_tokens"], by_ttl["ephemeral_5m_input_tokens"],
            by_ttl["ephemeral_1h_input_tokens"], self.usage["cache_read_input_tokens"],
            service_tier=self.usage["service_tier"],
        )  # fmt: skip
        return shipped().cost(self.model, usage, datetime.now(UTC).date())


@dataclass
class Batch:
    """One message batch."""

    id: str
    requests: list[dict[str, Any]]
    created: float
    results: list[dict[str, Any]] = field(default_factory=list)
    status: str = "in_progress"
    counts: dict[str, int] = field(default_factory=dict)


Script = Callable[[int, dict[str, Any]], Act | None]


class AnthropicServer:
    """See the module. `latency_s` is what a reply takes, `most_at_once` more than that many are refused with 429."""

    def __init__(
        self, *, latency_s: float = 0.0, most_at_once: int = 0, batch_s: float = 0.0, thinking_tokens: int = 0
    ) -> None:
        self.latency_s, self.most_at_once, self.batch_s = latency_s, most_at_once, batch_s
        self.thinking_tokens = thinking_tokens
        self.key = KEY
        self.answered: list[Answered] = []
        self.asked: list[dict[str, Any]] = []
        self.hung_up = 0
        self.busiest = 0
        self.batches: dict[str, Batch] = {}
        self.lose_create = False
        self.down = False
        self._scripts: list[Script] = []
        self._busy = self._ordinal = self._ids = 0
        self._guard = threading.Lock()
        self._cache = PromptCache()

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

        outer = self

        class Handler(_Handler):
            server_state = outer

        self._http = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def environment(self) -> dict[str, str]:
        return {"ANTHROPIC_API_KEY": self.key, "ANTHROPIC_BASE_URL": self.url}

    def __enter__(self) -> AnthropicServer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    # What happens to whom

    def script(
        self, *acts: Act | None, every: Act | None = None, where: Callable[[dict[str, Any]], bool] | None = None
    ) -> None:
        """The next requests in order get `acts` (None: an ordinary reply), then all get `every`."""
        left = list(acts)
        guard = threading.Lock()

        def act(_ordinal: int, body: dict[str, Any]) -> Act | None:
            if where is not None and not where(body):
                return None
            with guard:
                return left.pop(0) if left else every

        self._scripts = [act]

    def by_prompt(self, needle: str, acts: Iterable[Act]) -> None:
        """Requests whose prompt has `needle` get `acts`, one after the other; others are not touched."""
        left, guard = list(acts), threading.Lock()

        def act(_ordinal: int, body: dict[str, Any]) -> Act | None:
            if needle not in json.dumps(body["messages"]):
                return None
            with guard:
                return left.pop(0) if left else None

        self._scripts.append(act)

    def clear(self) -> None:
        self._scripts = []

    @property
    def spent(self) -> Decimal:
        return sum((entry.cost or Decimal(0) for entry in list(self.answered)), Decimal(0))

    # Serving

    def new_id(self, prefix: str) -> str:
        with self._guard:
            self._ids += 1
            return f"{prefix}_{self._ids:08d}"

    def enter(self) -> tuple[int, bool]:
        with self._guard:
            self._busy += 1
            self._ordinal += 1
            self.busiest = max(self.busiest, self._busy)
            return self._ordinal, bool(self.most_at_once) and self._busy > self.most_at_once

    def leave(self) -> None:
        with self._guard:
            self._busy -= 1

    def act_for(self, ordinal: int, body: dict[str, Any]) -> Act | None:
        for script in list(self._scripts):
            if (act := script(ordinal, body)) is not None:
                return act
        return None

    def message(self, body: dict[str, Any], model: Model, ordinal: int, act: Act | None, tier: str) -> dict[str, Any]:
        """The reply as a `Message`."""
        text, reason, details = answer(body, ordinal), "end_turn", None
        kind = act.kind if act else ""
        if kind == "say":
            text = act.text if act else ""
        elif kind == "refuse":
            text, reason = "", "refusal"
            details = {"type": "refusal", "category": act.text if act else None, "explanation": "Not in this form."}
        elif kind == "context":
            text, reason = "", "model_context_window_exceeded"
        thinking = bool(self.thinking_tokens) and body.get("thinking", {}).get("type", "adaptive") == "adaptive"
        thought = self.thinking_tokens if thinking and "adaptive" in model.thinking else 0
        output = tokens_of(text) + thought
        if kind == "truncate" or output > body["max_tokens"]:
            output, reason = body["max_tokens"], "max_tokens"
            text = text[: max(1, 4 * (output - thought))] if kind != "truncate" else text[: len(text) // 2]
        content: list[dict[str, Any]] = [{"type": "text", "text": text, "citations": None}] if text else []
        if thought:
            content.insert(0, {"type": "thinking", "thinking": "", "signature": "c2lnbg=="})
        usage = {
            **self._cache.usage(body, model), "output_tokens": output, "service_tier": tier, "inference_geo": "global",
            "output_tokens_details": {"thinking_tokens": thought}, "server_tool_use": None, "speed": "standard",
        }  # fmt: skip
        return {
            "id": self.new_id("msg"), "type": "message", "role": "assistant", "model": body["model"],
            "content": content, "stop_reason": reason, "stop_sequence": None, "stop_details": details, "usage": usage,
            "container": None,
        }  # fmt: skip

    def record(self, request_id: str, message: dict[str, Any], batch: str = "") -> None:
        with self._guard:
            self.answered.append(Answered(request_id, message["model"], message["usage"], batch, time.time()))

    # Batches

    def batch_json(self, batch: Batch, host: str) -> dict[str, Any]:
        self.work_on(batch)
        done = batch.status == "ended"
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts |= batch.counts if done else {"processing": len(batch.requests)}
        created = datetime.fromtimestamp(batch.created, UTC)
        stamp = created.isoformat().replace("+00:00", "Z")
        return {
            "id": batch.id, "type": "message_batch", "processing_status": batch.status, "request_counts": counts,
            "created_at": stamp, "expires_at": (created + timedelta(days=1)).isoformat().replace("+00:00", "Z"),
            "ended_at": stamp if done else None, "cancel_initiated_at": None, "archived_at": None,
            "results_url": f"{host}/v1/messages/batches/{batch.id}/results" if done else None,
        }  # fmt: skip

    def work_on(self, batch: Batch, *, cancel: bool = False, now: bool = False) -> None:
        """Run a batch that is due; a canceled one answers the first half."""
        with self._guard:
            due = now or cancel or time.time() - batch.created >= self.batch_s
            if batch.status == "ended" or not due:
                return
            batch.status = "ended"
        for number, request in enumerate(batch.requests):
            result: dict[str, Any]
            if cancel and number >= len(batch.requests) // 2:
                result = {"type": "canceled"}
            else:
                result = self._run_batched(request["params"], batch)
            batch.results.append({"custom_id": request["custom_id"], "result": result})
            batch.counts[result["type"]] = batch.counts.get(result["type"], 0) + 1
        batch.results.reverse()

    def _run_batched(self, params: dict[str, Any], batch: Batch) -> dict[str, Any]:
        try:
            model = check_request(params, batched=True)
            with self._guard:
                self._ordinal += 1
                ordinal = self._ordinal
            act = self.act_for(ordinal, params)
            if act is not None and act.kind == "expire":
                return {"type": "expired"}
            if act is not None and act.kind == "fail":
                raise Refused(act.status, act.error, "scripted", act.code)
            message = self.message(params, model, ordinal, act, "batch")
        except Refused as refused:
            return {"type": "errored", "error": {**refused.body(), "request_id": None}}
        self.record("", message, batch.id)
        return {"type": "succeeded", "message": message}


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_state: AnthropicServer

    def log_message(self, *_args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        state = self.server_state
        size = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(size)
        if state.down:
            self._hang_up()
            return
        self.request_id = state.new_id("req")
        try:
            self._check_headers()
            body = json.loads(raw) if raw else None
            self._route(method, urlparse(self.path).path.rstrip("/"), body)
        except Refused as refused:
            self._send(refused.status, refused.body())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _check_headers(self) -> None:
        version = self.headers.get("anthropic-version")
        if version not in VERSIONS:
            raise bad(f"anthropic-version: {version!r} is not a valid version")
        if self.headers.get("authorization") != f"Bearer {self.server_state.key}":
            raise Refused(401, "authentication_error", "invalid bearer token")

    def _route(self, method: str, path: str, body: Any) -> None:
        parts = path.split("/")[1:]
        if (method, path) == ("POST", "/v1/messages"):
            self._message(body)
        elif (method, path) == ("POST", "/v1/messages/count_tokens"):
            model = check_request(body, counting=True)
            used = PromptCache().usage(body, model)
            self._send(200, {"input_tokens": used["input_tokens"] + used["cache_creation_input_tokens"]})
        elif method == "GET" and parts[:2] == ["v1", "models"]:
            self._models(parts[2:])
        elif parts[:3] == ["v1", "messages", "batches"]:
            self._batches(method, parts[3:], body)
        else:
            raise Refused(404, "not_found_error", f"no route {path}")

    def _models(self, rest: list[str]) -> None:
        if rest:
            if rest[0] not in MODELS:
                raise Refused(404, "not_found_error", f"model: {rest[0]}")
            self._send(200, _model_json(rest[0]))
            return
        rows = [_model_json(name) for name in MODELS]
        self._send(200, {"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]})

    # Messages

    def _message(self, body: Any) -> None:
        state = self.server_state
        ordinal, too_many = state.enter()
        try:
            if too_many:
                raise Refused(429, "rate_limit_error", "too many requests at once")
            model = check_request(body)
            state.asked.append(body)
            act = state.act_for(ordinal, body)
            if not self._wait(state.latency_s + (act.seconds if act else 0.0)):
                state.hung_up += 1
                self.close_connection = True
                return
            if act is not None and self._odd(act):
                return
            message = state.message(body, model, ordinal, act, "standard")
            if body.get("stream"):
                self._stream(message, act)
            else:
                self._whole(message, act)
        finally:
            state.leave()

    def _odd(self, act: Act) -> bool:
        """Failures that are no message at all; True when the request is served."""
        if act.kind == "fail":
            refused = Refused(act.status, act.error, "scripted", act.code)
            self._send(act.status, refused.body(), dict(act.headers))
        elif act.kind == "drop":
            self._hang_up()
        elif act.kind == "portal":
            self._send_bytes(200, b"<html><body>Please sign in</body></html>", "text/html")
        elif act.kind == "broken_body":
            self._send_bytes(200, b'{"id": "msg_1", "type": "message", "content": [{"ty', "application/json")
        elif act.kind == "other_json":
            self._send_bytes(200, b'{"status": "ok"}', "application/json")
        else:
            return False
        return True

    def _whole(self, message: dict[str, Any], act: Act | None) -> None:
        if act is not None and act.kind == "malformed":
            message["content"] = [{"type": "text", "text": '{"title": "Half a talk", "turns": [{"ro'}]
        if act is not None and act.kind == "drop_after":
            # Paid for, and never heard of.
            self.server_state.record(self.request_id, message)
            self._hang_up()
            return
        if self._gone():
            self.server_state.hung_up += 1
            self.close_connection = True
            return
        self.server_state.record(self.request_id, message)
        self._send(200, message)

    def _stream(self, message: dict[str, Any], act: Act | None) -> None:
        kind = act.kind if act else ""
        self.send_response(200)
        for name, value in self._headers("text/event-stream").items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        usage = message["usage"]
        start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        self._event("message_start", {"message": start})
        text = "".join(block.get("text", "") for block in message["content"] if block["type"] == "text")
        if kind == "malformed":
            text = '{"title": "Half a talk", "turns": [{"ro'
        self._event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        pieces = [text[i : i + 400] for i in range(0, len(text), 400)] or [""]
        for number, piece in enumerate(pieces):
            self._event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": piece}})
            if kind == "cut_stream" and number >= len(pieces) // 2:
                self._chunk(b"")
                self.server_state.record(self.request_id, message)
                return
            if kind == "drop_after" and number >= len(pieces) // 2:
                self.server_state.record(self.request_id, message)
                self._hang_up()
                return
            if kind == "stream_error":
                error = {"type": "overloaded_error", "message": "Overloaded"}
                self._event("error", {"error": error})
                self._chunk(b"")
                return
        self._event("content_block_stop", {"index": 0})
        delta = {"stop_reason": message["stop_reason"], "stop_sequence": None, "stop_details": message["stop_details"]}
        self._event("message_delta", {"delta": delta, "usage": {"output_tokens": usage["output_tokens"]}})
        self.server_state.record(self.request_id, message)
        self._event("message_stop", {})
        self._chunk(b"")

    def _event(self, kind: str, fields: dict[str, Any]) -> None:
        data = json.dumps({"type": kind, **fields})
        self._chunk(f"event: {kind}\ndata: {data}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    # Batches

    def _batches(self, method: str, rest: list[str], body: Any) -> None:
        state = self.server_state
        host = state.url
        if method == "POST" and not rest:
            self._create_batch(body, host)
        elif method == "GET" and not rest:
            limit = int(parse_qs(urlparse(self.path).query).get("limit", ["20"])[0])
            found = sorted(state.batches.values(), key=lambda b: b.created, reverse=True)[:limit]
            rows = [state.batch_json(batch, host) for batch in found]
            ends = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
            self._send(200, {"data": rows, "has_more": False, "first_id": ends[0], "last_id": ends[1]})
        elif rest and rest[0] not in state.batches:
            raise Refused(404, "not_found_error", "no such batch")
        elif method == "GET" and rest[1:] == ["results"]:
            batch = state.batches[rest[0]]
            if batch.status != "ended":
                raise Refused(404, "not_found_error", "results are not there yet")
            lines = b"".join(json.dumps(row).encode() + b"\n" for row in batch.results)
            self._send_bytes(200, lines, "application/x-jsonl")
        elif method == "POST" and rest[1:] == ["cancel"]:
            batch = state.batches[rest[0]]
            answer_now = state.batch_json(batch, host)
            state.work_on(batch, cancel=True)
            status = "canceling" if answer_now["processing_status"] == "in_progress" else "ended"
            self._send(200, {**answer_now, "processing_status": status})
        else:
            self._send(200, state.batch_json(state.batches[rest[0]], host))

    def _create_batch(self, body: Any, host: str) -> None:
        state = self.server_state
        requests = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(requests, list) or not requests or len(requests) > 100_000:
            raise bad("requests: between 1 and 100,000")
        ids = [request.get("custom_id", "") for request in requests]
        if len(set(ids)) != len(ids) or not all(CUSTOM_ID.fullmatch(ident) for ident in ids):
            raise bad("requests: custom_id has to be unique and match ^[a-zA-Z0-9_-]{1,64}$")
        batch = Batch(state.new_id("msgbatch"), requests, time.time())
        state.batches[batch.id] = batch
        if state.lose_create:
            state.lose_create = False
            self._hang_up()
            return
        self._send(200, state.batch_json(batch, host) if state.batch_s else {
            **state.batch_json(batch, host), "processing_status": "in_progress", "results_url": None, "ended_at": None,
        })  # fmt: skip

    # Bytes

    def _headers(self, kind: str) -> dict[str, str]:
        return {
            "content-type": kind, "request-id": self.request_id, "anthropic-organization-id": "org_test",
            "anthropic-ratelimit-requests-limit": "4000", "anthropic-ratelimit-requests-remaining": "3999",
        }  # fmt: skip

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), "application/json", headers)

    def _send_bytes(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**self._headers(kind), **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        if not readable:
            return False
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def _wait(self, seconds: float) -> bool:
        """Sleep; False when the client hung up meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._gone():
                return False
            time.sleep(min(left, 0.02))
        return True


def _model_json(name: str) -> dict[str, Any]:
    model = MODELS[name]

    def support(value: bool) -> dict[str, bool]:
        return {"supported": value}

    kinds = ("adaptive", "between_tools", "disabled", "enabled")
    levels = ("low", "medium", "high", "xhigh", "max")
    return {
        "id": name, "type": "model", "display_name": name.replace("-", " ").title(), "line": name.split("-")[1],
        "lifecycle": model.lifecycle, "created_at": "2026-01-01T00:00:00Z", "retires_at": model.retires_at,
        "deprecated_at": None, "max_input_tokens": model.context, "max_tokens": model.most,
        "capabilities": {
            "batch": support(True), "structured_outputs": support(True), "citations": support(True),
            "code_execution": support(True), "image_input": support(True), "pdf_input": support(True),
            "effort": {"supported": model.effort, **{level: support(model.effort) for level in levels}},
            "thinking": {"supported": True, "types": {kind: support(kind in model.thinking) for kind in kinds}},
            "server_tools": {"supported": False}, "context_management": {"supported": False},
        },
    }  # fmt: skip
