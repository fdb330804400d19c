"""A registry as Ollama pulls from, which holds a model's file back in the middle for as long as it is told to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.inference.ollama.registry import LAYER, Blob, Registry, digest_of, size_of


class Halves(Registry):
    """Gives the first half of each large file, and the second once `go` is set; `asked` are the ranges."""

    def __init__(self, name: str, manifest: Mapping[str, Any], blobs: Mapping[str, Blob]) -> None:
        super().__init__(name, manifest, blobs)
        self.go, self.asked = threading.Event(), []  # type: tuple[threading.Event, list[str]]
        plain: Any = self._server.RequestHandlerClass
        go, asked = self.go, self.asked

        class Handler(plain):  # type: ignore[misc]
            def _send(self, status: int, data: bytes, *, body: bool, **extra: str) -> None:
                if status != 206 or not body or len(data) < 1024:
                    super()._send(status, data, body=body, **extra)
                    return
                asked.append(self.headers["Range"])
                # Announced whole, and given in two halves.
                super()._send(status, data, body=False, **extra)
                with contextlib.suppress(OSError):
                    self.wfile.write(data[: len(data) // 2])
                    self.wfile.flush()
                    go.wait()
                    self.wfile.write(data[len(data) // 2 :])

        self._server.RequestHandlerClass = Handler

    def __exit__(self, *exc: object) -> None:
        self.go.set()
        super().__exit__(*exc)


class HeldRegistry(Halves):
    """Serves a GGUF file as a model."""

    def __init__(self, name: str, file: Path) -> None:
        config = b'{"model_format":"gguf","model_family":"llama","rootfs":{"type":"layers"}}'
        blobs = {digest_of(file): file, digest_of(config): config}
        layer = {"mediaType": f"{LAYER}model", "digest": digest_of(file), "size": size_of(file)}
        kind = "application/vnd.docker.container.image.v1+json"
        about = {"mediaType": kind, "digest": digest_of(config), "size": len(config)}
        super().__init__(name, {"schemaVersion": 2, "config": about, "layers": [layer]}, blobs)
