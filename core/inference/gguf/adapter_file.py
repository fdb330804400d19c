"""Check a GGUF adapter against its base before llama.cpp sees it: there a bad one is only "failed to init server"."""

from __future__ import annotations

from core.errors import AppError
from core.models.gguf_file import ADAPTER, GgufFile

_A, _B = ".lora_a", ".lora_b"


def check_adapter(adapter: GgufFile, base: GgufFile, name: str) -> int:
    """Kind, architecture, pairs, shapes, values; returns its rank. Raises AppError `bad_adapter` or `wrong_base`."""
    import numpy as np

    if adapter.kind != ADAPTER:
        raise _bad(adapter, name, f"its file holds a {adapter.kind}, no adapter")
    if str(adapter.metadata.get("adapter.type", "")) != "lora":
        raise _bad(adapter, name, f"it is of the type {adapter.metadata.get('adapter.type')!r}, and LoRA is supported")
    if adapter.architecture != base.architecture:
        raise AppError(
            "wrong_base", f"The adapter {name} is for {adapter.architecture}, and the base is {base.architecture}.",
            hint="Choose a base of the architecture it was trained on.", detail=str(adapter.path),
        )  # fmt: skip
    alpha = adapter.metadata.get("adapter.lora.alpha")
    if not isinstance(alpha, float) or not np.isfinite(alpha):
        raise _bad(adapter, name, f"its alpha is {alpha!r}")
    ranks = {_rank(adapter, base, name, tensor) for tensor in _sites(adapter, name)}
    for tensor in adapter.reader.tensors:
        if tensor.data.dtype.kind == "f" and not np.isfinite(tensor.data).all():
            raise _bad(adapter, name, f"{tensor.name} contains values that are not numbers")
    return max(ranks)


def _sites(adapter: GgufFile, name: str) -> list[str]:
    """The tensors of the base that it adapts, each with both halves."""
    sites = dict.fromkeys(key.removesuffix(_A).removesuffix(_B) for key in adapter.shapes if key.endswith((_A, _B)))
    for key in adapter.shapes:
        if not key.endswith((_A, _B)):
            raise _bad(adapter, name, f"it contains an unknown tensor {key}")
    for site in sites:
        for half in (_A, _B):
            if site + half not in adapter.shapes:
                raise _bad(adapter, name, f"{site} lacks its {half.removeprefix('.')}")
    if not sites:
        raise _bad(adapter, name, "it is empty")
    return list(sites)


def _rank(adapter: GgufFile, base: GgufFile, name: str, site: str) -> int:
    shape = base.shapes.get(site)
    if shape is None or len(shape) != 2:
        raise _wrong(name, f"the base has no {site}")
    a, b = adapter.shapes[site + _A], adapter.shapes[site + _B]
    if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
        raise _bad(adapter, name, f"the halves of {site} have the shapes {a} and {b}")
    if (b[0], a[1]) != shape:
        raise _wrong(name, f"{site} is {shape[0]} x {shape[1]} in the base, and {b[0]} x {a[1]} in the adapter")
    return int(a[0])


def _bad(adapter: GgufFile, name: str, why: str) -> AppError:
    return AppError(
        "bad_adapter", f"The adapter {name} can't be used: {why}.",
        hint="Export or train it again, or choose another adapter.", detail=str(adapter.path),
    )  # fmt: skip


def _wrong(name: str, why: str) -> AppError:
    return AppError(
        "wrong_base", f"The adapter {name} does not fit this base: {why}.",
        hint="Choose the base it was trained on, in any quantisation.",
    )  # fmt: skip
