"""Rows by column, laid out as Arrow does: a process hands the rows of a file to another as a few strings of bytes.

As objects they would be pickled, made anew and taken apart again: that was nearly half of the writer's work.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from core.code_index.records import ParsedFile
from core.code_index.rows import HEAD, IN_HEAD, LISTS, NUMBERS, STRINGS, VECTOR, Row, Words, head_of

# How Lance compresses a column, for its metadata.
COMPRESSION = "lance-encoding:compression"
_TESTS = "is_test"
_TEXTS = tuple(name for name in STRINGS if name != HEAD)
_NAMES = (*_TEXTS, *NUMBERS, *LISTS, _TESTS)
_BOTH = tuple(name for name in _NAMES if name in IN_HEAD)


def _numbers(values: Iterable[int]) -> bytes:
    return array("i", values).tobytes()


def _strings(texts: Sequence[str]) -> tuple[bytes, bytes]:
    whole = "".join(texts)
    if whole.isascii():
        return _numbers(map(len, texts)), whole.encode()
    encoded = [text.encode() for text in texts]
    return _numbers(map(len, encoded)), b"".join(encoded)


def _buffers(heads: Sequence[Row], values: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[bytes]]:
    """Those of each column; `values` has all of them but HEAD."""
    said = list(map(orjson.dumps, heads))
    buffers: dict[str, Sequence[bytes]] = {name: _strings(values[name]) for name in _TEXTS}
    buffers[HEAD] = (_numbers(map(len, said)), b"".join(said))
    for name in NUMBERS:
        buffers[name] = (_numbers(values[name]),)
    for name in LISTS:
        buffers[name] = (_numbers(map(len, values[name])), *_strings(list(chain.from_iterable(values[name]))))
    buffers[_TESTS] = (bytes(values[_TESTS]),)
    return buffers


@dataclass(frozen=True, slots=True)
class Columns:
    """`count` rows. `buffers` has those of each column: of strings their lengths (int32, bytes) and then their UTF-8;
    of lists of strings their lengths and then the same; of numbers int32; of truths a byte each.

    `vectors` is empty where no row has one, else it has an array or None a row.
    """

    count: int
    buffers: Mapping[str, Sequence[bytes]]
    vectors: Sequence[Any] = ()

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Columns:
        """Whole rows as columns. Raises ValueError or TypeError for half a pair of surrogates, OverflowError for a
        number of more than 32 bits."""
        heads = [{name: row[name] for name in IN_HEAD} for row in rows]
        vectors = [row[VECTOR] for row in rows]
        buffers = _buffers(heads, {name: [row[name] for row in rows] for name in _NAMES})
        return cls(len(rows), buffers, vectors if any(vector is not None for vector in vectors) else ())

    @classmethod
    def of_file(cls, parsed: ParsedFile, file_hash: str, words: Words, name_words: Words) -> Columns:
        """The chunks of a file, without vectors; what it imports stands in the first. Raises what `of` does, and
        ValueError for an id twice."""
        chunks = parsed.chunks
        embedded = [chunk.embedded for chunk in chunks]
        heads = [head_of(chunk, chunk.hash_of(text), file_hash) for chunk, text in zip(chunks, embedded, strict=True)]
        values: dict[str, Sequence[Any]] = {name: [head[name] for head in heads] for name in _BOTH}
        if len(set(values["id"])) < len(chunks):
            raise ValueError(f"{parsed.path}: two chunks have one id")
        values["name_lc"] = [chunk.name.lower() for chunk in chunks]
        values["text"] = [chunk.text for chunk in chunks]
        values["fts"] = list(map(words, embedded))
        values["name_tok"] = [name_words(chunk.name) for chunk in chunks]
        values["imports"] = [() if number else parsed.imports for number in range(len(chunks))]
        return cls(len(chunks), _buffers(heads, values))

    def texts(self, name: str) -> list[str]:
        """The strings of a column."""
        lengths, data = self.buffers[name]
        out, start = [], 0
        for length in array("i", lengths):
            out.append(data[start : start + length].decode())
            start += length
        return out


NONE = Columns.of(())


def joined(many: Sequence[Columns]) -> Columns:
    """The rows of all, one after the other."""
    if len(many) < 2:
        return many[0] if many else NONE
    buffers = {
        name: [b"".join(part) for part in zip(*(one.buffers[name] for one in many), strict=True)]
        for name in NONE.buffers
    }
    vectors: list[Any] = []
    if any(one.vectors for one in many):
        for one in many:
            vectors += one.vectors or [None] * one.count
    return Columns(sum(one.count for one in many), buffers, vectors)


def schema(dimension: int | None, of_texts: Mapping[str, str] | None = None) -> Any:
    """The Arrow schema of the store; without a dimension there is no column for vectors.

    `of_texts` is what Lance is told of each column of strings.
    """
    import pyarrow as pa

    fields = [pa.field(name, pa.string(), metadata=of_texts) for name in STRINGS]
    fields += [pa.field(name, pa.int32()) for name in NUMBERS]
    fields += [pa.field(name, pa.list_(pa.string())) for name in LISTS]
    fields.append(pa.field(_TESTS, pa.bool_()))
    if dimension is not None:
        fields.append(pa.field(VECTOR, pa.list_(pa.float16(), dimension)))
    return pa.schema(fields)


def arrow(columns: Columns, dimension: int | None) -> Any:
    """Columns as an Arrow table; a vector is an array of `dimension` numbers or None."""
    import numpy as np
    import pyarrow as pa

    count, buffers = columns.count, columns.buffers
    made = [_string_array(*buffers[name]) for name in STRINGS]
    made += [pa.array(np.frombuffer(buffers[name][0], np.int32)) for name in NUMBERS]
    made += [pa.ListArray.from_arrays(_offsets(buffers[name][0]), _string_array(*buffers[name][1:])) for name in LISTS]
    made.append(pa.array(np.frombuffer(buffers[_TESTS][0], np.bool_)))
    if dimension is not None:
        values = np.zeros((count, dimension), np.float16)
        missing = np.ones(count, bool)
        for place, vector in enumerate(columns.vectors):
            if vector is not None:
                values[place], missing[place] = vector, False
        made.append(pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), dimension, mask=pa.array(missing)))
    return pa.Table.from_arrays(made, schema=schema(dimension))


def vectors_of(column: Any, dimension: int) -> list[Any]:
    """The vectors of an Arrow column as arrays of float16, None where there is none."""
    import numpy as np

    column = column.combine_chunks()
    # The values of a list that is null are there all the same, so that rows keep their places.
    flat = np.asarray(column.values.slice(column.offset * dimension, len(column) * dimension))
    values = flat.reshape(len(column), dimension)
    return [values[place] if valid else None for place, valid in enumerate(column.is_valid().to_pylist())]


def _offsets(lengths: bytes) -> Any:
    import numpy as np

    sizes = np.frombuffer(lengths, np.int32)
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _string_array(lengths: bytes, data: bytes) -> Any:
    import pyarrow as pa

    offsets = _offsets(lengths)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
