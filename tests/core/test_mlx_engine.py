from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from core.errors import AppError
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.mlx.engine import MlxEngine
from core.models.practice import shipped_folder
from core.training.config import TrainingConfig
from tests.support.training import sample_messages, train_adapter

ASK = [{"role": "user", "content": "How do I keep bread fresh?"}]
SHORT = Sampling(max_tokens=24)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[AdapterRef]:
    out = []
    for name, rank, targets in (("one", 8, "all_linear_and_embeddings"), ("two", 4, "attention")):
        config = TrainingConfig(
            learning_rate=1e-3, batch_size=2, epochs=1, rank=rank, alpha=rank * 8, dropout=0.0, targets=targets
        )
        published, _ = train_adapter(tmp_path_factory.mktemp(name), config, limit=6)
        out.append(AdapterRef(name, str(published.folder), name))
    return out


def logits(model: Any, ids: list[int]) -> Any:
    import mlx.core as mx

    return np.array(model(mx.array([ids])))


def answer(engine: MlxEngine, adapter: AdapterRef | None) -> str:
    return "".join(p.text for p in engine.generate(GenerateRequest(ASK, adapter, SHORT)))


def test_logits_equal_those_of_mlx_lm_and_the_base_comes_back_bit_identical(adapters: list[AdapterRef]) -> None:
    from mlx_lm import load

    engine = MlxEngine()
    engine.load(shipped_folder())
    assert engine._pool is not None
    assert engine._tokenizer is not None
    ids = engine._tokenizer.render(sample_messages(1)[0]).ids
    untouched = logits(load(str(shipped_folder()))[0], ids)
    names = [name for name, _ in engine._model.named_modules()]
    for reference in [*adapters, *reversed(adapters)]:
        expected = logits(load(str(shipped_folder()), adapter_path=reference.path)[0], ids)
        engine._pool.activate(reference)
        assert np.array_equal(logits(engine._model, ids), expected)
        assert not np.array_equal(expected, untouched)
        engine._pool.activate(None)
        assert np.array_equal(logits(engine._model, ids), untouched)
    assert [name for name, _ in engine._model.named_modules()] == names


def test_the_real_worker_scores_like_mlx_lm(adapters: list[AdapterRef]) -> None:
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm import load

    from core.models.rendering import load_tokenizer

    messages = sample_messages(1)[0]
    rendered = load_tokenizer(shipped_folder()).render(messages)
    model = load(str(shipped_folder()), adapter_path=adapters[0].path)[0]
    ids = mx.array([rendered.ids])
    losses = nn.losses.cross_entropy(model(ids[:, :-1]), ids[:, 1:])[0].tolist()
    expected = [-x for x, w in zip(losses, rendered.weights[1:], strict=True) if w]
    with InferenceClient() as client:
        client.load(shipped_folder())
        with_adapter = client.score([messages], adapters[0])[0]
        base = client.score([messages])[0]
    assert with_adapter == expected
    assert sum(with_adapter) > sum(base)


def test_switching_changes_the_answer_and_off_is_the_base_again(adapters: list[AdapterRef]) -> None:
    engine = MlxEngine()
    engine.load(shipped_folder())
    base = answer(engine, None)
    changed = answer(engine, adapters[0])
    assert changed != base
    assert answer(engine, None) == base
    assert answer(engine, adapters[0]) == changed


def test_the_least_recently_used_adapter_leaves_and_comes_back(adapters: list[AdapterRef], tmp_path: Path) -> None:
    engine = MlxEngine(EngineOptions(max_resident=1))
    engine.load(shipped_folder())
    first = answer(engine, adapters[0])
    answer(engine, adapters[1])
    assert list(engine.status()["resident"]) == ["two"]
    assert answer(engine, adapters[0]) == first


def broken(tmp_path: Path, source: AdapterRef, how: str) -> AdapterRef:
    folder = tmp_path / how
    shutil.copytree(source.path, folder)
    tensors, config = folder / "adapters.safetensors", folder / "adapter_config.json"
    if how == "truncated":
        tensors.write_bytes(tensors.read_bytes()[:-100])
    elif how == "gone":
        tensors.unlink()
    elif how == "no_config":
        config.write_text("{}")
    elif how == "other_base":
        config.write_bytes(orjson.dumps({**orjson.loads(config.read_bytes()), "base_fingerprint": "x"}))
    elif how in ("scale_nan", "scale_huge"):
        scale = "nan" if how == "scale_nan" else 1e300
        config.write_bytes(orjson.dumps({**orjson.loads(config.read_bytes()), "lora_parameters": {"scale": scale}}))
    elif how == "config_list":
        config.write_text("[]")
    elif how == "header_list":
        tensors.write_bytes((2).to_bytes(8, "little") + b"[]")
    elif how == "dtype":
        text = orjson.dumps({"x.lora_a": {"dtype": "F99", "shape": [0], "data_offsets": [0, 0]}})
        tensors.write_bytes(len(text).to_bytes(8, "little") + text)
    elif how == "pickle":
        tensors.write_bytes(b"\x80\x04\x95" + b"x" * 200)
    else:
        rewrite(tensors, how)
    return AdapterRef(how, str(folder), how)


def rewrite(path: Path, how: str) -> None:
    import mlx.core as mx

    tensors: dict[str, Any] = dict(mx.load(str(path)))  # type: ignore[arg-type]
    mx.eval(tensors)
    name = next(iter(tensors))
    if how == "nan":
        tensors[name] = tensors[name] * float("nan")
    elif how == "half_pair":
        del tensors[name]
    elif how == "wrong_shape":
        tensors[name] = mx.zeros((3, 3))
    elif how == "scalar":
        tensors[name] = mx.array(1.0)
    elif how in ("layers.99.", "layers.x."):
        tensors = {k.replace("layers.0.", how): v for k, v in tensors.items()}
    elif how == "unknown_module":
        tensors = {f"model.nowhere.{k}": v for k, v in tensors.items()}
    mx.save_safetensors(str(path), tensors)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "gone",
        "no_config",
        "other_base",
        "pickle",
        "nan",
        "half_pair",
        "wrong_shape",
        "unknown_module",
        "scale_nan",
        "scale_huge",
        "config_list",
        "header_list",
        "dtype",
        "scalar",
        "layers.99.",
        "layers.x.",
    ],
)
def test_a_bad_adapter_is_refused_and_the_active_one_stays(
    tmp_path: Path, adapters: list[AdapterRef], how: str
) -> None:
    engine = MlxEngine()
    engine.load(shipped_folder())
    before = answer(engine, adapters[0])
    with pytest.raises(AppError) as caught:
        answer(engine, broken(tmp_path, adapters[0], how))
    assert caught.value.code in ("bad_adapter", "wrong_base")
    assert f"The adapter {how} " in caught.value.message
    assert caught.value.hint
    assert answer(engine, adapters[0]) == before


def faulty(folder: Path, chance: random.Random) -> str:
    """Damage a copy of an adapter somewhere; what was done."""
    import mlx.core as mx

    path = folder / "adapters.safetensors"
    data = path.read_bytes()
    how = chance.choice(("cut", "header", "value", "gone", "shape", "longer"))
    if how == "cut":
        path.write_bytes(data[: chance.randrange(len(data))])
    elif how == "longer":
        path.write_bytes(data + bytes(chance.randrange(1, 5_000)))
    elif how == "header":
        size = int.from_bytes(data[:8], "little")
        at = chance.randrange(8, 8 + size)
        path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    else:
        tensors: dict[str, Any] = dict(mx.load(str(path)))  # type: ignore[arg-type]
        mx.eval(tensors)
        name = chance.choice(sorted(tensors))
        if how == "gone":
            del tensors[name]
        elif how == "shape":
            tensors[name] = tensors[name][: tensors[name].shape[0] - 1]
        else:
            values = np.array(tensors[name])
            values[chance.randrange(values.shape[0]), chance.randrange(values.shape[1])] = chance.choice(
                (np.nan, np.inf, -np.inf)
            )
            tensors[name] = mx.array(values)
        mx.save_safetensors(str(path), tensors)
    return how


def test_fifty_adapters_damaged_anywhere_are_refused_by_name_and_the_active_one_stays(
    tmp_path: Path, adapters: list[AdapterRef]
) -> None:
    chance, engine, seen = random.Random(11), MlxEngine(), set()
    engine.load(shipped_folder())
    before = answer(engine, adapters[0])
    for number in range(50):
        folder = tmp_path / f"adapter-{number}"
        shutil.copytree(adapters[number % 2].path, folder)
        seen.add(faulty(folder, chance))
        name = f"Number {number}"
        with pytest.raises(AppError) as caught:
            engine.prepare(AdapterRef(folder.name, str(folder), name))
        assert caught.value.code in ("bad_adapter", "wrong_base")
        assert f"The adapter {name} " in caught.value.message
    assert len(seen) == 6
    assert answer(engine, adapters[0]) == before
    assert list(engine.status()["resident"]) == ["one"]


def test_a_conversation_longer_than_the_context_says_so() -> None:
    engine = MlxEngine()
    engine.load(shipped_folder())
    with pytest.raises(AppError) as caught:
        list(engine.generate(GenerateRequest([{"role": "user", "content": "word " * 3000}])))
    assert caught.value.code == "context_full"


def test_the_worker_answers_errors_and_unknown_commands_and_goes_on() -> None:
    with InferenceClient() as client:
        with pytest.raises(AppError, match="No base model is loaded"):
            client.generate(GenerateRequest(ASK))
        with pytest.raises(AppError, match="unknown command"):
            client.call("dance")
        client.load(shipped_folder())
        text, result = client.generate(GenerateRequest(ASK, None, SHORT))
        assert text.strip()
        assert result["stats"]["tokens"] <= 24


def test_several_answers_at_once_are_those_of_one_after_the_other(adapters: list[AdapterRef]) -> None:
    engine = MlxEngine()
    engine.load(shipped_folder())
    alone = answer(engine, adapters[0])
    found = engine.answers(GenerateRequest(ASK, adapters[0], SHORT), 3, lambda: False)
    assert [one.text for one in found] == [alone] * 3
    warm = GenerateRequest(ASK, None, Sampling(temperature=1.0, max_tokens=24, seed=5))
    one, two = (engine.answers(warm, 4, lambda: False) for _ in range(2))
    assert one == two
    assert len({found.text for found in one}) > 1


def test_the_worker_gives_several_answers_up_to_a_stop_word(adapters: list[AdapterRef]) -> None:
    with InferenceClient() as client:
        client.load(shipped_folder())
        whole = client.answers(GenerateRequest(ASK, None, SHORT), 2)
        assert {found.finish_reason for found in whole} <= {"stop", "length"}
        word = whole[0].text.split()[1]
        cut = client.answers(GenerateRequest(ASK, None, SHORT, stop=[word]), 2)
        assert [found.text for found in cut] == [whole[0].text.partition(word)[0]] * 2
        assert {found.finish_reason for found in cut} == {"stop"}


def test_answers_that_are_stopped_come_as_far_as_they_got(adapters: list[AdapterRef]) -> None:
    engine = MlxEngine()
    engine.load(shipped_folder())
    steps = iter(range(100))
    found = engine.answers(GenerateRequest(ASK, None, Sampling(max_tokens=200)), 2, lambda: next(steps) >= 5)
    assert {one.finish_reason for one in found} == {"user"}
    assert all(0 < one.tokens <= 5 for one in found)
