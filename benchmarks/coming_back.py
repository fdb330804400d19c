"""Coming back to a chat of some 700 tokens after another adapter answered: going on, against reading it all again."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.mlx.engine import MlxEngine
from core.models.practice import shipped_folder
from core.training.config import TrainingConfig
from tests.support.training import train_adapter

TOKENS, TIMES = 700, 12
ONE = Sampling(max_tokens=1)


def history(engine: MlxEngine) -> list[dict[str, str]]:
    assert engine._tokenizer is not None
    out: list[dict[str, str]] = []
    number = 0
    while len(engine._tokenizer.prompt([*out, {"role": "user", "content": "And now?"}])) < TOKENS:
        number += 1
        out += [{"role": "user", "content": f"Question {number} about bread?"},
                {"role": "assistant", "content": f"Answer {number}: keep it in a closed box."}]  # fmt: skip
    return out


def first_token(
    engine: MlxEngine, messages: list[dict[str, str]], adapter: AdapterRef, keep: str
) -> tuple[float, int, str]:
    request = GenerateRequest(messages, adapter, Sampling(max_tokens=8), keep=keep)
    pieces = list(engine.generate(request))
    stats = pieces[-1].stats
    return stats["first_token_s"], stats["reused_tokens"], "".join(piece.text for piece in pieces)


def run(folder: Path) -> dict[str, Any]:
    adapters = []
    for name in ("one", "two"):
        config = TrainingConfig(learning_rate=1e-3, batch_size=4, epochs=1, rank=8, alpha=16, dropout=0.0)
        published, _ = train_adapter(folder / name, config, limit=4)
        adapters.append(AdapterRef(name, str(published.folder), name))
    engine = MlxEngine(EngineOptions(cache_folder=str(folder / "caches")))
    engine.load(shipped_folder())
    before = history(engine)
    list(engine.generate(GenerateRequest(before[:-1], adapters[0], ONE, keep="chat")))
    warm, cold, reused, same = [], [], 0, True
    for number in range(TIMES):
        # Somebody else answers in between.
        list(engine.generate(GenerateRequest(before[:1], adapters[1], ONE, keep="other")))
        asked = [*before, {"role": "user", "content": f"And now, number {number}?"}]
        seconds, reused, words = first_token(engine, asked, adapters[0], "chat")
        warm.append(seconds)
        seconds, _, again = first_token(engine, asked, adapters[0], "")
        cold.append(seconds)
        same = same and words == again
    engine.close()
    engine.load(shipped_folder())
    later = [*before, {"role": "user", "content": "After a restart?"}]
    restarted, from_disk, _ = first_token(engine, later, adapters[0], "chat")
    return {
        "history, tokens": TOKENS, "of them not read again": reused,
        "first token going on, ms (median of 12)": f"{1e3 * statistics.median(warm):.1f}",
        "first token reading all, ms (median of 12)": f"{1e3 * statistics.median(cold):.1f}",
        "times sooner": f"{statistics.median(cold) / statistics.median(warm):.1f}",
        "words are the same": same,
        "after a restart, from the disk, ms (tokens not read again)": f"{1e3 * restarted:.1f} ({from_disk})",
    }  # fmt: skip
