"""The GGUF engine for long: random orders against MLX, many switches, bad files; last results in docs/testing.md."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.errors import AppError
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.gguf.engine import GgufEngine
from core.inference.mlx.engine import MlxEngine
from core.models.practice import shipped_folder
from tests.support.gguf_base import practice_gguf, write_random_adapter

pytestmark = pytest.mark.soak
ORDERS, STEPS = 300, 4
SWITCHES, WARM = 240, 60
MEGABYTE = 1 << 20
SLACK_BYTES = 64 * MEGABYTE
SYSTEM = {"role": "system", "content": "You are a kind consultant who answers in short and simple sentences."}
QUESTIONS = ("How do I keep bread fresh?", "I am afraid of my debt. What should I do?", "Who are you?", "And then?")
SAMPLING = Sampling(max_tokens=16)


def adapters(folder: Path, count: int) -> list[AdapterRef]:
    ranks = (8, 4, 6, 16, 32, 8)
    made = [write_random_adapter(folder / str(n), n, ranks[n], 5 - n % 3) for n in range(count)]
    return [AdapterRef(str(n), str(path), f"Number {n}") for n, path in enumerate(made)]


def talk(rng: random.Random) -> list[dict[str, str]]:
    """One to three turns behind the same system prompt: conversations that begin alike and go on differently."""
    turns = [SYSTEM]
    for _ in range(rng.randrange(3)):
        turns += [{"role": "user", "content": rng.choice(QUESTIONS)}, {"role": "assistant", "content": "Step by step."}]
    return [*turns, {"role": "user", "content": rng.choice(QUESTIONS)}]


def said(engine: Any, turns: list[dict[str, str]], who: AdapterRef | None) -> str:
    return "".join(piece.text for piece in engine.generate(GenerateRequest(turns, who, SAMPLING)))


def test_answers_are_those_of_mlx_in_three_hundred_random_orders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, made, rng = practice_gguf(tmp_path), adapters(tmp_path, 3), random.Random(11)
    mlx, gguf = MlxEngine(EngineOptions(max_resident=4)), GgufEngine(EngineOptions(max_resident=2))
    mlx.load(shipped_folder())
    gguf.load(base)
    wanted: dict[tuple[str, str], str] = {}
    done: Counter[str] = Counter()
    wrong = []
    for order in range(ORDERS):
        if order % 40 == 39:
            gguf.close()
            gguf.load(base)
            done["restarts"] += 1
        for _ in range(STEPS):
            who, turns = rng.choice([None, *made]), talk(rng)
            key = (who.id if who else "", str(turns))
            if key not in wanted:
                wanted[key] = said(mlx, turns, who)
            if rng.random() < 0.15:
                pieces = gguf.generate(GenerateRequest(turns, who, SAMPLING))
                next(pieces)
                pieces.close()  # type: ignore[attr-defined]
                done["stops"] += 1
            if rng.random() < 0.03:
                gguf.relieve()
                done["reliefs"] += 1
            done["answers"] += 1
            if said(gguf, turns, who) != wanted[key]:
                wrong.append((order, key))
    mlx.close()
    gguf.close()
    with capsys.disabled():
        print(f"\n{ORDERS} orders: {dict(done)}, {len(wanted)} different ones, {len(wrong)} wrong")  # noqa: T201
    assert wrong == []


def test_many_switches_over_six_adapters_leave_memory_and_descriptors_at_their_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, made, rng = practice_gguf(tmp_path), adapters(tmp_path, 6), random.Random(5)
    levels, reloads, switches, last = [], 0, 0, ""
    with InferenceClient(options=EngineOptions(max_resident=3)) as client:
        client.load(base, "gguf")
        process = psutil.Process(client.pid)

        def answer(who: AdapterRef) -> tuple[str, bool]:
            turns = [{"role": "user", "content": QUESTIONS[0]}]
            text, result = client.generate(GenerateRequest(turns, who, SAMPLING))
            return text, bool(result["stats"]["was_resident"])

        first = {who.id: answer(who)[0] for who in made}
        while switches < SWITCHES:
            who = rng.choice(made)
            switches += who.id != last
            last = who.id
            text, resident = answer(who)
            reloads += not resident
            assert text == first[who.id]
            if switches >= WARM:
                levels.append((process.memory_info().rss, process.num_fds()))
    highest = max(size for size, _ in levels)
    # A connection that is just being closed is open all the same.
    third = len(levels) // 3
    early, late = (max(files for _, files in part) for part in (levels[:third], levels[-third:]))
    with capsys.disabled():
        print(f"\n{switches} switches over {len(made)} adapters, 3 resident: {reloads} reloads; "  # noqa: T201
              f"memory {levels[0][0] / 1e6:.0f} MB after {WARM}, {levels[-1][0] / 1e6:.0f} at the end, "
              f"{highest / 1e6:.0f} at most; descriptors at most {early} early, {late} late")  # fmt: skip
    assert levels[-1][0] - levels[0][0] < SLACK_BYTES
    assert late <= early


def bad_files(base: Path, folder: Path) -> list[Path]:
    """Fifty: cut off, with a byte changed in the header, and things of other kinds."""
    data, rng, out = base.read_bytes(), random.Random(3), []
    folder.mkdir()
    cuts = [0, 3, 4, 8, 24, *(rng.randrange(24, len(data)) for _ in range(15))]
    whole = [(f"cut-{place}", data[:place]) for place in cuts]
    for _ in range(20):
        place, changed = rng.randrange(4, 4_000), bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        whole.append((f"flipped-{place}", bytes(changed)))
    weights = (shipped_folder() / "model.safetensors").read_bytes()
    whole += [
        ("safetensors", weights), ("png", b"\x89PNG\r\n\x1a\n" + bytes(500)), ("zip", b"PK\x03\x04" + bytes(500)),
        ("text", b"Not a model at all.\n" * 30), ("json", b'{"model": "practice"}'), ("zeros", bytes(100_000)),
        ("noise", rng.randbytes(100_000)), ("magic only", b"GGUF" + bytes(100)), ("twice", data[:5_000] + data),
        ("another version", b"GGUF" + (99).to_bytes(4, "little") + data[8:]),
    ]  # fmt: skip
    for name, content in whole:
        out.append(folder / f"{name}.gguf")
        out[-1].write_bytes(content)
    return out


def test_fifty_bad_files_are_refused_by_name_and_the_next_question_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = practice_gguf(tmp_path)
    files = bad_files(base, tmp_path / "bad")
    assert len(files) == 50
    turns = [{"role": "user", "content": QUESTIONS[0]}]
    ends: Counter[str] = Counter()
    unnamed: list[AppError] = []
    client = InferenceClient()
    try:
        client.load(base, "gguf")
        right = client.generate(GenerateRequest(turns, None, SAMPLING))[0]
        for file in files:
            try:
                client.load(file, "gguf")
                # What was changed does not matter, or shows in the words alone.
                client.generate(GenerateRequest(turns, None, SAMPLING))
                ends["loads"] += 1
            except AppError as error:
                ends[error.code] += 1
                if (
                    error.code not in ("worker_crashed", "llama_failed", "context_full")
                    and file.name not in error.message
                ):
                    unnamed.append(error)
                if error.code == "worker_crashed":
                    client.close()
                    client = InferenceClient()
            client.load(base, "gguf")
            assert client.generate(GenerateRequest(turns, None, SAMPLING))[0] == right, file.name
    finally:
        client.close()
    with capsys.disabled():
        print(f"\n50 bad files: {dict(ends)}")  # noqa: T201
    assert unnamed == []
    assert ends["loads"] < 20
