"""A base and an adapter as one GGUF file: the adapted tensors with the adapter added, all others byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.models.gguf_file import GgufFile

SUFFIX_A, SUFFIX_B = ".lora_a", ".lora_b"


def fuse(base: GgufFile, adapter: GgufFile, path: Path, token: CancelToken) -> None:
    """Write `path`: as large as the base, or a little larger. Raises Cancelled between two tensors.

    A tensor that is adapted becomes Q8_0 (F16 where its rows do not fit), unless it was F32 or F16.
    """
    import gguf

    deltas = {name.removesuffix(SUFFIX_A) for name in adapter.shapes if name.endswith(SUFFIX_A)}
    halves = {tensor.name: tensor for tensor in adapter.reader.tensors}
    alpha = float(adapter.metadata["adapter.lora.alpha"])
    writer = gguf.GGUFWriter(path, base.architecture)
    try:
        _copy_metadata(base, writer)
        kinds = {tensor.name: _kind(tensor, adapted=tensor.name in deltas) for tensor in base.reader.tensors}
        for tensor in base.reader.tensors:
            _announce(writer, tensor, kinds[tensor.name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in base.reader.tensors:
            token.raise_if_cancelled()
            if tensor.name not in deltas:
                writer.write_tensor_data(tensor.data)
                continue
            a, b = (halves[f"{tensor.name}{suffix}"].data for suffix in (SUFFIX_A, SUFFIX_B))
            whole = gguf.quants.dequantize(tensor.data, tensor.tensor_type) + (alpha / a.shape[0]) * (b @ a)
            writer.write_tensor_data(gguf.quants.quantize(whole, kinds[tensor.name]))
    finally:
        writer.close()


def _copy_metadata(base: GgufFile, writer: Any) -> None:
    import gguf

    for name, field in base.reader.fields.items():
        if name.startswith("GGUF.") or name == gguf.Keys.General.ARCHITECTURE:
            continue
        if name == gguf.Keys.General.ALIGNMENT:
            # The writer lays its tensors out by it.
            writer.add_custom_alignment(int(field.contents()))
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=sub)


def _kind(tensor: Any, *, adapted: bool) -> Any:
    import gguf

    kinds = gguf.GGMLQuantizationType
    if not adapted or tensor.tensor_type in (kinds.F32, kinds.F16):
        return tensor.tensor_type
    return kinds.Q8_0 if int(tensor.shape[0]) % gguf.GGML_QUANT_SIZES[kinds.Q8_0][0] == 0 else kinds.F16


def _announce(writer: Any, tensor: Any, kind: Any) -> None:
    import gguf
    import numpy as np

    if kind == tensor.tensor_type:
        writer.add_tensor_info(tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, kind)
        return
    shape = tuple(int(n) for n in reversed(tensor.shape))
    if kind == gguf.GGMLQuantizationType.F16:
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float16), 2 * int(np.prod(shape)))
        return
    packed = gguf.quants.quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(tensor.name, packed, np.dtype(np.uint8), int(np.prod(packed)), kind)
