"""What the engine adds to mlx-lm's own loop: base alone, and with an adapter, in turns of one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.large_switch import write_adapter, write_base
from core.inference.engine import GenerateRequest, Sampling
from core.inference.mlx.engine import MlxEngine

TOKENS, TIMES = 12, 12
ASK = [{"role": "user", "content": "Which letter do I open first, and what do I do with what it says?"}]


def run(folder: Path) -> dict[str, Any]:
    from mlx_lm import load
    from mlx_lm.generate import stream_generate
    from mlx_lm.tokenizer_utils import TokenizerWrapper

    base, _ = write_base(folder / "base")
    adapter = write_adapter(folder / "adapter")
    engine = MlxEngine()
    engine.load(base)
    assert engine._tokenizer is not None
    prompt, wrapper = engine._tokenizer.prompt(ASK), engine._wrapper
    plain, _, *_ = load(str(base))
    adapted, _, *_ = load(str(base), adapter_path=adapter.path)
    assert isinstance(wrapper, TokenizerWrapper)

    def ours(who: Any) -> Callable[[], int]:
        request = GenerateRequest(ASK, who, Sampling(max_tokens=TOKENS))
        return lambda: sum(1 for _ in engine.generate(request))

    def theirs(model: Any) -> Callable[[], int]:
        return lambda: sum(1 for _ in stream_generate(model, wrapper, prompt, max_tokens=TOKENS))

    ways = {
        "ours, base": ours(None), "mlx-lm, base": theirs(plain),
        "ours, adapter": ours(adapter), "mlx-lm, adapter": theirs(adapted),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(TIMES):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    best = {name: min(values) for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        f"{TOKENS} tokens, base: ours, s (best of {TIMES})": round(best["ours, base"], 3),
        "no-adapter overhead over mlx-lm, best": f"{best['ours, base'] / best['mlx-lm, base'] - 1:+.1%}",
        "no-adapter overhead over mlx-lm, median": f"{middle['ours, base'] / middle['mlx-lm, base'] - 1:+.1%}",
        "adapter against mlx-lm's adapter, best": f"{best['ours, adapter'] / best['mlx-lm, adapter'] - 1:+.1%}",
        "adapter against mlx-lm's adapter, median": f"{middle['ours, adapter'] / middle['mlx-lm, adapter'] - 1:+.1%}",
        "adapter over base, ours, best": f"{best['ours, adapter'] / best['ours, base'] - 1:+.1%}",
    }
