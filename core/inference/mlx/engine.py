"""The MLX engine: one resident base, adapters as data, tokens streamed by mlx-lm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.inference.engine import AdapterRef, Answer, Candidate, EngineOptions, GenerateRequest, Piece, Progress, silent
from core.inference.fitting import fitted
from core.inference.mlx.adapter_file import stamp
from core.inference.mlx.pool import AdapterPool
from core.inference.mlx.prompt_cache import CacheKey, PromptCaches
from core.models.fingerprint import content_fingerprint, structure_fingerprint
from core.models.rendering import ChatTokenizer, load_tokenizer

# As far back as mlx-lm's penalty looks.
PENALTY_CONTEXT = 20


class MlxEngine:
    """See `core.inference.engine.Engine`."""

    def __init__(self, options: EngineOptions | None = None) -> None:
        self._options = options or EngineOptions()
        self._base: Path | None = None
        self._content = ""
        self._model: Any = None
        self._wrapper: Any = None
        self._tokenizer: ChatTokenizer | None = None
        self._pool: AdapterPool | None = None
        self._caches: PromptCaches | None = None
        self._context = 0

    def load(self, base: Path, progress: Progress | None = None) -> Mapping[str, Any]:
        """Load `base`; at once when it is the one that is loaded."""
        import mlx.core as mx
        from mlx_lm.tokenizer_utils import TokenizerWrapper
        from mlx_lm.utils import load_model

        if base == self._base:
            return {"base": str(base), "seconds": 0.0, "bytes": mx.get_active_memory(), "context": self._context}
        self.close()
        begun = time.monotonic()
        say = progress or silent
        say(0.0, "Reading the tokenizer")
        tokenizer = load_tokenizer(base)
        say(0.1, "Loading the weights")
        try:
            model, config = load_model(base)
        except Exception as exc:
            raise AppError(
                "base_does_not_load",
                f"The base model {base.name} can't be loaded.",
                hint="Its files may be damaged; add it again from its folder on the Adapters page.",
                detail=repr(exc),
            ) from exc
        model.eval()
        self._model, self._tokenizer = model, tokenizer
        self._wrapper = TokenizerWrapper(tokenizer.raw, eos_token_ids=list(tokenizer.end_ids))
        self._content = content_fingerprint(base)
        self._pool = AdapterPool(model, structure_fingerprint(config), self._content, self._options.limits)
        self._caches = PromptCaches(model, self._options)
        self._context = int(config.get("text_config", config).get("max_position_embeddings", 0) or 0)
        # Last: what failed on the way is loaded again.
        self._base = base
        seconds = time.monotonic() - begun
        return {"base": str(base), "seconds": seconds, "bytes": mx.get_active_memory(), "context": self._context}

    def prepare(self, adapter: AdapterRef) -> Mapping[str, Any]:
        """Make an adapter resident."""
        begun = time.monotonic()
        resident = self._loaded_pool().prepare(adapter)
        return {"adapter": adapter.id, "was_resident": resident, "seconds": time.monotonic() - begun}

    def pin(self, adapters: Sequence[str]) -> None:
        """Keep these resident."""
        self._loaded_pool().pin(adapters)

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        """Stream one answer, going on from what was read of the chat before."""
        import mlx.core as mx
        from mlx_lm.generate import stream_generate
        from mlx_lm.models.cache import make_prompt_cache
        from mlx_lm.sample_utils import make_sampler

        pool, caches, tokenizer = self._loaded_pool(), self._caches, self._tokenizer
        assert tokenizer is not None
        assert caches is not None
        messages, left_out = self._fitted(request)
        prompt = tokenizer.prompt(messages)
        room = self._room(len(prompt), request.sampling.max_tokens)
        begun = time.monotonic()
        resident = pool.activate(request.adapter)
        switch_s = time.monotonic() - begun
        key = self._key(request)
        layers, reused = caches.take(key, prompt) if key else (make_prompt_cache(self._model), 0)
        sampling = request.sampling
        mx.random.seed(sampling.seed)
        stream = stream_generate(
            self._model, self._wrapper, prompt[reused:], max_tokens=room, prompt_cache=layers,
            sampler=make_sampler(temp=sampling.temperature, top_p=sampling.top_p),
            logits_processors=_penalties(sampling.repetition_penalty, prompt[:reused]),
        )  # fmt: skip
        first: float | None = None
        spoken: list[int] = []
        try:
            for response in stream:
                spoken.append(response.token)
                first = first if first is not None else time.monotonic() - begun
                stats = {
                    "prompt_tokens": len(prompt), "reused_tokens": reused, "tokens": response.generation_tokens,
                    "first_token_s": first, "tokens_per_second": response.generation_tps, "switch_s": switch_s,
                    "was_resident": resident, "context": self._context, "left_out": left_out,
                    "adapter": request.adapter.id if request.adapter else None,
                }  # fmt: skip
                chosen, candidates = self._likeliest(response, request.logprobs)
                yield Piece(
                    response.text, response.finish_reason or "", stats if response.finish_reason else {}, chosen,
                    candidates,
                )  # fmt: skip
        finally:
            # Also after Stop: what was read up to there is right.
            stream.close()
            if key:
                caches.keep(key, [*prompt, *spoken], layers)

    def answers(self, request: GenerateRequest, count: int, stopping: Callable[[], bool]) -> list[Answer]:
        """Side by side in one batch, by mlx-lm's own; each step makes a token of every answer that has not ended."""
        import mlx.core as mx
        from mlx_lm.generate import BatchGenerator
        from mlx_lm.sample_utils import make_sampler

        pool, tokenizer, sampling = self._loaded_pool(), self._tokenizer, request.sampling
        assert tokenizer is not None
        messages, _ = self._fitted(request)
        prompt = tokenizer.prompt(messages)
        room = self._room(len(prompt), sampling.max_tokens)
        pool.activate(request.adapter)
        mx.random.seed(sampling.seed)
        batch = BatchGenerator(
            self._model, max_tokens=room, stop_tokens=[[token] for token in sorted(tokenizer.end_ids)],
            sampler=make_sampler(temp=sampling.temperature, top_p=sampling.top_p),
            logits_processors=_penalties(sampling.repetition_penalty, ()),
        )  # fmt: skip
        spoken: dict[int, list[int]] = {uid: [] for uid in batch.insert([prompt] * count)}
        reasons: dict[int, str] = {}
        try:
            while not stopping() and (responses := batch.next_generated()):
                for found in responses:
                    if found.finish_reason != "stop":
                        spoken[found.uid].append(found.token)
                    if found.finish_reason is not None:
                        reasons[found.uid] = found.finish_reason
        finally:
            batch.close()
        return [
            Answer(tokenizer.raw.decode(tokens), reasons.get(uid, "user"), len(tokens))
            for uid, tokens in spoken.items()
        ]  # fmt: skip

    def _fitted(self, request: GenerateRequest) -> tuple[Sequence[Mapping[str, str]], int]:
        """The messages that are read, and how many are left out; an answer gets up to a quarter of the context."""
        assert self._tokenizer is not None
        prompt = self._tokenizer.prompt
        if not request.fit or not self._context:
            return request.messages, 0
        most = self._context - min(request.sampling.max_tokens, self._context // 4)
        return fitted(request.messages, lambda messages: len(prompt(messages)), most)

    def _room(self, prompt: int, wanted: int) -> int:
        room = self._context - prompt if self._context else wanted
        if room < 1:
            raise AppError(
                "context_full",
                f"The conversation has {prompt:,} tokens; this model accepts at most {self._context:,}.",
                hint="Start a new chat, or shorten the system prompt.",
            )
        return min(wanted, room)

    def _key(self, request: GenerateRequest) -> CacheKey | None:
        if not request.keep:
            return None
        adapter = request.adapter
        if adapter is None:
            return CacheKey(request.keep, self._content)
        return CacheKey(request.keep, self._content, adapter.id, stamp(adapter))

    def _likeliest(self, response: Any, count: int) -> tuple[Candidate | None, list[Candidate]]:
        """The token that was taken and the `count` likeliest ones, best first."""
        import mlx.core as mx

        if count < 1:
            return None, []
        assert self._tokenizer is not None
        decode = self._tokenizer.raw.decode
        best: Any = mx.argsort(-response.logprobs)[:count].tolist()
        found = [
            Candidate(token, decode([token]), response.logprobs[token].item()) for token in [response.token, *best]
        ]
        return found[0], found[1:]

    def score(
        self, conversations: Sequence[Sequence[Mapping[str, Any]]], adapter: AdapterRef | None
    ) -> list[list[float]]:
        """Log-probability of every supervised token of each conversation."""
        import mlx.core as mx
        import mlx.nn as nn

        pool, tokenizer = self._loaded_pool(), self._tokenizer
        assert tokenizer is not None
        rendered = [tokenizer.render(messages) for messages in conversations]
        pool.activate(adapter)
        out = []
        for found in rendered:
            ids = mx.array([found.ids])
            logits = self._model(ids[:, :-1]).astype(mx.float32)
            losses = nn.losses.cross_entropy(logits, ids[:, 1:])[0].tolist()
            out.append([-loss for loss, weight in zip(losses, found.weights[1:], strict=True) if weight])
        return out

    def status(self) -> Mapping[str, Any]:
        """Base, resident adapters, what is kept of chats, bytes."""
        import mlx.core as mx

        pool, caches = self._pool, self._caches
        return {
            "base": str(self._base) if self._base else None, "active": pool.active if pool else None,
            "resident": pool.sizes() if pool else {}, "chats": caches.sizes if caches else {},
            "bytes": mx.get_active_memory(),
        }  # fmt: skip

    def relieve(self) -> int:
        """Adapters that do not answer leave; what was read of chats goes to disk."""
        import mlx.core as mx

        freed = self._pool.relieve() if self._pool else 0
        freed += self._caches.relieve() if self._caches else 0
        mx.clear_cache()
        return freed

    def forget(self, chat: str) -> None:
        """A chat was deleted."""
        if self._caches is not None:
            self._caches.forget(chat)

    def idle(self) -> bool:
        """Write what was read of one chat to disk."""
        return self._caches is not None and self._caches.write_one()

    def close(self) -> None:
        """Drop the base and everything that depends on it; what was read of chats goes to disk."""
        import mlx.core as mx

        if self._caches is not None:
            self._caches.close()
        self._model = self._wrapper = self._tokenizer = self._pool = self._base = self._caches = None
        mx.clear_cache()

    def _loaded_pool(self) -> AdapterPool:
        if self._pool is None:
            raise AppError("no_base_loaded", "No base model is loaded.", hint="Choose a base model first.")
        return self._pool


def _penalties(penalty: float, read: Sequence[int]) -> list[Any]:
    """mlx-lm's repetition penalty, which also knows the tokens that were read before this question."""
    import mlx.core as mx
    from mlx_lm.sample_utils import make_logits_processors

    if penalty == 1.0:
        return []
    processors: list[Any] = make_logits_processors(repetition_penalty=penalty, repetition_context_size=PENALTY_CONTEXT)
    before = list(read[-PENALTY_CONTEXT:])
    if not before:
        return processors
    tail = mx.array(before)
    return [lambda tokens, logits, p=p: p(mx.concatenate([tail, tokens]), logits) for p in processors]
