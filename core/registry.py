"""Named dotted paths: how stages, formats, importers, engines, job kinds and pages are plugged in.

An entry is text ("package.module:attribute"), so that a worker process can resolve what the window
registered: `core.registries.snapshot()` travels in a worker's spec and `restore()` takes it over there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from core.errors import AppError

T = TypeVar("T")
ALL: dict[str, Registry[Any]] = {}


def resolve(dotted: str) -> Any:
    """Import "package.module:attribute". Raises AppError `bad_registration` naming the path."""
    module_name, _, attribute = dotted.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as exc:
        raise AppError(
            "bad_registration",
            f"The registered part {dotted!r} could not be loaded.",
            hint="Check the dotted path where it is registered.",
            detail=repr(exc),
        ) from exc


class Registry(Generic[T]):
    """Ordered mapping name -> dotted path, resolved on first use."""

    def __init__(self, name: str, entries: dict[str, str] | None = None) -> None:
        self.name = name
        self._paths: dict[str, str] = dict(entries or {})
        self._resolved: dict[str, T] = {}
        ALL[name] = self

    def register(self, key: str, dotted: str) -> None:
        """Add an entry at the end, or replace the one of that name in its place."""
        self._paths[key] = dotted
        self._resolved.pop(key, None)

    def unregister(self, key: str) -> None:
        """Remove an entry; unknown names are ignored."""
        self._paths.pop(key, None)
        self._resolved.pop(key, None)

    def replace(self, entries: dict[str, str]) -> None:
        """Have exactly these entries, in this order."""
        self._paths = dict(entries)
        self._resolved.clear()

    def get(self, key: str) -> T:
        """The resolved entry. Raises AppError `unknown_<registry>` naming what there is."""
        if key not in self._paths:
            raise AppError(
                f"unknown_{self.name}",
                f"There is no {self.name.replace('_', ' ')} named {key!r}.",
                hint="Known: " + ", ".join(self._paths) + ".",
            )
        if key not in self._resolved:
            self._resolved[key] = resolve(self._paths[key])
        return self._resolved[key]

    def names(self) -> list[str]:
        """Names in order of registration."""
        return list(self._paths)

    def items(self) -> Iterator[tuple[str, T]]:
        """Resolved entries in order of registration."""
        for key in self.names():
            yield key, self.get(key)

    def paths(self) -> dict[str, str]:
        """The dotted paths themselves."""
        return dict(self._paths)
