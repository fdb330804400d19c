"""Coming back to a chat goes on where it was, says the same as reading it all again, and never mixes adapters."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.inference.engine import AdapterRef, EngineOptions, GenerateRequest, Sampling
from core.inference.mlx.engine import MlxEngine
from core.models.practice import shipped_folder
from core.training.config import TrainingConfig
from tests.support.training import train_adapter

QUESTIONS = ("How do I keep bread fresh?", "And for a whole week?", "What about rolls?")
SHORT = Sampling(max_tokens=12)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[AdapterRef]:
    out = []
    for name, rank in (("one", 8), ("two", 4)):
        config = TrainingConfig(learning_rate=1e-3, batch_size=2, epochs=1, rank=rank, alpha=rank * 8, dropout=0.0)
        published, _ = train_adapter(tmp_path_factory.mktemp(name), config, limit=6)
        out.append(AdapterRef(name, str(published.folder), name))
    return out


def engine(folder: Path | str = "", **options: Any) -> MlxEngine:
    made = MlxEngine(EngineOptions(cache_folder=str(folder), **options))
    made.load(shipped_folder())
    return made


class Talk:
    """A chat as the window keeps it."""

    def __init__(self, keep: str = "chat", adapter: AdapterRef | None = None, sampling: Sampling = SHORT) -> None:
        self.keep, self.adapter, self.sampling = keep, adapter, sampling
        self.messages: list[dict[str, str]] = []

    def ask(self, engine: MlxEngine, question: str, stop_after: int = 0) -> tuple[str, int]:
        """The answer, and how many tokens of the prompt had not to be read."""
        self.messages.append({"role": "user", "content": question})
        request = GenerateRequest(list(self.messages), self.adapter, self.sampling, keep=self.keep)
        said, reused = "", 0
        stream = engine.generate(request)
        for number, piece in enumerate(stream, start=1):
            said += piece.text
            reused = piece.stats.get("reused_tokens", reused)
            if number == stop_after:
                stream.close()  # type: ignore[attr-defined]
                break
        self.messages.append({"role": "assistant", "content": said})
        return said, reused


def told(talk: Talk, engine: MlxEngine, questions: tuple[str, ...] = QUESTIONS) -> list[tuple[str, int]]:
    return [talk.ask(engine, question) for question in questions]


@pytest.fixture(scope="module")
def cold() -> list[str]:
    """What the base says when it reads the whole chat anew each time."""
    return [said for said, _ in told(Talk(keep=""), engine())]


def test_only_what_is_new_is_read_and_the_words_are_the_same(cold: list[str]) -> None:
    found = told(Talk(), engine())
    assert [said for said, _ in found] == cold
    assert found[0][1] == 0
    assert all(reused > 10 for _, reused in found[1:])


@pytest.mark.parametrize("sampling", [replace(SHORT, temperature=0.9, top_p=0.9, seed=4),
                                      replace(SHORT, repetition_penalty=1.3)])  # fmt: skip
def test_chance_and_penalties_see_no_difference(sampling: Sampling) -> None:
    kept, read = engine(), engine()
    assert [said for said, _ in told(Talk(sampling=sampling), kept)] == [
        said for said, _ in told(Talk(keep="", sampling=sampling), read)
    ]


def test_an_answer_that_was_stopped_or_is_asked_for_again_leaves_a_right_reading() -> None:
    kept, read = engine(), engine()
    one, other = Talk(), Talk(keep="")
    assert one.ask(kept, QUESTIONS[0], stop_after=4)[0] == other.ask(read, QUESTIONS[0], stop_after=4)[0]
    assert one.ask(kept, QUESTIONS[1])[0] == other.ask(read, QUESTIONS[1])[0]
    for talk in (one, other):
        del talk.messages[-2:]
    again, reused = one.ask(kept, QUESTIONS[2])
    assert again == other.ask(read, QUESTIONS[2])[0]
    assert reused > 0


def test_adapters_never_share_a_reading_and_each_goes_on_with_its_own(adapters: list[AdapterRef]) -> None:
    kept, read = engine(), engine()
    chats = [(Talk(adapter=adapter), Talk(keep="", adapter=adapter)) for adapter in (*adapters, None)]
    seen: dict[str, list[int]] = {}
    for question in QUESTIONS:
        for mine, cold_one in chats:
            said, reused = mine.ask(kept, question)
            assert said == cold_one.ask(read, question)[0]
            seen.setdefault(mine.adapter.id if mine.adapter else "", []).append(reused)
    assert [found[0] for found in seen.values()] == [0, 0, 0]
    assert all(min(found[1:]) > 10 for found in seen.values())


def test_an_adapter_that_was_trained_again_reads_anew(adapters: list[AdapterRef], tmp_path: Path) -> None:
    mine = replace(adapters[0], path=str(tmp_path / "mine"))
    shutil.copytree(adapters[0].path, mine.path)
    kept, talk = engine(tmp_path / "caches"), Talk(adapter=mine)
    talk.ask(kept, QUESTIONS[0])
    shutil.copytree(adapters[1].path, mine.path, dirs_exist_ok=True)
    expected = Talk(keep="", adapter=mine)
    expected.messages = list(talk.messages)
    said, reused = talk.ask(kept, QUESTIONS[1])
    assert reused == 0
    assert said == expected.ask(engine(), QUESTIONS[1])[0]


def test_after_a_restart_it_goes_on_from_the_disk(cold: list[str], tmp_path: Path) -> None:
    talk, first = Talk(), engine(tmp_path)
    assert talk.ask(first, QUESTIONS[0])[0] == cold[0]
    first.close()
    second = engine(tmp_path)
    assert talk.ask(second, QUESTIONS[1])[0] == cold[1]
    while second.idle():
        pass
    # Killed: what an idle moment wrote is there.
    said, reused = talk.ask(engine(tmp_path), QUESTIONS[2])
    assert (said, reused > 30) == (cold[2], True)


def damage(path: Path, number: int, other: Path) -> None:
    data = bytearray(path.read_bytes())
    kind = number % 5
    if kind == 0:
        data[(number * 7919) % len(data)] ^= 0x41
    elif kind == 1:
        del data[len(data) - 1 - number * 13 :]
    elif kind == 2:
        data = bytearray(other.read_bytes())
    elif kind == 3:
        data = bytearray(b"\x80\x04\x95pickle" * number)
    else:
        data[8:40] = b'{"__metadata__":{"0":"evil"}}   '
    path.write_bytes(data)


def test_fifty_damaged_files_are_never_used_and_go(cold: list[str], tmp_path: Path) -> None:
    talk, foreign = Talk(), Talk(keep="another")
    written = engine(tmp_path)
    talk.ask(written, QUESTIONS[0])
    foreign.ask(written, QUESTIONS[2])
    written.close()
    files = sorted(tmp_path.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
    mine, other = files
    whole, messages = mine.read_bytes(), list(talk.messages)
    reader = engine(tmp_path, cache_bytes=1)
    for number in range(1, 51):
        mine.write_bytes(whole)
        damage(mine, number, other)
        talk.messages = list(messages)
        assert talk.ask(reader, QUESTIONS[1]) == (cold[1], 0), number
        assert not mine.exists() or mine.read_bytes() != whole
        assert reader._caches is not None
        reader._caches._entries.clear()
        for path in tmp_path.glob("*.safetensors"):
            if path != other:
                path.unlink()
    assert other.exists()


def test_a_small_budget_puts_the_oldest_on_the_disk_and_then_away(cold: list[str], tmp_path: Path) -> None:
    first = engine(tmp_path / "first")
    Talk().ask(first, QUESTIONS[0])
    first.close()
    (one,) = (tmp_path / "first").iterdir()
    # Two of three that leave the memory have room.
    budget, folder = one.stat().st_size * 5 // 2, tmp_path / "small"
    small = engine(folder, cache_bytes=1, cache_disk_bytes=budget)
    talks = [Talk(keep=f"chat {number}") for number in range(4)]
    for talk in talks:
        assert talk.ask(small, QUESTIONS[0])[0] == cold[0]
    assert list(small.status()["chats"]) == ["chat 3"]
    assert len(list(folder.iterdir())) == 2
    said = [talks[place].ask(small, QUESTIONS[1]) for place in (1, 0)]
    assert [words for words, _ in said] == [cold[1]] * 2
    assert [reused > 0 for _, reused in said] == [True, False]


def test_a_deleted_chat_leaves_nothing_and_a_full_disk_costs_a_reading_alone(
    cold: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, stays = Talk(keep="mine"), Talk(keep="stays")
    kept = engine(tmp_path)
    for talk in (mine, stays):
        talk.ask(kept, QUESTIONS[0])
    while kept.idle():
        pass
    assert len(list(tmp_path.iterdir())) == 2
    kept.forget("mine")
    assert len(list(tmp_path.iterdir())) == 1
    assert list(kept.status()["chats"]) == ["stays"]
    import mlx_lm.models.cache

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mlx_lm.models.cache, "save_prompt_cache", full)
    assert mine.ask(kept, QUESTIONS[1])[1] == 0
    kept.close()
    assert [path.name.startswith(".tmp-") for path in tmp_path.iterdir()] == [False]


def test_memory_that_is_short_is_given_back_and_nothing_is_lost(
    cold: list[str], adapters: list[AdapterRef], tmp_path: Path
) -> None:
    kept, talk = engine(tmp_path), Talk()
    talk.ask(kept, QUESTIONS[0])
    for adapter in adapters:
        kept.prepare(adapter)
    assert kept.relieve() > 0
    assert (kept.status()["resident"], kept.status()["chats"]) == ({}, {})
    said, reused = talk.ask(kept, QUESTIONS[1])
    assert (said, reused > 0) == (cold[1], True)


def test_the_likeliest_tokens_are_told_on_request() -> None:
    made = engine()
    request = GenerateRequest([{"role": "user", "content": QUESTIONS[0]}], None, SHORT, logprobs=3)
    pieces = list(itertools.islice(made.generate(request), 4))
    for piece in pieces:
        assert piece.chosen is not None
        assert [c.logprob for c in piece.candidates] == sorted((c.logprob for c in piece.candidates), reverse=True)
        # Greedy: the likeliest is taken.
        assert piece.candidates[0] == piece.chosen
        assert piece.chosen.logprob <= 0
