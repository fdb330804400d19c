"""A corpus with known answers: Python files whose docstrings are taken out, and questions made from them."""

from __future__ import annotations

import ast
import random
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("markdown_it", "sqlite_utils", "dulwich", "platformdirs", "networkx", "jinja2", "huggingface_hub")
_NOT = ("test", "tests", "idlelib", "lib2to3", "turtledemo", "site-packages", "__pycache__", "encodings", "pydoc_data")
SEED = 9
LEAST_WORDS = 4


@dataclass(frozen=True)
class Gold:
    """A function: where it stands in the file without docstrings, and the text of its lines."""

    path: str
    name: str
    start: int
    end: int
    lines: tuple[str, ...]


@dataclass
class Corpus:
    """Files below `root`, and questions: text -> answers, any of which counts."""

    root: Path
    paths: list[str] = field(default_factory=list)
    prose: dict[str, list[Gold]] = field(default_factory=dict)
    identifiers: dict[str, list[Gold]] = field(default_factory=dict)


def sources() -> Iterator[tuple[str, Path]]:
    """(name in the corpus, file) of the standard library and of packages of this environment."""
    library = Path(sysconfig.get_path("stdlib"))
    roots = [("lib", library)]
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is not None and spec.origin:
            roots.append((package, Path(spec.origin).parent))
    for name, root in roots:
        for file in sorted(root.rglob("*.py")):
            inside = file.relative_to(root)
            if not any(part in _NOT or part.startswith("test") for part in inside.parts):
                yield f"{name}/{inside.as_posix()}", file


def build(root: Path, chunks: int) -> Corpus:
    """Write a sample of the sources, the same each time, until it has about so many definitions and files."""
    corpus = Corpus(root)
    everything = list(sources())
    random.Random(SEED).shuffle(everything)
    prose: list[tuple[str, Gold]] = []
    named: dict[str, list[Gold]] = {}
    count = 0
    for name, file in everything:
        if count >= chunks:
            break
        taken = _strip(file)
        if taken is None:
            continue
        text, docs = taken
        golds = _functions(name, text)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        corpus.paths.append(name)
        count += len(golds) + 1
        for gold, doc in zip(golds, docs, strict=True):
            if isinstance(gold, Gold):
                named.setdefault(gold.name, []).append(gold)
                if question := _question(doc, gold.name):
                    prose.append((question, gold))
    often = Counter(question for question, _ in prose)
    corpus.prose = {question: [gold] for question, gold in prose if often[question] == 1}
    corpus.identifiers = {name: golds for name, golds in named.items() if not name.startswith("__")}
    return corpus


def _question(doc: str, name: str) -> str:
    """The first sentence, unless it gives the name away or says next to nothing."""
    first = re.split(r"(?<=[.!?])\s|\n\s*\n", " ".join(doc.strip().split("\n\n")[0].split()), maxsplit=1)[0]
    plain = name.strip("_").lower()
    gives_away = plain in first.lower().replace(" ", "_") or plain.replace("_", "") in first.lower().replace(" ", "")
    if gives_away or len(first.split()) < LEAST_WORDS or len(first) > 300 or ">>>" in first:
        return ""
    return first


def _documented(tree: ast.AST) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _strip(file: Path) -> tuple[str, list[str]] | None:
    """The file without docstrings, and what those of its definitions said, in the order of `_definitions`."""
    try:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return None
    lines = text.split("\n")
    for node in sorted(_documented(tree), key=lambda n: -getattr(n, "lineno", 0)):
        first = node.body[0] if node.body else None
        if ast.get_docstring(node, clean=False) is None or not isinstance(first, ast.Expr):
            continue
        before = lines[first.lineno - 1][: first.col_offset]
        after = lines[(first.end_lineno or first.lineno) - 1].encode()[first.end_col_offset :].decode()
        if before.strip() or after.strip():
            return None
        alone = [f"{before}pass"] if len(node.body) == 1 and not isinstance(node, ast.Module) else []
        lines[first.lineno - 1 : first.end_lineno] = alone
    stripped = "\n".join(lines)
    docs = [ast.get_docstring(node) or "" for node in _definitions(tree)]
    try:
        return (stripped, docs) if len(list(_definitions(ast.parse(stripped)))) == len(docs) else None
    except SyntaxError:
        return None


def _definitions(tree: ast.AST) -> Sequence[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in _documented(tree) if not isinstance(n, ast.Module)]


def _functions(path: str, text: str) -> list[Gold | None]:
    """Each definition of the text; None for a class, which is no answer."""
    lines = text.split("\n")
    out: list[Gold | None] = []
    for node in _definitions(ast.parse(text)):
        start, end = node.lineno, node.end_lineno or node.lineno
        own = tuple(line.strip() for line in lines[start - 1 : end] if line.strip())
        out.append(None if isinstance(node, ast.ClassDef) else Gold(path, node.name, start, end, own))
    return out
