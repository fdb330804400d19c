"""A conversation that is too long loses its oldest exchanges, in steps, never its system prompt or last question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.inference.engine import GenerateRequest, Sampling
from core.inference.fitting import fitted
from core.inference.mlx.engine import MlxEngine
from core.models.practice import shipped_folder


def talk(exchanges: int, system: bool = True) -> list[dict[str, str]]:
    out = [{"role": "system", "content": "s"}] if system else []
    for number in range(exchanges):
        out += [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]
    return [*out, {"role": "user", "content": "last"}]


def ten_each(messages: Sequence[Mapping[str, str]]) -> int:
    return 10 * len(messages)


def test_what_fits_is_left_alone() -> None:
    assert fitted(talk(3), ten_each, 80) == (talk(3), 0)


def test_the_oldest_exchanges_go_and_the_cut_moves_in_steps() -> None:
    cuts = []
    for exchanges in range(10, 40):
        kept, left = fitted(talk(exchanges), ten_each, 240)
        assert kept[0]["role"] == "system"
        assert kept[1]["role"] == "user"
        assert kept[-1]["content"] == "last"
        assert ten_each(kept) <= 240
        assert len(kept) + left == 2 * exchanges + 2
        cuts.append(left)
    # What is read stays the same for eight questions, so that only what is new has to be read.
    assert sorted(set(cuts)) == [0, 16, 32, 48, 64]


def test_counting_is_done_a_few_times_however_long_it_is() -> None:
    for most in (5, 240, 9_000):
        asked: list[int] = []

        def count(messages: Sequence[Mapping[str, str]], seen: list[int] = asked) -> int:
            seen.append(len(messages))
            return ten_each(messages)

        fitted(talk(500), count, most)
        assert len(asked) <= 12


def test_where_nothing_fits_the_last_question_is_left() -> None:
    kept, left = fitted(talk(5), ten_each, 5)
    assert [m["content"] for m in kept] == ["s", "last"]
    assert left == 10
    assert fitted([{"role": "user", "content": "x"}], ten_each, 5) == ([{"role": "user", "content": "x"}], 0)


def test_a_chat_longer_than_the_context_is_answered_and_says_what_was_left_out() -> None:
    engine = MlxEngine()
    engine.load(shipped_folder())
    long = [
        {"role": ("user", "assistant")[n % 2], "content": f"Tell me about bread number {n}. " * 6} for n in range(60)
    ]
    request = GenerateRequest([*long, {"role": "user", "content": "And now?"}], None, Sampling(max_tokens=8), fit=True)
    stats = list(engine.generate(request))[-1].stats
    assert stats["left_out"] > 0
    assert stats["left_out"] % 2 == 0
    assert stats["prompt_tokens"] + 8 <= stats["context"]
