"""Loading ahead follows the user's own switches, and stops where it does not help."""

from __future__ import annotations

import random

from core.inference.habits import LEAST_SCORED, Habits

ALL = ("a", "b", "c")


def after(*adapters: str) -> Habits:
    habits = Habits()
    for adapter in adapters:
        habits.saw(adapter)
    return habits


def test_what_followed_is_what_comes_next_and_the_same_again_is_no_step() -> None:
    habits = after("a", "a", "b", "a", "b", "b", "c", "a")
    assert habits.next((), ALL) == "b"
    assert habits.next(("b",), ALL) is None
    assert habits.next((), ("a", "c")) is None
    assert Habits().next((), ALL) is None


def test_the_base_alone_is_a_place_but_nothing_to_load() -> None:
    habits = after("a", "", "a", "", "a")
    assert habits.next((), ALL) is None
    habits.saw("")
    assert habits.next((), ALL) == "a"


def test_newer_habits_outweigh_older_ones() -> None:
    habits = after(*("a", "b") * 8, *("a", "c") * 8, "a")
    assert habits.next((), ALL) == "c"


def test_a_regular_user_is_predicted_and_a_random_one_is_left_alone() -> None:
    regular = after(*("a", "b", "c") * 12)
    assert regular.rate == 1.0
    assert regular.helps
    dice, names = random.Random(3), [f"adapter {n}" for n in range(9)]
    erratic = after(*(dice.choice(names) for _ in range(300)))
    assert erratic.rate is not None
    assert not erratic.helps
    assert erratic.next((), names) is None
    for _ in range(40):
        erratic.saw("adapter 1")
        erratic.saw("adapter 2")
    assert erratic.helps


def test_little_is_known_at_first_and_habits_are_kept() -> None:
    habits = after(*("a", "b") * (LEAST_SCORED // 2))
    assert habits.rate is None
    assert habits.helps
    again = Habits.from_json(habits.to_json())
    assert (again.steps, again.scores, again.last) == (habits.steps, habits.scores, None)
    again.saw("b")
    assert again.next((), ALL) == "a"
    for odd in ({}, {"steps": 3}, {"steps": {"a": [1]}}, {"scores": None}):
        assert Habits.from_json(odd).steps == {}
