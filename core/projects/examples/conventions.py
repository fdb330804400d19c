"""What a code base does the same everywhere, by counting: each statement says its numbers, only clear ones are made.

Counted are lines of text by patterns, names and imports from the parse; nothing is run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from statistics import median

from core.code_index.records import Kind
from core.projects.examples.anatomy import worded
from core.projects.examples.records import CodeFile, Example, What
from core.projects.examples.symbols import CALLABLE, Symbol
from core.projects.examples.wording import pick

# A statement needs so many cases, of which so large a share agree.
LEAST_CASES, CLEAR = 8, 0.8
_FRAMEWORKS = {
    "python": ("pytest", "unittest", "nose", "hypothesis"),
    "javascript": ("vitest", "jest", "@jest/globals", "mocha", "chai", "node:test", "@playwright/test"),
    "java": ("org.junit.jupiter", "org.junit", "org.testng"), "go": ("testing",),
}  # fmt: skip
_TITLES = {
    "python": "Python", "javascript": "JavaScript", "typescript": "TypeScript", "tsx": "TSX", "java": "Java",
    "go": "Go", "rust": "Rust",
}  # fmt: skip
_NAMES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("snake_case", re.compile(r"_*[a-z0-9]+(?:_[a-z0-9]+)*_*")),
    ("camelCase", re.compile(r"[_$]*[a-z][a-z0-9]*(?:[A-Z][A-Za-z0-9]*)+")),
    ("PascalCase", re.compile(r"_*[A-Z][A-Za-z0-9]*")),
)
_IMPORT = re.compile(
    r"^(\s*)(?:import\s+[\w{*\"']|from\s+\S+\s+import\b|use\s+[\w:]|(?:const|let|var)\s+.*=\s*require\()"
)
_RAISE = re.compile(r"^\s*(?:raise|throw(?:\s+new)?)\s+([A-Za-z_][\w.]*)\s*\(", re.MULTILINE)
_EXCEPT = re.compile(r"^[ \t]*except\b[ \t]*([^:\n]*):", re.MULTILINE)
_FUTURE = re.compile(r"^from __future__ import annotations", re.MULTILINE)
_TYPED = re.compile(r"\)\s*->")
_TEST_NAMES = (
    ("test_ in front", r"test_"), ("_test at the end", r".*_test\.\w+$"),
    (".test before the extension", r".*\.test\.\w+$"), ("Test at the end", r".*Tests?\.\w+$"),
)  # fmt: skip
_PLACES = {"snake_case": "words joined by underscores"}
ASKED = {
    "tests": "How are tests written in this code base?", "layout": "Where do tests go in this code base?",
    "names": "How are things named in this code base?", "imports": "How are imports written in this code base?",
    "modules": "How does a typical module of this code base look?",
    "documentation": "What is documented in this code base?", "types": "Are types annotated in this code base?",
    "errors": "How are errors handled in this code base?",
}  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """One thing that is nearly always so: `agree` of `cases`; `paths` are files that show it."""

    topic: str
    text: str
    agree: int
    cases: int
    paths: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Known:
    """A file with its symbols."""

    file: CodeFile
    symbols: Sequence[Symbol]

    @property
    def is_test(self) -> bool:
        """Whether most of what is in it is marked as a test."""
        return bool(self.symbols) and self.symbols[0].is_test


Counting = Callable[[str, Sequence[Known]], Iterator[Statement]]


def statements(files: Sequence[Known]) -> list[Statement]:
    """What holds for each language of the code base, the most frequent language first."""
    languages = Counter(known.file.parsed.language for known in files if known.symbols)
    out: list[Statement] = []
    for language, count in languages.most_common():
        if count >= LEAST_CASES:
            own = [known for known in files if known.file.parsed.language == language and known.symbols]
            out += [found for counting in COUNTINGS for found in counting(language, own)]
    return out


def examples(found: Sequence[Statement], files: Sequence[Known], held_out: frozenset[str]) -> list[Example]:
    """Each statement asked for by its topic, and all of them together; shown by files that are not held out."""
    by_path = {known.file.path: known.file for known in files if known.file.path not in held_out}
    out = []
    for topic in dict.fromkeys(statement.topic for statement in found):
        for language in dict.fromkeys(s.language for s in found if s.topic == topic):
            same = [s for s in found if (s.topic, s.language) == (topic, language)]
            shown = [path for s in same for path in s.paths if path in by_path]
            if shown:
                asked = ASKED[topic].removesuffix("?") + f" ({_title(language)})?"
                text = "\n".join(f"- {s.text}" for s in same) if len(same) > 1 else same[0].text
                out.append(_example(by_path[shown[0]], topic, asked, text))
    if len(out) > 1:
        text = "\n".join(f"- {statement.text}" for statement in found)
        first = by_path[out[0].path]
        out.append(_example(first, "all", "Which conventions does this code base follow?", text))
    return out


def _example(file: CodeFile, topic: str, asked: str, text: str) -> Example:
    last = max((chunk.end_line for chunk in file.parsed.chunks), default=1)
    return Example(What.CONVENTION, asked, text, file.path, 1, last, topic, file.parsed.language, file.hash)


def _title(language: str) -> str:
    return _TITLES.get(language, language.capitalize())


def _clear(
    topic: str, language: str, words: str, agree: Sequence[str], cases: int, note: str = ""
) -> Iterator[Statement]:
    """A statement if it is clear; `agree` has the path of each case that agrees."""
    if cases >= LEAST_CASES and len(agree) >= CLEAR * cases:
        paths = sorted(dict.fromkeys(agree), key=lambda path: pick(1 << 30, topic, path))
        text = f"{words}: {len(agree):,} of {cases:,}{note}."
        yield Statement(topic, text, len(agree), cases, tuple(paths), language)


def _tests(language: str, files: Sequence[Known]) -> Iterator[Statement]:
    tests = [known for known in files if known.is_test]
    family = "javascript" if language in ("typescript", "tsx") else language
    using = {name: [k.file.path for k in tests if any(_is_of(imported, name) for imported in k.file.parsed.imports)]
             for name in _FRAMEWORKS.get(family, ())}  # fmt: skip
    any_of_them = {path for paths in using.values() for path in paths}
    for name, paths in using.items():
        yield from _clear("tests", language, f"{_title(language)} tests are written with {name}", paths,
                          len(any_of_them), " test files that import a test library")  # fmt: skip
    tops = Counter(PurePosixPath(known.file.path).parts[0] for known in tests if "/" in known.file.path)
    for folder, _count in tops.most_common(1):
        inside = [known.file.path for known in tests if known.file.path.startswith(f"{folder}/")]
        yield from _clear(
            "layout", language, f"{_title(language)} tests are in the folder {folder}", inside, len(tests)
        )
    for words, pattern in _TEST_NAMES:
        named = [k.file.path for k in tests if re.match(pattern, PurePosixPath(k.file.path).name)]
        yield from _clear("layout", language, f"{_title(language)} test files have {words} of their name", named,
                          len(tests))  # fmt: skip


def _is_of(imported: str, name: str) -> bool:
    return imported == name or imported.startswith((f"{name}.", f"{name}/", f"{name}:"))


def _names(language: str, files: Sequence[Known]) -> Iterator[Statement]:
    kinds = (("Functions and methods", CALLABLE), ("Classes and types", frozenset(
        {Kind.CLASS, Kind.INTERFACE, Kind.ENUM, Kind.STRUCT, Kind.TYPE})))  # fmt: skip
    for words, wanted in kinds:
        named = [s for known in files for s in known.symbols if s.kind in wanted and not s.name.startswith("__")]
        for style, pattern in _NAMES:
            agree = [s.path for s in named if pattern.fullmatch(s.name)]
            more = f" ({_PLACES[style]})" if style in _PLACES else ""
            yield from _clear("names", language, f"{words} of {_title(language)} are named in {style}{more}", agree,
                              len(named))  # fmt: skip


def _imports(language: str, files: Sequence[Known]) -> Iterator[Statement]:
    total, top = 0, list[str]()
    for known in files:
        found = [match for line in known.file.text.split("\n") if (match := _IMPORT.match(line))]
        total += len(found)
        top += [known.file.path for match in found if not match[1]]
    yield from _clear(
        "imports", language, f"{_title(language)} imports stand at the top level of their file", top, total
    )
    if language == "python":
        with_code = [known for known in files if known.file.parsed.imports]
        future = [known.file.path for known in with_code if _FUTURE.search(known.file.text)]
        yield from _clear("imports", language, "Python files begin with from __future__ import annotations", future,
                          len(with_code), " that import anything")  # fmt: skip


def _modules(language: str, files: Sequence[Known]) -> Iterator[Statement]:
    own = [known for known in files if not known.is_test]
    modules = [s for known in own for s in known.symbols if s.is_file]
    said = [s.path for s in modules if worded(s.doc)]
    yield from _clear("modules", language, f"{_title(language)} modules begin by saying what they are for", said,
                      len(modules))  # fmt: skip
    if len(own) >= LEAST_CASES:
        lengths = sorted((known.file.text.count("\n") + 1, known.file.path) for known in own)
        limit = max(100, -(-lengths[int(0.9 * (len(lengths) - 1))][0] // 50) * 50)
        short = [path for lines, path in lengths if lines <= limit]
        middle = f"; the middle one has {round(median(lines for lines, _ in lengths))}"
        yield from _clear("modules", language, f"{_title(language)} files have at most {limit} lines", short,
                          len(lengths), middle)  # fmt: skip


def _documentation(language: str, files: Sequence[Known]) -> Iterator[Statement]:
    public = [s for known in files if not known.is_test for s in known.symbols
              if not s.is_file and not s.name.startswith("_")]  # fmt: skip
    said = [s.path for s in public if s.doc.strip()]
    yield from _clear(
        "documentation", language, f"Public symbols of {_title(language)} are documented", said, len(public)
    )
    if language == "python":
        functions = [s for known in files for s in known.symbols if s.kind in CALLABLE]
        typed = [s.path for s in functions if _TYPED.search(s.signature)]
        yield from _clear("types", language, "Functions of Python say what they return (->)", typed, len(functions))


def _errors(language: str, files: Sequence[Known]) -> Iterator[Statement]:
    own = [known for known in files if not known.is_test]
    raised = [(match[1], known.file.path) for known in own for match in _RAISE.finditer(known.file.text)]
    for name, _count in Counter(name for name, _ in raised).most_common(1):
        agree = [path for found, path in raised if found == name]
        # Half of them is much where there are dozens of kinds of errors to choose from.
        if len(raised) >= LEAST_CASES and len(agree) >= len(raised) / 2:
            text = f"{_title(language)} errors are raised as {name}: {len(agree):,} of {len(raised):,}."
            yield Statement("errors", text, len(agree), len(raised), tuple(sorted(dict.fromkeys(agree))), language)
    if language == "python":
        caught = [(match[1].strip(), known.file.path) for known in own for match in _EXCEPT.finditer(known.file.text)]
        named = [path for what, path in caught if what and not re.match(r"(Base)?Exception\b", what)]
        yield from _clear("errors", language, "except clauses name the errors that they expect", named, len(caught))


COUNTINGS: tuple[Counting, ...] = (_tests, _names, _imports, _modules, _documentation, _errors)
