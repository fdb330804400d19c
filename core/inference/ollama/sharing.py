"""An adapter as a model in Ollama, for other programs: three ways, tried in their order, and taken away again.

Created beside its base where Ollama still does that; else pulled from a registry of this process; both link a few
megabytes to the base that is there. Else one file of base and adapter, which costs the disk that much. Which way a
server takes is found out by trying, never by its version.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.errors import AppError
from core.inference.gguf.fuse import fuse
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.registry import Blob, Registry, manifest_of, with_layers
from core.inference.ollama.seen import CREATE, FUSED, REGISTRY, full_name
from core.models.gguf_file import read_gguf

FUSED_FILE = "fused.gguf"
# How long a pull that was stopped may still write what it had.
GONE_S = 10.0
WAYS, LINKED = (CREATE, REGISTRY, FUSED), (CREATE, REGISTRY)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Shared:
    """What is made: `name` in Ollama, over Ollama's model `base`, with the adapter's GGUF file.

    `template` is in Ollama's language, empty for the base's own. `parameters` as in a Modelfile (stop, num_ctx).
    """

    name: str
    base: str
    adapter: Path
    system: str = ""
    template: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def modelfile(self, way: str) -> str:
        """The same as people write it, for whoever wants to see it."""
        linked = [f"FROM {self.base}", f"ADAPTER ./{self.adapter.name}"]
        lines = [f"FROM ./{FUSED_FILE}"] if way == FUSED else linked
        if self.template:
            lines.append(f'TEMPLATE """{self.template}"""')
        if self.system:
            lines.append(f'SYSTEM """{self.system}"""')
        for name, value in self.parameters.items():
            lines += [f"PARAMETER {name} {_value(one)}" for one in (value if isinstance(value, list) else [value])]
        return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """As Ollama reads it: between quotation marks as it is, since nothing in it is ever escaped."""
    return f'"{value}"' if isinstance(value, str) and '"' not in value else str(value)


def share(host: OllamaHost, wanted: Shared, ways: Sequence[str], token: CancelToken, tell: Tell) -> str:
    """Make it by the first of `ways` that the server takes; returns that way.

    Raises AppError `can_not_share` when none is taken; the store is then as it was.
    """
    refused: list[AppError] = []
    for way in ways:
        token.raise_if_cancelled()
        tell(_DOING[way])
        try:
            _MAKE[way](host, wanted, token)
        except AppError as error:
            if error.code in ("ollama_stopped", "ollama_hung", "no_such_model", "disk_full"):
                raise
            refused.append(error)
        else:
            return way
    raise AppError(
        "can_not_share", f"Ollama takes {wanted.name} in none of the ways that were tried.",
        hint=refused[-1].hint or "Share it as one file instead, or export it as GGUF.",
        detail="\n".join(f"{way}: {error.message}" for way, error in zip(ways, refused, strict=True)),
    )  # fmt: skip


def take_name(host: OllamaHost, source: str, name: str, base: str) -> None:
    """Give a model a second name, in the place of the one that may have it, of which nothing is left."""
    store = host.file(base).parent.parent
    try:
        before = [str(layer["digest"]) for layer in manifest_of(store, full_name(name))["layers"]]
    except AppError:
        before = []
    host.copy(source, name)
    _drop(host, base, before)


def unshare(host: OllamaHost, name: str) -> None:
    """Take it away; what its base needs stays. One that is gone already is no fault."""
    try:
        host.delete(name)
    except AppError as error:
        if error.code != "no_such_model":
            raise


_DOING = {
    CREATE: "Adding it beside its base", REGISTRY: "Letting Ollama fetch it from here",
    FUSED: "Writing base and adapter as one file",
}  # fmt: skip


def _create(host: OllamaHost, wanted: Shared, _token: CancelToken) -> None:
    digest = host.put_blob(wanted.adapter)
    try:
        host.create(wanted.name, from_=wanted.base, adapters={wanted.adapter.name: digest}, **_fields(wanted))
    except AppError:
        _drop(host, wanted.base, [digest])
        raise


def _fields(wanted: Shared) -> dict[str, Any]:
    found = {"template": wanted.template, "system": wanted.system, "parameters": dict(wanted.parameters)}
    return {name: value for name, value in found.items() if value}


def _from_registry(host: OllamaHost, wanted: Shared, token: CancelToken) -> None:
    layers: dict[str, Blob] = {"adapter": wanted.adapter}
    if wanted.template:
        layers["template"] = wanted.template.encode()
    if wanted.system:
        layers["system"] = wanted.system.encode()
    if wanted.parameters:
        layers["params"] = json.dumps(dict(wanted.parameters)).encode()
    store = host.file(wanted.base).parent.parent
    manifest, blobs = with_layers(manifest_of(store, wanted.base), layers)
    with Registry(wanted.name, manifest, blobs) as registry:
        whole = False
        try:
            for _ in host.pull(registry.address, token, insecure=True):
                pass
            host.copy(registry.model, wanted.name)
            whole = True
        finally:
            _forget(host, registry.model, 0.0 if whole else GONE_S)
            # What was pulled and then refused belongs to nobody.
            _drop(host, wanted.base, list(blobs))


def _forget(host: OllamaHost, name: str, patience_s: float) -> None:
    """Delete a passing name. A pull that was stopped may still write it a moment later."""
    end = time.monotonic() + patience_s
    while True:
        try:
            host.delete(name)
        except AppError as error:
            if error.code != "no_such_model" or time.monotonic() >= end:
                return
            time.sleep(0.2)
        else:
            return


def _fused(host: OllamaHost, wanted: Shared, token: CancelToken) -> None:
    base, path = host.file(wanted.base), wanted.adapter.with_name(FUSED_FILE)
    # Once here, and once in Ollama's store.
    needed, free = 2 * base.stat().st_size, shutil.disk_usage(path.parent).free
    if free < needed:
        raise AppError(
            "disk_full", f"One file of {wanted.base} and the adapter needs {needed >> 20:,} MB for a while; "
            f"{free >> 20:,} MB are free.", hint="Free some space, or share it linked.",
        )  # fmt: skip
    try:
        fuse(read_gguf(base), read_gguf(wanted.adapter), path, token)
        digest = host.put_blob(path)
    finally:
        path.unlink(missing_ok=True)
    try:
        host.create(wanted.name, files={FUSED_FILE: digest}, **_fields(wanted))
    except AppError:
        _drop(host, wanted.base, [digest])
        raise


_MAKE: Mapping[str, Callable[[OllamaHost, Shared, CancelToken], None]] = {
    CREATE: _create, REGISTRY: _from_registry, FUSED: _fused,
}  # fmt: skip


def _drop(host: OllamaHost, base: str, digests: Sequence[str]) -> None:
    """Delete blobs that no model names: Ollama itself does so at its next start at the earliest."""
    with contextlib.suppress(AppError, OSError):
        blobs = host.file(base).parent
        named = b"".join(path.read_bytes() for path in (blobs.parent / "manifests").rglob("*") if path.is_file())
        for digest in digests:
            if digest.encode() not in named:
                # Also what came of one that was not whole.
                for path in blobs.glob(f"{digest.replace(':', '-')}*"):
                    path.unlink(missing_ok=True)
