"""Atomic files and folders: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from core.errors import AppError

TMP_PREFIX = ".tmp-"


def disk_error(exc: OSError, path: Path) -> AppError:
    """An OSError in the user's words."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return AppError(
            "disk_full",
            f"The disk is full: {path} could not be written.",
            hint="Free some space and start again. Everything written before is intact.",
            detail=repr(exc),
        )
    return AppError(
        "file_error",
        f"{path} could not be read or written ({exc.strerror or exc}).",
        hint="Check that the folder exists and that you can write to it.",
        detail=repr(exc),
    )


def fsync_dir(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` to `path`: afterwards there is the old file or the new one, never half. Raises AppError."""
    # Without its own name, which may be as long as a name can be.
    tmp = path.with_name(f"{TMP_PREFIX}{uuid.uuid4().hex}")
    try:
        with tmp.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(tmp, path)
        fsync_dir(path.parent)
    except OSError as exc:
        with contextlib.suppress(OSError):
            tmp.unlink(missing_ok=True)
        raise disk_error(exc, path) from exc


def dump_json(value: Any) -> bytes:
    """Indented UTF-8 JSON with a final newline."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write_json(path: Path, value: Any) -> None:
    """`atomic_write` of `dump_json`."""
    atomic_write(path, dump_json(value))


def read_json(path: Path) -> Any:
    """Parse one of our own JSON files. Raises AppError `file_error` or `damaged_file` naming it."""
    try:
        return orjson.loads(path.read_bytes())
    except OSError as exc:
        raise disk_error(exc, path) from exc
    except orjson.JSONDecodeError as exc:
        raise AppError(
            "damaged_file",
            f"{path.name} is damaged: it is not valid JSON.",
            hint="Restore it from a backup, or import the source again.",
            detail=f"{path}: {exc}",
        ) from exc


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """A temporary folder that is renamed to `final` when the block ends well, removed otherwise.

    Every file in it is fsynced before the rename, so that a folder under its final name is complete.
    """
    tmp = final.with_name(f"{TMP_PREFIX}{uuid.uuid4().hex}")
    try:
        tmp.mkdir(parents=True)
        yield tmp
        publish_folder(tmp, final)
    except OSError as exc:
        shutil.rmtree(tmp, ignore_errors=True)
        raise disk_error(exc, final) from exc
    except BaseException:
        shutil.rmtree(tmp, ignore_errors=True)
        raise


def publish_file(tmp: Path, final: Path) -> None:
    """fsync `tmp`, rename it to `final`, fsync the parent."""
    with tmp.open("rb") as handle:
        os.fsync(handle.fileno())
    os.rename(tmp, final)
    fsync_dir(final.parent)


def publish_folder(tmp: Path, final: Path) -> None:
    """fsync the files of `tmp`, rename it to `final`, fsync the parent."""
    for file in tmp.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    fsync_dir(tmp)
    os.rename(tmp, final)
    fsync_dir(final.parent)


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sweep_temporary(folder: Path) -> list[Path]:
    """Remove what an interrupted write left directly in `folder`; returns what was removed."""
    gone = []
    for path in folder.glob(f"{TMP_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        gone.append(path)
    return gone
