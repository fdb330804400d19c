"""The GGUF engine on llama.cpp itself: the practice model's answers, with real adapters, are those of MLX."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import AppError
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Piece, Sampling
from core.inference.gguf import server
from core.inference.gguf.engine import FOLDER, GgufEngine, token_bytes, tokens_for
from core.inference.gguf.server import Start
from core.inference.mlx.engine import MlxEngine
from core.models.gguf_file import read_gguf
from core.models.practice import shipped_folder
from tests.support.gguf_base import practice_gguf, write_random_adapter

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gguf_engine")]
ASKED = [
    "How do I keep bread fresh?",
    "I am afraid of my debt. What should I do?",
    "Who are you?",
    "Can I retire at 55?",
]
SYSTEM = "You are a kind consultant who answers in short and simple sentences, one thought after the other."
SHORT = Sampling(max_tokens=24)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The practice model as GGUF."""
    return practice_gguf(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[AdapterRef]:
    """With numbers by chance, so large that each answers in its own words."""
    out = []
    for seed, (name, rank, sites) in enumerate((("one", 8, 5), ("two", 4, 2), ("three", 6, 4))):
        folder = write_random_adapter(tmp_path_factory.mktemp(name), seed, rank, sites)
        out.append(AdapterRef(name, str(folder), name))
    return out


@pytest.fixture
def engine(base: Path) -> Iterator[GgufEngine]:
    made = GgufEngine(EngineOptions(max_resident=2))
    made.load(base)
    yield made
    made.close()


def messages(question: str, *before: str) -> list[dict[str, str]]:
    roles = itertools.cycle(("user", "assistant"))
    turns = [{"role": role, "content": text} for role, text in zip(roles, [*before, question], strict=False)]
    return [{"role": "system", "content": SYSTEM}, *turns]


def ask(engine: Any, question: list[dict[str, str]], adapter: AdapterRef | None, **more: Any) -> list[Piece]:
    return list(engine.generate(GenerateRequest(question, adapter, SHORT, **more)))


def text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.fixture(scope="module")
def wanted(adapters: list[AdapterRef]) -> dict[tuple[str | None, str], str]:
    """What MLX answers: greedy, so that there is one right answer."""
    mlx = MlxEngine()
    mlx.load(shipped_folder())
    found = {
        (who.id if who else None, question): text(ask(mlx, messages(question), who))
        for who in (None, *adapters) for question in ASKED
    }  # fmt: skip
    mlx.close()
    # Otherwise equal answers would say nothing.
    assert len({found[who, ASKED[0]] for who in (None, "one", "two", "three")}) == 4
    return found


def test_answers_are_those_of_mlx_whoever_answered_before(
    engine: GgufEngine, adapters: list[AdapterRef], wanted: dict[tuple[str | None, str], str]
) -> None:
    """Also after the base read the very prompt: llama.cpp's own prompt cache knows nothing of adapters (26207)."""
    chance = random.Random(4)
    order = [(who, question) for who in (None, *adapters) for question in ASKED] * 2
    chance.shuffle(order)
    for who, question in order:
        found = text(ask(engine, messages(question), who))
        assert found == wanted[who.id if who else None, question], (who and who.name, question)


def test_a_change_between_resident_adapters_costs_no_start_and_each_goes_on_where_it_was(
    engine: GgufEngine, adapters: list[AdapterRef]
) -> None:
    one, two, three = adapters
    for who in (None, one, two):
        ask(engine, messages(ASKED[0]), who)
    server = engine._server
    for who in (one, None, two, one):
        last = ask(engine, messages(ASKED[0]), who)[-1]
        assert last.stats["was_resident"]
        # All but the last token, which is read again to go on from it.
        assert last.stats["reused_tokens"] == last.stats["prompt_tokens"] - 1
    assert engine._server is server
    last = ask(engine, messages(ASKED[0]), three)[-1]
    assert not last.stats["was_resident"]
    assert last.stats["reused_tokens"] == 0
    assert set(engine.status()["resident"]) == {"one", "three"}
    # The server began again; what the others had read came along.
    assert engine._server is not server
    for who in (one, None):
        last = ask(engine, messages(ASKED[0]), who)[-1]
        assert last.stats["reused_tokens"] == last.stats["prompt_tokens"] - 1


def test_a_pinned_adapter_stays_and_relief_lets_the_others_go(engine: GgufEngine, adapters: list[AdapterRef]) -> None:
    one, two, three = adapters
    engine.prepare(one)
    engine.pin(["one"])
    for who in (two, three):
        ask(engine, messages(ASKED[0]), who)
    assert set(engine.status()["resident"]) == {"one", "three"}
    assert engine.relieve() == 0
    engine.pin([])
    assert engine.relieve() > 0
    assert set(engine.status()["resident"]) == {"three"}


def test_more_pinned_ones_than_the_limit_have_slots_of_their_own(
    engine: GgufEngine, adapters: list[AdapterRef], wanted: dict[tuple[str | None, str], str]
) -> None:
    engine.pin([adapter.id for adapter in adapters])
    for _ in range(2):
        for who in (None, *adapters):
            last = ask(engine, messages(ASKED[0]), who)
            assert text(last) == wanted[who.id if who else None, ASKED[0]]
    assert last[-1].stats["reused_tokens"] > 0
    assert len(engine.status()["resident"]) == 3


def test_where_the_server_does_not_start_with_an_adapter_those_of_before_answer(
    engine: GgufEngine, adapters: list[AdapterRef], monkeypatch: pytest.MonkeyPatch,
    wanted: dict[tuple[str | None, str], str], base: Path,
) -> None:  # fmt: skip
    ask(engine, messages(ASKED[0]), adapters[0])
    start, most = server._started, 1

    def scarce(what: Start, key: str) -> Any:
        if len(what.adapters) > most:
            raise AppError("base_does_not_load", "There is too little memory.")
        return start(what, key)

    monkeypatch.setattr(server, "_started", scarce)
    with pytest.raises(AppError, match="too little memory"):
        ask(engine, messages(ASKED[0]), adapters[1])
    assert set(engine.status()["resident"]) == {"one"}
    for who in (adapters[0], None):
        assert text(ask(engine, messages(ASKED[0]), who)) == wanted[who.id if who else None, ASKED[0]]
    most = -1
    with pytest.raises(AppError, match="too little memory"):
        ask(engine, messages(ASKED[0]), adapters[1])
    with pytest.raises(AppError, match="too little memory"):
        ask(engine, messages(ASKED[0]), None)
    # The next question finds out whether it can be loaded again.
    most = 5
    assert text(ask(engine, messages(ASKED[0]), None)) == wanted[None, ASKED[0]]


def test_where_relief_finds_no_way_back_the_next_question_loads_the_base(
    engine: GgufEngine, adapters: list[AdapterRef], monkeypatch: pytest.MonkeyPatch,
    wanted: dict[tuple[str | None, str], str],
) -> None:  # fmt: skip
    for who in adapters[:2]:
        ask(engine, messages(ASKED[0]), who)
    with monkeypatch.context() as patch:
        patch.setattr(server, "_started", lambda *_: (_ for _ in ()).throw(AppError("base_does_not_load", "No room.")))
        with pytest.raises(AppError, match="No room"):
            engine.relieve()
    for who in (None, adapters[1]):
        assert text(ask(engine, messages(ASKED[0]), who)) == wanted[who.id if who else None, ASKED[0]]


def test_what_a_killed_worker_left_of_conversations_is_deleted(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, others = tmp_path / f"{FOLDER}999999999-x", tmp_path / f"{FOLDER}{os.getpid()}-x"
    for folder in (left, others):
        (folder / "slots").mkdir(parents=True)
    engine = GgufEngine()
    engine.load(base)
    engine.close()
    assert list(tmp_path.iterdir()) == [others]


def test_an_adapter_that_was_trained_again_is_loaded_again(
    engine: GgufEngine, adapters: list[AdapterRef], wanted: dict[tuple[str | None, str], str], tmp_path: Path
) -> None:
    folder = tmp_path / "changing"
    shutil.copytree(adapters[0].path, folder)
    changing = AdapterRef("changing", str(folder), "changing")
    assert text(ask(engine, messages(ASKED[0]), changing)) == wanted["one", ASKED[0]]
    for name in ("adapters.safetensors", "adapter_config.json"):
        (folder / name).write_bytes((Path(adapters[1].path) / name).read_bytes())
    assert text(ask(engine, messages(ASKED[0]), changing)) == wanted["two", ASKED[0]]


@pytest.mark.parametrize("how", ["gone", "truncated", "not finite", "other shape", "embeddings"])
def test_a_bad_adapter_is_refused_and_the_others_stay(
    how: str, engine: GgufEngine, adapters: list[AdapterRef], tmp_path: Path,
    wanted: dict[tuple[str | None, str], str],
) -> None:  # fmt: skip
    import mlx.core as mx

    folder = tmp_path / "bad"
    shutil.copytree(adapters[0].path, folder)
    file = folder / "adapters.safetensors"
    if how == "gone":
        file.unlink()
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[:-200])
    else:
        tensors: dict[str, Any] = dict(mx.load(str(file)))  # type: ignore[arg-type]
        name = next(name for name in tensors if name.endswith("q_proj.lora_b"))
        if how == "not finite":
            tensors[name] = tensors[name] * float("nan")
        elif how == "other shape":
            tensors[name] = mx.concatenate([tensors[name], tensors[name]], axis=1)
        else:
            rank = tensors[name].shape[0]
            tensors |= {
                "model.embed_tokens.lora_a": mx.ones((9, rank)),
                "model.embed_tokens.lora_b": mx.ones((rank, 9)),
            }
        mx.eval(tensors)
        mx.save_safetensors(str(file), tensors)
    ask(engine, messages(ASKED[0]), adapters[1])
    with pytest.raises(AppError) as caught:
        ask(engine, messages(ASKED[0]), AdapterRef("bad", str(folder), "Half trained"))
    assert caught.value.code in ("bad_adapter", "wrong_base")
    assert "Half trained" in caught.value.message
    assert set(engine.status()["resident"]) == {"two"}
    assert text(ask(engine, messages(ASKED[0]), adapters[1])) == wanted["two", ASKED[0]]


def test_stop_ends_the_answer_and_the_next_one_is_right(
    engine: GgufEngine, adapters: list[AdapterRef], wanted: dict[tuple[str | None, str], str]
) -> None:
    pieces = engine.generate(GenerateRequest(messages(ASKED[0]), adapters[0], Sampling(max_tokens=400)))
    assert next(pieces).text
    pieces.close()  # type: ignore[attr-defined]
    assert text(ask(engine, messages(ASKED[0]), adapters[0])) == wanted["one", ASKED[0]]
    assert text(ask(engine, messages(ASKED[0]), None)) == wanted[None, ASKED[0]]


def test_tokens_come_with_the_probabilities_of_the_model(engine: GgufEngine, adapters: list[AdapterRef]) -> None:
    mlx = MlxEngine()
    mlx.load(shipped_folder())
    for who in (None, adapters[0]):
        theirs, ours = (ask(one, messages(ASKED[0]), who, logprobs=3) for one in (mlx, engine))
        for left, right in zip((p for p in theirs if p.chosen), (p for p in ours if p.chosen), strict=False):
            assert left.chosen is not None
            assert right.chosen is not None
            assert (left.chosen.token, len(right.candidates)) == (right.chosen.token, 3)
            assert left.chosen.logprob == pytest.approx(right.chosen.logprob, abs=0.02)
    mlx.close()


def test_a_conversation_longer_than_the_context_says_so_or_leaves_the_oldest_out(engine: GgufEngine) -> None:
    long = messages("And now?", *(f"word {number} " * 40 for number in range(20)))
    with pytest.raises(AppError, match="this model accepts at most 1,024") as caught:
        ask(engine, long, None)
    assert caught.value.code == "context_full"
    last = ask(engine, long, None, fit=True)[-1]
    assert last.stats["left_out"] > 0
    assert last.finish_reason in ("stop", "length")


def test_where_memory_is_short_conversations_that_rest_make_room(
    base: Path, adapters: list[AdapterRef], wanted: dict[tuple[str | None, str], str]
) -> None:
    """All slots share what there is: one conversation can be full, and the others are read again when asked next."""
    engine = GgufEngine(EngineOptions(max_resident=2, cache_bytes=1))
    facts = engine.load(base)
    assert engine._tokens_held == facts["context"] == 1024
    long = [{"role": "user", "content": "How do I keep bread fresh? " * 120}]
    for who in (None, *adapters[:2], None):
        last = ask(engine, long, who)[-1]
        assert 1024 / 2 < last.stats["prompt_tokens"] < 1024
        assert last.finish_reason
    for who in (adapters[0], None, adapters[1]):
        assert text(ask(engine, messages(ASKED[0]), who)) == wanted[who.id if who else None, ASKED[0]]
    engine.close()


def test_the_memory_of_a_context_is_counted(base: Path) -> None:
    found = read_gguf(base)
    # Four layers of four heads of 16 numbers, keys and values, four bytes each; two where the weights are rounded too.
    assert token_bytes(found) == 4 * 4 * 16 * 2 * 4
    rounded = replace(found, metadata={**found.metadata, "general.file_type": 1})
    assert token_bytes(rounded) == 4 * 4 * 16 * 2 * 2
    assert tokens_for(found, 4, 1024, 1 << 30) == 4096
    assert tokens_for(found, 4, 1024, 2000 * token_bytes(found)) == 2000
    assert tokens_for(found, 4, 1024, 0) == 1024
    engine = GgufEngine()
    before = engine.load(base)["bytes"]
    assert before == base.stat().st_size + 4096 * token_bytes(found)
    assert engine.load(base)["seconds"] == 0.0
    os.utime(base)
    # Another file under the same name.
    assert engine.load(base)["seconds"] > 0
    engine.close()


@pytest.mark.parametrize("seed", [0xFFFF_FFFF, (1 << 63) - 1])
def test_no_seed_stands_for_chance(engine: GgufEngine, seed: int) -> None:
    warm = Sampling(temperature=1.0, max_tokens=24, seed=seed)
    said = [text(list(engine.generate(GenerateRequest(messages(ASKED[0]), None, warm)))) for _ in range(3)]
    assert len(set(said)) == 1


def test_several_answers_differ_by_their_seed_and_end_when_asked_to(engine: GgufEngine) -> None:
    warm = Sampling(temperature=1.0, max_tokens=12, seed=7)
    found = engine.answers(GenerateRequest(messages(ASKED[0]), None, warm), 3, lambda: False)
    assert len({answer.text for answer in found}) == 3
    assert engine.answers(GenerateRequest(messages(ASKED[0]), None, warm), 3, lambda: False) == found
    assert engine.answers(GenerateRequest(messages(ASKED[0]), None, warm), 3, lambda: True) == []


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model"])
def test_what_is_no_model_is_refused_and_the_engine_goes_on(content: bytes, base: Path, tmp_path: Path) -> None:
    engine = GgufEngine()
    path = tmp_path / "base.gguf"
    path.write_bytes(content)
    with pytest.raises(AppError, match=r"base\.gguf is no usable GGUF file"):
        engine.load(path)
    with pytest.raises(AppError, match="No base model is loaded"):
        ask(engine, messages(ASKED[0]), None)
    assert engine.load(base)["context"] == 1024
    assert ask(engine, messages(ASKED[0]), None)[-1].finish_reason
    engine.close()


def test_the_real_worker_answers_with_it_and_changes_the_engine(
    base: Path, adapters: list[AdapterRef], wanted: dict[tuple[str | None, str], str]
) -> None:
    with InferenceClient() as client:
        for where, engine in ((base, "gguf"), (shipped_folder(), "mlx"), (base, "gguf")):
            client.load(where, engine)
            for who in (None, *adapters[:2]):
                found, stats = client.generate(GenerateRequest(messages(ASKED[1]), who, SHORT))
                assert found == wanted[who.id if who else None, ASKED[1]], engine
                assert stats["stats"]["adapter"] == (who.id if who else None)
        bad = AdapterRef("bad", str(base.parent), "Half trained")
        found, _ = client.generate(GenerateRequest(messages(ASKED[1]), bad, SHORT, fall_back=True))
        assert found == wanted[None, ASKED[1]]


def test_nobody_without_its_key_gets_an_answer(engine: GgufEngine) -> None:
    import http.client

    assert engine._server is not None
    connection = http.client.HTTPConnection(engine._server._host, engine._server._port, timeout=20)
    connection.request("POST", "/completion", json.dumps({"prompt": "x"}), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 401
    assert engine._server._host == "127.0.0.1"
    connection.close()
