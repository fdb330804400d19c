"""The MLX engine: one resident base, adapters as data, tokens streamed by mlx-lm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.inference.engine import AdapterRef, GenerateRequest, Piece
from core.inference.mlx.pool import AdapterPool
from core.models.fingerprint import content_fingerprint, structure_fingerprint
from core.models.rendering import ChatTokenizer, load_tokenizer


class MlxEngine:
    """See `core.inference.engine.Engine`."""

    def __init__(self, max_resident: int = 3) -> None:
        self._max_resident = max_resident
        self._base: Path | None = None
        self._model: Any = None
        self._wrapper: Any = None
        self._tokenizer: ChatTokenizer | None = None
        self._pool: AdapterPool | None = None
        self._context = 0

    def load(self, base: Path) -> Mapping[str, Any]:
        """Load `base`; at once when it is the one that is loaded."""
        import mlx.core as mx
        from mlx_lm.tokenizer_utils import TokenizerWrapper
        from mlx_lm.utils import load_model

        if base == self._base:
            return {"base": str(base), "seconds": 0.0, "bytes": mx.get_active_memory(), "context": self._context}
        self.close()
        begun = time.monotonic()
        tokenizer = load_tokenizer(base)
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
        self._model, self._tokenizer, self._base = model, tokenizer, base
        self._wrapper = TokenizerWrapper(tokenizer.raw, eos_token_ids=list(tokenizer.end_ids))
        self._pool = AdapterPool(model, structure_fingerprint(config), content_fingerprint(base), self._max_resident)
        self._context = int(config.get("text_config", config).get("max_position_embeddings", 0) or 0)
        seconds = time.monotonic() - begun
        return {"base": str(base), "seconds": seconds, "bytes": mx.get_active_memory(), "context": self._context}

    def prepare(self, adapter: AdapterRef) -> Mapping[str, Any]:
        """Make an adapter resident."""
        begun = time.monotonic()
        resident = self._loaded_pool().prepare(adapter)
        return {"adapter": adapter.id, "was_resident": resident, "seconds": time.monotonic() - begun}

    def generate(self, request: GenerateRequest) -> Iterator[Piece]:
        """Stream one answer."""
        import mlx.core as mx
        from mlx_lm.generate import stream_generate
        from mlx_lm.sample_utils import make_logits_processors, make_sampler

        pool, tokenizer = self._loaded_pool(), self._tokenizer
        assert tokenizer is not None
        prompt = tokenizer.prompt(request.messages)
        sampling = request.sampling
        room = self._context - len(prompt) if self._context else sampling.max_tokens
        if room < 1:
            raise AppError(
                "context_full",
                f"The conversation has {len(prompt):,} tokens; this model accepts at most {self._context:,}.",
                hint="Start a new chat, or shorten the system prompt.",
            )
        begun = time.monotonic()
        resident = pool.activate(request.adapter)
        switch_s = time.monotonic() - begun
        mx.random.seed(sampling.seed)
        stream = stream_generate(
            self._model, self._wrapper, prompt, max_tokens=min(sampling.max_tokens, room),
            sampler=make_sampler(temp=sampling.temperature, top_p=sampling.top_p),
            logits_processors=make_logits_processors(
                repetition_penalty=sampling.repetition_penalty if sampling.repetition_penalty != 1.0 else None
            ),
        )  # fmt: skip
        first: float | None = None
        for response in stream:
            first = first if first is not None else time.monotonic() - begun
            stats = {
                "prompt_tokens": len(prompt), "tokens": response.generation_tokens, "first_token_s": first,
                "tokens_per_second": response.generation_tps, "switch_s": switch_s, "was_resident": resident,
                "context": self._context, "adapter": request.adapter.id if request.adapter else None,
            }  # fmt: skip
            yield Piece(response.text, response.finish_reason or "", stats if response.finish_reason else {})

    def score(self, messages: Sequence[Mapping[str, Any]], adapter: AdapterRef | None) -> Sequence[float]:
        """Log-probability of every supervised token of the conversation."""
        import mlx.core as mx
        import mlx.nn as nn

        pool, tokenizer = self._loaded_pool(), self._tokenizer
        assert tokenizer is not None
        rendered = tokenizer.render(messages)
        pool.activate(adapter)
        ids = mx.array([rendered.ids])
        logits = self._model(ids[:, :-1]).astype(mx.float32)
        losses = nn.losses.cross_entropy(logits, ids[:, 1:])[0].tolist()
        return [-loss for loss, weight in zip(losses, rendered.weights[1:], strict=True) if weight]

    def status(self) -> Mapping[str, Any]:
        """Base, resident adapters, bytes."""
        import mlx.core as mx

        pool = self._pool
        return {
            "base": str(self._base) if self._base else None, "active": pool.active if pool else None,
            "resident": pool.sizes() if pool else {}, "bytes": mx.get_active_memory(),
        }  # fmt: skip

    def close(self) -> None:
        """Drop the base and everything that depends on it."""
        import mlx.core as mx

        self._model = self._wrapper = self._tokenizer = self._pool = self._base = None
        mx.clear_cache()

    def _loaded_pool(self) -> AdapterPool:
        if self._pool is None:
            raise AppError("no_base_loaded", "No base model is loaded.", hint="Choose a base model first.")
        return self._pool
