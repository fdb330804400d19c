"""Adapters resident beside one base: activating re-points module attributes, "none" is the untouched base.

Each adapter owns prebuilt mlx-lm LoRA modules that share the base's modules, so that a switch copies nothing
and returning to the base is bit-identical to never having left it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.inference.engine import AdapterRef
from core.inference.mlx.adapter_file import bad_adapter, read_adapter, stamp


@dataclass
class _Resident:
    stamp: tuple[int, int]
    modules: Mapping[str, Any]
    size_bytes: int


class AdapterPool:
    """LRU of prebuilt adapters over one loaded model; used from the thread that computes."""

    def __init__(self, model: Any, structure: str, content: str, max_resident: int = 3) -> None:
        self._model = model
        self._structure, self._content = structure, content
        self._max = max_resident
        self._resident: OrderedDict[str, _Resident] = OrderedDict()
        self._sites: dict[str, tuple[Any, str, Any]] = {}
        self.active: str | None = None

    def prepare(self, adapter: AdapterRef) -> bool:
        """Make it resident; returns whether it was already. Raises AppError, and nothing has changed then."""
        now = stamp(adapter)
        found = self._resident.get(adapter.id)
        if found is not None and found.stamp == now:
            self._resident.move_to_end(adapter.id)
            return True
        file = read_adapter(adapter, self._structure, self._content)
        modules = {path: self._build(adapter, path, pair, file.scale) for path, pair in file.pairs.items()}
        if self.active == adapter.id:
            self.activate(None)
        self._resident[adapter.id] = _Resident(now, modules, file.size_bytes)
        self._resident.move_to_end(adapter.id)
        self._evict(keep={adapter.id, self.active})
        return False

    def activate(self, adapter: AdapterRef | None) -> bool:
        """Switch; returns whether the adapter was resident. Call between generations only."""
        resident = self.prepare(adapter) if adapter else True
        new = self._resident[adapter.id].modules if adapter else {}
        before = self._resident.get(self.active) if self.active else None
        old = before.modules if before else {}
        for path in old.keys() - new.keys():
            parent, attribute, base = self._sites[path]
            setattr(parent, attribute, base)
        for path, module in new.items():
            parent, attribute, _ = self._sites[path]
            setattr(parent, attribute, module)
        self.active = adapter.id if adapter else None
        self._evict(keep={self.active})
        return resident

    def _evict(self, keep: set[str | None]) -> None:
        for ident in list(self._resident):
            if len(self._resident) <= self._max:
                return
            if ident not in keep:
                del self._resident[ident]

    def sizes(self) -> dict[str, int]:
        """Resident adapters with their bytes, the least recently used first."""
        return {ident: entry.size_bytes for ident, entry in self._resident.items()}

    def _site(self, path: str) -> tuple[Any, str, Any] | None:
        if path not in self._sites:
            *names, attribute = path.split(".")
            parent = self._model
            for name in names:
                if isinstance(parent, list):
                    parent = parent[int(name)] if name.isdigit() and int(name) < len(parent) else None
                else:
                    parent = getattr(parent, name, None)
                if parent is None:
                    return None
            base = getattr(parent, attribute, None)
            if base is None:
                return None
            self._sites[path] = (parent, attribute, base)
        return self._sites[path]

    def _build(self, adapter: AdapterRef, path: str, pair: tuple[Any, Any], scale: float) -> Any:
        import mlx.core as mx
        import mlx.nn as nn
        from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear, LoRASwitchLinear

        site = self._site(path)
        if site is None:
            raise bad_adapter(adapter, f"this base model has no module {path}")
        base, (lora_a, lora_b) = site[2], pair
        if isinstance(base, (nn.Linear, nn.QuantizedLinear)):
            kind: Any = LoRALinear
        elif isinstance(base, (nn.Embedding, nn.QuantizedEmbedding)):
            kind = LoRAEmbedding
        elif type(base).__name__.endswith("SwitchLinear"):
            kind = LoRASwitchLinear
        else:
            raise bad_adapter(adapter, f"{path} is a {type(base).__name__}, which takes no adapter")
        module = kind.from_base(base, r=lora_b.shape[-1 if kind is LoRASwitchLinear else 0], scale=scale, dropout=0.0)
        if module.lora_a.shape != lora_a.shape or module.lora_b.shape != lora_b.shape:
            raise bad_adapter(adapter, f"the shapes of {path} do not fit this base model")
        module.lora_a, module.lora_b = lora_a, lora_b
        mx.eval(module.lora_a, module.lora_b)
        module.eval()
        return module
