"""What is kept of chats on disk, by name: light, for whoever deletes a chat while no engine runs."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

# mlx and others go by it.
SUFFIX = ".safetensors"


def digest(data: bytes) -> str:
    """A short name of something."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def files(folder: str, chat: str = "") -> list[Path]:
    """The files of one chat, or of all; the first part of a file's name is its chat's."""
    place = Path(folder) if folder else None
    if place is None or not place.is_dir():
        return []
    return sorted(place.glob(f"{digest(chat.encode())}-*{SUFFIX}" if chat else f"*{SUFFIX}"))


def forget_files(folder: str, chat: str) -> None:
    """Delete what is kept of a chat."""
    for path in files(folder, chat):
        # A folder that can't be changed keeps them; they are of no use without the chat.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
