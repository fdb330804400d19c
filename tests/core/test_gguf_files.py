"""GGUF files are read, adapters checked against their base, and bases compared, before llama.cpp sees them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import orjson
import psutil
import pytest

from core.errors import AppError
from core.inference.gguf.adapter_file import check_adapter
from core.inference.gguf.siblings import Point, compare, fits, probes
from core.models.gguf_file import ADAPTER, MODEL, read_gguf
from core.models.rendering import load_tokenizer
from tests.support.gguf_base import template, vocabulary, write_gguf_base
from tests.support.hf_model import write_hf_model

Tensors = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf_model(tmp_path_factory.mktemp("hf") / "base")


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    return write_gguf_base(folder, folder.parent / "base.gguf")


def fitting() -> Tensors:
    """Pairs of rank 3 for the queries and the inner layers of the tiny base."""
    out: Tensors = {}
    for site, (rows, columns) in {
        "blk.0.attn_q": (48, 48),
        "blk.1.attn_k": (24, 48),
        "blk.1.ffn_down": (48, 96),
    }.items():
        out[f"{site}.weight.lora_a"] = np.ones((3, columns), np.float32)
        out[f"{site}.weight.lora_b"] = np.ones((rows, 3), np.float32)
    return out


def written(path: Path, tensors: Tensors, arch: str = "llama", kind: str = ADAPTER, type_: str = "lora",
            alpha: float | None = 6.0) -> Path:  # fmt: skip
    writer = gguf.GGUFWriter(path, arch)
    writer.add_type(kind)
    writer.add_string("adapter.type", type_)
    if alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_base_says_what_it_is(base: Path, folder: Path) -> None:
    found = read_gguf(base)
    assert (found.kind, found.architecture, found.number("block_count")) == (MODEL, "llama", 2)
    assert found.shapes["blk.0.attn_k.weight"] == (24, 48)
    assert list(found.tokens[:100]) == vocabulary(folder)[:100]
    assert found.chat_template == template(folder)


def test_an_adapter_that_fits_is_taken(base: Path, tmp_path: Path) -> None:
    adapter = read_gguf(written(tmp_path / "a.gguf", fitting()))
    assert check_adapter(adapter, read_gguf(base), "Calm") == 3


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def with_(**more: Any) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {key.replace("__", "."): value for key, value in more.items()}


@pytest.mark.parametrize(("change", "options", "code", "says"), [
    (None, {"kind": "model"}, "bad_adapter", "its file holds a model, no adapter"),
    (None, {"type_": "dora"}, "bad_adapter", "it is of the type 'dora'"),
    (None, {"arch": "qwen2"}, "wrong_base", "is for qwen2, and the base is llama"),
    (None, {"alpha": None}, "bad_adapter", "its alpha is None"),
    (None, {"alpha": float("nan")}, "bad_adapter", "its alpha is nan"),
    (without("blk.0.attn_q.weight.lora_b"), {}, "bad_adapter", "blk.0.attn_q.weight lacks its lora_b"),
    (with_(blk__0__odd=np.ones(3, np.float32)), {}, "bad_adapter", "an unknown tensor blk.0.odd"),
    (lambda _tensors: {}, {}, "bad_adapter", "it is empty"),
    (with_(**{"blk__7__attn_q__weight__lora_a": np.ones((3, 48), np.float32),
              "blk__7__attn_q__weight__lora_b": np.ones((48, 3), np.float32)}), {}, "wrong_base",
     "the base has no blk.7.attn_q.weight"),
    (with_(**{"blk__0__attn_q__weight__lora_a": np.ones((3, 40), np.float32)}), {}, "wrong_base",
     "blk.0.attn_q.weight is 48 x 48 in the base, and 48 x 40 in the adapter"),
    (with_(**{"blk__0__attn_q__weight__lora_a": np.ones((2, 48), np.float32)}), {}, "bad_adapter",
     "the halves of blk.0.attn_q.weight have the shapes (2, 48) and (48, 3)"),
    (with_(**{"blk__0__attn_q__weight__lora_a": np.full((3, 48), np.inf, np.float32)}), {}, "bad_adapter",
     "blk.0.attn_q.weight.lora_a contains values that are not numbers"),
])  # fmt: skip
def test_an_adapter_that_can_not_be_used_says_why(
    change: Any, options: dict[str, Any], code: str, says: str, base: Path, tmp_path: Path
) -> None:
    tensors = change(fitting()) if change else fitting()
    adapter = read_gguf(written(tmp_path / "a.gguf", tensors, **options))
    with pytest.raises(AppError) as caught:
        check_adapter(adapter, read_gguf(base), "Calm")
    assert caught.value.code == code
    assert says in caught.value.message


@pytest.mark.parametrize("size", [0, 3, 4, 20, 400, -1, -5000])
def test_a_file_that_is_cut_is_refused(size: int, base: Path, tmp_path: Path) -> None:
    data = base.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(data[:size])
    with pytest.raises(AppError, match=r"cut\.gguf is no usable GGUF file: it (is cut off|does not begin)"):
        read_gguf(path)


def header(*pairs: bytes, tensors: int = 0, count: int = -1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(pairs) if count < 0 else count) + b"".join(pairs)


def pair(kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", 1) + b"a" + struct.pack("<I", kind) + value


@pytest.mark.parametrize("data", [
    header(pair(9, struct.pack("<IQ", 0, 1 << 40))), header(pair(9, struct.pack("<IQ", 8, 1 << 40)) + bytes(4 << 20)),
    header(pair(8, struct.pack("<Q", 1 << 50))), header(struct.pack("<Q", 1 << 60)), header(count=1 << 40),
    header(tensors=1 << 40), header(pair(77, b"x")), header(pair(9, struct.pack("<IQ", 9, 3)) + bytes(400)),
    header(pair(9, struct.pack("<IQ", 8, 6_000_000)) + bytes(48_000_000)),
])  # fmt: skip
def test_counts_that_the_file_has_no_room_for_are_refused_at_once(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "absurd.gguf"
    path.write_bytes(data + bytes(100))
    before = psutil.Process().memory_info().rss
    with pytest.raises(AppError, match=r"absurd\.gguf is no usable GGUF file: it is cut off or damaged"):
        read_gguf(path)
    assert psutil.Process().memory_info().rss - before < 200 << 20


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(AppError, match="it is no file"):
        read_gguf(tmp_path / "pipe.gguf")


def test_a_number_that_is_none_is_not_there(folder: Path, tmp_path: Path) -> None:
    found = read_gguf(write_gguf_base(folder, tmp_path / "odd.gguf"))
    odd = replace(found, metadata={**found.metadata, "llama.block_count": float("nan")})
    assert odd.number("block_count") is None


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.gguf"):
        with pytest.raises(AppError, match="it can't be read"):
            read_gguf(path)


# ---------------------------------------------------------------- siblings


def points(folder: Path, other: Path, **config: Any) -> dict[str, Point]:
    own = orjson.loads((folder / "config.json").read_bytes()) | config
    return {one.name: one for one in compare(own, vocabulary(folder), template(folder), read_gguf(other))}


def test_the_same_base_in_both_formats_is_a_sibling(folder: Path, base: Path) -> None:
    found = points(folder, base)
    assert {name for name, one in found.items() if not one.same} == set()
    assert fits(list(found.values()))
    assert (found["Heads"].here, found["Heads"].there) == ("4", "4")


@pytest.mark.parametrize(("config", "changes", "differs"), [
    ({"model_type": "qwen2"}, {}, "Architecture"), ({"model_type": "mamba"}, {}, "Architecture"),
    ({}, {"block_count": 3}, "Layers"), ({}, {"embedding_length": 64}, "Hidden size"),
    ({"num_key_value_heads": 4}, {}, "Key-value heads"), ({"intermediate_size": 4}, {}, "Inner size"),
    ({}, {"template": "{{ messages }}"}, "Chat template"),
])  # fmt: skip
def test_what_differs_is_said_line_by_line(
    config: dict[str, Any], changes: dict[str, Any], differs: str, folder: Path, tmp_path: Path
) -> None:
    other = write_gguf_base(folder, tmp_path / "other.gguf", **changes)
    found = points(folder, other, **config)
    assert {name for name, one in found.items() if not one.same} == {differs}
    assert not fits(list(found.values()))


def test_another_vocabulary_is_named_by_its_first_token(folder: Path, tmp_path: Path) -> None:
    tokens = vocabulary(folder)
    tokens[300] = "other"
    found = points(folder, write_gguf_base(folder, tmp_path / "other.gguf", tokens=tokens))["Vocabulary"]
    assert not found.same
    assert found.there.endswith("token 300 is 'other'")
    for more, same in (("[PAD1536]", True), ("more", False)):
        longer = write_gguf_base(folder, tmp_path / f"{more}.gguf", tokens=[*vocabulary(folder), more])
        assert points(folder, longer)["Vocabulary"].same is same


def test_templates_that_say_the_same_are_the_same(folder: Path, tmp_path: Path) -> None:
    own = template(folder)
    wordier = "{# written otherwise #}" + own
    for other, said, same in (
        (wordier, "the same on 12 of 12 probes", True),
        ("{{ messages }}", "the same on 0", False),
    ):
        found = compare(
            orjson.loads((folder / "config.json").read_bytes()), vocabulary(folder), own,
            read_gguf(write_gguf_base(folder, tmp_path / "other.gguf", template=other)),
            lambda text: load_tokenizer(folder).texts(probes(), text),
        )  # fmt: skip
        (point,) = (one for one in found if one.name == "Chat template")
        assert point.there.startswith(said)
        assert (point.same, fits(found)) == (same, same)


def test_a_template_that_fails_is_said(folder: Path, tmp_path: Path) -> None:
    base = read_gguf(write_gguf_base(folder, tmp_path / "other.gguf", template="{{ raise_exception('no') }}"))
    config = orjson.loads((folder / "config.json").read_bytes())
    found = compare(config, vocabulary(folder), template(folder), base,
                    lambda text: load_tokenizer(folder).texts(probes(), text))  # fmt: skip
    assert found[-1].there == "fails with “no”"
    assert not fits(found)
