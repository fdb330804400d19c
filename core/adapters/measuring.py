"""How much of an adapter survives on a base in another format: the same held-out turns, read by MLX and by llama.cpp.

At each supervised token both say what could come next. Counted are where their first choices are the same, the mean
Kullback-Leibler divergence KL(MLX || served) in nats, and the share of the adapter's effect that is left:
1 - KL(adapter in MLX || adapter served) / KL(adapter in MLX || base in MLX). The served engine names its likeliest
tokens alone; all others count as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.adapters import siblings
from core.adapters.parity import contents
from core.adapters.work import adapter_of
from core.errors import AppError
from core.inference.engine import AdapterRef, EngineOptions
from core.inference.gguf.engine import GgufEngine
from core.inference.mlx.pool import AdapterPool
from core.models import store as models
from core.models.rendering import Rendered, load_tokenizer
from core.models.store import BaseModel
from core.training.store import Adapter
from core.workers.host import JobContext

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]

MOST_CONVERSATIONS, MOST_TOKENS, LIKELIEST = 12, 400, 64
_LEAST = 1e-9


@dataclass
class _Sums:
    same: int = 0
    tokens: int = 0
    drift: float = 0.0
    effect: float = 0.0

    def add(self, adapted: Numbers, base: Numbers, served: Sequence[tuple[int, float]]) -> None:
        """One token: log-probabilities of all tokens with and without the adapter, and the served likeliest ones."""
        self.tokens += 1
        self.same += int(adapted.argmax()) == served[0][0]
        self.drift += _divergence(adapted, served)
        self.effect += float(max(0.0, (_exp(adapted) * (adapted - base)).sum()))


def _exp(values: Numbers) -> Numbers:
    import numpy as np

    out: Numbers = np.exp(values)
    return out


def _divergence(own: Numbers, served: Sequence[tuple[int, float]]) -> float:
    """KL(own || served) in nats, with what is not named as one token."""
    import numpy as np

    names = [token for token, _ in served]
    p, log_q = _exp(own[names]), np.array([logprob for _, logprob in served])
    rest_p, rest_q = max(_LEAST, 1.0 - float(p.sum())), max(_LEAST, 1.0 - float(np.exp(log_q).sum()))
    return max(0.0, float((p * (own[names] - log_q)).sum()) + rest_p * float(np.log(rest_p / rest_q)))


def measure_parity(context: JobContext) -> dict[str, Any]:
    """Handler of `measure_parity`: params {"adapter_id", "base_id"}; the base is a GGUF file that the adapter fits.

    Raises AppError `wrong_base`, `nothing_held_out`, and those of a base that does not load.
    """
    adapter, folder = adapter_of(context)
    own, other, talks = _decided(context, adapter)
    reference = AdapterRef(adapter.id, str(folder), adapter.name)
    tokenizer = load_tokenizer(models.require_folder(own))
    rendered = [tokenizer.render(messages) for messages in talks]
    total = min(MOST_TOKENS, sum(found.supervised for found in rendered))
    sums, engine = _Sums(), GgufEngine(EngineOptions(max_resident=1))
    try:
        context.progress(0, total, "Loading both")
        engine.load(models.require_folder(other))
        engine.prepare(reference)
        reads = _Reads(own, reference)
        for adapted, base, served in _tokens(reads, engine, reference, rendered):
            context.token.raise_if_cancelled()
            sums.add(adapted, base, served)
            context.progress(sums.tokens, total, "Reading held-out turns")
            if sums.tokens >= MOST_TOKENS:
                break
    finally:
        engine.close()
    if not sums.tokens:
        raise _nothing(adapter)
    row = {
        "artifact_id": adapter.id, "base_id": other.id, "same": sums.same / sums.tokens,
        "drift": sums.drift / sums.tokens, "left": max(0.0, 1.0 - sums.drift / sums.effect) if sums.effect else 1.0,
        "tokens": sums.tokens, "contents": contents(adapter, other),
    }  # fmt: skip
    context.emit("parity", row=row)
    return {key: row[key] for key in ("same", "drift", "left", "tokens")}


class _Reads:
    """The base in MLX's format, which reads a conversation with the adapter and without it."""

    def __init__(self, base: BaseModel, adapter: AdapterRef) -> None:
        from mlx_lm.utils import load_model

        self._model, self._adapter = load_model(base.path)[0], adapter
        self._pool = AdapterPool(self._model, base.structure_fingerprint, base.content_fingerprint)

    def both(self, ids: Sequence[int]) -> tuple[Numbers, Numbers]:
        """Log-probabilities (tokens - 1, vocabulary) of what comes next, with the adapter and without."""
        return self._read(ids, self._adapter), self._read(ids, None)

    def _read(self, ids: Sequence[int], adapter: AdapterRef | None) -> Numbers:
        import mlx.core as mx
        import mlx.nn as nn
        import numpy as np

        self._pool.activate(adapter)
        logits = self._model(mx.array([list(ids)])[:, :-1]).astype(mx.float32)[0]
        return np.array(nn.log_softmax(logits, axis=-1))


def _tokens(
    reads: _Reads, engine: GgufEngine, adapter: AdapterRef, rendered: Sequence[Rendered]
) -> Iterator[tuple[Numbers, Numbers, Sequence[tuple[int, float]]]]:
    for found in rendered:
        places = [place for place, weight in enumerate(found.weights) if weight and place]
        adapted, base = reads.both(found.ids)
        served = engine.likeliest(found.ids, places, adapter, LIKELIEST)
        for place, candidates in zip(places, served, strict=False):
            yield adapted[place - 1], base[place - 1], [(one.token, one.logprob) for one in candidates]


def _decided(context: JobContext, adapter: Adapter) -> tuple[BaseModel, BaseModel, list[Sequence[Mapping[str, Any]]]]:
    """Both bases and the held-out conversations."""
    from core.datasets import store as datasets

    db = context.open_db()
    try:
        own, other = models.get(db, adapter.base_model_id), models.get(db, str(context.params["base_id"]))
        why = siblings.why_not(db, adapter, other)
        if why or other.trains:
            raise AppError("wrong_base", why or f"{other.name} is the base's own format.", hint="Choose a GGUF base.")
        talks: list[Sequence[Mapping[str, Any]]] = []
        if adapter.dataset_id:
            dataset = datasets.get(db, adapter.dataset_id)
            found = datasets.rows(context.workspace, dataset, split="validation", limit=MOST_CONVERSATIONS)
            talks = [row["messages"] for row in found]
    finally:
        db.close()
    if not talks:
        raise _nothing(adapter)
    return own, other, talks


def _nothing(adapter: Adapter) -> AppError:
    return AppError(
        "nothing_held_out", f"There are no held-out conversations to measure {adapter.name} on.",
        hint="Train on a dataset with a validation share; imported adapters bring none.",
    )  # fmt: skip
