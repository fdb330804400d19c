"""What can go wrong between here and Claude, in the user's words; without the client library."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core.errors import AppError
from core.generation.models import retirement
from core.generation.prices import Usage
from core.generation.provider import Scope, Trouble

# Why a connection failed before anything was sent, by the name of the HTTP library's error.
NEVER_SENT = (
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "UnsupportedProtocol",
    "ProxyError",
    "LocalProtocolError",
)
NETWORK, SERVICE = "no_network", "service_unavailable"
# Codes of failures that may be gone at the next try; anything else stays as it is until something is changed.
TRANSIENT = (
    NETWORK, SERVICE, "no_reply", "slow_reply", "broken_reply", "not_the_service", "rate_limited", "stream_broken",
    "batch_expired", "batch_canceled",
)  # fmt: skip


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the service asks to wait, by `retry-after-ms` or `retry-after` (seconds or a date); else None."""
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = str(headers.get(name) or "").strip()
        if not text:
            continue
        try:
            return max(0.0, float(text) * factor)
        except ValueError:
            parsed = email.utils.parsedate_tz(text)
            if parsed is not None:
                return max(0.0, email.utils.mktime_tz(parsed) - time.time())
    return None


def _error(code: str, message: str, hint: str, detail: str = "", action: str = "") -> AppError:
    return AppError(code, message, hint=hint, detail=detail, action=action)


def status_trouble(
    status: int, kind: str, error_code: str, text: str, headers: Mapping[str, str], model: str, request_id: str = ""
) -> Trouble:  # fmt: skip
    """A reply with an error status. `text` is the service's own message."""
    detail = " ".join(part for part in (f"HTTP {status}", kind, error_code, request_id, text) if part)
    wait = retry_after(headers)
    if status == 429:
        return _too_many(error_code, text, wait, detail, request_id)
    again = {"true": True, "false": False}.get(str(headers.get("x-should-retry") or "").lower())
    if (found := _fixed(status, model, detail, text)) and not (again and found[1] is Scope.ITEM):
        return Trouble(found[0], found[1], request_id=request_id)
    error = _service_error(status, kind, detail)
    if again is None:
        again = status in (408, 409) or status >= 500
    scope = Scope.RETRY if again else Scope.ITEM
    overloaded = status == 529 or kind == "overloaded_error"
    return Trouble(error, scope, retry_after_s=wait, slow_down=overloaded, request_id=request_id)


def _service_error(status: int, kind: str, detail: str) -> AppError:
    if status == 529 or kind == "overloaded_error":
        what, hint = "Claude is overloaded.", "Resume in a few minutes; what is written stays."
    elif status == 504 or status == 408:
        what, hint = "Claude took too long for a request.", "Resume, or plan fewer turns for a conversation."
    else:
        what, hint = (
            f"Claude's service has a problem (HTTP {status}).",
            "Resume in a few minutes; what is written stays.",
        )
    return _error(SERVICE, what, hint, detail, "generate:resume")


def _fixed(status: int, model: str, detail: str, text: str) -> tuple[AppError, Scope] | None:
    """Errors that no repetition helps against."""
    if status == 401:
        return _error(
            "bad_key", "Claude does not accept the API key.", "Check the key in Settings, or make a new one in the"
            " Anthropic Console, then resume.", detail, "page:settings",
        ), Scope.RUN  # fmt: skip
    if status == 402:
        return _error(
            "billing", "The Anthropic account can't be charged.", "Add credit or check the payment method in the"
            " Anthropic Console, then resume.", detail,
        ), Scope.RUN  # fmt: skip
    if status == 403:
        return _error(
            "no_permission", "The API key may not use this model or service.", "Use a key of a workspace that may, or"
            " another model, then resume.", detail, "page:settings",
        ), Scope.RUN  # fmt: skip
    if status == 404:
        return _not_found(model, detail), Scope.RUN
    if status == 413:
        return _error(
            "too_large", "The request is larger than Claude takes.", "Shorten the consultant's profile, the template or"
            " the topic.", detail, "page:scaffolding",
        ), Scope.ITEM  # fmt: skip
    if status in (400, 422):
        return _error(
            "bad_request", f"Claude refuses the request as it is: {text or 'no reason was given'}",
            "Choose another model or effort. If all of them refuse it, copy the details and send them to support.",
            detail,
        ), Scope.ITEM  # fmt: skip
    return None


def _not_found(model: str, detail: str) -> AppError:
    found = retirement(model)
    if found is not None and found[0] <= datetime.now(UTC).date():
        message = f"The model {model} was retired on {found[0].isoformat()}."
    else:
        message = f"Claude does not know the model {model}; it may have been retired."
    replacement = found[1] if found else ""
    hint = f"Choose {replacement}" if replacement else "Choose another model"
    return _error("model_retired", message, f"{hint} and start again.", detail, "page:generate")


def _too_many(error_code: str, text: str, wait: float | None, detail: str, request_id: str) -> Trouble:
    spending = "spend_limit" in error_code or error_code.startswith("contract_")
    if spending or (wait is None and "spend limit" in text.lower()):
        error = _error(
            "spend_limit", "The spending limit of the Anthropic account is reached.",
            "Raise it in the Anthropic Console, or wait for the next month, then resume.", detail,
        )  # fmt: skip
        return Trouble(error, Scope.RUN, request_id=request_id)
    error = _error(
        "rate_limited", "Claude takes no more requests for the moment" + (f", for {_span(wait)}." if wait else "."),
        "Resume later, or write fewer conversations at once; what is written stays.", detail, "generate:resume",
    )  # fmt: skip
    return Trouble(error, Scope.RETRY, retry_after_s=wait, slow_down=True, request_id=request_id)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def trouble_before_reply(cause: str, *, charged: bool, address: str = "") -> Trouble:
    """No connection, or one that was dropped before the reply came."""
    if charged:
        error = _error(
            "no_reply", "The connection was lost before the reply came.",
            "Resume when the network is steady; the reply may have been charged.", cause, "generate:resume",
        )  # fmt: skip
        return Trouble(error, Scope.RETRY, charged=True)
    if cause == "UnsupportedProtocol":
        return Trouble(_bad_address(address, cause), Scope.RUN)
    return Trouble(no_network(cause, address), Scope.RETRY)


def _bad_address(address: str, detail: str) -> AppError:
    return _error(
        "bad_address", f"Claude's address “{address}” is no web address.",
        "Correct it in Settings or in ANTHROPIC_BASE_URL; it begins with https://. Then resume.", detail,
        "page:settings",
    )  # fmt: skip


def no_network(detail: str = "", address: str = "") -> AppError:
    """Nothing can be reached; `address` where it is not Anthropic's own."""
    if address:
        return _error(
            NETWORK, f"Claude can't be reached: nothing answers at {address}.",
            "Check the address in Settings or in ANTHROPIC_BASE_URL, and the connection, then resume; what is written"
            " stays.", detail, "generate:resume",
        )  # fmt: skip
    return _error(
        NETWORK, "Claude can't be reached: there is no network connection.",
        "Check the connection, then resume; what is written stays.", detail, "generate:resume",
    )  # fmt: skip


def trouble_timeout() -> Trouble:
    """The service was silent for too long."""
    error = _error(
        "slow_reply", "Claude did not answer in time.", "Resume, or plan fewer turns for a conversation.", "",
        "generate:resume",
    )  # fmt: skip
    return Trouble(error, Scope.RETRY, charged=True)


def trouble_broken_json(raw: str) -> Trouble:
    """A reply that is no JSON at all: a web page, or one that was damaged on its way."""
    if raw.lstrip()[:1] == "<":
        return trouble_not_the_service(raw)
    error = _error(
        "broken_reply", "Claude's reply arrived damaged.", "Resume; the reply may have been charged.", "",
        "generate:resume",
    )  # fmt: skip
    return Trouble(error, Scope.RETRY, charged=True, raw=raw)


def trouble_not_the_service(value: Any) -> Trouble:
    """Something else answered: the sign-in page of a network, a proxy."""
    error = _error(
        "not_the_service", "Something else answers in Claude's place, such as the sign-in page of a network.",
        "Sign in to the network in a browser, or check the service's address in Settings, then resume.",
        type(value).__name__, "page:settings",
    )  # fmt: skip
    return Trouble(error, Scope.RETRY, raw=value if isinstance(value, str) else "")


def trouble_mid_stream(kind: str, text: str, usage: Usage | None, request_id: str = "") -> Trouble:
    """The stream broke, or the service reported an error inside of it; what it had reported is charged."""
    detail = " ".join(part for part in (kind, text, request_id) if part)
    error = _error(
        "stream_broken", "The reply broke off.", "Resume; the part that came may have been charged.", detail,
        "generate:resume",
    )  # fmt: skip
    slow = kind in ("overloaded_error", "rate_limit_error")
    return Trouble(error, Scope.RETRY, charged=True, usage=usage, slow_down=slow, request_id=request_id)
