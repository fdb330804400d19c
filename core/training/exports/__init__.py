"""Layouts an adapter is exported in: one module each, one line in `core.registries.ADAPTER_FORMATS`.

`lora` reads the tensors that each of them writes in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.cancel import CancelToken


@dataclass(frozen=True)
class Exported:
    """An adapter to export: its folder in mlx-lm's layout, whose hash was checked, and its base.

    `base_config` is the base's config.json; `base_name` what it is called.
    """

    folder: Path
    name: str
    base_config: Mapping[str, Any]
    base_name: str
    sha256: str = ""


class AdapterFormat(Protocol):
    """One layout. `usage` are lines of Markdown for whoever gets the folder; `needs_base` whether `base_config` is
    read."""

    name: str
    title: str
    usage: Sequence[str]
    needs_base: bool

    def write(self, adapter: Exported, folder: Path, token: CancelToken) -> None:
        """Write its files into an empty folder. Raises AppError `can_not_export` for what the layout can't hold."""
        ...
