"""Adapters over one GGUF base of 190 M parameters: changed here, and by an Ollama that still has adapters (v0.33.0).

Both answer one token, over the same file, with the same adapters of rank 8, 16 and 32. Needs the Ollama that the tests
build (`tests/support/ollama.py`); without Go only this program's own numbers are printed.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.large_switch import CONFIG, write_adapter, write_base
from core.cancel import CancelToken
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.gguf.engine import GgufEngine, config_of
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.sharing import CREATE, Shared, share
from core.models.gguf_file import read_gguf
from core.models.practice import shipped_folder
from core.training.exports import Exported
from core.training.exports.gguf_layout import write_gguf
from tests.support.gguf_base import write_gguf_base
from tests.support.ollama import OLD, RealOllama, add_model, running

TIMES, RANKS = 12, (8, 16, 32)
LONG = [{"role": "user", "content": "How do I keep bread fresh for a week? " * 50}]
Ask = Callable[[str], object]


def gguf_base(folder: Path) -> Path:
    made, _ = write_base(folder / "hf", "float32")
    for path in shipped_folder().iterdir():
        if path.suffix != ".safetensors" and path.name != "config.json":
            shutil.copy(path, made / path.name)
    hidden, heads = int(CONFIG["hidden_size"]), int(CONFIG["num_attention_heads"])  # type: ignore[call-overload]
    more = {"head_dim": hidden // heads, "rope_parameters": {"rope_theta": CONFIG["rope_theta"]}, "eos_token_id": 0}
    (made / "config.json").write_bytes(orjson.dumps({**CONFIG, **more}))
    return write_gguf_base(made, folder / "base.gguf")


def ms(ask: Ask, names: Sequence[str]) -> float:
    """The median of one token by each of these in turn, in milliseconds."""
    out = []
    for name in names:
        begun = time.perf_counter()
        ask(name)
        out.append(1000 * (time.perf_counter() - begun))
    return statistics.median(out)


def measured(ask: Ask, names: Sequence[str]) -> tuple[float, float]:
    """(with the same adapter again, with another each time); everybody has read the conversation before."""
    for name in (*names, *names):
        ask(name)
    same = ms(ask, [names[0]] * TIMES)
    other = ms(ask, list(itertools.islice(itertools.cycle(names[:2]), 1, TIMES + 1)))
    return same, other


def here(base: Path, adapters: Sequence[AdapterRef]) -> tuple[float, float]:
    engine = GgufEngine(EngineOptions(max_resident=len(adapters)))
    engine.load(base)
    known = {adapter.id: adapter for adapter in adapters}
    one = Sampling(max_tokens=1)

    def ask(name: str) -> None:
        for _ in engine.generate(GenerateRequest(LONG, known[name], one)):
            pass

    found = measured(ask, list(known))
    engine.close()
    return found


def ollama(server: RealOllama, base: Path, adapters: Sequence[AdapterRef]) -> tuple[float, float]:
    add_model(server, base, "base")
    options = {"temperature": 0, "num_predict": 1, "num_ctx": 1024, "repeat_penalty": 1.0}
    with OllamaHost(server.address) as host:
        for adapter in adapters:
            path = base.with_name(f"{adapter.id}.gguf")
            write_gguf(Exported(Path(adapter.path), adapter.id, config_of(read_gguf(base)), "base"), path)
            share(host, Shared(adapter.id, "base:latest", path), [CREATE], CancelToken(), lambda *_: None)
        return measured(lambda name: host.answer(name, LONG, options), [adapter.id for adapter in adapters])


def run(folder: Path) -> dict[str, Any]:
    base = gguf_base(folder)
    adapters = [write_adapter(folder / f"rank{rank}", rank) for rank in RANKS]
    same, other = here(base, adapters)
    out: dict[str, Any] = {
        "base, MB": base.stat().st_size >> 20,
        "here: same adapter, another, ms": (round(same, 1), round(other, 1)),
        "here: a change of adapter adds, ms": round(other - same, 1),
    }
    try:
        with running(OLD, folder / "ollama") as server:
            there = ollama(server, base, adapters)
    except pytest.skip.Exception as exc:
        return out | {f"Ollama {OLD}": str(exc)}
    change = max(0.1, other - same)
    return out | {
        f"Ollama {OLD}: same adapter, another, ms": (round(there[0]), round(there[1])),
        "Ollama's change against ours, times": round((there[1] - there[0]) / change),
        "conversation resumed after another adapter, times sooner": round(there[1] / other, 1),
    }
