"""A source file's bytes as text: marks, UTF-16, bytes that are not UTF-8, the three kinds of line ends.

Everything that speaks of a line of a file means a line of what `decode` returns, counted by `lines_of`.
"""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_SAMPLE = 4096


def decode(data: bytes) -> str:
    """The text with "\\n" as the only line end and without a byte order mark. Takes any bytes, never fails.

    What is not UTF-8 is read as Windows-1252 or latin-1, unless most of it is UTF-8 that was damaged: then each bad
    byte is a replacement character.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(name, "replace")
            break
    else:
        text = _without_mark(data)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def lines_of(text: str) -> list[str]:
    """The lines of decoded text; what follows the last line end is a line only if it is not empty."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _without_mark(data: bytes) -> str:
    if name := _wide(data[:_SAMPLE]):
        return data.decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    if 2 * damaged <= sum(not char.isascii() for char in text):
        return text
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _wide(head: bytes) -> str:
    """UTF-16 without a mark, known by its zeros: nearly every second byte, and no other."""
    half = len(head) // 2
    if half < 2 or 0 not in head:
        return ""
    even, odd = head[0 : 2 * half : 2].count(0), head[1 : 2 * half : 2].count(0)
    if odd > 0.7 * half and not even:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 * half and not odd else ""
