"""An index of a folder in one go: what the indexer does in many steps, for tests and benchmarks of what is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.code_index.chunk_vectors import chunk_vectors
from core.code_index.chunking import parse_file
from core.code_index.code_tokens import searchable, searchable_name
from core.code_index.columns import Columns
from core.code_index.embedder import SOFT_LIMIT, Embedder
from core.code_index.records import Chunk, digest
from core.code_index.store import ChunkStore
from core.code_index.store_writer import ChunkWriter
from core.code_index.vectors import VectorCache
from tests.support.code_index import rows_of

BATCH = 512


def index_folder(
    folder: Path, root: Path, paths: Sequence[str], embedder: Embedder | None, cache: VectorCache | None = None
) -> ChunkStore:
    """Chunks, rows and, with an embedder, vectors of files below `root`; the store lies in `folder`."""
    rows, chunks = [], {}
    for path in paths:
        data = (root / path).read_bytes()
        parsed = parse_file(path, data, embedder.soft_limit if embedder else SOFT_LIMIT)
        rows += rows_of(parsed, digest(data), searchable, searchable_name)
        chunks.update({chunk.id: chunk for chunk in parsed.chunks})
    if embedder is not None:
        vectors = embed_chunks(list(chunks.values()), embedder, cache)
        for row in rows:
            row["vector"] = vectors[row["embed_hash"]]
    writer = ChunkWriter.create(folder, embedder.dimension if embedder else None)
    for start in range(0, len(rows), 2000):
        writer.add(Columns.of(rows[start : start + 2000]))
    writer.optimise()
    writer.close()
    return ChunkStore.open(folder)


def embed_chunks(chunks: Sequence[Chunk], embedder: Embedder, cache: VectorCache | None = None) -> dict[str, object]:
    """embed_hash -> vector; what the cache has is not computed again."""
    distinct = {chunk.embed_hash: chunk for chunk in chunks}
    return _kept(distinct, lambda part: chunk_vectors([distinct[key] for key in part], embedder.embed), cache)


def embed_texts(texts: dict[str, str], embedder: Embedder, cache: VectorCache | None = None) -> dict[str, object]:
    """hash -> vector."""
    return _kept(texts, lambda part: embedder.embed([texts[key] for key in part]), cache)


def _kept(
    wanted: Mapping[str, object], make: Callable[[list[str]], np.ndarray], cache: VectorCache | None
) -> dict[str, object]:
    vectors: dict[str, object] = dict(cache.get(wanted)) if cache else {}
    missing = [key for key in wanted if key not in vectors]
    for start in range(0, len(missing), BATCH):
        part = missing[start : start + BATCH]
        made = dict(zip(part, make(part), strict=True))
        if cache:
            cache.put(made)
        vectors.update(made)
    return vectors


def files_of(root: Path) -> list[str]:
    """All files below a folder, as paths with "/"."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
