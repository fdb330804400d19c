"""Switching the adapter in the real worker against loading base and adapter anew, as a reload does."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.models.practice import shipped_folder
from core.training.config import TrainingConfig
from tests.support.training import train_adapter

ASK = [{"role": "user", "content": "How do I keep bread fresh?"}]


def run(folder: Path) -> dict[str, Any]:
    from mlx_lm import load

    adapters = []
    for name, rank in (("one", 8), ("two", 32)):
        config = TrainingConfig(learning_rate=1e-3, batch_size=4, epochs=1, rank=rank, alpha=2 * rank, dropout=0.0)
        published, _ = train_adapter(folder / name, config, limit=4)
        adapters.append(AdapterRef(name, str(published.folder), name))
    switches, whole, base = [], [], []
    with InferenceClient() as client:
        client.load(shipped_folder())
        for number in range(60):
            adapter = adapters[number % 2]
            begun = time.perf_counter()
            _, result = client.generate(GenerateRequest(ASK, adapter, Sampling(max_tokens=1)))
            whole.append(time.perf_counter() - begun)
            if number > 1:
                switches.append(result["stats"]["switch_s"])
        for _ in range(20):
            begun = time.perf_counter()
            client.generate(GenerateRequest(ASK, None, Sampling(max_tokens=1)))
            base.append(time.perf_counter() - begun)
    reload = []
    for number in range(6):
        begun = time.perf_counter()
        load(str(shipped_folder()), adapter_path=adapters[number % 2].path)
        reload.append(time.perf_counter() - begun)
    switch, again = statistics.median(switches), statistics.median(reload)
    return {
        "resident switch in the worker, microseconds (median of 58)": f"{switch * 1e6:.0f}",
        "mlx_lm.load(base, adapter_path), ms (median of 6)": f"{again * 1e3:.0f}",
        "times faster": f"{again / switch:,.0f}",
        "question to first token, other adapter each time, ms": f"{statistics.median(whole) * 1e3:.1f}",
        "question to first token, no switch, ms": f"{statistics.median(base) * 1e3:.1f}",
    }
