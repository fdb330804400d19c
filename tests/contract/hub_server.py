"""A local server that speaks what is used of Hugging Face's API: listings, files by ranges, redirects, refusals.

`with HubServer() as hub:` listens on 127.0.0.1 at a free port. `hub.add("owner/name", folder)` publishes the files of a
folder; `hub.sent` says how many bytes of each file went out, `hub.requests` who asked for what and how.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

LARGE = (".safetensors", ".bin", ".gguf")
CHUNK = 16 * 1024
TOKEN = "hf_TestTokenTestTokenTest"


@dataclass
class Repo:
    files: dict[str, bytes]
    commit: str
    gated: bool = False
    private: bool = False
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    path: str
    range: str
    authorization: str


class HubServer:
    """See the module. What can go wrong: `cut` a file after so many bytes so many times, `hold` it there until
    `released`, `spoil` its bytes, answer with a `status` so many times, ignore ranges."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Asked] = []
        self.sent: Counter[str] = Counter()
        self.cut: dict[str, tuple[int, int]] = {}
        self.hold: dict[str, int] = {}
        self.held, self.released = threading.Event(), threading.Event()
        self.spoil: set[str] = set()
        self.status: list[int] = []
        self.no_ranges = False
        self.portal = False
        outer = self

        class Handler(_Handler):
            hub = outer

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._http = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    def add(self, name: str, folder: Path, **options: Any) -> Repo:
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        commit = hashlib.sha1("".join(f"{k}{hashlib.sha256(v).hexdigest()}" for k, v in files.items()).encode())
        self.repos[name] = Repo(files, commit.hexdigest(), **options)
        return self.repos[name]


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub, path = self.hub, unquote(urlparse(self.path).path)
        hub.requests.append(Asked(self.path, self.headers.get("Range", ""), self.headers.get("Authorization", "")))
        if hub.status:
            self._refuse(hub.status.pop(0))
        elif hub.portal:
            self._reply(200, b"<html>Sign in to the Wi-Fi</html>", {})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._listing(found[1], found[2] or "main")
        elif found := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            self._file(found[1], found[2])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[2], found[3])
        else:
            self._refuse(404)

    def _repo(self, name: str, revision: str, *, files: bool) -> Repo | None:
        repo = self.hub.repos.get(name)
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if self.headers.get("Authorization") and not known:
            self._refuse(401, message="Invalid credentials in Authorization header")
        elif repo is None or (repo.private and not known):
            self._refuse(404 if known else 401, "RepoNotFound")
        elif repo.gated and files and not known:
            self._refuse(401, "GatedRepo")
        elif revision not in ("main", repo.commit, *repo.tags):
            self._refuse(404, "RevisionNotFound")
        else:
            return repo
        return None

    def _listing(self, name: str, revision: str) -> None:
        repo = self._repo(name, revision, files=False)
        if repo is None:
            return
        siblings = []
        for path, data in repo.files.items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": blob_id(data)}
            if path.endswith(LARGE):
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
                entry["blobId"] = blob_id(b"a pointer")
            siblings.append(entry)
        body = {"id": name, "sha": repo.commit, "gated": "manual" if repo.gated else False, "siblings": siblings}
        self._reply(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._repo(name, revision, files=True)
        if repo is None:
            return
        if path not in repo.files:
            self._refuse(404, "EntryNotFound")
        elif path.endswith(LARGE):
            # Large files lie with another host, which must not see the token.
            self._reply(302, b"", {"Location": f"http://localhost:{self.hub.port}/cdn/{name}/{path}"})
        else:
            self._file(name, path)

    def _file(self, name: str, path: str) -> None:
        hub, data = self.hub, self.hub.repos[name].files[path]
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(found[1]) if found and not hub.no_ranges else 0
        if start and start >= len(data):
            self._reply(416, b"", {})
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if path in hub.spoil:
            data = data[:-1] + bytes([data[-1] ^ 1])
        self._send(path, data, start)

    def _send(self, path: str, data: bytes, start: int) -> None:
        hub = self.hub
        size, times = hub.cut.get(path, (0, 0))
        end = min(len(data), start + size) if times else len(data)
        try:
            for place in range(start, end, CHUNK):
                if path in hub.hold and place >= hub.hold[path] and not hub.released.is_set():
                    hub.held.set()
                    hub.released.wait()
                piece = data[place : min(end, place + CHUNK)]
                self.wfile.write(piece)
                hub.sent[path] += len(piece)
        except OSError:
            self.close_connection = True
            return
        if times:
            hub.cut[path] = (size, times - 1)
            self.close_connection = True

    def _refuse(self, status: int, code: str = "", message: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        self._reply(status, b"{}", headers | ({"X-Error-Message": message} if message else {}))

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
