"""Adapters resident beside one base: activating re-points module attributes, "none" is the untouched base.

Each adapter owns prebuilt mlx-lm LoRA modules that share the base's modules, so that a switch copies nothing
and returning to the base is bit-identical to never having left it. Who stays is `core.inference.residency`'s to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from core.inference.engine import AdapterRef
from core.inference.mlx.adapter_file import Tensors, bad_adapter, read_adapter, stamp
from core.inference.residency import Limits, Residency


class AdapterPool:
    """Prebuilt adapters over one loaded model; used from the thread that computes."""

    def __init__(self, model: Any, structure: str, content: str, limits: Limits | None = None) -> None:
        self._model = model
        self._structure, self._content = structure, content
        self._residency = Residency(limits)
        self._modules: dict[str, Mapping[str, Any]] = {}
        self._sites: dict[str, tuple[Any, str, Any]] = {}

    @property
    def active(self) -> str | None:
        """The adapter that answers."""
        return self._residency.active

    def prepare(self, adapter: AdapterRef) -> bool:
        """Make it resident; returns whether it was already. Raises AppError, and nothing has changed then."""
        now = stamp(adapter)
        if self._residency.use(adapter.id, now):
            return True
        file = read_adapter(adapter, self._structure, self._content)
        modules = {path: self._build(adapter, path, found, file.scale) for path, found in file.sites.items()}
        if self.active == adapter.id:
            self.activate(None)
        self._modules[adapter.id] = modules
        self._let_go(self._residency.admit(adapter.id, now, file.size_bytes))
        return False

    def activate(self, adapter: AdapterRef | None) -> bool:
        """Switch; returns whether the adapter was resident. Call between generations only."""
        resident = self.prepare(adapter) if adapter else True
        new = self._modules[adapter.id] if adapter else {}
        old = self._modules[self.active] if self.active else {}
        sites = self._sites
        for path in old.keys() - new.keys():
            parent, attribute, base = sites[path]
            parent[attribute] = base
        # As items: a module of mlx is a dict of its parts, and its `__setattr__` ends here after 1 µs of questions.
        for path, module in new.items():
            parent, attribute, _ = sites[path]
            parent[attribute] = module
        self._let_go(self._residency.activate(adapter.id if adapter else None))
        return resident

    def pin(self, idents: Collection[str]) -> None:
        """These are never evicted."""
        self._let_go(self._residency.pin(idents))

    def limit(self, limits: Limits) -> None:
        """Other limits; who is too many leaves at once."""
        self._let_go(self._residency.limit(limits))

    def relieve(self) -> int:
        """Drop all but the active and the pinned; returns the bytes that were given back."""
        before = self._residency.size_bytes
        self._let_go(self._residency.relieve())
        return before - self._residency.size_bytes

    def _let_go(self, leaving: Iterable[str]) -> None:
        for ident in leaving:
            del self._modules[ident]

    def sizes(self) -> dict[str, int]:
        """Resident adapters with their bytes, the least recently used first."""
        return self._residency.sizes

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

    def _build(self, adapter: AdapterRef, path: str, found: Tensors, scale: float) -> Any:
        import mlx.core as mx

        site = self._site(path)
        if site is None:
            raise bad_adapter(adapter, f"this base model has no module {path}")
        kind = _kind(site[2], dora=found.magnitude is not None)
        if kind is None:
            what = "DoRA adapter" if found.magnitude is not None else "adapter"
            raise bad_adapter(adapter, f"{path} is a {type(site[2]).__name__}, which takes no {what}")
        rank = found.lora_b.shape[-1 if kind.__name__ == "LoRASwitchLinear" else 0]
        module = kind.from_base(site[2], r=rank, scale=scale, dropout=0.0)
        for name, tensor in found.named():
            if getattr(module, name).shape != tensor.shape:
                raise bad_adapter(adapter, f"the shapes of {path} do not fit this base model")
            setattr(module, name, tensor)
        mx.eval([tensor for _, tensor in found.named()])
        module.eval()
        return module


def _kind(base: Any, *, dora: bool) -> Any:
    """The mlx-lm class that adapts such a module; None where there is none."""
    import mlx.nn as nn
    from mlx_lm.tuner.dora import DoRAEmbedding, DoRALinear
    from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear, LoRASwitchLinear

    if isinstance(base, (nn.Linear, nn.QuantizedLinear)):
        return DoRALinear if dora else LoRALinear
    if isinstance(base, nn.Embedding):
        return DoRAEmbedding if dora else LoRAEmbedding
    if isinstance(base, nn.QuantizedEmbedding):
        return None if dora else LoRAEmbedding
    if type(base).__name__.endswith("SwitchLinear"):
        return None if dora else LoRASwitchLinear
    return None
