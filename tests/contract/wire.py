"""What the service checks and counts: the rules of requests, schemas and batches, tokens, the prompt cache."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSIONS = ("2026-10-21", "2023-06-01")
TOP = {
    "model", "max_tokens", "messages", "system", "stream", "output_config", "thinking", "cache_control", "container",
    "diagnostics", "inference_geo", "metadata", "service_tier", "speed", "stop_sequences", "tool_choice", "tools",
}  # fmt: skip
SCHEMA_KEYS = {
    "type", "properties", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "default", "required",
    "additionalProperties", "description", "title", "format", "minItems", "pattern",
}  # fmt: skip
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
EFFORTS = ("low", "medium", "high", "xhigh", "max")
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True)
class Model:
    """What one model takes."""

    thinking: tuple[str, ...]
    effort: bool
    most: int
    cache_least: int
    context: int = 1_000_000
    lifecycle: str = "active"
    retires_at: str | None = None


MODELS = {
    "claude-sonnet-5-5": Model(("adaptive", "between_tools"), True, 128_000, 512),
    "claude-haiku-5-5": Model(("adaptive", "disabled"), True, 128_000, 512),
    "claude-opus-5-5": Model(("adaptive",), True, 128_000, 512),
    "claude-haiku-4-5": Model(("enabled",), False, 64_000, 4_096, 200_000),
    "claude-sonnet-4-5-20250929": Model(
        ("enabled",), False, 64_000, 1_024, 200_000, "deprecated", "2026-11-30T00:00:00Z"
    ),
    "claude-fable-5-2": Model(("adaptive",), True, 128_000, 512),
}


class Refused(Exception):  # noqa: N818 - the service's answer, not a fault
    """A request that the service does not take."""

    def __init__(self, status: int, kind: str, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.code = status, kind, message, code

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"type": self.kind, "message": self.message}
        return {"type": "error", "error": error | ({"details": {"error_code": self.code}} if self.code else {})}


def bad(message: str) -> Refused:
    return Refused(400, "invalid_request_error", message)


def check_request(body: Any, *, counting: bool = False, batched: bool = False) -> Model:
    """The model of a request that is in order. Raises Refused."""
    if not isinstance(body, dict):
        raise bad("the body has to be an object")
    for name in body:
        if name not in TOP:
            raise bad(f"{name}: Extra inputs are not permitted")
    if counting and "max_tokens" in body:
        raise bad("max_tokens: Extra inputs are not permitted")
    if batched and "stream" in body:
        raise bad("stream: not permitted in a batch")
    model = MODELS.get(body.get("model", ""))
    if model is None:
        raise Refused(404, "not_found_error", f"model: {body.get('model')}")
    if not counting and not (isinstance(body.get("max_tokens"), int) and 1 <= body["max_tokens"] <= model.most):
        raise bad(f"max_tokens: {body.get('max_tokens')!r}")
    _check_messages(body.get("messages"))
    _check_system(body.get("system", []))
    _check_thinking(body, model)
    config = body.get("output_config", {})
    if not isinstance(config, dict) or set(config) - {"effort", "format"}:
        raise bad("output_config: Extra inputs are not permitted")
    if (form := config.get("format")) is not None:
        if not isinstance(form, dict) or set(form) != {"type", "schema"} or form["type"] != "json_schema":
            raise bad("output_config.format: type json_schema with a schema")
        count = {"optional": 0, "union": 0}
        check_schema(form["schema"], "schema", count)
        if count["optional"] > 24 or count["union"] > 16:
            raise bad("Schema is too complex for compilation")
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        raise bad("tool_choice: forced tool use is not supported")
    return model


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise bad("messages: at least one message is required")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) - {"role", "content"}:
            raise bad(f"messages.{index}: Extra inputs are not permitted")
        if message.get("role") not in ("user", "assistant"):
            raise bad(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        if not isinstance(message.get("content"), (str, list)) or not message["content"]:
            raise bad(f"messages.{index}.content: content must be non-empty")
    if messages[0]["role"] != "user":
        raise bad("messages: first message must use the user role")
    if messages[-1]["role"] != "user":
        raise bad("This model does not support assistant message prefill.")


def _check_system(system: Any) -> None:
    if isinstance(system, str):
        return
    if not isinstance(system, list):
        raise bad("system: a string or a list of blocks")
    marks = 0
    for index, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text" or not block.get("text"):
            raise bad(f"system.{index}: text blocks with text")
        if set(block) - {"type", "text", "cache_control"}:
            raise bad(f"system.{index}: Extra inputs are not permitted")
        if (mark := block.get("cache_control")) is not None:
            marks += 1
            if mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in ("5m", "1h"):
                raise bad(f"system.{index}.cache_control: ephemeral, 5m or 1h")
    if marks > 4:
        raise bad("A maximum of 4 blocks with cache_control may be provided.")


def _check_thinking(body: Mapping[str, Any], model: Model) -> None:
    thinking, effort = body.get("thinking"), body.get("output_config", {}).get("effort")
    if effort is not None and (not model.effort or effort not in EFFORTS):
        raise bad("output_config.effort: this model does not support the effort parameter")
    if thinking is None:
        return
    kind = thinking.get("type")
    if kind not in model.thinking:
        raise bad(f"thinking.type: {kind!r} is not supported by this model")
    if kind in ("disabled", "between_tools") and (set(thinking) != {"type"} or effort in ("xhigh", "max")):
        raise bad("thinking: can't be turned off with these settings")


def check_schema(schema: Any, place: str, count: dict[str, int]) -> None:
    if not isinstance(schema, dict):
        raise bad(f"{place}: a schema has to be an object")
    for key in schema:
        if key not in SCHEMA_KEYS:
            raise bad(f"{place}: For '{schema.get('type')}' type, property '{key}' is not supported")
    kind = schema.get("type")
    count["union"] += int(isinstance(kind, list) or "anyOf" in schema)
    if kind == "object":
        if schema.get("additionalProperties") is not False:
            raise bad(f"{place}: For 'object' type, 'additionalProperties' must be explicitly set to false")
        properties = schema.get("properties", {})
        count["optional"] += len(set(properties) - set(schema.get("required", [])))
        for name, part in properties.items():
            check_schema(part, f"{place}.{name}", count)
    if kind == "array":
        if schema.get("minItems", 0) not in (0, 1):
            raise bad(f"{place}: For 'array' type, 'minItems' values other than 0 or 1 are not supported")
        check_schema(schema.get("items", {}), f"{place}[]", count)
    if schema.get("format", "uuid") not in FORMATS:
        raise bad(f"{place}: format {schema['format']} is not supported")


def tokens_of(text: str) -> int:
    """A count that is as good as another, and never more than the bytes."""
    return max(1, (len(text.encode()) + 3) // 4)


class PromptCache:
    """Which prefixes are cached: model, system text up to the last mark, schema and effort."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._guard = threading.Lock()

    def usage(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        """The input side of `usage`."""
        system = body.get("system", [])
        blocks = [{"type": "text", "text": system}] if isinstance(system, str) else list(system)
        marks = [index for index, block in enumerate(blocks) if block.get("cache_control")]
        config = json.dumps(body.get("output_config", {}), sort_keys=True)
        total = sum(tokens_of(block["text"]) for block in blocks) + tokens_of(config)
        total += sum(tokens_of(json.dumps(m["content"])) for m in body["messages"]) + 40
        written = read = 0
        ttl = "5m"
        if marks:
            prefix = blocks[: marks[-1] + 1]
            ttl = prefix[-1]["cache_control"].get("ttl", "5m")
            size = sum(tokens_of(block["text"]) for block in prefix)
            texts = [block["text"] for block in prefix]
            key = hashlib.sha256(json.dumps([body["model"], texts, config, ttl]).encode()).hexdigest()
            if size >= model.cache_least:
                with self._guard:
                    read, written = (size, 0) if key in self._known else (0, size)
                    self._known.add(key)
        by_ttl = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
        by_ttl[f"ephemeral_{ttl}_input_tokens"] = written
        return {
            "input_tokens": total - written - read, "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read, "cache_creation": by_ttl,
        }  # fmt: skip
