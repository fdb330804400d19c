"""Parsing and chunking source files: files and MB a second of processor time, and how much of them is in chunks.

BRIGHTRUN_BENCH_CODE names the folders to read, separated by ":"; without it they are the standard library of Python
and this program.
"""

from __future__ import annotations

import os
import sysconfig
import time
from collections import Counter
from pathlib import Path

from core.code_index.chunking import parse_file
from core.code_index.decoding import decode, lines_of
from core.code_index.languages import TEXT, language_of, named
from core.code_index.records import ParsedFile

LARGEST = 1_000_000


def run(_folder: Path) -> dict[str, str]:
    default = f"{sysconfig.get_paths()['stdlib']}:{Path(__file__).parents[1]}"
    out: dict[str, str] = {}
    for root in os.environ.get("BRIGHTRUN_BENCH_CODE", default).split(":"):
        files = _read(Path(root))
        for language in sorted({language_of(path) for path in files} - {TEXT}):
            out |= _language(
                root, language, {path: data for path, data in files.items() if language_of(path) == language}
            )
    return out


def _read(root: Path) -> dict[str, bytes]:
    paths = (p for p in root.rglob("*") if language_of(p.name) != TEXT and "site-packages" not in p.parts)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in paths
            if p.is_file() and ".venv" not in p.parts and p.stat().st_size <= LARGEST}  # fmt: skip


def _language(root: str, language: str, files: dict[str, bytes]) -> dict[str, str]:
    from tree_sitter import Language, Parser

    parser = Parser(Language(named(language).grammar()))
    start = time.process_time()
    for data in files.values():
        parser.parse(data)
    grammar = time.process_time() - start
    start = time.process_time()
    parsed = [parse_file(path, data) for path, data in files.items()]
    spent = time.process_time() - start
    shares = [covered(decode(files[one.path]), one) for one in parsed]
    size = sum(map(len, files.values()))
    kinds = Counter(chunk.kind.value for one in parsed for chunk in one.chunks)
    return {
        f"{language} in {root}": f"{len(files)} files, {size / 1e6:.1f} MB, {sum(kinds.values())} chunks",
        f"{language}: parse and chunk": f"{len(files) / spent:.0f} files/s, {size / 1e6 / spent:.1f} MB/s",
        f"{language}: the grammar alone": f"{len(files) / grammar:.0f} files/s, {size / 1e6 / grammar:.1f} MB/s",
        f"{language}: in chunks": f"{100 * sum(shares) / len(shares):.3f} %, least of a file {100 * min(shares):.2f} %",
        f"{language}: with errors": f"{sum(p.errors for p in parsed)}, by lines {sum(p.fallback > '' for p in parsed)}",
        f"{language}: kinds": ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()),
    }


def covered(text: str, parsed: ParsedFile) -> float:
    """The share of the characters that are not blank that are in some chunk, each line for line."""
    lines = lines_of(text)
    said: set[tuple[int, str]] = set()
    pieces: Counter[int] = Counter()
    for chunk in parsed.chunks:
        found = chunk.text.split("\n")
        if len(found) == chunk.end_line - chunk.start_line + 1:
            said.update(zip(range(chunk.start_line, chunk.end_line + 1), found, strict=True))
        else:
            said.update((-1, line) for line in found)
        if chunk.start_line == chunk.end_line:
            pieces[chunk.start_line] += len("".join(chunk.text.split()))
    weights = [len("".join(line.split())) for line in lines]
    lost = sum(weight for number, (line, weight) in enumerate(zip(lines, weights, strict=True), start=1)
               if weight and (number, line) not in said and (-1, line) not in said
               and pieces[number] < weight)  # fmt: skip
    return 1 - lost / max(sum(weights), 1)
