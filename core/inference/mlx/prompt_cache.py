"""What the model has read of each chat, kept so that coming back continues instead of reading it all again.

An entry belongs to one chat, one base, one adapter file as it was then: with another adapter's keys and values the
model answers something else. In memory by bytes, the rest in files; a file is used only if its checksum, its key and
the tokens fit, else it is dropped without a word and the conversation is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from core.inference.cache_files import SUFFIX, digest, forget_files
from core.inference.engine import EngineOptions

VERSION = 1
TEMPORARY = ".tmp-"
_CHUNK = 1 << 22


@dataclass(frozen=True)
class CacheKey:
    """Whose reading it is. `base` is the base's content fingerprint, `adapter` and `stamp` those of its file."""

    chat: str
    base: str
    adapter: str = ""
    stamp: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its file, without checksum and suffix; the first part is the chat's, so that a chat can be dropped."""
        whole = orjson.dumps([VERSION, asdict(self)])
        return f"{digest(self.chat.encode())}-{digest(whole)}"


@dataclass
class _Entry:
    tokens: list[int]
    layers: list[Any]
    size_bytes: int
    written: bool = False


class PromptCaches:
    """Used from the thread that computes. An entry that was taken is its taker's until it is kept again."""

    def __init__(self, model: Any, options: EngineOptions) -> None:
        self._model, self._options = model, options
        for path in self._files(f"{TEMPORARY}*"):
            writer = path.name.removeprefix(TEMPORARY).partition("-")[0]
            if not (writer.isdecimal() and psutil.pid_exists(int(writer))):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        self._entries: OrderedDict[CacheKey, _Entry] = OrderedDict()

    def take(self, key: CacheKey, ids: Sequence[int]) -> tuple[list[Any], int]:
        """Layers for a prompt of these ids, and how many of its tokens they have read already.

        At least one token is left to be read, since the model answers to the last one.
        """
        from mlx_lm.models.cache import make_prompt_cache, trim_prompt_cache

        entry = self._entries.pop(key, None) or self._read(key)
        if entry is not None:
            same = min(_common(entry.tokens, ids), len(ids) - 1)
            surplus = len(entry.tokens) - same
            if same > 0 and (not surplus or trim_prompt_cache(entry.layers, surplus) == surplus):
                return entry.layers, same
        return make_prompt_cache(self._model), 0

    def keep(self, key: CacheKey, tokens: Sequence[int], layers: list[Any]) -> None:
        """Keep what has been read: `tokens` are the prompt's and the answer's, maybe more than were read."""
        import mlx.core as mx

        offset = getattr(layers[0], "offset", None) if layers else None
        if not isinstance(offset, int) or not 0 < offset <= len(tokens):
            return
        mx.eval([layer.state for layer in layers])
        size = sum(layer.nbytes for layer in layers)
        self._entries[key] = _Entry(list(tokens[:offset]), layers, size)
        self._make_room()

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes in memory by chat."""
        out: dict[str, int] = {}
        for key, entry in self._entries.items():
            out[key.chat] = out.get(key.chat, 0) + entry.size_bytes
        return out

    @property
    def size_bytes(self) -> int:
        """Bytes in memory."""
        return sum(entry.size_bytes for entry in self._entries.values())

    def relieve(self) -> int:
        """Memory is short: everything goes to disk; returns the bytes that were given back."""
        before = self.size_bytes
        while self._entries:
            self._spill_oldest()
        return before

    def write_one(self) -> bool:
        """Write one entry that is not on disk yet, staying in memory; False when there is none. For idle moments."""
        for key, entry in self._entries.items():
            if not entry.written:
                self._write(key, entry)
                entry.written = True
                return True
        return False

    def forget(self, chat: str) -> None:
        """A chat was deleted: nothing of it stays."""
        for key in [key for key in self._entries if key.chat == chat]:
            del self._entries[key]
        forget_files(self._options.cache_folder, chat)

    def close(self) -> None:
        """Write everything and let it go."""
        self.relieve()

    def _make_room(self) -> None:
        # The newest is the one somebody waits for; alone it may be more than the limit.
        while len(self._entries) > 1 and self.size_bytes > self._options.cache_bytes:
            self._spill_oldest()

    def _spill_oldest(self) -> None:
        key, entry = self._entries.popitem(last=False)
        if not entry.written:
            self._write(key, entry)

    # Files

    def _files(self, pattern: str) -> list[Path]:
        folder = Path(self._options.cache_folder) if self._options.cache_folder else None
        return sorted(folder.glob(pattern)) if folder is not None and folder.is_dir() else []

    def _write(self, key: CacheKey, entry: _Entry) -> None:
        """Atomically; its name carries its checksum. A disk that is full costs a reading, nothing else."""
        from mlx_lm.models.cache import save_prompt_cache

        if not self._options.cache_folder or entry.size_bytes > self._options.cache_disk_bytes:
            return
        folder = Path(self._options.cache_folder)
        temporary = folder / f"{TEMPORARY}{os.getpid()}-{key.name}{SUFFIX}"
        facts = {"key": orjson.dumps(asdict(key)).decode(), "tokens": orjson.dumps(entry.tokens).decode()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_prompt_cache(str(temporary), entry.layers, facts)
            final = folder / f"{key.name}-{_checksum(temporary)}{SUFFIX}"
            for old in self._files(f"{key.name}-*{SUFFIX}"):
                if old != final:
                    old.unlink(missing_ok=True)
            temporary.rename(final)
            self._prune(keep=final)
        except (OSError, RuntimeError, ValueError):
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _read(self, key: CacheKey) -> _Entry | None:
        """The entry of that key from its file; one that is damaged, or another's, is deleted."""
        found = self._files(f"{key.name}-*{SUFFIX}")
        for path in found:
            entry = None
            with contextlib.suppress(Exception):
                entry = self._load(path, key)
            if entry is not None:
                with contextlib.suppress(OSError):
                    os.utime(path)
                return entry
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return None

    def _load(self, path: Path, key: CacheKey) -> _Entry | None:
        import mlx.core as mx
        from mlx_lm.models.cache import load_prompt_cache, make_prompt_cache

        if path.stem.rpartition("-")[2] != _checksum(path):
            return None
        layers, facts = load_prompt_cache(str(path), return_metadata=True)
        mx.eval([layer.state for layer in layers])
        tokens = orjson.loads(facts["tokens"])
        kinds = [type(layer) for layer in make_prompt_cache(self._model)]
        if orjson.loads(facts["key"]) != orjson.loads(orjson.dumps(asdict(key))):
            return None
        if [type(layer) for layer in layers] != kinds or getattr(layers[0], "offset", None) != len(tokens):
            return None
        return _Entry(tokens, layers, sum(layer.nbytes for layer in layers), written=True)

    def _prune(self, keep: Path) -> None:
        """The oldest files go until all of them fit."""
        found = sorted(((path.stat().st_mtime_ns, path) for path in self._files(f"*{SUFFIX}")), reverse=True)
        total = 0
        for _, path in found:
            total += path.stat().st_size
            if total > self._options.cache_disk_bytes and path != keep:
                path.unlink(missing_ok=True)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))


def _checksum(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
