"""Secrets taken out of text before it is logged, shown or sent on: API keys and what authorises a request."""

from __future__ import annotations

import logging
import re

HIDDEN = "[hidden]"
_RULES = (
    (re.compile(r"sk-ant-[A-Za-z0-9_\-]+"), HIDDEN),
    (re.compile(r"\bhf_[A-Za-z0-9]{16,}"), HIDDEN),
    # In headers, in their printed form (b'Authorization', b'Bearer ...') and in JSON.
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)(?!\[hidden\])[A-Za-z0-9._~+/=\-]{6,}"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"(?i)((?:proxy-)?authorization|x-api-key|api[_-]?key|anthropic_api_key|anthropic_auth_token)"
            r"(['\"]?\s*[:=,]\s*(?:b|u)?['\"]?)(?!(?:bearer|basic)\b|\[hidden\]|none\b|null\b)[^\s'\",;)}\]]{6,}"
        ),
        rf"\1\2{HIDDEN}",
    ),
)  # fmt: skip


def redact(text: str) -> str:
    """The text with every key and authorisation replaced by “[hidden]”; anything else stays as it is."""
    for rule, replacement in _RULES:
        text = rule.sub(replacement, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats a record, traceback included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return redact(super().format(record))
