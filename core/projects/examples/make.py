"""From parsed files to examples of both splits: pure, deterministic, and everything that is left out is counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from core.cancel import CancelToken
from core.projects.examples import choose, conventions
from core.projects.examples.anatomy import take_apart, worded
from core.projects.examples.conventions import Known
from core.projects.examples.keys import key_in
from core.projects.examples.records import CodeFile, Example, Limits, Made, What, Why
from core.projects.examples.symbols import CALLABLE, Symbol, symbols_of
from core.projects.examples.wording import Subject, examples_of, of_module

NO_GRAMMAR, NO_SYMBOL, CUT_BY_LINES = "no grammar for it", "no symbol in it", "its grammar failed"
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
Measure = Callable[[Example], tuple[int, Why | None]]


def unmeasured(_example: Example) -> tuple[int, Why | None]:
    """Where nothing counts tokens."""
    return 0, None


@dataclass
class _Work:
    """What becomes of every symbol: `of` maps an example to its symbol's key; `why` has the first reason of each."""

    limits: Limits
    why: dict[str, Why] = field(default_factory=dict)
    of: dict[Example, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, example: Example, why: Why) -> None:
        self.dropped[why] += 1
        key = self.of.get(example)
        if key is not None:
            self.why.setdefault(key, why)


def make(
    files: Iterable[CodeFile], limits: Limits | None = None, measure: Measure | None = None,
    token: CancelToken | None = None,
) -> Made:  # fmt: skip
    """Examples of a code base. `measure(example)` gives the tokens that train, or why it can't be used.

    The same files give the same examples in the same order. Raises Cancelled.
    """
    work = _Work(limits or Limits())
    known, unused = _known(files, token)
    symbols = [symbol for file in known for symbol in file.symbols]
    out = choose.held_out((k.file.path for k in known if k.symbols), work.limits.validation)
    candidates = _candidates(work, known, symbols, token)
    found = conventions.statements(known)
    rules = conventions.examples(found, known, out)
    names = _names(symbols, out)
    validation = _kept(work, (e for e in candidates if e.path in out), sieve := choose.Sieve(work.limits.alike), names)
    training = [
        *_kept(work, rules, sieve, names),
        *_kept(work, (e for e in candidates if e.path not in out), sieve, names, training=True),
    ]
    tokens: dict[Example, int] = {}

    def admit(example: Example) -> Why | None:
        _look(token)
        tokens[example], why = (measure or unmeasured)(example)
        return why

    kept = {
        True: choose.within(validation, work.limits.shares, work.limits.most_validation, admit, work.drop),
        False: choose.within(training, work.limits.shares, work.limits.total, admit, work.drop),
    }  # fmt: skip
    trained = sum(tokens[example] for chosen in kept.values() for example in chosen) if measure else None
    return _made(work, known, unused, symbols, kept, out, tuple(s.text for s in found), trained)


def _made(
    work: _Work, known: Sequence[Known], unused: Counter[str], symbols: Sequence[Symbol],
    kept: dict[bool, list[Example]], out: frozenset[str], found: Sequence[str], tokens: int | None,
) -> Made:  # fmt: skip
    used = {work.of[example] for split in kept.values() for example in split if example in work.of}
    rejected: Counter[str] = Counter(
        str(work.why.get(symbol.key, Why.SHORT)) for symbol in symbols if symbol.key not in used
    )  # fmt: skip
    used_count = sum(symbol.key in used for symbol in symbols)
    return Made(
        kept[False], kept[True], tuple(sorted(out)), len(known) + unused.total(), dict(unused), len(symbols),
        used_count, rejected, Counter({str(why): count for why, count in work.dropped.items()}), found, tokens,
    )  # fmt: skip


def _look(token: CancelToken | None) -> None:
    if token is not None:
        token.raise_if_cancelled()


def _known(files: Iterable[CodeFile], token: CancelToken | None) -> tuple[list[Known], Counter[str]]:
    """Files with symbols in order of their paths, and why others have none."""
    known, unused = list[Known](), Counter[str]()
    for file in files:
        _look(token)
        symbols = symbols_of(file.parsed)
        if symbols:
            known.append(Known(file, symbols))
        elif file.parsed.fallback:
            unused[CUT_BY_LINES] += 1
        else:
            unused[NO_GRAMMAR if file.parsed.language == "text" else NO_SYMBOL] += 1
    known.sort(key=lambda item: item.file.path)
    return known, unused


def _candidates(
    work: _Work, known: Sequence[Known], symbols: Sequence[Symbol], token: CancelToken | None
) -> list[Example]:
    """Everything that can be made of single symbols."""
    names, qualified = Counter(s.name for s in symbols), Counter(s.qualified for s in symbols)
    out = []
    for file in known:
        for symbol in file.symbols:
            _look(token)
            once = names[symbol.name] == 1 or ("." in symbol.qualified and qualified[symbol.qualified] == 1)
            made = list(_of(Subject(symbol, None, file.file.hash), work, once=once))
            for example in made:
                work.of[example] = symbol.key
            out += made
    return out


def _of(subject: Subject, work: _Work, *, once: bool) -> Iterator[Example]:
    symbol = subject.symbol
    if symbol.is_file:
        if said := worded(symbol.doc):
            yield of_module(subject, said)
        return
    anatomy = take_apart(symbol)
    named = once and not symbol.name.startswith("__")
    made = list(examples_of(Subject(symbol, anatomy, subject.file_hash), place_known=named))
    if not made:
        shape = anatomy is None and symbol.kind in CALLABLE
        work.why[symbol.key] = Why.SHAPE if shape else Why.SHORT if named else Why.NAME_TWICE
    yield from made


def _names(symbols: Sequence[Symbol], out: frozenset[str]) -> frozenset[str]:
    """The names of what is in held-out files; the file's own is none that code uses."""
    return frozenset(s.name for s in symbols if s.path in out and not s.is_file)


def _kept(
    work: _Work, examples: Iterable[Example], sieve: choose.Sieve, names: frozenset[str], *, training: bool = False
) -> list[Example]:
    """Those without keys and repetitions, so many of a file; training answers on places name nothing held out."""
    kept: list[Example] = []
    per_file: Counter[str] = Counter()
    for example in choose.in_turns(examples):
        if training and example.what is What.WHERE and not names.isdisjoint(_IDENTIFIER.findall(example.answer)):
            work.drop(example, Why.HELD_OUT)
        elif per_file[example.path] >= work.limits.per_file:
            work.drop(example, Why.FILE_FULL)
        elif key_in(f"{example.question}\n{example.answer}"):
            work.drop(example, Why.KEY)
        elif why := sieve.repeats(example):
            work.drop(example, why)
        else:
            kept.append(example)
            # What is said of the whole code base takes nothing from the file that shows it.
            per_file[example.path] += example.what is not What.CONVENTION
    return kept
