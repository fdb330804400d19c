"""Download a base model from a hub, file by file, checked and resumable; then add it as any other folder.

`models_cache/hub/.part-<owner>--<name>-<commit>/` holds what has come so far: whole files under their names, checked
and fsynced, and at most one `<file>.part`. When all are there the folder is renamed to its name without `.part-`.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import orjson

from core.cancel import CancelToken
from core.errors import AppError, Where
from core.models import folder as folders
from core.models import store
from core.models.fingerprint import weight_files
from core.models.hub import Hub, Transient, endpoint, wrong_hash
from core.models.hub_files import HubFile, RepoName, needed
from core.models.work import add_folder
from core.units import amount
from core.workers.host import JobContext
from core.workspace.files import fsync_dir, publish_folder, read_json, write_json
from core.workspace.lock import FileLock
from core.workspace.paths import HUB, models_cache

FACTS = "download.json"
LOOK_S, REPORT_S = 0.1, 0.1
# Waits before the next try while nothing comes at all; any byte starts the row again.
WAITS_S = (0.5, 1.0, 2.0, 4.0)
SPARE_BYTES = 256 << 20
# A download that was stopped may hold its folder a moment longer.
LET_GO_S = 15.0
BLOCK = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True)
class Offer:
    """What a repository has for a base, at one commit."""

    name: RepoName
    commit: str
    files: Sequence[HubFile]
    config: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def label(self) -> str:
        """The folder's name."""
        return f"{self.name.repo.replace('/', '--')}-{self.commit[:12]}"

    @property
    def folder(self) -> Path:
        """Where the whole of it is in the end."""
        return models_cache() / HUB / self.label

    @property
    def part(self) -> Path:
        """Where it gathers."""
        return self.folder.with_name(f".part-{self.label}")


async def inspect(hub: Hub, name: RepoName) -> Offer:
    """Files and config of a repository; what can't be used is refused before any weights come.

    Raises AppError `no_such_repository`, `gated`, `own_code`, `unknown_architecture`, `not_a_model`, ...
    """
    listing = await hub.listing(name)
    commit = str(listing["sha"])
    files = needed((entry for entry in listing["siblings"] if isinstance(entry, dict)), name.repo)
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise AppError("not_a_hub", f"{hub.host} names no commit of {name.repo}.", hint="Look the model up again.")
    (file,) = [file for file in files if file.name == "config.json"]
    place = Path(name.repo) / "config.json"
    with folders.reading(place):
        config = orjson.loads(await hub.small(name, commit, file))
        if not isinstance(config.get("model_type"), str):
            raise folders.not_a_model(Path(name.repo), "config.json names no model_type")
        folders.check_architecture(config, place.parent)
        folders.mended_config(config, place.parent)
    return Offer(name, commit, files, config)


def until_cancelled(work: Awaitable[T], token: CancelToken) -> T:
    """Run it; `Cancelled` within a tenth of a second once the token asks for it, whatever it waits for."""

    async def watch() -> T:
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK_S)
            if token.cancelled:
                task.cancel()
        if task.cancelled():
            token.raise_if_cancelled()
        return task.result()

    return asyncio.run(watch())


def look_up(context: JobContext) -> dict[str, Any]:
    """Handler of `look_up_base`: params {"repo", "revision"}; the result says what a download would bring."""
    name = RepoName(str(context.params["repo"]), str(context.params.get("revision") or ""))
    context.progress(0, 0, f"Asking for {name.repo}")

    async def ask() -> Offer:
        async with Hub(endpoint()) as hub:
            try:
                return await inspect(hub, name)
            except Transient as trouble:
                raise trouble.error from trouble

    offer = until_cancelled(ask(), context.token)
    return {
        "repo": name.repo, "revision": name.revision, "commit": offer.commit, "size": offer.size,
        "files": [{"name": file.name, "size": file.size} for file in offer.files],
        "weights": sum(file.size for file in offer.files if file.is_weights), "here": _here(offer),
        "free": _free(offer.folder), "architecture": str(offer.config["model_type"]),
        "quantization": _quantization(offer.config),
    }  # fmt: skip


def _quantization(config: Mapping[str, Any]) -> str:
    found = config.get("quantization")
    if isinstance(found, dict) and found.get("bits"):
        return f"{found['bits']}-bit"
    return str(config.get("torch_dtype") or config.get("dtype") or "")


def _here(offer: Offer) -> int:
    """Bytes of it that are on this disk already."""
    if offer.folder.is_dir():
        return offer.size
    names = [(offer.part / name, file.size) for file in offer.files for name in (file.name, f"{file.name}.part")]
    return sum(min(path.stat().st_size, size) for path, size in names if path.is_file())


def discard(repo: str, commit: str) -> int:
    """Delete what has come of a download that is not whole; returns its bytes. Any thread.

    Raises AppError `download_busy` while it is coming.
    """
    offer = Offer(RepoName(repo, ""), commit, (), {})
    if not offer.part.is_dir():
        return 0
    lock = FileLock(offer.folder.with_name(f".lock-{offer.label}"))
    if not lock.acquire(LET_GO_S):
        raise AppError("download_busy", f"{repo} is being downloaded.", hint="Stop the download first.")
    try:
        size = sum(path.stat().st_size for path in offer.part.rglob("*") if path.is_file())
        shutil.rmtree(offer.part)
    finally:
        lock.release()
    return size


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def download_base(context: JobContext) -> dict[str, Any]:
    """Handler of `download_base`: params {"repo", "revision", "commit", "name"}; `commit` is what was looked up."""
    params = context.params
    name = RepoName(str(params["repo"]), str(params.get("commit") or params.get("revision") or ""))
    context.progress(0, 0, f"Asking for {name.repo}")
    offer = until_cancelled(_download(context, name), context.token)
    # The same files are the same base, however often they are downloaded.
    ident = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name.repo}@{offer.commit}"))
    row = add_folder(
        context, offer.folder, str(params.get("name") or name.name), kind="hub", ident=ident,
        earlier=_earlier_view(context, ident, offer.folder),
        note=f"Downloaded from {endpoint().partition('://')[2]}/{name.repo} at {offer.commit[:12]}; every file was "
        "checked against its hash",
    )  # fmt: skip
    context.emit("base_model", row=row)
    return {"base_model_id": row["id"], "in": 1, "used": 1, "rejected": 0, "cut": 0}


def _earlier_view(context: JobContext, ident: str, folder: Path) -> Path | None:
    """The folder of links that the base had when it was downloaded before, so that there is one of it."""
    db = context.open_db()
    try:
        view = store.get(db, ident).path if store.ever_had(db, ident) else None
    finally:
        db.close()
    facts = view / "source.json" if view is not None else None
    if facts is None or not facts.is_file() or read_json(facts).get("source") != str(folder.resolve()):
        return None
    return view if weight_files(facts.parent) else None


async def _download(context: JobContext, name: RepoName) -> Offer:
    async with Hub(endpoint()) as hub:
        offer = await _patiently(lambda: inspect(hub, name), lambda: 0)
        offer.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(offer.folder.with_name(f".lock-{offer.label}"))
        if not lock.try_acquire():
            raise AppError(
                "download_busy", f"{name.repo} is being downloaded by another Bright Run.",
                hint="Wait until that is done, then resume this one.",
            )  # fmt: skip
        try:
            await Fetch(hub, offer, context.token, context.progress).all()
        finally:
            lock.release()
    return offer


async def _patiently(work: Callable[[], Awaitable[T]], come: Callable[[], int]) -> T:
    """Try again after what may be over in a moment; gives up when nothing comes several times in a row."""
    failed, before = 0, come()
    while True:
        try:
            return await work()
        except Transient as trouble:
            failed, before = (1, come()) if come() > before else (failed + 1, before)
            if failed > len(WAITS_S):
                raise trouble.error from trouble
            await asyncio.sleep(WAITS_S[failed - 1])


class Fetch:
    """The files of one offer, one after the other. What is there and right is not fetched again."""

    def __init__(
        self, hub: Hub, offer: Offer, token: CancelToken, progress: Callable[[int, int, str, str], None]
    ) -> None:
        self._hub, self._offer, self._token, self._progress = hub, offer, token, progress
        self._done = 0
        self._come = 0
        self._told = 0.0

    async def all(self) -> None:
        """Fetch, check, and publish the folder. Raises AppError `disk_full`, `wrong_hash`, `no_network`."""
        offer = self._offer
        if offer.folder.is_dir():
            self._check_again()
            return
        offer.part.mkdir(parents=True, exist_ok=True)
        self._check_room()
        for file in offer.files:
            if not self._is_there(file):
                await _patiently(partial(self._file, file), lambda: self._come)
        facts = {
            "repo": offer.name.repo, "commit": offer.commit, "endpoint": self._hub.address,
            "files": [asdict(file) for file in offer.files],
        }  # fmt: skip
        write_json(offer.part / FACTS, facts)
        publish_folder(offer.part, offer.folder)

    def _check_room(self) -> None:
        missing, free = self._offer.size - _here(self._offer), _free(self._offer.part)
        if missing + SPARE_BYTES > free:
            raise AppError(
                "disk_full",
                f"There is not enough room for {self._offer.name.repo}: {missing / 1e9:.1f} GB are missing, "
                f"{free / 1e9:.1f} GB are free.",
                hint="Free some space, then resume. What has been downloaded is kept.",
                where=Where(file=str(self._offer.folder.parent)),
            )

    def _is_there(self, file: HubFile) -> bool:
        path = self._offer.part / file.name
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        self._done += file.size
        return True

    async def _file(self, file: HubFile) -> None:
        path = self._offer.part / f"{file.name}.part"
        before = self._done
        try:
            with path.open("r+b" if path.exists() else "w+b", buffering=0) as handle:
                digest = self._read_again(handle, file)
                if handle.tell() < file.size:
                    digest = await self._rest(handle, file, digest, before)
                os.fsync(handle.fileno())
        except Transient:
            self._done = before
            raise
        if digest.hexdigest() != file.wanted:
            path.unlink()
            raise wrong_hash(file, self._offer.name)
        os.rename(path, self._offer.part / file.name)
        fsync_dir(self._offer.part)
        self._tell(now=True)

    def _read_again(self, handle: Any, file: HubFile) -> Any:
        """The hash of what came before, and the place behind it."""
        if handle.seek(0, os.SEEK_END) > file.size:
            handle.truncate(0)
        handle.seek(0)
        digest = file.digest()
        while block := handle.read(BLOCK):
            self._token.raise_if_cancelled()
            digest.update(block)
            self._done += len(block)
            self._tell()
        return digest

    async def _rest(self, handle: Any, file: HubFile, digest: Any, before: int) -> Any:
        start = handle.tell()
        async with self._hub.open(self._offer.name, self._offer.commit, file, start) as response:
            goes_on = response.headers.get("content-range", "").startswith(f"bytes {start}-")
            if start and not (response.status_code == 206 and goes_on):
                # A hub that can't go on in the middle begins again.
                handle.seek(0)
                handle.truncate(0)
                digest, self._done, start = file.digest(), before, 0
                if response.status_code != 200:
                    raise Transient(wrong_hash(file, self._offer.name))
            async for chunk in response.aiter_raw():
                if handle.tell() + len(chunk) > file.size:
                    handle.truncate(0)
                    raise wrong_hash(file, self._offer.name)
                view = memoryview(chunk)
                while view:
                    view = view[handle.write(view) :]
                digest.update(chunk)
                self._done += len(chunk)
                self._come += len(chunk)
                self._tell()
        if handle.tell() < file.size:
            raise Transient(_cut_off(file, self._hub.host))
        return digest

    def _check_again(self) -> None:
        """A folder that is there already: every file as the hub says, or those that are not come anew with Resume."""
        bad = [file for file in self._offer.files if not self._is_right(file)]
        if bad:
            for file in bad:
                (self._offer.folder / file.name).unlink(missing_ok=True)
            # The folder gathers again, with what is right in it.
            shutil.rmtree(self._offer.part, ignore_errors=True)
            self._offer.folder.rename(self._offer.part)
            raise wrong_hash(bad[0], self._offer.name)

    def _is_right(self, file: HubFile) -> bool:
        path = self._offer.folder / file.name
        if not path.is_file():
            return False
        digest = file.digest()
        with path.open("rb") as handle:
            while block := handle.read(BLOCK):
                self._token.raise_if_cancelled()
                digest.update(block)
                self._done += len(block)
                self._tell()
        return bool(digest.hexdigest() == file.wanted)

    def _tell(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._told >= REPORT_S:
            self._told = time.monotonic()
            total = self._offer.size
            words = f"{amount(self._done)} of {amount(total)}"
            self._progress(self._done, total, "Downloading", words)


def _cut_off(file: HubFile, host: str) -> AppError:
    return AppError(
        "no_network",
        f"The connection to {host} ended in the middle of {file.name}.",
        hint="Resume the download; it goes on where it stopped.",
    )
