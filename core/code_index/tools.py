"""The parts that a pass over a project is made of, as the product uses them."""

from __future__ import annotations

from core.code_index.chunking import parse_file
from core.code_index.code_tokens import code_tokens, name_tokens
from core.code_index.plain import read_file
from core.code_index.reading import Tools
from core.code_index.scan import look, scan


def standard_tools() -> Tools:
    """Scanning, reading, parsing and the words of code."""
    return Tools(scan=scan, look=look, read=read_file, parse=parse_file, words=code_tokens, name_words=name_tokens)
