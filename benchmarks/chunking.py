"""Parsing and chunking source files: files and MB a second of processor time, and how much of them is in chunks.

BRIGHTRUN_BENCH_CODE names the folders to read, separated by ":"; without it they are the standard library of Python
and this program.
"""

from __future__ import annotations

import os
import sysconfig
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

from core.code_index.chunking import parse_file
from core.code_index.decoding import decode, lines_of
from core.code_index.languages import TEXT, language_of, named
from core.code_index.records import ParsedFile, joined_text

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

    grammar = Language(named(language).grammar())
    alone = spent = 0.0
    parsed = []
    for path, data in files.items():
        # One after the other for each file, so that a busy machine slows both alike.
        start = time.process_time()
        Parser(grammar).parse(data)
        middle = time.process_time()
        parsed.append(parse_file(path, data))
        alone += middle - start
        spent += time.process_time() - middle
    lost = [_lost(decode(files[one.path]), one) for one in parsed]
    share = 1 - sum(n for n, _ in lost) / max(sum(of for _, of in lost), 1)
    worst = 1 - max((n / max(of, 1) for n, of in lost), default=0)
    size = sum(map(len, files.values())) / 1e6
    kinds = Counter(chunk.kind.value for one in parsed for chunk in one.chunks)
    name = f"{language}, {Path(root).name}"
    return {
        f"{name}: files": f"{len(files)}, {size:.1f} MB, {sum(kinds.values())} chunks",
        f"{name}: parse and chunk": f"{len(files) / spent:.0f} files/s, {size / spent:.1f} MB/s",
        f"{name}: of it the grammar": f"{len(files) / alone:.0f} files/s, {size / alone:.1f} MB/s",
        f"{name}: in chunks": f"{100 * share:.4f} %, least of a file {100 * worst:.2f} %",
        f"{name}: with errors": f"{sum(p.errors for p in parsed)}, by lines {sum(p.fallback > '' for p in parsed)}",
        f"{name}: kinds": ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()),
    }


def _lost(text: str, parsed: ParsedFile) -> tuple[int, int]:
    """How many characters that are not blank are in no chunk, and how many there are."""
    lines = lines_of(text)
    weights = [len("".join(line.split())) for line in lines]
    literal: set[int] = set()
    abridged: Counter[str] = Counter()
    starts = [n for n, chunk in enumerate(parsed.chunks) if chunk.part == 1]
    for start, end in pairwise([*starts, len(parsed.chunks)]):
        parts = parsed.chunks[start:end]
        said = joined_text(parts).split("\n")
        first = parts[0].start_line - 1
        if said == lines[first : parts[-1].end_line]:
            literal.update(range(first, parts[-1].end_line))
        else:
            abridged.update(said)
    lost = 0
    for number, (line, weight) in enumerate(zip(lines, weights, strict=True)):
        if weight and number not in literal:
            abridged[line] -= 1
            lost += weight if abridged[line] < 0 else 0
    return lost, sum(weights)
