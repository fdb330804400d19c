"""A registry on this machine that Ollama pulls one model from: its base's layers, and an adapter.

What creating a model refuses, pulling one still takes: an adapter layer. Blobs that are in Ollama's store are never
asked for. The first request for a blob has to be sent on to another host name, or Ollama gives up; the second asks for
a range (notes/ollama.md).
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import AppError

OWNER = "bright-run"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.ollama.image."
_PATH = re.compile(rf"/v2/{OWNER}/(?P<name>[^/]+)/(?P<kind>manifests|blobs)/(?P<what>[^/?]+)")
Blob = bytes | Path


def digest_of(blob: Blob) -> str:
    """As Ollama names it."""
    if isinstance(blob, bytes):
        return f"sha256:{hashlib.sha256(blob).hexdigest()}"
    with blob.open("rb") as handle:
        return f"sha256:{hashlib.file_digest(handle, 'sha256').hexdigest()}"


def size_of(blob: Blob) -> int:
    """Bytes."""
    return len(blob) if isinstance(blob, bytes) else blob.stat().st_size


def manifest_of(store: Path, name: str) -> dict[str, Any]:
    """The manifest of a model in Ollama's store (the folder with `blobs` and `manifests`). Raises AppError."""
    plain, _, tag = name.rpartition(":")
    parts = plain.split("/")
    host = parts.pop(0) if len(parts) > 2 else "registry.ollama.ai"
    space = parts.pop(0) if len(parts) > 1 else "library"
    path = store / "manifests" / host / space / "/".join(parts) / tag
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found
    except (OSError, ValueError) as exc:
        raise AppError(
            "no_manifest", f"Ollama's own description of {name} can't be read.", hint=f"Pull {name} again.",
            detail=f"{path}: {exc!r}",
        ) from exc  # fmt: skip


def with_layers(manifest: Mapping[str, Any], layers: Mapping[str, Blob]) -> tuple[dict[str, Any], dict[str, Blob]]:
    """The manifest with other layers of some kinds ("adapter", "template", ...), and those by digest."""
    kept = [layer for layer in manifest["layers"] if layer["mediaType"].removeprefix(LAYER) not in layers]
    blobs = {digest_of(blob): blob for blob in layers.values()}
    new = [
        {"mediaType": f"{LAYER}{kind}", "digest": digest_of(blob), "size": size_of(blob)}
        for kind, blob in layers.items()
    ]
    return {**manifest, "layers": [*kept, *new]}, blobs


class Registry:
    """Serves one model while it is open."""

    def __init__(self, name: str, manifest: Mapping[str, Any], blobs: Mapping[str, Blob]) -> None:
        self._name = name
        content = json.dumps(manifest).encode()
        handler = type("Handler", (_Handler,), {"name": name, "manifest": content, "blobs": dict(blobs)})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="registry", daemon=True)

    def __enter__(self) -> Registry:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """What Ollama is asked to pull."""
        return f"http://{self.model}"

    @property
    def model(self) -> str:
        """What Ollama calls the model that it pulls from here."""
        return f"127.0.0.1:{self._server.server_address[1]}/{OWNER}/{self._name}:latest"


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has gone, as when a pull is stopped."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name = ""
    manifest = b""
    blobs: Mapping[str, Blob] = {}

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_args: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        found = _PATH.fullmatch(self.path)
        host = (self.headers.get("Host") or "").partition(":")[0]
        # The name is its secret: nobody else on this machine knows it, nor a page in a browser.
        if found is None or found["name"] != self.name or host not in ("127.0.0.1", "localhost"):
            found = None
        if found and found["kind"] == "manifests":
            self._send(200, self.manifest, body=body, kind=MANIFEST)
        elif found and found["what"] in self.blobs:
            self._blob(self.blobs[found["what"]], body=body)
        else:
            self._send(404, b"{}", body=body)

    def _blob(self, blob: Blob, *, body: bool) -> None:
        host, _, port = (self.headers.get("Host") or "").partition(":")
        if body and host == "127.0.0.1":
            self._send(307, b"", body=True, location=f"http://localhost:{port}{self.path}")
            return
        size = size_of(blob)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start, end = (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
        data = blob if isinstance(blob, bytes) else blob.read_bytes()
        extra = {"Content-Range": f"bytes {start}-{end}/{size}"} if asked else {}
        part = data[start : end + 1] if body else data
        self._send(206 if asked else 200, part, body=body, **extra)

    def _send(self, status: int, data: bytes, *, body: bool, kind: str = "", location: str = "", **extra: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in {"Content-Type": kind, "Location": location, **extra}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if body:
            self.wfile.write(data)
