"""How alike two conversations are, by a short signature: a one-permutation MinHash over shingles of three words.

Equal places of two signatures estimate the share of shingles that both have (Jaccard; error about 0.06). Two that are
alike in `NEAR` of them share one of their buckets with a probability above 0.98, so that candidates come from an index.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

PLACES, BANDS, SHINGLE = 64, 16, 3
NEAR = 0.7
_ROWS = PLACES // BANDS
_PACKED = struct.Struct(f"<{PLACES}I")
_LOW_BITS, _PLACE_BITS = 26, 6
_EMPTY = 1 << _LOW_BITS
# Odd constants of splitmix64 and xxHash: words weigh differently by their place, and every bit ends up everywhere.
_WEIGHTS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
_MIX, _MASK = 0xBF58476D1CE4E5B9, 0xFFFFFFFF


def signature(words: Sequence[str]) -> bytes:
    """The signature of a text's words in order, folded: 256 bytes; empty where there are none."""
    if not words:
        return b""
    import numpy as np

    codes = np.fromiter(map(zlib.crc32, "\n".join(words).encode().split(b"\n")), np.uint64, len(words))
    if len(codes) >= SHINGLE:
        size = len(codes) - SHINGLE + 1
        codes = sum(
            (codes[start : start + size] * np.uint64(weight) for start, weight in enumerate(_WEIGHTS)),
            np.zeros(size, np.uint64),
        )
    codes ^= codes >> np.uint64(29)
    codes *= np.uint64(_MIX)
    codes ^= codes >> np.uint64(32)
    least = np.full(PLACES, _EMPTY, np.uint64)
    places = (codes >> np.uint64(64 - _PLACE_BITS)).astype(np.intp)
    np.minimum.at(least, places, codes >> np.uint64(_PLACE_BITS) & np.uint64(_EMPTY - 1))
    return _PACKED.pack(*_filled([None if value == _EMPTY else int(value) for value in least]))


def _filled(least: list[int | None]) -> list[int]:
    """Short texts leave places empty: they borrow from the next one, moved by how far it is (Shrivastava and Li)."""
    out = []
    for place in range(PLACES):
        step = next(step for step in range(PLACES) if least[(place + step) % PLACES] is not None)
        out.append(((least[(place + step) % PLACES] or 0) + step * _EMPTY) & _MASK)
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
