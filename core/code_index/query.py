"""A query as typed: filters, identifiers, words that say something, and how much each leg counts for it.

Filters: `lang:go`, `kind:class`, `path:src/web` (quotes where there are spaces), `complexity:>5`, `tests:no`; several
of one kind, or values with commas between, mean either. What is no filter stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.code_index.code_tokens import code_tokens, name_tokens
from core.code_index.languages import known
from core.code_index.records import Filters, Kind

PLAIN = "text:"
MEANING, WORDS, NAME, EXACT = "meaning", "words", "name", "exact"
# A query of up to this many words is mostly a name, and its meaning counts half (notes, section 4).
SHORT_WORDS = 4
# Words are the same to a question where they begin with the same letters: "created", "creation".
_SAME_LETTERS = 5
# What is longer is a pasted text: its beginning says what it is about, and more words only cost time.
MOST_CHARACTERS, MOST_TOKENS, MOST_IDENTIFIERS = 4000, 64, 16

_STOP_WORDS = """
    a about above after again all also am an and any are as at be because been before being below between both
    but by can cannot could did do does doing done down during each either else ever few for from further get
    gets given goes had has have having he her here hers him his how i if in instead into is it its itself just
    let like make makes many may me might more most must my need needs no nor not now of off on once one only
    onto or other our out over own per please same shall she should show so some such than that the their them
    then there these they this those through to too under until up upon us use used uses using very via want was
    we were what when where whether which while who whom whose why will with within without would you your find
    located location look looking implemented implement implements implementation defined definition define
    declared declaration code codebase function functions method methods class classes happens happen handled"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# Names are made of the others ("is_empty", "get", "find_all").
_QUESTION = "a an the where what which how do does did are implemented defined declared located"
_NAME_STOPS = frozenset(_QUESTION.split())
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "py": ("python",), "js": ("javascript",), "jsx": ("javascript",), "ts": ("typescript", "tsx"),
    "typescript": ("typescript", "tsx"), "rs": ("rust",), "golang": ("go",),
}  # fmt: skip
_FILTER = re.compile(r"""(?<!\S)(lang|language|kind|path|complexity|tests?):("[^"]*"|\S+)""", re.IGNORECASE)
_COMPLEXITY = re.compile(r"(>=|<=|>|<|=|)(\d{1,6})")
_CHAIN = re.compile(r"(?:[^\W\d]|\$)[\w$]*(?:(?:\.|::|->|#)(?:[^\W\d]|\$)[\w$]*)*(?P<call>\()?")
_QUOTED = re.compile(r"`([^`\n]{1,200})`")
_CAMEL = re.compile(r"[a-z\d][A-Z]|[A-Z]{2,}[a-z]")
_SEPARATORS = re.compile(r"\.|::|->|#")
# What stands after these is looked for by its name.
_ASKED = re.compile(
    r"(?:\bwhere(?:'s| is| are| do| does)?|\b(?:definition|implementation|declaration) of|\bfind)\s+(?:the |a |an )?"
    r"(?:(?:function|method|class|struct|interface|trait|enum|type|macro)\s+)?([^\W\d]\w*)"
    r"(?=\s*(?:\(\))?\s*(?:(?:gets? |is |are )?(?:implemented|defined|declared|located|found)\b|\?|$))",
    re.IGNORECASE,
)
_ENDINGS = "py js jsx mjs cjs ts tsx java go rs md txt json toml yaml yml html css sh c h cpp"
_FILE_ENDINGS = frozenset(_ENDINGS.split())


def plain_text(text: str) -> str | None:
    """What stands behind "text:", which is looked for as it is written; None for any other query."""
    text = text.lstrip()
    return text[len(PLAIN) :].strip() if text.lower().startswith(PLAIN) else None


@dataclass(frozen=True)
class Query:
    """A query, taken apart. `identifiers` are as written, chains whole ("Session.get"); `filters` hold for each leg.

    `notices` say what looked like a filter and was taken for text.
    """

    text: str
    tokens: tuple[str, ...]
    identifiers: tuple[str, ...]
    name_words: tuple[str, ...]
    words: int
    filters: Filters
    weights: Mapping[str, float]
    notices: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not self.text

    @property
    def is_a_name(self) -> bool:
        """Whether it is one identifier and nothing else."""
        return self.words == 1 and len(self.identifiers) == 1

    @property
    def is_a_question(self) -> bool:
        """Whether it is a sentence without a name."""
        return self.words > SHORT_WORDS and not self.identifiers

    def says(self, name: str) -> bool:
        """Whether it has at least two of the words that a symbol's name is put together of."""
        words = {word[:_SAME_LETTERS] for word in name_tokens(name) if len(word) > 1 and not word.isdigit()}
        return len(words & {word[:_SAME_LETTERS] for word in self.tokens}) > 1


def parse(text: str, filters: Filters | None = None) -> Query:
    """Take a query apart; its own filters are added to `filters`. Never raises for a text."""
    found, rest, notices = _filters(text, filters or Filters())
    rest = " ".join(rest.replace("\0", " ").split())
    if len(rest) > MOST_CHARACTERS:
        notices.append(f"Only the first {MOST_CHARACTERS:,} characters of the question were searched for.")
        rest = rest[:MOST_CHARACTERS]
    words = [word for word in rest.split() if any(c.isalnum() for c in word)]
    identifiers = _identifiers(rest, words)
    tokens = _without(STOP_WORDS - {name.lower() for name in identifiers}, code_tokens(rest))
    short = len(words) <= SHORT_WORDS
    for_names = [rest] if short else [_SEPARATORS.split(name)[-1] for name in identifiers]
    name_words = _without(_NAME_STOPS, (word for part in for_names for word in name_tokens_of(part)))
    if not short and not identifiers:
        name_words = tokens
    return Query(
        rest, tokens, identifiers, name_words, len(words), found, _weights(len(words), identifiers),
        tuple(notices),
    )  # fmt: skip


def is_a_word(name: str) -> bool:
    """Whether an identifier may as well be a word of a language: no camel case, no underscore, no chain, no digit."""
    return name.isalpha() and _CAMEL.search(name) is None


def split_chain(name: str) -> list[str]:
    """The names of a chain: "Session.get", "std::fs", "a->b"."""
    return _SEPARATORS.split(name)


def name_tokens_of(text: str) -> list[str]:
    """The tokens of the names in a text, as the column of names has them."""
    return [token for match in _CHAIN.finditer(text) for name in _SEPARATORS.split(match[0].rstrip("("))
            for token in name_tokens(name)]  # fmt: skip


def _weights(words: int, names: Sequence[str]) -> dict[str, float]:
    """RRF weights of the legs (notes, section 4, "Recommended pipeline").

    What can only be a name counts twice where little else is asked: what is merely alike has the words and the model.
    A question without a name is put in other words than the code: the model counts more, and a name that it says
    (`Query.says`) is a hint at it. Measured in six languages.
    """
    short = words <= SHORT_WORDS
    exact = 2.0 if short and not all(map(is_a_word, names)) else 1.0
    return {
        MEANING: 0.5 if short else 1.0 if names else 1.5,
        WORDS: 1.0,
        EXACT: exact,
        NAME: 1.0 if short else 0.5 if names else 0.15,
    }


def _without(stops: frozenset[str], tokens: Iterable[str]) -> tuple[str, ...]:
    """Each token once, without stop words; where nothing else is left, they are what was asked for."""
    distinct = list(dict.fromkeys(tokens))
    return tuple([token for token in distinct if token not in stops] or distinct)[:MOST_TOKENS]


def _identifiers(text: str, words: list[str]) -> tuple[str, ...]:
    found = [name for quoted in _QUOTED.findall(text) for name in (m[0].rstrip("(") for m in _CHAIN.finditer(quoted))]
    alone = len(words) == 1
    for match in _CHAIN.finditer(text):
        name = match[0].rstrip("(")
        parts = _SEPARATORS.split(name)
        if len(parts) > 1 and parts[-1].lower() in _FILE_ENDINGS:
            continue
        looks = len(parts) > 1 or "_" in name.strip("_") or _CAMEL.search(name) or match["call"]
        if alone or ((looks or name.startswith("__")) and name.lower() not in STOP_WORDS):
            found.append(name)
    found += [name for name in _ASKED.findall(text) if name.lower() not in _NAME_STOPS]
    return tuple(dict.fromkeys(found))[:MOST_IDENTIFIERS]


def _filters(text: str, filters: Filters) -> tuple[Filters, str, list[str]]:
    notices: list[str] = []
    kept, end = [], 0
    for match in _FILTER.finditer(text):
        changed = _with(filters, match[1].lower(), match[2].strip('"'))
        if changed is None:
            notices.append(f"“{match[0][:100]}” is no filter and was searched for as text.")
            continue
        filters = changed
        kept.append(text[end : match.start()])
        end = match.end()
    return filters, "".join([*kept, text[end:]]), notices


def _with(filters: Filters, name: str, value: str) -> Filters | None:
    values = [part for part in value.split(",") if part]
    if not values:
        return None
    if name == "path":
        # One path: a comma may be part of it.
        return replace(filters, paths=(*filters.paths, value.removeprefix("./").removeprefix("/")))
    if name in ("lang", "language"):
        names = [language for part in values for language in _ALIASES.get(part.lower(), (part.lower(),))]
        if not {*names} <= {*known(), "text", "tsx"}:
            return None
        return replace(filters, languages=(*filters.languages, *names))
    if name == "kind":
        if not {part.lower() for part in values} <= {str(kind) for kind in Kind}:
            return None
        return replace(filters, kinds=(*filters.kinds, *(part.lower() for part in values)))
    if name == "complexity":
        return _complexity(filters, value)
    wanted = {"no": False, "none": False, "without": False, "yes": True, "only": True}
    if value.lower() == "all":
        return replace(filters, tests=None)
    return replace(filters, tests=wanted[value.lower()]) if value.lower() in wanted else None


def _complexity(filters: Filters, value: str) -> Filters | None:
    match = _COMPLEXITY.fullmatch(value)
    if match is None:
        return None
    sign, number = match[1], int(match[2])
    if number - (sign == "<") < 1 and sign not in (">", ">="):
        # Nothing is less complex than 1.
        return None
    if sign in (">", ">=", "="):
        filters = replace(filters, least_complexity=number + (sign == ">"))
    if sign in ("<", "<=", "=", ""):
        filters = replace(filters, most_complexity=number - (sign == "<"))
    # A number alone is exact, as with "=".
    return replace(filters, least_complexity=number) if sign == "" else filters
