"""The GGUF engine: a base as one GGUF file, adapters changed by a number in the request.

llama.cpp's server gets its adapters when it starts. So a few stay resident (`core.inference.residency`), each with a
slot of its own, and one slot is the base's: then a change of adapter costs nothing, and each conversation goes on where
it was. For an adapter that is not resident the server starts again on the same file, and the other slots are saved and
restored.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from core.errors import AppError
from core.inference.engine import AdapterRef, Answer, Candidate, EngineOptions, GenerateRequest, Piece, Progress, silent
from core.inference.fitting import fitted
from core.inference.gguf.adapter_file import check_adapter
from core.inference.gguf.server import LlamaServer, Start
from core.inference.mlx.adapter_file import stamp
from core.inference.one_by_one import one_by_one
from core.inference.residency import Residency
from core.models.gguf_file import GgufFile, read_gguf
from core.training.exports import Exported
from core.training.exports.gguf_layout import ARCHITECTURES
from core.training.exports.kept import gguf_of

# Of each conversation: memory for it is taken at the start, whatever the base could read.
MOST_CONTEXT = 8_192
BASE_SLOT = 0
FOLDER = "bright-run-gguf-"


class GgufEngine:
    """See `core.inference.engine.Engine`."""

    def __init__(self, options: EngineOptions | None = None, *, exact: bool = True) -> None:
        """`exact`: a base in float32 is computed in float32 throughout, which llama.cpp by itself does not do."""
        self._options, self._exact = options or EngineOptions(), exact
        self._base: GgufFile | None = None
        self._server: LlamaServer | None = None
        self._residency = Residency(self._options.limits)
        # Adapters of the running server, in its order: the number in a request, and the slot behind the base's.
        self._places: list[str] = []
        self._read: dict[str | None, int] = {}
        self._folder: Path | None = None
        self._context, self._tokens_held = 0, 0
        self._stamp: tuple[int, int] = (0, 0)
        # What was loaded when its server could not be started again.
        self._lost: Path | None = None

    def load(self, base: Path, progress: Progress | None = None) -> Mapping[str, Any]:
        """Load the file `base`; at once when it is the one that is loaded."""
        changed = file_stamp(base)
        if self._base is None or (self._base.path, self._stamp) != (base, changed):
            begun = time.monotonic()
            self.close()
            say = progress or silent
            say(0.0, "Reading the file")
            found = read_gguf(base)
            self._context = min(MOST_CONTEXT, found.number("context_length") or MOST_CONTEXT)
            self._folder = _own_folder()
            say(0.2, "Loading the weights")
            self._start(found, [])
            # Last: what failed on the way is loaded again.
            self._base, self._stamp = found, changed
            seconds = time.monotonic() - begun
        else:
            seconds = 0.0
        return {"base": str(base), "seconds": seconds, "bytes": self._bytes, "context": self._context}

    def _start(self, base: GgufFile, idents: Sequence[str]) -> None:
        assert self._folder is not None
        files = [self._file(ident) for ident in idents]
        # Pinned ones may be more than the limit; a slot that is not there is passed over without a word.
        slots = max(self._residency.limits.count, len(idents)) + 1
        self._tokens_held = tokens_for(base, slots, self._context, self._options.cache_bytes)
        self._server = LlamaServer(Start(base.path, files, slots, self._tokens_held, self._folder / "slots",
                                         self._exact and is_exact(base)))  # fmt: skip
        self._places = list(idents)

    def _file(self, ident: str) -> Path:
        assert self._folder is not None
        # Whatever an adapter is called, here it is a plain name.
        return self._folder / f"{sha256(ident.encode()).hexdigest()[:32]}.gguf"

    # Adapters

    def prepare(self, adapter: AdapterRef) -> Mapping[str, Any]:
        """Make an adapter resident; for one that is not, the server starts again."""
        begun = time.monotonic()
        base, changed = self._loaded(), stamp(adapter)
        resident = self._residency.use(adapter.id, changed)
        if not resident:
            self._admit(base, adapter, changed)
        return {"adapter": adapter.id, "was_resident": resident, "seconds": time.monotonic() - begun}

    def _admit(self, base: GgufFile, adapter: AdapterRef, changed: tuple[int, ...]) -> None:
        path = self._file(f"{adapter.id}.new")
        try:
            gguf_of(Exported(Path(adapter.path), adapter.name or adapter.id, config_of(base), base.path.name), path)
            check_adapter(read_gguf(path), base, adapter.name or adapter.id)
        except AppError as error:
            path.unlink(missing_ok=True)
            if error.code in ("can_not_export", "damaged_file", "file_error"):
                message = error.message.replace("can't be exported in this format", "can't be used on a GGUF base")
                raise AppError("bad_adapter", message, hint=error.hint, detail=error.detail) from error
            raise
        path.replace(self._file(adapter.id))
        # Of two links to one file the first stays, by the rules of rename.
        path.unlink(missing_ok=True)
        size = self._file(adapter.id).stat().st_size
        self._residency.forget(adapter.id)
        self._read.pop(adapter.id, None)
        leaving = {*self._residency.admit(adapter.id, changed, size), adapter.id}
        before = [ident for ident in self._places if ident not in leaving]
        try:
            self._restart(base, before, [*before, adapter.id])
        except AppError:
            self._without(base, adapter, before)
            raise

    def _without(self, base: GgufFile, adapter: AdapterRef, before: Sequence[str]) -> None:
        """There was no start with it: those of before answer again, or the base has to be loaded anew."""
        self._residency.forget(adapter.id)
        self._read = {}
        try:
            self._start(base, before)
        except AppError:
            self._lose(base)

    def _lose(self, base: GgufFile) -> None:
        """There is no server: the next question loads the base anew."""
        self.close()
        self._lost = base.path

    def _restart(self, base: GgufFile, kept: Sequence[str], idents: Sequence[str]) -> None:
        """The same file with other adapters; what the slots of those that stay hold comes along."""
        server = self._server
        assert server is not None
        saved = [ident for ident in (None, *kept)
                 if self._read.get(ident) and server.save(self._slot(ident), _name(ident))]  # fmt: skip
        server.close()
        self._start(base, idents)
        assert self._server is not None
        for ident in saved:
            # A slot is emptied by the first question with other scales than it had before: it gets them first.
            for _ in self._server.complete({"prompt": [0], "n_predict": 0, **self._who(ident)}):
                pass
            self._server.restore(self._slot(ident), _name(ident))
        self._read = {ident: self._read[ident] for ident in saved}

    def _slot(self, ident: str | None) -> int:
        return BASE_SLOT if ident is None else 1 + self._places.index(ident)

    def pin(self, adapters: Sequence[str]) -> None:
        """Keep these resident."""
        self._loaded()
        # What leaves is out of the server with its next start.
        self._residency.pin(adapters)

    # Answers

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        """Stream one answer, in the slot of whoever gives it."""
        self._loaded()
        begun = time.monotonic()
        resident = True
        if request.adapter is not None:
            resident = bool(self.prepare(request.adapter)["was_resident"])
        ident = request.adapter.id if request.adapter else None
        self._residency.activate(ident)
        switch_s = time.monotonic() - begun
        messages, left_out = self._fitted(request)
        prompt = self._tokens(messages)
        body = self._body(request, ident, prompt)
        assert self._server is not None
        first: float | None = None
        events = self._server.complete(body)
        self._read[ident] = len(prompt)
        try:
            for event in events:
                if not event:
                    # It still reads: whoever listens may stop it now.
                    yield Piece("")
                    continue
                first = first if first is not None else time.monotonic() - begun
                if not event.get("stop"):
                    yield _piece(event, request.logprobs)
                    continue
                times = event.get("timings", {})
                stats = {
                    "prompt_tokens": len(prompt), "reused_tokens": int(times.get("cache_n", 0)),
                    "tokens": int(event.get("tokens_predicted", 0)), "first_token_s": first,
                    "tokens_per_second": float(times.get("predicted_per_second", 0.0)), "switch_s": switch_s,
                    "was_resident": resident, "context": self._context, "left_out": left_out, "adapter": ident,
                }  # fmt: skip
                reason = "length" if event.get("stop_type") == "limit" else "stop"
                yield Piece(str(event.get("content", "")), reason, stats)
        finally:
            events.close()  # type: ignore[attr-defined]

    def _body(self, request: GenerateRequest, ident: str | None, prompt: list[int]) -> dict[str, Any]:
        """All that decides the answer: what is not named here has other values by default than in the other engines."""
        sampling = request.sampling
        room = self._context - len(prompt)
        if room < 1:
            raise AppError(
                "context_full",
                f"The conversation has {len(prompt):,} tokens; this model accepts at most {self._context:,}.",
                hint="Start a new chat, or shorten the system prompt.",
            )
        return {
            "prompt": prompt, "n_predict": min(sampling.max_tokens, room), "temperature": sampling.temperature,
            "top_p": sampling.top_p, "top_k": 0, "min_p": 0.0, "typical_p": 1.0,
            "repeat_penalty": sampling.repetition_penalty, "repeat_last_n": 20, "seed": sampling.seed32,
            "n_probs": request.logprobs, "post_sampling_probs": False, "return_tokens": True, "cache_prompt": True,
            **self._who(ident),
        }  # fmt: skip

    def _who(self, ident: str | None) -> dict[str, Any]:
        """The slot, and the scales of all adapters: one that is not named keeps the scale it had at the start."""
        scales = [{"id": number, "scale": float(who == ident)} for number, who in enumerate(self._places)]
        return {"id_slot": self._slot(ident), "lora": scales}

    def answers(self, request: GenerateRequest, count: int, stopping: Callable[[], bool]) -> list[Answer]:
        """One after the other: what was read of the question is read once."""
        return one_by_one(self.generate, request, count, stopping)

    def score(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], adapter: AdapterRef | None
    ) -> list[list[float]]:
        """Not yet: llama.cpp's server gives no probabilities of a prompt's tokens."""
        raise AppError(
            "no_scores", "A base model as GGUF can't measure an adapter.",
            hint="Measure it on the base model in MLX's format that it was trained on.",
        )  # fmt: skip

    def likeliest(
        self, ids: Sequence[int], places: Sequence[int], adapter: AdapterRef | None, count: int
    ) -> Iterator[list[Candidate]]:
        """For measuring: at each place (ascending, from 1) the `count` likeliest tokens after the `ids` before it.

        Whatever was asked there, the given tokens go on, so each place costs one step. Ends where the context is full.
        """
        self._loaded()
        if adapter is not None:
            self.prepare(adapter)
        ident = adapter.id if adapter else None
        for place in places:
            if place >= self._context:
                return
            body = {
                "prompt": list(ids[:place]), "n_predict": 1, "temperature": 0.0, "n_probs": count,
                "post_sampling_probs": False, "cache_prompt": True, **self._who(ident),
            }  # fmt: skip
            assert self._server is not None
            for event in self._server.complete(body):
                if found := event.get("completion_probabilities"):
                    yield [_candidate(one) for one in found[0]["top_logprobs"]]

    def _fitted(self, request: GenerateRequest) -> tuple[Sequence[Mapping[str, str]], int]:
        if not request.fit:
            return request.messages, 0
        most = self._context - min(request.sampling.max_tokens, self._context // 4)
        return fitted(request.messages, lambda messages: len(self._tokens(messages)), most)

    def _tokens(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        assert self._server is not None
        return self._server.tokens(self._server.prompt(messages))

    # Memory

    @property
    def _bytes(self) -> int:
        base = self._base
        if base is None:
            return 0
        return self._stamp[0] + self._tokens_held * token_bytes(base) + self._residency.size_bytes

    def status(self) -> Mapping[str, Any]:
        """Base, resident adapters, bytes of the files that are in memory."""
        return {
            "base": str(self._base.path) if self._base else None, "active": self._residency.active,
            "resident": self._residency.sizes, "chats": {}, "bytes": self._bytes,
        }  # fmt: skip

    def relieve(self) -> int:
        """Adapters that do not answer leave with the server's next start, which is now if there are any."""
        if self._base is None:
            return 0
        before = self._residency.size_bytes
        leaving = self._residency.relieve()
        if leaving:
            kept = [ident for ident in self._places if ident not in leaving]
            try:
                self._restart(self._base, kept, kept)
            except AppError:
                self._lose(self._base)
                raise
        return before - self._residency.size_bytes

    def forget(self, chat: str) -> None:
        """A slot belongs to an adapter, not to a chat; what it holds is overwritten by the next question."""

    def idle(self) -> bool:
        """Nothing waits."""
        return False

    def close(self) -> None:
        """Drop the base and everything that depends on it."""
        if self._server is not None:
            self._server.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._base, self._server, self._folder, self._lost = None, None, None, None
        self._residency = Residency(self._options.limits)
        self._places, self._read = [], {}

    def _loaded(self) -> GgufFile:
        if self._base is None and (lost := self._lost) is not None:
            try:
                self.load(lost)
            except AppError:
                self._lost = lost
                raise
        if self._base is None:
            raise AppError("no_base_loaded", "No base model is loaded.", hint="Choose a base model first.")
        return self._base


def file_stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file, zeros where it is not there: another one under its name is loaded anew."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def is_exact(base: GgufFile) -> bool:
    """Whether its weights are in float32, which no model for people's work is: rounding would show beside MLX."""
    return base.metadata.get("general.file_type") == 0


def token_bytes(base: GgufFile) -> int:
    """What a token of context takes: keys and values of every layer in float16, or float32 where the weights are.

    0 where the file does not say.
    """
    layers, heads = base.number("block_count") or 0, base.number("attention.head_count") or 1
    wide = (base.number("embedding_length") or 0) // heads
    keys, values = (base.number(f"attention.{part}_length") or wide for part in ("key", "value"))
    return (4 if is_exact(base) else 2) * layers * (base.number("attention.head_count_kv") or heads) * (keys + values)


def tokens_for(base: GgufFile, slots: int, context: int, budget: int) -> int:
    """Tokens of context that all slots share: each could be full, within a budget of bytes; one at least can be."""
    each = token_bytes(base)
    return max(context, min(slots * context, budget // each if each else slots * context))


def config_of(base: GgufFile) -> dict[str, Any]:
    """What the export of an adapter wants to know of its base, in the words of a config.json."""
    known = next((name for name, found in ARCHITECTURES.items() if found.name == base.architecture), base.architecture)
    return {
        "model_type": known, "num_hidden_layers": base.number("block_count") or 0,
        "num_attention_heads": base.number("attention.head_count") or 0,
        "num_key_value_heads": base.number("attention.head_count_kv"),
    }  # fmt: skip


def _piece(event: Mapping[str, Any], logprobs: int) -> Piece:
    if not logprobs or not event.get("completion_probabilities"):
        return Piece(str(event.get("content", "")))
    found = event["completion_probabilities"][0]
    best = [_candidate(one) for one in found.get("top_logprobs", ())][:logprobs]
    return Piece(str(event.get("content", "")), chosen=_candidate(found), candidates=best)


def _candidate(found: Mapping[str, Any]) -> Candidate:
    return Candidate(int(found["id"]), str(found["token"]), float(found["logprob"]))


def _name(ident: str | None) -> str:
    return f"{sha256((ident or '').encode()).hexdigest()[:32]}.slot"


def _own_folder() -> Path:
    """For adapters and saved slots; those of workers that were killed are deleted, since slots hold conversations."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        pid = left.name.removeprefix(FOLDER).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
