"""Several answers to one question from an engine that writes one at a time: what was read of it is read once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from core.inference.engine import Answer, GenerateRequest, Piece


def one_by_one(
    generate: Callable[[GenerateRequest], Iterator[Piece]], request: GenerateRequest, count: int,
    stopping: Callable[[], bool],
) -> list[Answer]:  # fmt: skip
    """See `core.inference.engine.Engine.answers`: each with a seed of its own, the request's and those behind it."""
    out = []
    for number in range(count):
        if stopping():
            break
        sampling = replace(request.sampling, seed=request.sampling.seed + number)
        text, tokens, reason = "", 0, "user"
        with contextlib.closing(generate(replace(request, sampling=sampling, logprobs=0))) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                text, tokens = text + piece.text, tokens + bool(piece.text)
                if piece.finish_reason:
                    tokens, reason = int(piece.stats["tokens"]), piece.finish_reason
                elif stopping():
                    break
        out.append(Answer(text, reason, tokens))
    return out
