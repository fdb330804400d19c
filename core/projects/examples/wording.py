"""Questions and answers about one symbol. Which of the phrasings asks is a function of the symbol, never of chance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.code_index.records import digest
from core.projects.assistant import Given, Source, compose, estimate_tokens
from core.projects.examples.anatomy import Anatomy, unindented, worded
from core.projects.examples.records import Example, What
from core.projects.examples.symbols import CALLABLE, Symbol

LEAST_BODY = 2
# Lines of a body that are given where it is to be completed: a third, within these.
LEAST_GIVEN, MOST_GIVEN = 1, 6
_TICKS = re.compile(r"`{3,}")
_WORD = re.compile(r"\w")

PHRASES: dict[What, tuple[str, ...]] = {
    What.COMPLETE: (
        "Complete `{name}` from {path}:", "Go on with this code from {path}:",
        "This is how `{name}` in {path} begins. Write the rest of it.",
        "Finish this {kind} of {path} the way this code base does:",
    ),
    What.BODY: (
        "Write the body of `{name}` in {path}:", "Implement this {kind} of {path}:",
        "Here are signature and documentation of `{name}` ({path}). Write the code.",
    ),
    What.DOC: (
        "Write the documentation of this {kind}.", "Document `{name}` as this code base does.",
        "Which comment belongs to `{name}`?",
    ),
    What.EXPLAIN: (
        "What does `{name}` do?", "Explain `{name}`.", "What is the {kind} `{name}` for?", "Explain this {kind}.",
    ),
    What.WHERE: (
        "Where is `{name}` defined?", "Where is `{name}`?", "In which file is the {kind} `{name}`?",
        "Show me where `{name}` is.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """A symbol, what it is made of if that can be told, and the hash of its file."""

    symbol: Symbol
    anatomy: Anatomy | None
    file_hash: str


def pick(count: int, *of: str) -> int:
    """A number below `count` that depends on the texts alone."""
    return int(digest(*of)[:8], 16) % count


def fenced(lines: Sequence[str], language: str) -> str:
    """Code in a fence that it can't close."""
    text = "\n".join(lines).strip("\n")
    fence = "`" * max([3, *(len(run) + 1 for run in _TICKS.findall(text))])
    return f"{fence}{language}\n{text}\n{fence}"


def examples_of(subject: Subject, *, place_known: bool) -> Iterator[Example]:
    """Every example of a definition; `place_known` says that its name leads to one place only."""
    symbol, anatomy = subject.symbol, subject.anatomy
    if anatomy is not None and symbol.kind in CALLABLE and not symbol.cut:
        yield from _of_code(subject, anatomy)
    if said := anatomy.said if anatomy is not None else worded(symbol.doc):
        yield _explained(subject, said)
    if place_known:
        line = symbol.start_line + (anatomy.head_row if anatomy is not None else 0)
        answer = f"{symbol.path}:{line}: {symbol.kind} `{symbol.signature or symbol.qualified}`"
        yield _example(subject, What.WHERE, _question(symbol, What.WHERE), answer)


def of_module(subject: Subject, said: str) -> Example:
    """What a file says about itself."""
    path = subject.symbol.path
    asked = (f"What is {path} for?", f"What is in {path}?", f"Describe the file {path}.")
    return _example(subject, What.EXPLAIN, asked[pick(len(asked), path)], f"{said}\n\n({path}:1)")


def _of_code(subject: Subject, anatomy: Anatomy) -> Iterator[Example]:
    symbol = subject.symbol
    if _said(anatomy.body) < LEAST_BODY:
        return
    begun = [*anatomy.up_to_body]
    # One of the two: both answers would be nearly the same.
    if anatomy.doc and anatomy.said and pick(2, "body", symbol.path, symbol.qualified):
        asked = f"{_question(symbol, What.BODY)}\n\n{fenced(begun, symbol.language)}"
        yield _example(subject, What.BODY, asked, fenced(anatomy.body, symbol.language))
    else:
        given = max(LEAST_GIVEN, min(MOST_GIVEN, len(anatomy.body) // 3))
        rest = list(anatomy.body[given:])
        if _said(rest) >= LEAST_BODY:
            asked = f"{_question(symbol, What.COMPLETE)}\n\n" + fenced([*begun, *anatomy.body[:given]], symbol.language)
            yield _example(subject, What.COMPLETE, asked, fenced(rest, symbol.language))
    if anatomy.doc and anatomy.said:
        asked = compose(_question(symbol, What.DOC), _given(symbol, anatomy.without_doc))
        yield _example(subject, What.DOC, asked, fenced(unindented(anatomy.doc), symbol.language))


def _said(lines: Sequence[str]) -> int:
    """How many lines are more than brackets."""
    return sum(1 for line in lines if _WORD.search(line))


def _explained(subject: Subject, said: str) -> Example:
    """With the code given or from memory, as the words of the question fall; the answer is what the author wrote."""
    symbol, anatomy = subject.symbol, subject.anatomy
    asked = _question(symbol, What.EXPLAIN)
    place = f"{symbol.path}:{symbol.start_line}-{symbol.end_line}"
    if anatomy is not None and not symbol.cut and (
        asked.startswith("Explain this") or pick(2, "given", symbol.path, symbol.qualified)
    ):  # fmt: skip
        asked = compose(asked, _given(symbol, anatomy.without_doc))
    elif asked.startswith("Explain this"):
        asked = f"What does `{symbol.qualified}` do?"
    return _example(subject, What.EXPLAIN, asked, f"{said}\n\n({place})")


def _given(symbol: Symbol, lines: Sequence[str]) -> Given:
    """The code as an assistant is given what was found for a question."""
    text = "\n".join(lines)
    source = Source(
        symbol.path, symbol.start_line, symbol.end_line, symbol.qualified, str(symbol.kind), symbol.language, 1.0,
        estimate_tokens(text), used=True, text=text,
    )  # fmt: skip
    return Given([source])


def _question(symbol: Symbol, what: What) -> str:
    phrases = PHRASES[what]
    phrase = phrases[pick(len(phrases), what, symbol.path, symbol.qualified)]
    return phrase.format(name=symbol.qualified, path=symbol.path, kind=str(symbol.kind))


def _example(subject: Subject, what: What, question: str, answer: str) -> Example:
    symbol = subject.symbol
    return Example(
        what, question, answer, symbol.path, symbol.start_line, symbol.end_line, symbol.qualified, symbol.language,
        subject.file_hash, symbol.is_test,
    )  # fmt: skip
