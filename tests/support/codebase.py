"""Small code bases written by a test: modules of several languages with and without words on what they do."""

from __future__ import annotations

from pathlib import Path

from core.code_index.chunking import parse_file
from core.code_index.records import digest
from core.projects.examples.records import CodeFile

NOUNS = (
    "order", "parcel", "refund", "ledger", "basket", "courier", "invoice", "shelf", "ticket", "voucher", "tariff",
    "depot", "roster", "manifest", "harbour", "bracket", "pallet", "quota", "signal", "window",
)  # fmt: skip
VERBS = ("collect", "divide", "announce", "weigh", "compare", "forget", "arrange", "postpone")


def module(noun: str, seed: int = 0) -> str:
    """A module of Python with two documented functions and one without, all of them different from those of others."""
    one, two, three = (VERBS[(seed + step) % len(VERBS)] for step in (0, 3, 5))
    return f'''"""Everything that is done with a {noun}, from the first look to the last."""

from __future__ import annotations

import json


def {one}_{noun}(items: list[str], limit: int = {seed + 2}) -> list[str]:
    """{one.capitalize()} every {noun} that the warehouse holds at the moment.

    Those beyond the limit {seed + 2} stay where they are.
    """
    kept = []
    for number, item in enumerate(items):
        if number < limit:
            kept.append(item.strip().{("lower", "upper", "title", "strip")[seed % 4]}())
    return sorted(kept, key=len, reverse={bool(seed % 2)})


def {two}_{noun}(text: str) -> dict[str, int]:
    """Reads what a customer wrote about the {noun} and counts its words."""
    found: dict[str, int] = {{}}
    for word in text.split({("", "','", "';'")[seed % 3]}):
        found[word] = found.get(word, {seed}) + 1
    found.pop("{noun}", None)
    return found


def {three}_{noun}(value: int) -> str:
    rest = value % {seed + 3}
    if rest == 0:
        raise ValueError("no {noun}")
    return json.dumps({{"{noun}": rest, "{two}": value}})
'''


def files(count: int = 8) -> dict[str, str]:
    """So many modules of Python in a package, by path."""
    return {f"shop/{noun}.py": module(noun, number) for number, noun in enumerate(NOUNS[:count])}


def write(root: Path, texts: dict[str, str]) -> Path:
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def parsed(texts: dict[str, str]) -> list[CodeFile]:
    return [
        CodeFile(parse_file(path, text.encode()), digest(text.encode()), text) for path, text in texts.items()
    ]  # fmt: skip
