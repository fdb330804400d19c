"""An adapter in the layouts of others: equal to llama.cpp's own converter, and to PEFT on torch in its logits."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from core.cancel import CancelToken
from core.errors import AppError
from core.models.practice import shipped_folder
from core.registries import ADAPTER_FORMATS
from core.training.exports import Exported, kept
from core.training.exports.gguf_layout import ARCHITECTURES, FILE, write_gguf
from core.training.exports.peft_layout import targets
from core.workspace.paths import models_cache
from tests.support.gguf_base import write_random_adapter

FIXTURES = Path(__file__).parents[1] / "fixtures" / "gguf_lora"


def exported(folder: Path, **config: Any) -> Exported:
    return Exported(folder, "Shop tone", json.loads((folder / "config.json").read_bytes()) | config, "Tiny", "ab" * 32)


def tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}


def field(path: Path, name: str) -> Any:
    return gguf.GGUFReader(path).fields[name].contents()


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_gguf_has_the_tensors_of_llama_cpps_converter(model_type: str, tmp_path: Path) -> None:
    write_gguf(exported(FIXTURES / model_type), tmp_path / FILE)
    ours, theirs = tensors(tmp_path / FILE), tensors(FIXTURES / model_type / "expected.gguf")
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert np.array_equal(ours[name], tensor), name
    for key in ("general.architecture", "general.type", "adapter.type", "adapter.lora.alpha"):
        assert field(tmp_path / FILE, key) == field(FIXTURES / model_type / "expected.gguf", key), key
    assert field(tmp_path / FILE, "adapter.lora.alpha") == 10.0
    assert field(tmp_path / FILE, "general.name") == "Shop tone"


def altered(tmp_path: Path, change: Any) -> Path:
    """The llama adapter with other tensors."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "altered"
    shutil.copytree(FIXTURES / "llama", folder)
    found = load_file(folder / "adapters.safetensors")
    change(found)
    save_file(found, folder / "adapters.safetensors")
    return folder


def embedding(found: dict[str, Any]) -> None:
    found["model.embed_tokens.lora_a"] = np.ones((64, 4), np.float32)
    found["model.embed_tokens.lora_b"] = np.ones((4, 32), np.float32)


def dora(found: dict[str, Any]) -> None:
    for name in [name for name in found if name.endswith("lora_b")]:
        found[name.replace("lora_b", "m")] = np.ones(found[name].shape[1], np.float32)


def experts(found: dict[str, Any]) -> None:
    found["model.layers.0.mlp.switch_mlp.up_proj.lora_a"] = np.ones((2, 4, 32), np.float32)
    found["model.layers.0.mlp.switch_mlp.up_proj.lora_b"] = np.ones((2, 48, 4), np.float32)


def half(found: dict[str, Any]) -> None:
    del found["model.layers.0.self_attn.q_proj.lora_b"]


def unknown(found: dict[str, Any]) -> None:
    found["model.layers.0.self_attn.gate.lora_a"] = np.ones((32, 4), np.float32)
    found["model.layers.0.self_attn.gate.lora_b"] = np.ones((4, 32), np.float32)


def other_rank(found: dict[str, Any]) -> None:
    found["model.layers.0.mlp.up_proj.lora_a"] = np.ones((32, 2), np.float32)
    found["model.layers.0.mlp.up_proj.lora_b"] = np.ones((2, 48), np.float32)


@pytest.mark.parametrize(("change", "says"), [
    (embedding, "it adapts model.embed_tokens"), (dora, "it is a DoRA"), (experts, "layer of experts"),
    (half, "model.layers.0.self_attn.q_proj lacks half of its pair"),
    (unknown, "llama.cpp knows no module model.layers.0.self_attn.gate"), (other_rank, "different ranks (2, 4)"),
])  # fmt: skip
def test_what_gguf_can_not_hold_is_refused_by_its_name(change: Any, says: str, tmp_path: Path) -> None:
    folder = altered(tmp_path, change)
    with pytest.raises(AppError, match="can't be exported in this format") as caught:
        write_gguf(exported(folder), tmp_path / FILE)
    assert caught.value.code == "can_not_export"
    assert says in caught.value.message
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("config", [{"model_type": "mamba"}, {"num_attention_heads": 5, "num_key_value_heads": 5}])
def test_another_architecture_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"its base is of the type 'mamba'|rows don't divide into 5 heads"):
        write_gguf(exported(FIXTURES / "llama", **config), tmp_path / FILE)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("model_type", ["llama", "qwen3"])
@pytest.mark.parametrize("change", [None, dora])
def test_peft_gives_the_logits_of_mlx(model_type: str, change: Any, tmp_path: Path) -> None:
    """Real PEFT and transformers on torch, against mlx-lm with the adapter as it is here."""
    import mlx.core as mx
    import torch
    from mlx_lm.utils import load_adapters, load_model
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    base, folder, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "peft"
    shutil.copytree(FIXTURES / model_type, folder)
    if change is not None:
        from safetensors.numpy import load_file, save_file

        found = load_file(folder / "adapters.safetensors")
        change(found)
        save_file(found, folder / "adapters.safetensors")
        config = json.loads((folder / "adapter_config.json").read_bytes())
        (folder / "adapter_config.json").write_text(json.dumps(config | {"fine_tune_type": "dora"}))
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(FIXTURES / model_type)).save_pretrained(base)
    out.mkdir()
    ADAPTER_FORMATS.get("peft").write(exported(folder), out, CancelToken())
    ids = [[1, 5, 9, 33, 2, 60]]
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(out))
    with torch.no_grad():
        wanted = theirs(torch.tensor(ids)).logits.numpy()
        plain = AutoModelForCausalLM.from_pretrained(base)(torch.tensor(ids)).logits.numpy()
    model, _ = load_model(base)
    model = load_adapters(model, str(folder))
    model.eval()
    found_logits = np.array(model(mx.array(ids)).astype(mx.float32))
    assert np.abs(wanted - found_logits).max() < 1e-3
    # It does something.
    assert np.abs(wanted - plain).max() > 0.1


def test_peft_refuses_an_embedding_that_is_the_output_too(tmp_path: Path) -> None:
    folder = altered(tmp_path, embedding)
    with pytest.raises(AppError, match="is the output layer too"):
        ADAPTER_FORMATS.get("peft").write(exported(folder, tie_word_embeddings=True), tmp_path, CancelToken())


def test_modules_are_named_by_their_last_part_where_all_blocks_have_them() -> None:
    everywhere = {f"model.layers.{block}.self_attn.{name}": None for block in (0, 1) for name in ("q_proj", "v_proj")}
    assert targets(everywhere) == ["q_proj", "v_proj"]
    some = {"model.layers.1.self_attn.q_proj": None, "model.layers.2.self_attn.q_proj": None}
    assert targets(some) == sorted(some)
    assert targets(everywhere | {"lm_head": None}) == sorted([*everywhere, "lm_head"])


def test_an_adapter_that_scales_by_a_fraction_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(FIXTURES / "llama", folder)
    config = json.loads((folder / "adapter_config.json").read_bytes())
    config["lora_parameters"]["scale"] = 0.3
    (folder / "adapter_config.json").write_text(json.dumps(config))
    out = tmp_path / "peft"
    out.mkdir()
    ADAPTER_FORMATS.get("peft").write(exported(folder), out, CancelToken())
    assert json.loads((out / "adapter_config.json").read_bytes())["lora_alpha"] == pytest.approx(1.2)
    ADAPTER_FORMATS.get("peft").write(exported(FIXTURES / "llama"), out, CancelToken())
    # Some that read it take an integer alone.
    assert '"lora_alpha":10,' in (out / "adapter_config.json").read_text().replace(" ", "")


def test_what_was_converted_before_is_not_converted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.loads((shipped_folder() / "config.json").read_text())
    folder = write_random_adapter(tmp_path / "one")
    adapter = Exported(folder, "One", config, "base")
    assert not kept.gguf_of(adapter, tmp_path / "a.gguf")
    assert kept.gguf_of(adapter, tmp_path / "b.gguf")
    write_gguf(adapter, tmp_path / "fresh.gguf")
    wanted = (tmp_path / "fresh.gguf").read_bytes()
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes() == wanted
    # A kept file that was damaged is never used, and one that was trained again is another one.
    (file,) = (models_cache() / kept.FOLDER).iterdir()
    data = bytearray(wanted)
    data[-5] ^= 1
    (tmp_path / "b.gguf").unlink()
    file.unlink()
    file.write_bytes(data)
    assert not kept.gguf_of(adapter, tmp_path / "b.gguf")
    assert (tmp_path / "b.gguf").read_bytes() == wanted
    write_random_adapter(folder, seed=1)
    assert not kept.gguf_of(adapter, tmp_path / "b.gguf")
    assert (tmp_path / "b.gguf").read_bytes() != wanted
    # Those that were not used for longest make room, and what is in use stays readable.
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    write_random_adapter(folder, seed=2)
    kept.gguf_of(adapter, tmp_path / "c.gguf")
    assert len(list((models_cache() / kept.FOLDER).iterdir())) == 1
    assert (tmp_path / "a.gguf").read_bytes() == wanted


def test_a_cache_that_can_not_be_used_is_none(tmp_path: Path) -> None:
    config = json.loads((shipped_folder() / "config.json").read_text())
    adapter = Exported(write_random_adapter(tmp_path / "one"), "One", config, "base", "its hash")
    models_cache().mkdir(parents=True, exist_ok=True)
    (models_cache() / kept.FOLDER).write_text("in the way")
    assert not kept.gguf_of(adapter, tmp_path / "a.gguf")
    (models_cache() / kept.FOLDER).unlink()
    assert not kept.gguf_of(adapter, tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    # Whoever says which adapter it is, and whoever does not, means the same file.
    assert kept.gguf_of(replace(adapter, sha256=""), tmp_path / "c.gguf")


def test_what_can_not_be_converted_leaves_nothing(tmp_path: Path) -> None:
    folder = write_random_adapter(tmp_path / "one")
    with pytest.raises(AppError):
        kept.gguf_of(Exported(folder, "One", {"model_type": "unheard_of"}, "base"), tmp_path / "a.gguf")
    assert list((models_cache() / kept.FOLDER).iterdir()) == []
    assert not (tmp_path / "a.gguf").exists()


def test_a_pipe_in_place_of_the_tensors_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    folder = write_random_adapter(tmp_path / "one")
    (folder / "adapters.safetensors").unlink()
    os.mkfifo(folder / "adapters.safetensors")
    with pytest.raises(AppError, match="no plain file"):
        kept.gguf_of(Exported(folder, "One", {}, "base"), tmp_path / "a.gguf")
