"""Which embedding models there are, which is taken, and what is said where one is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from core.code_index import embedders
from core.code_index.embedders import (
    CODE_PREFIX,
    CODE_RANK_EMBED,
    MINILM,
    NOMIC_EMBED_CODE,
    available,
    choose,
    estimate,
    local,
)
from core.errors import AppError
from core.workspace.paths import models_cache
from tests.support.embedders import minilm, write_nomic


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders.importlib.util, "find_spec", lambda _name: None)


@pytest.fixture
def small_code_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if CodeRankEmbed had the dimension of the tiny one."""
    from dataclasses import replace

    small = replace(CODE_RANK_EMBED, dimension=32)
    monkeypatch.setattr(embedders, "KNOWN", (small, NOMIC_EMBED_CODE, MINILM))
    monkeypatch.setattr(embedders, "CODE_RANK_EMBED", small)


@pytest.mark.usefixtures("no_package")
def test_a_missing_model_says_what_where_and_how() -> None:
    for setting, name in (("auto", "CodeRankEmbed"), ("nomic_embed_code", "Nomic Embed Code"), ("minilm", "MiniLM")):
        with pytest.raises(AppError) as caught:
            choose(setting)
        error = caught.value
        assert error.code == "embedder_missing"
        assert name in error.message
        assert "words works meanwhile" in error.message
        assert str(models_cache() / "embedders") in error.hint
        assert "Download" in error.hint
    with pytest.raises(AppError, match="no embedding model at"):
        choose("/nowhere/at all")
    assert available() == []


def test_words_only() -> None:
    assert choose("none") is None


def test_the_small_one_is_found_in_its_package() -> None:
    choice = choose("auto")
    assert choice is not None
    assert (choice.key, choice.dimension, choice.query_prefix) == ("minilm", 384, "")
    assert choice.open().slug == choice.slug
    assert [found.key for found in available()] == ["minilm"]


@pytest.mark.usefixtures("small_code_rank")
@pytest.mark.parametrize("place", ["embedders/CodeRankEmbed", "hub/nomic-ai--CodeRankEmbed-0123456789ab",
                                   "embedders/nomic-ai/CodeRankEmbed",
                                   "embedders/models--nomic-ai--CodeRankEmbed/snapshots/abc"])  # fmt: skip
def test_the_usual_one_is_taken_where_it_is(place: str) -> None:
    folder = write_nomic(models_cache() / place)
    choice = choose("auto")
    assert choice is not None
    assert (choice.key, choice.folder.root) == ("code_rank_embed", folder)
    assert (choice.folder.pooling, choice.query_prefix, choice.folder.max_tokens) == ("cls", CODE_PREFIX, 2048)
    assert [found.key for found in available()] == ["code_rank_embed", "minilm"]
    by_path = choose(str(folder))
    assert by_path is not None
    assert by_path.slug == choice.slug


@pytest.mark.usefixtures("small_code_rank")
def test_a_damaged_or_unfinished_one_is_passed_over() -> None:
    folder = write_nomic(models_cache() / "embedders" / "CodeRankEmbed")
    (folder / "model.safetensors").write_bytes(b"cut")
    write_nomic(models_cache() / "hub" / ".part-nomic-ai--CodeRankEmbed-0123456789ab")
    choice = choose("auto")
    assert choice is not None
    assert choice.key == "minilm"
    with pytest.raises(AppError) as caught:
        choose("code_rank_embed")
    assert caught.value.code == "embedder_missing"


def test_a_folder_of_ones_own() -> None:
    folder = models_cache() / "embedders" / "mine"
    shutil.copytree(minilm(), folder, copy_function=os.symlink)
    choice = choose(str(folder))
    assert choice is not None
    assert choice.name == "mine"
    assert "ean pooling" in choice.about
    assert "256 tokens" in choice.about
    assert str(folder) in [found.key for found in available()]
    assert choice.seconds(1000) > 0


def test_chat_models_of_the_hub_are_no_embedders() -> None:
    write_nomic(models_cache() / "hub" / "someone--Chat-7B-0123456789ab")
    assert [found.key for found in available()] == ["minilm"]


def test_the_large_one_says_its_cost_and_is_never_taken_by_itself(small_code_rank: None, no_package: None) -> None:
    cost = estimate(NOMIC_EMBED_CODE, 40_000)
    usual = estimate(CODE_RANK_EMBED, 40_000)
    assert cost["dimension"] == 3584
    assert cost["memory_bytes"] > 14_000_000_000
    assert cost["seconds"] > 15 * usual["seconds"]
    assert cost["vector_bytes"] > 4.5 * usual["vector_bytes"]
    write_nomic(models_cache() / "embedders" / "nomic-embed-code")
    with pytest.raises(AppError):
        choose("auto")


def test_what_is_no_folder_of_a_model(tmp_path: Path) -> None:
    with pytest.raises(AppError) as caught:
        local(tmp_path)
    assert caught.value.code == "not_an_embedder"
