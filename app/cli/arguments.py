"""The arguments of `python -m app pipeline`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from core.errors import AppError
from core.reading.encoding import printable
from core.training.config import DEFAULT_PRESET, PRESETS, configure

# Of one answer.
MOST_TOKENS = 32_000


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments as an AppError."""

    def error(self, message: str) -> NoReturn:
        """Raise AppError `usage`."""
        raise AppError("usage", message[:1].upper() + message[1:] + ".", hint=self.format_usage().strip())


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read the arguments; `config` is the training configuration they make. Raises AppError for what is wrong."""
    parser = Parser(prog="app pipeline", description="Import files, train an adapter, and print a report.")
    parser.add_argument("--workspace", type=Path, required=True)
    add_vertical(parser)
    parser.add_argument("--base", type=Path, help="folder with a base model (default: the practice model)")
    parser.add_argument("--preset", default=DEFAULT_PRESET, choices=list(PRESETS))
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="override a training setting; may be repeated"
    )
    parser.add_argument("--name", default="", help="name of the training file, the dataset, and the adapter")
    parser.add_argument("--ask", default="", help="a question to ask both the base and the adapter")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILES")
    options = parser.parse_args(list(args))
    refuse_unreadable(options.workspace, options.vertical, options.base, options.name, options.ask, *options.set)
    options.config = configure(options.preset, overrides_of(options.set))
    return options


def add_vertical(parser: argparse.ArgumentParser) -> None:
    """What a workspace that is made by the call is for."""
    parser.add_argument(
        "--vertical", default="", metavar="KEY", help="what a new workspace is for (default: financial planning)"
    )


def refuse_unreadable(*values: object) -> None:
    """Raise AppError `usage` for an argument that can't be written down."""
    for value in values:
        text = "" if value is None else str(value)
        if printable(Path(text)) != str(Path(text)):
            raise AppError("usage", f"“{printable(Path(text))}” is not UTF-8.", hint="Use UTF-8.")


def overrides_of(pairs: Sequence[str]) -> dict[str, str]:
    """["key=value"] as a mapping. Raises AppError `usage`."""
    out = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise AppError("usage", f"“--set {pair}” has no value.", hint="Write --set key=value.")
        out[key.strip()] = value.strip()
    return out
