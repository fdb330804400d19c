"""A chunk's vector: that of its code and that of its title, as one.

What a function is called says in a few words what its code says in many, and a model reads words best. Their weighted
mean needs no second column and takes a fifth more time; what it gains is in docs/decisions/0020-code-index.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core.code_index.records import Chunk

if TYPE_CHECKING:
    import numpy as np

# Another one is another `records.VECTORS_VERSION`.
TITLE_WEIGHT = 0.7
_LEAST = 1e-6


def chunk_vectors(chunks: Sequence[Chunk], embed: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """float32 (n, dimension), each row of length 1. `embed` makes such vectors of texts; a row is not finite where one
    of its own is not. Raises ValueError for another number of vectors."""
    import numpy as np

    titles = {number: title for number, chunk in enumerate(chunks) if (title := chunk.title)}
    made = np.asarray(embed([*(chunk.embedded for chunk in chunks), *titles.values()]))
    if len(made) != len(chunks) + len(titles):
        raise ValueError(f"{len(made)} vectors of {len(chunks) + len(titles)} texts")
    vectors: np.ndarray = made[: len(chunks)].astype(np.float32)
    with np.errstate(invalid="ignore"):
        vectors[list(titles)] += TITLE_WEIGHT * made[len(chunks) :]
        vectors /= np.maximum(_LEAST, np.linalg.norm(vectors, axis=1, keepdims=True))
    return vectors
