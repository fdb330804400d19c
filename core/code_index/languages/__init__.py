"""The languages that the index parses. One is a module here, a line in `core.registries` and a fixture of the tests."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath

from core.code_index.languages.language import Language, Name
from core.registries import CODE_LANGUAGES

__all__ = ["TEXT", "Language", "Name", "known", "language_of", "named"]

TEXT = "text"


def known() -> list[str]:
    """Names of the languages with a grammar."""
    return CODE_LANGUAGES.names()


def named(name: str) -> Language:
    """The language of that name. Raises AppError `unknown_code_language` or `bad_registration`."""
    language: Language = CODE_LANGUAGES.get(name)
    return language


def language_of(path: str) -> str:
    """The name of the language that a file's extension says it is written in, "text" where there is no grammar."""
    suffix = PurePosixPath(path).suffix.lower()
    return _by_extension(tuple(CODE_LANGUAGES.paths().items())).get(suffix, TEXT)


@lru_cache(maxsize=4)
def _by_extension(entries: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {extension: name for name, _ in entries for extension in named(name).extensions}
