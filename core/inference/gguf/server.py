"""llama.cpp's server in this process (the library xllamacpp), spoken to over loopback with a key of its own.

What it is started with stays: base, adapters, slots. A slot is one conversation's place in its memory.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.errors import AppError
from core.inference.lines import Refused, streamed
from core.workers.own_log import last_lines

START_S, ANSWER_S = 60.0, 600.0


@dataclass(frozen=True)
class Start:
    """What a server is started with: room for `tokens` that `slots` conversations share.

    `exact`: attention is computed and what is read is kept in float32, as MLX does for weights in float32.
    """

    base: Path
    adapters: Sequence[Path]
    slots: int
    tokens: int
    saved: Path
    exact: bool = False


class LlamaServer:
    """One running server. Used from one thread."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self._key = secrets.token_urlsafe(24)
        self._server = _started(start, self._key)
        address = urlsplit(self._server.listening_address)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 0
        self._connection: http.client.HTTPConnection | None = None
        # One that is ended before its loop runs waits for ever.
        for _ in self.complete({"prompt": [0], "n_predict": 0, "id_slot": 0, "cache_prompt": False}):
            pass

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The conversation in the base's chat template, up to where the answer begins."""
        return str(self._ask("/apply-template", {"messages": [dict(message) for message in messages]})["prompt"])

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text; names of special tokens in it are those tokens."""
        found = self._ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]
        return [int(token) for token in found]

    def complete(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of `/completion`, empty ones while none comes; closing the iterator stops it.

        Raises AppError before the first.
        """
        lines = streamed(self._new(), "/completion", {**body, "stream": True}, self._signed, ANSWER_S)
        try:
            for line in lines:
                if line is None:
                    yield {}
                elif line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    event = json.loads(line[6:])
                    if "error" in event:
                        raise failed(event["error"])
                    yield event
        except Refused as exc:
            raise failed(_error_of(exc.said), f"/completion: {exc.status}") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise failed({"message": "the connection broke off"}, repr(exc)) from exc
        finally:
            # The server notices and ends the answer.
            lines.close()  # type: ignore[attr-defined]

    def save(self, slot: int, name: str) -> bool:
        """Write what a slot holds to a file of that name; False where there is nothing to write."""
        return int(self._slot(slot, "save", name).get("n_saved", 0)) > 0

    def restore(self, slot: int, name: str) -> bool:
        """Read it back into a slot."""
        return int(self._slot(slot, "restore", name).get("n_restored", 0)) > 0

    def _slot(self, slot: int, action: str, name: str) -> dict[str, Any]:
        try:
            return self._ask(f"/slots/{slot}?action={action}", {"filename": name})
        except AppError:
            # Only what would have to be read again.
            return {}

    def close(self) -> None:
        """End it; its memory is given back."""
        if self._connection is not None:
            self._connection.close()
        self._server = self._connection = None

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        for again in (True, False):
            connection = self._connection = self._connection or self._new()
            try:
                response = self._send(connection, path, body)
                found: dict[str, Any] = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as exc:
                connection.close()
                self._connection = None
                # A connection that was kept may have been closed meanwhile.
                if not again:
                    raise failed({"message": "the connection broke off"}, repr(exc)) from exc
            else:
                return found
        raise AssertionError("not reached")

    @property
    def _signed(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}

    def _new(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_S)

    def _send(
        self, connection: http.client.HTTPConnection, path: str, body: Mapping[str, Any]
    ) -> http.client.HTTPResponse:
        connection.request("POST", path, json.dumps(body), self._signed)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise failed(_error_of(response.read()), f"{path}: {response.status}")
        return response


def _error_of(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)["error"]
    except (ValueError, LookupError, TypeError):
        return {"message": data[:200].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {"message": str(found)}


def _started(start: Start, key: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(start.base)
    params.n_parallel = start.slots
    # Where a conversation needs more than is free, those of slots that rest are forgotten, and read again later.
    params.n_ctx, params.kv_unified = start.tokens, True
    if start.exact:
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        # It rounds to float16 on its way: a thousandth of a logit, which decides between words that are as likely.
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in start.adapters]
    params.lora_init_without_apply = True
    # Its cache in main memory does not know about adapters: a prompt that the base has read would be taken for one
    # that an adapter has read (llama.cpp issue 26207). What a slot holds belongs to one adapter alone.
    params.cache_ram_mib = 0
    params.api_keys = [key]
    params.ui = False
    params.warmup = False
    # Warnings and errors: otherwise its log takes eight lines an answer.
    params.verbosity = 2
    # They wait for each other at every step: with one a core, a busy core holds up all (30 times, measured on two).
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) - 1)
    params.endpoint_slots = True
    start.saved.mkdir(parents=True, exist_ok=True)
    params.slot_save_path = f"{start.saved}/"
    try:
        return xllamacpp.Server(params)
    except Exception as exc:
        raise AppError(
            "base_does_not_load", f"The base model {start.base.name} can't be loaded by llama.cpp.",
            hint="There may be too little memory, or its architecture is newer than this program; try a smaller one.",
            detail=f"{repr(exc)[:500]}\n{last_lines()}",
        ) from exc  # fmt: skip


def failed(error: Mapping[str, Any], detail: str = "") -> AppError:
    """What the server answered, in this program's words."""
    if error.get("type") == "exceed_context_size_error":
        return AppError(
            "context_full",
            f"The conversation has {error.get('n_prompt_tokens', 0):,} tokens; this model accepts at most "
            f"{error.get('n_ctx', 0):,}.",
            hint="Start a new chat, or shorten the system prompt.",
        )  # fmt: skip
    return AppError(
        "llama_failed", f"llama.cpp could not answer: {error.get('message', 'it did not say why')}.",
        hint="Ask again. If it happens again, its log is in the workspace's folder logs.",
        detail=f"{detail}\n{last_lines()}".strip(),
    )  # fmt: skip
