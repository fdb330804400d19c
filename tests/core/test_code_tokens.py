"""Identifiers are searched whole and by their words; questions show which of their words are names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.code_index.code_tokens import code_tokens, name_tokens


@pytest.mark.parametrize(("text", "tokens"), [
    ("getHTTPStatus2", "gethttpstatus2 get http status 2"),
    ("XMLHttpRequest", "xmlhttprequest xml http request"),
    ("foo_bar", "foo_bar foo bar"),
    ("CONST_NAME", "const_name const name"),
    ("__init__ _private $scope", "init private scope"),
    ("max-width", "max-width max width"),
    ("a-b x-1", "a b x 1"),
    ("sha256", "sha256 sha 256"),
    ("plain words here", "plain words here"),
    ("same same", "same same"),
    ("größeÄndern", "größeändern größe ändern"),
    ("ÜNIGröße", "ünigröße üni größe"),
    ("返金承認", "返金承認 返金 金承 承認"),
    ("ｆｕｌｌ", "full"),
    ("'%_\\\" () {} \0", ""),
    ("", ""),
])  # fmt: skip
def test_tokens(text: str, tokens: str) -> None:
    assert code_tokens(text) == tokens.split()


def test_a_long_identifier_stays_whole() -> None:
    name = "averyLong" * 40
    assert code_tokens(name)[0] == name.lower()


@given(st.text(max_size=200))
def test_any_text_gives_words_without_blanks_in_lower_case(text: str) -> None:
    for token in code_tokens(text):
        assert token
        assert token.split() == [token]
    assert code_tokens(text) == code_tokens(text)
    assert len(set(name_tokens(text))) == len(name_tokens(text))


@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True), min_size=1, max_size=5))
def test_an_identifier_is_found_in_any_text_by_its_whole_and_by_each_word(names: list[str]) -> None:
    text = set(code_tokens(f"x = {'(a, '.join(names)};"))
    for name in names:
        assert set(code_tokens(name)) <= text


@given(st.text("aZ1_$- .\n\0", max_size=60))
def test_text_of_ascii_is_cut_as_all_other_text_is(text: str) -> None:
    assert code_tokens(f"{text} ü") == [*code_tokens(text), "ü"]


def test_the_words_of_a_name() -> None:
    assert name_tokens("Repo.getById") == ["repo", "getbyid", "get", "by", "id"]
    assert name_tokens("get_get") == ["get_get", "get"]
