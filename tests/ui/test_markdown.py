"""A model's Markdown: its structure is shown, nothing of it is followed, loaded or run, and no text is slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from ui.theme import theme
from ui.tokens import DARK, LIGHT
from ui.widgets.code_block import MOST_COLOURED, CodeBlock, highlighted
from ui.widgets.markdown import MOST_BLOCKS, Growing, blocks, breakable, plain_html
from ui.widgets.message_text import CARET, MessageText, with_caret


def shown(text: str) -> str:
    return "".join(block.html for block in blocks(text))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold** and *soft* and ~~gone~~", "<p><b>bold</b> and <i>soft</i> and <s>gone</s></p>"),
        ("one\ntwo", "<p>one<br>two</p>"),
        ("## Title", "<p><b>Title</b></p>"),
        ("- a\n- b\n  1. c", '<ul><li>a</li><li>b<ol start="1"><li>c</li></ol></li></ul>'),
        ("5. five\n6. six", '<ol start="5"><li>five</li><li>six</li></ol>'),
        ("> said", "<blockquote><p>said</p></blockquote>"),
        ("2 * 3 * 4 < 5 & 6", "<p>2 * 3 * 4 &lt; 5 &amp; 6</p>"),
        ("snake_case_name", "<p>snake_case_name</p>"),
    ],
)
def test_structure_is_shown(text: str, html: str) -> None:
    assert shown(text) == html


def test_tables_have_rows_and_sides() -> None:
    found = shown("| a | b |\n|---|--:|\n| x | 1 |")
    assert '<th>a</th><th align="right">b</th>' in found
    assert '<td>x</td><td align="right">1</td>' in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[text](http://evil.test/a)", "text (http://evil.test/a)"), ("<http://plain.test>", "http://plain.test"),
        ("[click](javascript:alert(1))", "[click](javascript:alert(1))"),
        ("![cat](http://evil.test/p.png)", "[cat: http://evil.test/p.png]"),
        ("![x](file:///etc/passwd)", "![x](file:///etc/passwd)"),
        ("See [1].\n\n[1]: http://evil.test", "[1]: http://evil.test"),
    ],
)  # fmt: skip
def test_what_could_be_followed_is_text(text: str, said: str) -> None:
    found = shown(text)
    assert said in found
    for tag in ("<a", "<img", "href", "src="):
        assert tag not in found


@given(st.text(st.sampled_from(list("ab <>&\"'[]()!*_`~#|->.\n\t1:/\u202e\x1b"))))
def test_whatever_it_writes_no_tag_of_its_own_comes_through(text: str) -> None:
    import re

    ours = re.compile(
        r"</?(?:p|b|i|s|ul|li|blockquote|tr|th|td|pre)>|<(?:br|hr)>|</(?:ol|table|span)>|<ol start=\"\d+\">"
        r"|<t[hd] align=\"(?:right|center)\">"
        r"|<table border=\"1\" cellspacing=\"0\" cellpadding=\"5\" style=\"border-collapse:collapse\">"
        r"|<span style=\"font-family:'monospace'\">"
    )
    for block in blocks(text):
        rest = ours.sub("", block.html)
        assert "<" not in rest
        assert ">" not in rest
        assert not {"\u202e", "\x1b"} & set(block.html + block.text)


PARTS = (
    "# a\n", "text ", "\n", "\n\n", "- x\n", "  - y\n", "1. z\n", "```py\n", "x = 1\n", "```\n", "> q\n", "| a | b |\n",
    "|---|---|\n", "| 1 | 2 |\n", "---\n", "**b** ", "===\n", "    code\n", "[r]: http://x\n", "[r] ",
)  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=24))
def test_growing_word_by_word_ends_where_the_whole_would(parts: list[str]) -> None:
    growing, text = Growing("monospace"), ""
    for part in parts:
        text += part
        growing.blocks(text)
    said = [block.text for block in growing.blocks(text)]
    assert [line for block in said for line in block.split("\n")] == [
        line for block in blocks(text) for line in block.text.split("\n")
    ]


@pytest.mark.parametrize("text", ["[" * 9_000, "*a " * 3_000, "`" * 9_000, "![" * 5_000, "_" * 9_000, "[a](b" * 2_000])
def test_marks_without_end_are_plain_text(text: str) -> None:
    (block,) = blocks(text)
    assert block.html == plain_html(block.text)


def test_code_is_coloured_when_it_is_whole_and_copied_as_it_is(qtbot: QtBot) -> None:
    made = MessageText("Look:\n\n```python\ndef f(x):\n    return '<b>'  # tag\n", markdown=True)
    qtbot.addWidget(made)
    made.set_text(made.plain_text(), caret=True)
    code = made.findChild(CodeBlock)
    assert code.code.text().endswith(CARET)
    made.set_text(f"{made.plain_text()}```\nDone.")
    code = made.findChild(CodeBlock)
    assert theme().tokens.accent in code.code.text()
    assert "&lt;b&gt;" in code.code.text()
    code.findChild(QPushButton, "copy_code").click()
    assert QGuiApplication.clipboard().text() == "def f(x):\n    return '<b>'  # tag"
    assert [x.text() for x in made.findChildren(QLabel) if "Done." in x.text()] == ["<p>Done.</p>"]


def test_unknown_languages_and_long_code_have_no_colours() -> None:
    assert highlighted("x", "no such language", LIGHT) == ""
    assert highlighted("", "python", LIGHT) == ""
    assert highlighted("x = 1\n" * MOST_COLOURED, "python", LIGHT) == ""
    light, dark = (highlighted("x = 1  # one", "python", colours) for colours in (LIGHT, DARK))
    assert LIGHT.muted in light
    assert DARK.muted in dark


def test_the_caret_follows_the_last_word() -> None:
    assert with_caret("<p>one</p>", "|") == "<p>one|</p>"
    assert with_caret("<ul><li>one</li></ul>", "|") == "<ul><li>one|</li></ul>"
    assert with_caret("<p>one</p>", "") == "<p>one</p>"


def test_a_long_list_is_several_blocks_with_its_numbers() -> None:
    text = "\n".join(f"{n}. item {n}" for n in range(5, 35))
    found = blocks(text)
    assert [block.html.partition(">")[0] for block in found] == ['<ol start="5"', '<ol start="17"', '<ol start="29"']
    assert "\n".join(block.text for block in found) == text
    assert all(f"<li>item {n}</li>" in "".join(block.html for block in found) for n in range(5, 35))


def test_a_long_table_is_shown_as_it_was_written() -> None:
    rows = "\n".join(f"| {n} | {n * n} |" for n in range(60))
    (block,) = blocks(f"| a | b |\n|---|---|\n{rows}")
    assert (block.kind, block.language) == ("code", "table")
    assert block.text.endswith("| 59 | 3481 |")


@pytest.mark.parametrize("text", ["> " * 40 + "deep", "\n".join(f"{'  ' * n}- level {n}" for n in range(40))])
def test_nothing_is_lost_however_deep(text: str) -> None:
    found = "".join(block.text for block in blocks(text))
    assert text.split()[-1] in found
    assert text.split()[-1] in shown(text)


def test_marks_that_reorder_text_do_not_come_in_as_entities() -> None:
    assert "\u202e" not in shown("&#8238;gnp.exe &#x2066;")


def test_growing_lists_end_as_the_whole_would() -> None:
    text = "Before.\n\n" + "\n".join(f"- item {n}" for n in range(40)) + "\n\nAfter."
    growing = Growing("monospace")
    for end in range(0, len(text) + 1, 7):
        growing.blocks(text[:end])
    assert growing.blocks(text) == blocks(text)


@pytest.mark.parametrize("language", ["c", "make", "rst"])
def test_code_that_colours_slowly_stays_plain(language: str) -> None:
    code = "\n" * 3_000 if language == "c" else "a" * 3_000
    assert highlighted(code, language, LIGHT) == ""


def test_what_is_copied_has_no_places_to_break(qtbot: QtBot) -> None:
    text = MessageText("Look at `" + "ab12" * 20 + "` now.")
    qtbot.addWidget(text)
    text.show()
    (words,) = text.findChildren(QLabel)
    words.setSelection(0, len(breakable("Look at " + "ab12" * 20 + " now.")))
    qtbot.keyClick(words, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "Look at " + "ab12" * 20 + " now."


def test_thousands_of_paragraphs_are_few_blocks_and_nothing_is_lost() -> None:
    text = "\n\n".join(f"p{n}" for n in range(2_000))
    found = blocks(text)
    assert len(found) == MOST_BLOCKS + 1
    assert "\n\n".join(block.text for block in found) == text
    growing = Growing("monospace")
    for end in (500, 3_000, len(text)):
        shown_so_far = growing.blocks(text[:end])
    assert shown_so_far == found
