"""What was found as text for a model: symbols whole, each under the line that says where it stands, in a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.code_index.records import Found

# A symbol that alone is larger than the budget is cut to what fits, if so many of its lines do.
LEAST_LINES = 5


@dataclass(frozen=True)
class Piece:
    """One symbol as it is sent. `cut` counts its lines that did not fit, 0 where it is whole."""

    found: Found
    text: str
    tokens: int
    cut: int = 0


@dataclass(frozen=True)
class LeftOut:
    """A symbol that is not sent, and why, as a sentence."""

    found: Found
    reason: str


@dataclass(frozen=True)
class Packed:
    """What is sent, in the order of ranks, and what is not. `tokens` counts `text` as a whole."""

    text: str
    tokens: int
    used: tuple[Piece, ...]
    left_out: tuple[LeftOut, ...]


def pack(found: Sequence[Found], budget_tokens: int, count_tokens: Callable[[str], int]) -> Packed:
    """Take symbols in their order as long as they fit; one that does not is passed over for a smaller one after it.

    `tokens` never exceeds the budget. Every symbol is in `used` or in `left_out`.
    """
    used: list[Piece] = []
    left: list[LeftOut] = []
    told: set[str] = set()
    spent = 0
    for one in found:
        text = written(one, context=one.path not in told)
        tokens = count_tokens(f"\n\n{text}")
        if spent + tokens > budget_tokens:
            short = _cut(one, budget_tokens, count_tokens) if not used and not left else None
            if short is None:
                left.append(
                    LeftOut(one, f"It takes {tokens:,} tokens, and {max(0, budget_tokens - spent):,} were left.")
                )
                continue
            used.append(short)
            spent += short.tokens
        else:
            used.append(Piece(one, text, tokens))
            spent += tokens
        told.add(one.path)
    whole = _joined(used)
    total = count_tokens(whole) if used else 0
    # Pieces may count for less apart than together.
    while used and total > budget_tokens:
        last = used.pop()
        left.append(LeftOut(last.found, "It did not fit beside the others."))
        whole = _joined(used)
        total = count_tokens(whole) if used else 0
    return Packed(whole, total, tuple(used), tuple(left))


def written(found: Found, *, context: bool = True, text: str | None = None) -> str:
    """A symbol under its place ("path:first-last"), what it stands in, and with `context` what its file imports."""
    head = f"# {found.path}:{found.start_line}-{found.end_line} | {found.kind} {found.qualified}".rstrip()
    parent = str(found.extra.get("parent_signature", ""))
    lines = [head]
    if context and (imports := found.extra.get("imports")):
        lines.append(f"# imports {', '.join(' '.join(str(name).split()) for name in imports[:20])}")
    if parent:
        lines.append(f"# in {' '.join(parent.split())}")
    return "\n".join([*lines, (found.text if text is None else text).rstrip("\n")])


def _joined(pieces: Sequence[Piece]) -> str:
    return "\n\n".join(piece.text for piece in pieces)


def _cut(found: Found, budget: int, count_tokens: Callable[[str], int]) -> Piece | None:
    """As many of its first lines as fit, by bisection; None where those are too few to be of use."""
    lines = found.text.rstrip("\n").split("\n")

    def piece(count: int) -> Piece:
        rest = len(lines) - count
        text = written(found, context=False, text="\n".join([*lines[:count], f"… {rest} more lines"]))
        return Piece(found, text, count_tokens(text), rest)

    low, high = 0, len(lines) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if piece(middle).tokens <= budget else (low, middle - 1)
    return piece(low) if low >= LEAST_LINES and piece(low).tokens <= budget else None
