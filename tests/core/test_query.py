"""A query as typed: what filters it, what in it is a name, what counts; and no text is too odd for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.code_index.query import EXACT, MEANING, MOST_TOKENS, NAME, WORDS, parse
from core.code_index.records import Filters


def test_filters_are_taken_out_of_the_text() -> None:
    query = parse('lang:py kind:class,method path:"src/my app" open the file complexity:>5 complexity:<=20 tests:no')
    assert query.text == "open the file"
    assert query.filters == Filters(("python",), ("class", "method"), ("src/my app",), 6, 20, False)
    assert query.notices == ()


@pytest.mark.parametrize(
    ("text", "least", "most"), [(">5", 6, 0), (">=5", 5, 0), ("<5", 0, 4), ("5", 5, 5), ("=5", 5, 5)]
)
def test_complexity(text: str, least: int, most: int) -> None:
    filters = parse(f"x complexity:{text}").filters
    assert (filters.least_complexity, filters.most_complexity) == (least, most)


def test_filters_of_the_caller_stay() -> None:
    filters = parse("lang:ts x", Filters(languages=("go",), tests=True)).filters
    assert filters.languages == ("go", "typescript", "tsx")
    assert filters.tests is True


@pytest.mark.parametrize(
    "text",
    [
        "lang:klingon x",
        "kind:banana x",
        "complexity:high x",
        "complexity:<1 x",
        "complexity:0 x",
        "tests:perhaps x",
        "lang:, x",
    ],
)
def test_what_is_no_filter_is_searched_for_and_said(text: str) -> None:
    query = parse(text)
    assert query.text == text
    assert query.filters == Filters()
    assert len(query.notices) == 1


@pytest.mark.parametrize(("text", "names"), [
    ("getUserName", ("getUserName",)),
    ("parse", ("parse",)),
    ("where is parse implemented", ("parse",)),
    ("Where is get defined?", ("get",)),
    ("how does read_header work", ("read_header",)),
    ("what calls flush() on exit", ("flush",)),
    ("Session.get and std::mem::swap", ("Session.get", "std::mem::swap")),
    ("the `kind` of a row", ("kind",)),
    ("HttpServer stops", ("HttpServer",)),
    ("XMLParser", ("XMLParser",)),
    ("$Gson$Types", ("$Gson$Types",)),
    ("how are failed requests tried again", ()),
    ("Returns the name of the file", ()),
    ("the settings in config.json", ()),
    ("definition of Token", ("Token",)),
])  # fmt: skip
def test_identifiers(text: str, names: tuple[str, ...]) -> None:
    assert parse(text).identifiers == names


def test_words_without_meaning_are_not_searched_for() -> None:
    assert parse("where is the code that parses the headers of a request").tokens == ("parses", "headers", "request")


def test_only_stop_words_are_what_was_asked_for() -> None:
    assert parse("how is it").tokens == ("how", "is", "it")


def test_an_identifier_is_never_a_stop_word() -> None:
    assert "get" in parse("where is get implemented").tokens


def test_weights_are_those_that_were_measured() -> None:
    assert parse("open file").weights == {MEANING: 0.5, WORDS: 1.0, EXACT: 1.0, NAME: 1.0}
    assert parse("cache").weights[EXACT] == parse("how does openFile lock it").weights[EXACT] == 1.0
    assert parse("openFile").weights[EXACT] == parse("where is open_file").weights[EXACT] == 2.0
    plain = parse("how does the parser recover from errors").weights
    assert plain == {MEANING: 1.5, WORDS: 1.0, EXACT: 1.0, NAME: 0.15}
    named = parse("how does the parser in read_header recover").weights
    assert named == {MEANING: 1.0, WORDS: 1.0, EXACT: 1.0, NAME: 0.5}


def test_a_question_says_a_name_by_two_of_its_words() -> None:
    asked = parse("how are 2 overlapping ranges of dates merged")
    assert asked.is_a_question
    assert asked.says("mergeRanges")
    assert asked.says("range_merger_of_everything")
    assert asked.says("Merge ranges")
    # One word is in every question, and a digit is none.
    assert not any(map(asked.says, ("ranges", "range_2", "clear_ranges", "ranges_range", "")))
    assert not parse("merge overlapping ranges").is_a_question
    assert not parse("how does mergeRanges handle what is empty").is_a_question


@pytest.mark.parametrize("odd", ["__()", "$()", "_()"])
def test_a_name_without_a_letter_does_not_make_names_of_the_other_words(odd: str) -> None:
    assert parse(f"how does {odd} say that ranges are overlapping dates").name_words == ()


def test_camel_case_and_snake_case_are_the_same_words() -> None:
    assert set(parse("formatRelativeTime").name_words) >= {"formatrelativetime", "format", "relative", "time"}
    assert set(parse("format relative time").name_words) == {"format", "relative", "time"}
    assert set(parse("format_relative_time").name_words) >= {"format", "relative", "time"}


def test_a_long_text_is_cut_and_said() -> None:
    query = parse("word " * 2000 + "lang:go")
    assert len(query.text) <= 4000
    assert query.filters.languages == ("go",)
    assert query.notices


ODD = [
    "", " ", "\0", "'", '"', '"quoted words"', "%_'\\", "a' OR '1'='1", "中文 代码 搜索", "日本語",
    "ß İ ı", "🦀🦀", "((((", "lang:", "lang:py", "path:'", 'path:"', "::", "a..b", "->", "`", "x" * 10_000,
    "the is of", "-", "\ud800", "a\tb\r\nc",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_texts(text: str) -> None:
    query = parse(text)
    assert len(query.tokens) <= MOST_TOKENS
    assert query.words <= 4000


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    query = parse(text)
    assert len(query.tokens) <= MOST_TOKENS
    assert parse(query.text).text == query.text or query.filters != Filters() or query.notices


@given(st.lists(st.sampled_from([*ODD, "lang:go", "kind:class", "tests:no", "complexity:>3", "open", "Foo.bar"])))
def test_any_mixture(parts: list[str]) -> None:
    query = parse(" ".join(parts))
    if " lang:go " in f" {' '.join(parts)} " and not any('"' in part for part in parts):
        assert "go" in query.filters.languages
