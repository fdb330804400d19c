"""Symbols by the very name that was typed, and what is defined under it without being a symbol of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from core.code_index.code_tokens import code_tokens
from core.code_index.fusion import LEG_DEPTH
from core.code_index.query import Query, is_a_word, split_chain
from core.code_index.records import Filters, Hit

# A name with more definitions than this says little, unless it is all that was asked for.
MOST_DEFINITIONS, MOST_DEFINITIONS_ALONE = 8, 64
# Of two definitions of one name, what declares it comes before what adds to it.
_KINDS = ("class", "struct", "interface", "enum", "type", "function", "macro", "method", "impl", "module", "text")
_DECLARES = (
    r"(?:def|func|function|fn|class|const|let|var|val|static|type|struct|enum|interface|trait|define|macro_rules!)"
)
# Words that stand before a call, where a type stands before the name of a method.
_CALLS = (
    r"(?:return|new|else|throw|await|yield|go|defer|assert|raise|not|case|if|elif|while|for|in|of|is|and|or|with|match"
    r"|switch|delete|typeof|do)"
)
_MODIFIERS = r"(?:(?:async|static|get|set|public|private|protected|readonly|override|abstract)[ \t]+)*"
# What is handed over, without a function: that would be a call.
_PARAMETERS = r"\((?:(?!=>|->|\b(?:func|function|new)\b)[^\n])*\)"


class ByName(Protocol):
    """The legs of the store that know definitions and words."""

    def by_exact(self, names: Sequence[str], k: int, filters: Filters | None = None, most: int = 8) -> list[Hit]:
        """Definitions of names in lower case; of none that has more than `most`."""
        ...

    def by_words(self, tokens: Sequence[str], k: int, filters: Filters | None = None) -> list[Hit]:
        """By BM25 over header and text."""
        ...


def by_exact(store: ByName, query: Query) -> list[Hit]:
    """Definitions of the query's identifiers, in their order; of a chain ("Session.get") those in what it names.

    A name without any is looked for in the text: a constant, a method of an interface, or a function inside of another
    is defined in what stands around it. Where nothing defines it, what uses it is found.
    """
    hits: dict[str, Hit] = {}
    for name in query.identifiers:
        parts = split_chain(name)
        found = _in_chain(store, query, parts) if len(parts) > 1 else []
        found = found or _plain(store, query, parts[-1]) or _inside(store, query, parts)
        hits |= {hit.row["id"]: hit for hit in found if hit.row["id"] not in hits}
    return list(hits.values())[:LEG_DEPTH]


def _in_chain(store: ByName, query: Query, parts: Sequence[str]) -> list[Hit]:
    tail = [part.lower() for part in parts[-2:]]
    most = 4 * MOST_DEFINITIONS_ALONE
    found = store.by_exact([tail[-1]], most, query.filters, most=most)
    return _ordered([hit for hit in found if split_chain(hit.row["qualified"].lower())[-2:] == tail], parts[-1])


def _plain(store: ByName, query: Query, name: str) -> list[Hit]:
    most = MOST_DEFINITIONS_ALONE if query.is_a_name else MOST_DEFINITIONS
    return _ordered(store.by_exact([name.lower()], 4 * LEG_DEPTH, query.filters, most=most), name)


def _ordered(hits: Sequence[Hit], name: str) -> list[Hit]:
    """Those as written, or in other case where there are none; tests last; of a symbol in parts the first part.

    Case alone tells many names apart in Go: `parseGlob` is not `ParseGlob`.
    """

    def order(hit: Hit) -> tuple[bool, int, str, int]:
        row = hit.row
        kind = _KINDS.index(row["kind"]) if row["kind"] in _KINDS else len(_KINDS)
        return bool(row["is_test"]), kind, row["path"], row["start_line"]

    first = [hit for hit in hits if hit.row["part"] == 1]
    return sorted([hit for hit in first if hit.row["name"] == name] or first, key=order)


def _inside(store: ByName, query: Query, parts: Sequence[str]) -> list[Hit]:
    """What has the name in its text, where it is defined if that can be seen; as written, or else in other case."""
    name, owners = parts[-1], {part.lower() for part in parts[-2:-1]}
    found = store.by_words(code_tokens(name)[:1], LEG_DEPTH, query.filters)
    has = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    found = [hit for hit in found if has.search(hit.row["text"])]
    found = [hit for hit in found if name in hit.row["text"]] or found
    found = [hit for hit in found if hit.row["name"].lower() in owners] or found
    word = is_a_word(name)
    by_keyword, as_method = _definitions_of(name)
    for defines in (by_keyword,) if word else (by_keyword, as_method):
        if defined := [hit for hit in found if defines.search(hit.row["text"])]:
            return sorted(defined, key=_is_test)[:MOST_DEFINITIONS]
    # A word is said in many places that have nothing to do with what bears it as its name.
    return [] if word else sorted(found, key=_is_test)[:MOST_DEFINITIONS]


def _is_test(hit: Hit) -> bool:
    return bool(hit.row["is_test"])


def _definitions_of(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """By a keyword or as a value; as a method: after its type, with a body, or with the type that it returns."""
    name = rf"(?i:{re.escape(name)})"
    method = rf"{name}\??[ \t]*(?:<[^\n(]{{0,200}}>)?{_PARAMETERS}"
    by_keyword = (
        rf"(?<![\w.]){_DECLARES}\b[^\n=(]{{0,200}}?(?<!\w){name}(?!\w)"
        rf"|^[ \t]*{name}[ \t]*(?::[^=\n]{{0,200}})?=(?!=)"
    )
    as_method = (
        rf"^[ \t]*(?:(?!{_CALLS}\b)[\w@<][\w<>\[\],.?&*]*[ \t]+)+{name}[ \t]*\("
        rf"|^[ \t]*{_MODIFIERS}[*#]?{method}[^\n;{{]{{0,200}}\{{[ \t]*$"
        rf"|^[ \t]*{_MODIFIERS}{method}[ \t]*(?::|[ \t][\w*(\[])[^\n{{]*$"
    )
    return re.compile(by_keyword, re.MULTILINE), re.compile(as_method, re.MULTILINE)
