"""What a worker needs to know of a project: where its code is, where its index is, which model embeds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ProjectSpec:
    """Absolute paths as text. `embedder` names a model as `embedders.choose` knows it, "" for the best there is."""

    id: str
    name: str
    root: str
    folder: str
    vectors: str
    embedder: str = ""

    @property
    def root_path(self) -> Path:
        """The folder with the code."""
        return Path(self.root)

    @property
    def index_path(self) -> Path:
        """The folder with the index."""
        return Path(self.folder)

    @property
    def workspace_path(self) -> Path:
        """The workspace that it belongs to."""
        return self.index_path.parent.parent

    @property
    def vectors_path(self) -> Path:
        """The folder with the embedding caches."""
        return Path(self.vectors)

    def to_json(self) -> dict[str, Any]:
        """For the worker."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProjectSpec:
        """The reverse of `to_json`."""
        return cls(**{name: str(data.get(name, "")) for name in cls.__dataclass_fields__})
