"""What Ollama streams: one JSON object a line, with a beat while none comes, errors as this program's."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from core.inference.lines import Refused, streamed
from core.inference.ollama.faults import broke_off, hung, other, refused, stopped

# It is quiet that long while it hashes a whole file of gigabytes at the end of a pull.
QUIET_S = 600.0


def events(address: str, path: str, body: Mapping[str, Any], doing: str) -> Iterator[dict[str, Any]]:
    """POST `body` and give what comes, empty objects while nothing does; closing it ends the request at once.

    An error in a line behind the 200 is an error. `doing` is for its words. Raises AppError.
    """
    begun = False
    lines = streamed(_connection(address), path, body, {"Content-Type": "application/json"}, QUIET_S)
    try:
        with contextlib.closing(lines):  # type: ignore[type-var]
            for line in lines:
                event = json.loads(line) if line and line.strip() else {}
                if not isinstance(event, dict):
                    raise TypeError("no object")
                if "error" in event:
                    raise refused(doing, _words(event["error"]), http.client.OK)
                begun = begun or bool(event)
                yield event
    except Refused as exc:
        raise refused(doing, _said(exc.said), exc.status) from exc
    except TimeoutError as exc:
        raise hung(address, doing, repr(exc)) from exc
    except (ConnectionResetError, BrokenPipeError) as exc:
        raise broke_off(doing, repr(exc)) from exc
    except OSError as exc:
        raise (broke_off(doing, repr(exc)) if begun else stopped(address, repr(exc))) from exc
    except http.client.IncompleteRead as exc:
        raise broke_off(doing, repr(exc)) from exc
    except (http.client.HTTPException, ValueError, TypeError, RecursionError) as exc:
        raise other(address, repr(exc)) from exc


def _connection(address: str) -> http.client.HTTPConnection:
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port)


def _said(data: bytes) -> str:
    try:
        return _words(json.loads(data)["error"])
    except (ValueError, LookupError, TypeError):
        return data[:200].decode("utf-8", "replace")


def _words(error: Any) -> str:
    """An error's text, also where it is an object with it."""
    return str(error.get("message") or error) if isinstance(error, dict) else str(error)
