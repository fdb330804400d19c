"""What the page Projects says: ages, places, ways, and names that would pass for something else."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from ui.pages.projects.highlight import MOST_CHARACTERS, spans
from ui.pages.projects.looking import estimate_words
from ui.pages.projects.search_box import Asked
from ui.pages.projects.summary import shares
from ui.pages.projects.words import (
    ago,
    home_short,
    legs_words,
    place_words,
    plain,
    progress_words,
    telling_line,
    ways_words,
)

NOON = datetime(2026, 11, 26, 12, 0).timestamp()
HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (-5, "just now"), (0.4, "just now"), (4, "4 s ago"), (59.9, "59 s ago"), (60, "1 min ago"),
        (3 * HOUR, "3 h ago"), (13 * HOUR, "yesterday"), (3 * DAY, "3 days ago"), (20 * DAY, "6 Nov"),
        (800 * DAY, "17 Sep 2024"),
    ],
)  # fmt: skip
def test_ages(before: float, words: str) -> None:
    assert ago(NOON - before, NOON) == words


def test_a_path_in_the_home_folder_is_short() -> None:
    home = Path("/home/ada")
    assert home_short(home / "Code/shop", home) == "~/Code/shop"
    assert home_short(home, home) == "~"
    assert home_short(Path("/srv/shop"), home) == "/srv/shop"
    assert home_short(Path("/srv"), Path("/")) == "/srv"


def test_signs_that_break_or_turn_a_line_are_shown() -> None:
    assert plain("a b – é 漢") == "a b – é 漢"
    assert plain("a\nb\tc") == "a\ufffdb c"
    assert plain("gpj.\u202eyp") == "gpj.\ufffdyp"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Reading files", "reading 2 of 8 files"), ("68 files a second", "reading 2 of 8 files"),
        ("12 chunks a second", "embedding 2 of 8 chunks"), ("Looking for files", "looking for files"), ("", "indexing"),
        ("Waiting for memory", "waiting for memory"),
    ],
)  # fmt: skip
def test_how_far_a_job_is(said: str, words: str) -> None:
    assert progress_words(2, 8, said) == words
    assert progress_words(2, 8, said, short=True) == re.sub(r"2 of 8 \w+", "25%", words)


def test_places_ranks_and_ways() -> None:
    assert place_words({"path": "a.py", "start_line": 3, "end_line": 3}) == "a.py:3"
    assert place_words({"path": "a\nb.py", "start_line": 3, "end_line": 5}) == "a\ufffdb.py:3-5"
    legs = {"words": [2, 1.0], "exact": [1, 9.0], "name": [4, 2.0], "meaning": [1, 0.8]}
    assert legs_words(legs) == ["meaning 1", "words 2", "name 1"]
    assert ways_words([{"legs": legs}]) == "meaning, words and names, merged by rank"
    assert ways_words([{"legs": {"words": [1, 1.0]}}]) == "words"
    assert ways_words([]) == ""


def test_the_line_that_says_most() -> None:
    text = "def submit(self):\n    '''Takes it.'''\n    if needs_approval(x):\n        return 1\n"
    assert telling_line({"text": text}, ["approval"]) == "if needs_approval(x):"
    assert telling_line({"text": text}) == "'''Takes it.'''"
    assert telling_line({"text": "LIMIT = 5"}) == "LIMIT = 5"
    assert telling_line({"text": "", "signature": "def f()"}) == "def f()"


def test_languages_beyond_the_colours_are_others() -> None:
    sizes = {f"l{n}": (1, 100 - n) for n in range(7)}
    parts = shares({**sizes, "text": (3, 1000)})
    assert [part.name for part in parts] == ["l0", "l1", "l2", "l3", "l4", "others", "text"]
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert shares({}) == []


def test_what_is_asked_is_kept_whole_and_rubbish_is_left_out() -> None:
    asked = Asked("TEXT: a b ", True, regex=True, filters={"lang": "go"})
    assert Asked.from_json(asked.to_json()) == asked
    assert (asked.wanted, asked.is_plain, asked.query) == ("a b", True, "a b lang:go")
    assert Asked.from_json({"text": 5, "filters": "x", "plain": None}) == Asked("5")
    assert Asked.from_json(None) == Asked()


def test_colours_stay_where_the_words_are() -> None:
    lines = ["\tdef f():", "", "    return 'a'  # why", "x" * 5000, "class A: pass"]
    found = spans("a.py", "python", lines, 0)
    for number, word in ((0, "def"), (2, "return"), (2, "'"), (2, "# why"), (4, "class")):
        assert lines[number].index(word) in {start for start, _, _ in found[number]}, word
    assert 3 not in found
    long = ["value = 'text'"] * 40_000
    around = spans("a.py", "python", long, 30_000)
    assert 30_000 in around
    assert 0 not in around
    assert sum(len(long[n]) for n in around) <= MOST_CHARACTERS
    assert spans("notes.md", "text", ["# a"], 0) == {}
    assert spans("a.unknown-kind", "text", ["# a"], 0) == {}


def test_without_a_scan_nothing_is_estimated() -> None:
    assert estimate_words(None) == ""
