"""Training tokens a second against stock `mlx_lm.lora`: same base, data, batch size, rank, number of steps."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from core.models.practice import shipped_folder
from core.training.config import TrainingConfig
from tests.support.training import make_trainer, rendered, sample_messages

BATCH, STEPS, RANK, WARM = 2, 24, 16, 4
OURS = """
import sys, json
from pathlib import Path
from benchmarks.training_speed import ours
print(json.dumps(ours(Path(sys.argv[1]))))
"""


def ours(folder: Path) -> dict[str, float]:
    """Mean rates of the steps behind the first four, which compile."""
    rows = rendered()
    config = TrainingConfig(
        learning_rate=1e-4, batch_size=BATCH, epochs=3, rank=RANK, alpha=32, dropout=0.0, max_steps=STEPS,
        checkpoint_every=10_000,
    )  # fmt: skip
    ticks: list[tuple[float, int]] = []

    def emit(kind: str, **fields: Any) -> None:
        if kind == "metric":
            ticks.append((time.perf_counter(), fields.get("tokens") or 0))

    make_trainer(folder, config, rows, [], emit)[0].run()
    pairs = list(zip(ticks[WARM:], ticks[WARM + 1 :], strict=False))
    supervised = statistics.mean((t1 - t0) / (b - a) for (a, t0), (b, t1) in pairs)
    share = sum(len(r.ids) for r in rows) / sum(r.supervised for r in rows)
    return {"supervised": supervised, "tokens": supervised * share}


def stock(folder: Path) -> float:
    """Mean tokens/s of mlx-lm's own trainer over the same conversations; it trains every token of them."""
    data = folder / "data"
    data.mkdir(parents=True)
    talks = [[{"role": m["role"], "content": m["content"]} for m in talk] for talk in sample_messages()]
    lines = b"".join(orjson.dumps({"messages": talk}) + b"\n" for talk in talks)
    (data / "train.jsonl").write_bytes(lines)
    config = folder / "lora.yaml"
    config.write_text(f"lora_parameters: {{rank: {RANK}, scale: 2.0, dropout: 0.0}}\n")
    command = [
        sys.executable, "-m", "mlx_lm", "lora", "--train", "--model", str(shipped_folder()), "--data", str(data),
        "--iters", str(STEPS), "--batch-size", str(BATCH), "--num-layers", "-1", "--learning-rate", "1e-4",
        "--steps-per-report", "1", "--val-batches", "0", "--steps-per-eval", "100000", "--config", str(config),
        "--adapter-path", str(folder / "adapter"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    rates = [float(m.replace(",", "")) for m in re.findall(r"(?m)^\s*\d+\s+[\d.]+ \S\s+([\d,]+)\s", text)]
    if len(rates) < STEPS - 1:
        raise RuntimeError(f"mlx_lm lora said: {text[-2000:]} {done.stderr[-2000:]}")
    return statistics.mean(rates[WARM:])


def run(folder: Path) -> dict[str, Any]:
    mine, theirs = [], []
    for number in range(3):
        own = subprocess.run(
            [sys.executable, "-c", OURS, str(folder / f"own{number}")], capture_output=True, text=True, check=True
        )
        mine.append(orjson.loads(own.stdout.strip().splitlines()[-1]))
        theirs.append(stock(folder / f"stock{number}"))
    own_rate = statistics.median(m["tokens"] for m in mine)
    stock_rate = statistics.median(theirs)
    return {
        "this trainer, conversation tokens/s (median of 3)": f"{own_rate:.0f}",
        "of these supervised (every assistant turn), tokens/s":
            f"{statistics.median(m['supervised'] for m in mine):.0f}",
        "mlx_lm.lora, conversation tokens/s (median of 3)": f"{stock_rate:.0f}",
        "ratio": f"{own_rate / stock_rate:.2f}",
    }  # fmt: skip
