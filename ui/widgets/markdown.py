"""Markdown of a model as blocks of escaped HTML: its words and their structure, never its HTML, links or pictures.

Parsed by markdown-it-py. A link shows its text with the address beside it as text, a picture its description; nothing
can be followed or loaded. While an answer grows, only its last blocks are parsed again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

CODE, TEXT = "code", "text"
LONGEST_WORD = 40
DEEPEST = 24
# A text label lays itself out anew as a whole: longer lists are shown in pieces, longer tables as they were written.
ITEMS, ROWS = 12, 40
# Each is a widget: thousands of paragraphs of one letter are no writing.
MOST_BLOCKS = 300
# What would draw over, reorder or hide other text: C0 and C1 controls, directional overrides and isolates.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LONG = re.compile(rf"\S{{{LONGEST_WORD},}}")
# Thousands of marks that open something are no writing, and slow to pair.
_MARKS = re.compile(r"[\[\]*_`~]")
MOST_MARKS = 2_000


@dataclass(frozen=True)
class Block:
    """One block: text with its `html`, or code with the language its fence names. `text` is as it was written."""

    kind: str
    text: str
    html: str = ""
    language: str = ""


def visible(text: str) -> str:
    """Control characters as the replacement mark, line ends as one character."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def breakable(text: str) -> str:
    """Room to break a line inside words longer than one."""
    return _LONG.sub(lambda found: "\u200b".join(re.findall(".{1,20}", found[0])), text)


def plain_html(text: str) -> str:
    """Text as HTML that shows it as it is."""
    # Also here: an entity of Markdown, as &#8238;, becomes its character only when it is parsed.
    return html.escape(breakable(_CONTROLS.sub("\ufffd", text))).replace("\n", "<br>")


def blocks(text: str, mono: str = "monospace") -> list[Block]:
    """All blocks of a text; `mono` is the family of code spans."""
    return _bounded([block for block, _ in _parse(visible(text).split("\n"), 0, mono)])


def _bounded(found: list[Block]) -> list[Block]:
    """As many blocks as a window can lay out; what is left is one, as it was written."""
    rest = found[MOST_BLOCKS:]
    if not rest:
        return found
    return [*found[:MOST_BLOCKS], Block(TEXT, "\n\n".join(block.text for block in rest))]


class Growing:
    """The blocks of a text that grows at its end."""

    def __init__(self, mono: str) -> None:
        self._mono = mono
        self._lines: list[str] = []
        self._found: list[tuple[Block, int]] = []

    def blocks(self, text: str) -> list[Block]:
        """Those of `text`; quick where it begins as the last one did."""
        lines = visible(text).split("\n")
        # The last block may become another one, and the one before it may turn out to be its beginning.
        begins = sorted({line for _, line in self._found})
        start = begins[-2] if len(begins) > 1 else 0
        kept = [found for found in self._found if found[1] < start]
        if lines[:start] != self._lines[:start]:
            kept, start = [], 0
        self._found = [*kept, *_parse(lines, start, self._mono)]
        self._lines = lines
        return _bounded([block for block, _ in self._found])


@lru_cache(maxsize=1)
def _parser() -> Any:
    from markdown_it import MarkdownIt

    # No references: a list of sources at the end would vanish, and a growing text changes what stands before it.
    return (
        MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": DEEPEST})
        .enable(["table", "strikethrough"])
        .disable("reference")
    )


def _parse(lines: Sequence[str], start: int, mono: str) -> list[tuple[Block, int]]:
    """The blocks of the lines from `start` on, each with its first line."""
    source = "\n".join(lines[start:])
    if len(_MARKS.findall(source)) > MOST_MARKS:
        return [(Block(TEXT, source, plain_html(source)), start)]
    out: list[tuple[Block, int]] = []
    tokens = _parser().parse(source)
    place = 0
    while place < len(tokens):
        end = _end_of(tokens, place)
        first, last = tokens[place].map or (0, 0)
        written = "\n".join(lines[start + first : start + last]).strip("\n")
        out += [(block, start + first) for block in _blocks(tokens[place : end + 1], written, mono)]
        place = end + 1
    return out


def _end_of(tokens: Sequence[Any], place: int) -> int:
    """Where the block that begins there ends."""
    depth = 0
    for number in range(place, len(tokens)):
        depth += tokens[number].nesting
        if depth == 0:
            return number
    return len(tokens) - 1


def _blocks(tokens: Sequence[Any], written: str, mono: str) -> list[Block]:
    """Mostly one; a long list is several."""
    head = tokens[0]
    if head.type in ("fence", "code_block"):
        words = head.info.split() if head.type == "fence" else []
        return [Block(CODE, head.content.rstrip("\n"), language=words[0][:20] if words else "")]
    if max(token.level for token in tokens) >= DEEPEST - 1:
        # What is deeper the parser leaves out.
        return [Block(TEXT, written, plain_html(written))]
    if head.type == "table_open" and written.count("\n") > ROWS:
        return [Block(CODE, written, language="table")]
    items = [n for n, token in enumerate(tokens) if token.type == "list_item_open" and token.level == 1]
    if len(items) <= ITEMS:
        return [Block(TEXT, written, "".join(_tag(token, mono) for token in tokens))]
    return _pieces(tokens, items, written, mono)


def _pieces(tokens: Sequence[Any], items: Sequence[int], written: str, mono: str) -> list[Block]:
    """A list in several, each with the number that its first item has."""
    out, lines, offset = [], written.split("\n"), tokens[items[0]].map[0]
    ordered = tokens[0].type == "ordered_list_open"
    for place in range(0, len(items), ITEMS):
        begin = items[place]
        end = items[place + ITEMS] if place + ITEMS < len(items) else len(tokens) - 1
        part = "\n".join(
            lines[tokens[begin].map[0] - offset : tokens[begin].map[0] - offset + _span(tokens, begin, end)]
        )
        number = int(tokens[0].attrs.get("start", 1)) + place
        opened, closed = (f'<ol start="{number}">', "</ol>") if ordered else ("<ul>", "</ul>")
        html_of = "".join(_tag(token, mono) for token in tokens[begin:end])
        out.append(Block(TEXT, part.strip("\n"), f"{opened}{html_of}{closed}"))
    return out


def _span(tokens: Sequence[Any], begin: int, end: int) -> int:
    """How many lines the items between two places have."""
    last = max(token.map[1] for token in tokens[begin:end] if token.map)
    return int(last - tokens[begin].map[0])


_TAGS = {
    "paragraph_open": "<p>", "paragraph_close": "</p>", "bullet_list_open": "<ul>", "bullet_list_close": "</ul>",
    "ordered_list_close": "</ol>", "list_item_open": "<li>", "list_item_close": "</li>",
    "blockquote_open": "<blockquote>", "blockquote_close": "</blockquote>", "hr": "<hr>",
    "table_open": '<table border="1" cellspacing="0" cellpadding="5" style="border-collapse:collapse">',
    "table_close": "</table>",
    "tr_open": "<tr>", "tr_close": "</tr>", "th_close": "</th>", "td_close": "</td>",
    "strong_open": "<b>", "strong_close": "</b>", "em_open": "<i>", "em_close": "</i>",
    "s_open": "<s>", "s_close": "</s>",
    "softbreak": "<br>", "hardbreak": "<br>", "heading_open": "<p><b>", "heading_close": "</b></p>",
}  # fmt: skip
_ALIGN = {"text-align:right": ' align="right"', "text-align:center": ' align="center"'}


def _tag(token: Any, mono: str) -> str:
    """A token as HTML of ours; what is not known is shown as text."""
    if token.type == "inline":
        return _inline(token.children, mono)
    if token.type in ("paragraph_open", "paragraph_close") and token.hidden:
        return ""
    if token.type == "ordered_list_open":
        return f'<ol start="{int(token.attrs.get("start", 1))}">'
    if token.type in ("th_open", "td_open"):
        return f"<{token.tag}{_ALIGN.get(str(token.attrs.get('style', '')), '')}>"
    if token.type in ("fence", "code_block"):
        return f"<pre>{_coded(token.content, mono)}</pre>"
    return _TAGS.get(token.type, plain_html(token.content))


def _inline(tokens: Sequence[Any], mono: str) -> str:
    out: list[str] = []
    links: list[tuple[str, int]] = []
    for token in tokens:
        if token.type == "link_open":
            links.append((str(token.attrs.get("href", "")), len(out)))
        elif token.type == "link_close":
            target, since = links.pop()
            shown = plain_html(target)
            # An address that is its own text is not said twice.
            same = "".join(out[since:]) in (shown, plain_html(target.removeprefix("mailto:")))
            out.append("" if same else f" ({shown})")
        elif token.type == "image":
            out.append(plain_html(f"[{token.content or 'picture'}: {token.attrs.get('src', '')}]"))
        elif token.type == "code_inline":
            out.append(_coded(token.content, mono))
        else:
            out.append(_TAGS.get(token.type, plain_html(token.content)))
    return "".join(out)


def _coded(text: str, mono: str) -> str:
    return f"<span style=\"font-family:'{html.escape(mono, quote=True)}'\">{plain_html(text)}</span>"
