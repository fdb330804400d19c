"""How alike two conversations are, by a short signature: a one-permutation MinHash over shingles of three words.

Equal places of two signatures estimate the share of shingles that both have (Jaccard; error about 0.06). Two that are
alike in `NEAR` of them share one of their buckets with a probability above 0.98, so that candidates come from an index.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable

from core.db.connection import fold

PLACES, BANDS, SHINGLE = 64, 16, 3
NEAR = 0.7
_ROWS = PLACES // BANDS
_PACKED = struct.Struct(f"<{PLACES}I")
_WORD = re.compile(r"\w+")
_MIX, _MASK = 0x9E3779B1, 0xFFFFFFFF
_LOW = (1 << 26) - 1


def signature(texts: Iterable[str]) -> bytes:
    """The signature of these texts, 256 bytes; empty where there are no words."""
    words = _WORD.findall(fold("\n".join(texts)) or "")
    if not words:
        return b""
    least: list[int | None] = [None] * PLACES
    # What is said again and again counts once.
    for shingle in set(zip(*(words[start:] for start in range(SHINGLE)), strict=False)) or {tuple(words)}:
        mixed = zlib.crc32(" ".join(shingle).encode()) * _MIX & _MASK
        place, value = mixed >> 26, mixed & _LOW
        held = least[place]
        if held is None or value < held:
            least[place] = value
    return _PACKED.pack(*_filled(least))


def _filled(least: list[int | None]) -> list[int]:
    """Short texts leave places empty: they borrow from the next one, moved by how far it is (Shrivastava and Li)."""
    out = []
    for place in range(PLACES):
        step = next(step for step in range(PLACES) if least[(place + step) % PLACES] is not None)
        out.append(((least[(place + step) % PLACES] or 0) + step * (_LOW + 1)) & _MASK)
    return out


def share(one: bytes, other: bytes) -> float:
    """Estimated share of what both say, 0 to 1."""
    if not one or not other:
        return 0.0
    pairs = zip(_PACKED.unpack(one), _PACKED.unpack(other), strict=True)
    same: int = sum(left == right for left, right in pairs)
    return same / PLACES


def buckets(found: bytes) -> list[int]:
    """Where to look for conversations that are alike: one number a band, as SQLite keeps integers."""
    size = 4 * _ROWS
    parts = [found[start : start + size] for start in range(0, len(found), size)]
    return [band << 32 | zlib.crc32(part) for band, part in enumerate(parts)]
