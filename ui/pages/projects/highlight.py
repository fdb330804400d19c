"""The words of a source file by kind, found by Pygments; slow for large files, so never on the GUI thread."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from ui.widgets.code_block import SLOW, token_role

# Line from 0 -> (first character, length, token of the theme).
Spans = Mapping[int, Sequence[tuple[int, int, str]]]
MOST_CHARACTERS = 200_000
MOST_S = 3.0
# In one step of a lexer nothing else runs; such lines are data, and their colours say nothing.
LONGEST_LINE = 2_000
_LEXERS = {"text": ""}


def spans(path: str, language: str, lines: Sequence[str], around: int) -> Spans:
    """Coloured pieces of the lines, of a part around line `around` (from 0) where the file is very long."""
    from pygments.lexer import Lexer
    from pygments.lexers import find_lexer_class_for_filename, get_lexer_by_name
    from pygments.util import ClassNotFound

    if language.lower() in SLOW or path.lower().endswith((".md", ".rst", ".mk", "makefile")):
        return {}
    try:
        name = _LEXERS.get(language, language)
        found = find_lexer_class_for_filename(path) if not name else None
        lexer: Lexer | None = found() if found else get_lexer_by_name(name) if name else None
    except ClassNotFound:
        lexer = None
    if lexer is None:
        return {}
    # What the lexer would strip or expand would put every colour after it in another place.
    lexer.stripnl, lexer.stripall, lexer.ensurenl, lexer.tabsize = False, False, True, 0
    first, last = _part(lines, around)
    text = "\n".join(line if len(line) <= LONGEST_LINE else "" for line in lines[first:last])
    out: dict[int, list[tuple[int, int, str]]] = {}
    until, line, column = time.thread_time() + MOST_S, first, 0
    for kind, piece in lexer.get_tokens(text):
        if time.thread_time() > until:
            break
        role = token_role(str(kind))
        for number, part in enumerate(piece.split("\n")):
            if number:
                line, column = line + 1, 0
            if role and part.strip():
                out.setdefault(line, []).append((column, len(part), role))
            column += len(part)
    return out


def _part(lines: Sequence[str], around: int) -> tuple[int, int]:
    """As many lines as are coloured: all, or those around the one that was found."""
    if sum(map(len, lines)) <= MOST_CHARACTERS:
        return 0, len(lines)
    first = last = max(0, min(around, len(lines) - 1))
    room = MOST_CHARACTERS
    while room > 0 and (first > 0 or last < len(lines)):
        if first > 0:
            first -= 1
            room -= len(lines[first]) + 1
        if last < len(lines):
            room -= len(lines[last]) + 1
            last += 1
    return first, last
