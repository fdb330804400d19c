"""A client of a hub that speaks Hugging Face's API: one repository's listing, and its files from any byte on.

Written over httpx2, which anthropic brings along, rather than over huggingface_hub: its downloads can't be cancelled,
and workers run it offline. The token is looked up only when the hub asks for one; httpx2 takes it off redirects to
other hosts.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlparse

import orjson

from core.errors import AppError, Where
from core.models.hub_files import DEFAULT_ENDPOINT, HubFile, RepoName
from core.workspace import secrets

ENDPOINT_VARIABLE = "HF_ENDPOINT"
CONNECT_S, READ_S = 15.0, 30.0
MOST_LISTING_BYTES = 64 << 20


class Transient(Exception):  # noqa: N818 - a reason to try again; `error` is what is said when that was in vain
    """What may be over in a moment: the network, an overloaded hub."""

    def __init__(self, error: AppError) -> None:
        super().__init__(error.message)
        self.error = error


def endpoint() -> str:
    """Where the hub is: `HF_ENDPOINT`, else huggingface.co."""
    return os.environ.get(ENDPOINT_VARIABLE, "").strip().rstrip("/") or DEFAULT_ENDPOINT


class Hub:
    """Use as `async with Hub(...)`. `token()` is asked at most once, when something is refused without one."""

    def __init__(self, address: str, token: Callable[[], str | None] | None = None) -> None:
        import httpx2

        self.address = address
        self.host = urlparse(address).netloc or address
        self._find_token = token or (lambda: secrets.hub_token(address, DEFAULT_ENDPOINT))
        self._token: str | None = None
        self._asked = False
        self._client = httpx2.AsyncClient(
            follow_redirects=True, timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
            # Sizes, ranges and hashes are those of the file, not of a compressed form of it.
            headers={"User-Agent": "bright-run", "Accept-Encoding": "identity"},
        )  # fmt: skip

    async def __aenter__(self) -> Hub:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._client.aclose()

    async def listing(self, name: RepoName) -> dict[str, Any]:
        """What the hub says of a repository at a revision: `sha`, and `siblings` with sizes and hashes."""
        url = f"{self.address}/api/models/{name.repo}"
        if name.revision:
            url += f"/revision/{quote(name.revision, safe='')}"
        data = await self._read(f"{url}?blobs=true", name, MOST_LISTING_BYTES)
        try:
            found: dict[str, Any] = orjson.loads(data)
            if not isinstance(found["sha"], str) or not isinstance(found["siblings"], list):
                raise TypeError("no list of files")
        except (ValueError, LookupError, TypeError) as exc:
            raise AppError(
                "not_a_hub",
                f"{self.host} answered, but not as Hugging Face's hub does.",
                hint="Check that this computer is signed in to its network, and the environment variable "
                f"{ENDPOINT_VARIABLE} if it is set.",
                detail=repr(exc)[:300],
            ) from exc
        return found

    async def small(self, name: RepoName, commit: str, file: HubFile) -> bytes:
        """A small file as a whole, checked against its hash. Raises AppError `wrong_hash`."""
        data = await self._read(self._address_of(name, commit, file), name, file.size)
        digest = file.digest()
        digest.update(data)
        if len(data) != file.size or digest.hexdigest() != file.wanted:
            raise wrong_hash(file, name)
        return data

    @asynccontextmanager
    async def open(self, name: RepoName, commit: str, file: HubFile, start: int) -> AsyncIterator[Any]:
        """The response with the bytes of a file from `start` on, status 206, or 200 with all of them."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        async with self._get(self._address_of(name, commit, file), name, headers) as response:
            yield response

    def _address_of(self, name: RepoName, commit: str, file: HubFile) -> str:
        return f"{self.address}/{name.repo}/resolve/{commit}/{quote(file.name)}"

    async def _read(self, url: str, name: RepoName, most: int) -> bytes:
        data = bytearray()
        async with self._get(url, name, {}) as response:
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > most:
                    break
        return bytes(data)

    @asynccontextmanager
    async def _get(self, url: str, name: RepoName, headers: dict[str, str]) -> AsyncIterator[Any]:
        import httpx2

        try:
            async with self._client.stream("GET", url, headers=self._signed(headers)) as response:
                if not self._needs_token(response.status_code):
                    self._check(response, name)
                    yield response
                    return
            async with self._client.stream("GET", url, headers=self._signed(headers)) as response:
                self._check(response, name)
                yield response
        except httpx2.TransportError as exc:
            raise Transient(_no_network(self.host, exc)) from exc
        except (httpx2.InvalidURL, httpx2.TooManyRedirects, httpx2.DecodingError) as exc:
            raise AppError(
                "not_a_hub", f"{self.host} can't be used as a hub ({type(exc).__name__}).",
                hint=f"Check the environment variable {ENDPOINT_VARIABLE}.", detail=repr(exc)[:300],
            ) from exc  # fmt: skip

    def _signed(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, "Authorization": f"Bearer {self._token}"} if self._token else headers

    def _needs_token(self, status: int) -> bool:
        if status not in (401, 403) or self._asked:
            return False
        self._asked = True
        self._token = self._find_token()
        return bool(self._token)

    def _check(self, response: Any, name: RepoName) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        if status in (408, 429) or status >= 500:
            raise Transient(_busy(self.host, status))
        raise self._refusal(status, response.headers, name)

    def _refusal(self, status: int, headers: Any, name: RepoName) -> AppError:
        code, said = headers.get("x-error-code", ""), headers.get("x-error-message", "")
        page = f"{self.address}/{name.repo}"
        store = "then store an access token of your account under Settings" if not self._token else (
            "with the account whose access token is stored under Settings")  # fmt: skip
        if code == "GatedRepo":
            return AppError(
                "gated", f"{name.repo} is gated: its licence has to be accepted before it can be downloaded.",
                hint=f"Accept it on {page}, {store}.", where=Where(file=page), action="page:settings",
            )  # fmt: skip
        if said.startswith("Invalid") and status == 401:
            return AppError(
                "bad_token", f"{self.host} does not know the access token.",
                hint=f"Create a new one on {self.address}/settings/tokens and replace it under Settings.",
                action="page:settings",
            )  # fmt: skip
        if code == "RevisionNotFound":
            return AppError(
                "no_such_revision", f"{name.repo} has no branch, tag or commit “{name.revision}”.",
                hint=f"Look for it on {page}, or leave the revision empty.", where=Where(file=page, field="revision"),
            )  # fmt: skip
        if code == "EntryNotFound":
            return AppError(
                "file_gone", f"{self.host} has a file of {name.repo} no longer that it listed.",
                hint="Look the model up again.", where=Where(file=page),
            )  # fmt: skip
        if status in (401, 404) or code == "RepoNotFound":
            return AppError(
                "no_such_repository", f"There is no model {name.repo} on {self.host}, or it is private.",
                hint="Check the spelling. For a private one, store an access token under Settings.",
                where=Where(file=page), action="" if self._token else "page:settings",
            )  # fmt: skip
        return AppError(
            "hub_refused", f"{self.host} refuses {name.repo} (HTTP {status}).",
            hint=f"Open {page} in a browser to see why.", where=Where(file=page),
        )  # fmt: skip


def wrong_hash(file: HubFile, name: RepoName) -> AppError:
    """What came is not what the hub announced."""
    return AppError(
        "wrong_hash",
        f"{file.name} of {name.repo} is damaged: its hash is not the one that the hub gives.",
        hint="Resume the download: this file is fetched again, the others are kept.",
        where=Where(file=file.name),
    )


def _no_network(host: str, exc: Exception) -> AppError:
    return AppError(
        "no_network",
        f"{host} can't be reached.",
        hint="Check the network connection, then resume. What has been downloaded is kept.",
        detail=repr(exc)[:300],
    )


def _busy(host: str, status: int) -> AppError:
    words = "asks to wait before more is downloaded" if status == 429 else "does not answer as it should"
    return AppError(
        "hub_busy", f"{host} {words} (HTTP {status}).",
        hint="Resume in a few minutes. What has been downloaded is kept.",
    )  # fmt: skip
