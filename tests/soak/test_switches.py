"""Two hundred switches over two hundred chats in one worker; the last result stands in docs/testing.md."""

from __future__ import annotations

import random
from pathlib import Path

import psutil
import pytest

from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.models.practice import shipped_folder
from core.training.config import TrainingConfig
from tests.support.training import train_adapter

pytestmark = pytest.mark.soak
CHATS, SWITCHES, ADAPTERS, WARM = 200, 200, 5, 40
MEGABYTE = 1 << 20
OPTIONS = EngineOptions(max_resident=2, cache_bytes=32 * MEGABYTE, cache_disk_bytes=64 * MEGABYTE)
SLACK_BYTES = 64 * MEGABYTE


def adapters(folder: Path) -> list[AdapterRef]:
    out = []
    for number in range(ADAPTERS):
        config = TrainingConfig(learning_rate=1e-3, batch_size=4, epochs=1, rank=4 << (number % 3), alpha=16)
        published, _ = train_adapter(folder / str(number), config, limit=4)
        out.append(AdapterRef(str(number), str(published.folder), str(number)))
    return out


def test_memory_and_descriptors_return_to_their_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, folder, rng = adapters(tmp_path), tmp_path / "caches", random.Random(7)
    options = EngineOptions(**{**OPTIONS.to_json(), "cache_folder": str(folder)})
    switches, answers, levels = 0, 0, []
    with InferenceClient(options=options) as client:
        client.load(shipped_folder())
        process, last = psutil.Process(client.pid), ""

        def answer(chat: int, adapter: AdapterRef | None, question: str) -> str:
            asked = GenerateRequest(
                [{"role": "user", "content": question}], adapter, Sampling(max_tokens=12), keep=f"chat-{chat}"
            )
            return client.generate(asked)[0]

        first = {ref.id: answer(0, ref, "What is bread?") for ref in made}
        for chat in range(CHATS):
            for _ in range(2):
                adapter = rng.choice([*made, None])
                switches += last != (last := adapter.id if adapter else "")
                answer(chat, adapter, f"Question {chat}: {'why ' * 40}?")
                answers += 1
            if chat >= WARM:
                levels.append((process.memory_info().rss, process.num_fds()))
        assert {ref.id: answer(CHATS, ref, "What is bread?") for ref in made} == first
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    (early, files), (late, files_late) = levels[0], levels[-1]
    with capsys.disabled():
        print(f"\n{switches} switches, {answers} answers in {CHATS} chats")  # noqa: T201
        print(f"memory {early / 1e6:.0f} MB after {WARM} chats, {late / 1e6:.0f} at the end; "  # noqa: T201
              f"highest {max(m for m, _ in levels) / 1e6:.0f}; files open {files}, {files_late}; "
              f"{disk / 1e6:.0f} MB of caches on disk")  # fmt: skip
    assert switches >= SWITCHES
    assert late - early < SLACK_BYTES
    assert files_late == files
    assert disk <= OPTIONS.cache_disk_bytes
