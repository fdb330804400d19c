"""Bytes of unknown origin as text: byte order marks, UTF-8, UTF-16, UTF-32, else a code page; line ends."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.cancel import CancelToken
from core.errors import AppError, Where

BLOCK = 1 << 20
Blocks = Callable[[], Iterable[bytes]]
# UTF-32 first: its little-endian mark begins with UTF-16's.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"), (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"), (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)  # fmt: skip
_JSON_START = b'{["- \t\r\n'
_NOT_IN_1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
_NOT_ASCII = re.compile(rb'"[^"\x80-\xff]*[\x80-\xff][^"]*"')
_SAMPLE = 16 * 1024
WESTERN = ("cp1252", "latin-1")
CODE_PAGES = {
    "cp1252": "latin-1 (Windows-1252)", "latin-1": "latin-1", "cp1250": "Central European (Windows-1250)",
    "cp1251": "Cyrillic (Windows-1251)", "koi8_r": "Cyrillic (KOI8-R)", "cp1253": "Greek (Windows-1253)",
    "cp1254": "Turkish (Windows-1254)", "cp1255": "Hebrew (Windows-1255)", "cp1256": "Arabic (Windows-1256)",
    "cp932": "Japanese (Shift JIS)", "euc_jp": "Japanese (EUC-JP)", "gb18030": "Chinese (GB 18030)",
    "big5": "Chinese (Big5)", "euc_kr": "Korean (EUC-KR)", "mac_roman": "Mac Roman",
}  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes are read: codec, length of the mark to skip, lone CR as line end, notes for the user."""

    name: str
    skip: int = 0
    cr_only: bool = False
    notes: tuple[str, ...] = ()


def detect(path: Path, token: CancelToken | None = None) -> Encoding:
    """Look at all of a file, in blocks. Raises AppError: unreadable, empty, `binary_file`."""
    if file_size(path) == 0:
        raise AppError("empty_file", "The file is empty.", hint="Export it again.", where=Where(str(path)))
    return _detect(lambda: read_blocks(path, token), Where(str(path)))


def utf8_blocks(path: Path, encoding: Encoding, token: CancelToken | None = None) -> Iterator[bytes]:
    """The file's text in UTF-8, block by block, line ends as they are (lone CR as LF).

    Bytes that are not UTF-8 in a file that otherwise is stay as they are: the line they are on is rejected.
    """
    return _transcode(read_blocks(path, token), encoding, Where(str(path)))


def file_size(path: Path) -> int:
    """Size in bytes. Raises AppError `no_permission`, `no_such_file` or `file_error`."""
    try:
        found = os.stat(path)
    except OSError as exc:
        raise unreadable(exc, path) from exc
    if not stat.S_ISREG(found.st_mode):
        # Opening a pipe would block forever.
        raise AppError("not_a_file", "It is not a regular file.", hint="Choose a file.", where=Where(str(path)))
    return found.st_size


def printable(path: Path) -> str:
    """The path as text that can be written: bytes of its name that are not UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def refuse_name(path: Path) -> None:
    """Raise AppError `bad_file_name` where a path can't be written into a report."""
    if printable(path) != str(path):
        raise AppError(
            "bad_file_name",
            "Its name, or the name of a folder above it, contains bytes that are not UTF-8.",
            hint="Rename it, then import it again.",
            where=Where(printable(path)),
        )


def read_blocks(path: Path, token: CancelToken | None = None) -> Iterator[bytes]:
    """The raw bytes in blocks of 1 MiB."""
    try:
        with path.open("rb") as handle:
            while block := handle.read(BLOCK):
                if token is not None:
                    token.raise_if_cancelled()
                yield block
    except OSError as exc:
        raise unreadable(exc, path) from exc


def unreadable(exc: OSError, path: Path) -> AppError:
    """Why a file the user named can't be read."""
    where = Where(str(path))
    if isinstance(exc, PermissionError):
        return AppError(
            "no_permission",
            "You don't have permission to read it.",
            hint="Give yourself read permission (Get Info in the Finder, or chmod u+r), or copy the file.",
            where=where,
        )
    if isinstance(exc, FileNotFoundError):
        return AppError("no_such_file", "It no longer exists.", hint="Choose it again.", where=where)
    return AppError(
        "file_error",
        f"It can't be read ({exc.strerror or exc}).",
        hint="Check the disk it is on, or copy the file and import the copy.",
        detail=repr(exc),
        where=where,
    )


def _detect(blocks: Blocks, where: Where) -> Encoding:
    head = next(iter(blocks()), b"")[:4096]
    known = _by_mark(head) or _by_zeros(head)
    if known is None and b"\0" in head:
        raise _binary(where)
    if known is None:
        return _bytewise(blocks, where)
    name, skip, title = known
    if name == "utf-8":
        found = _bytewise(blocks, where)
        ends = found.notes if found.name == "utf-8" else ()
        return Encoding("utf-8", skip, found.cr_only, (f"Read as {title}.", *ends))
    cut = len(head) - (len(head) - skip) % 4
    text = head[skip:cut].decode(name, "ignore")
    ends, cr_only = _line_ends("\r\n" in text, "\n" in text, "\r" in text)
    return Encoding(name, skip, cr_only, (f"Read as {title}.", *ends))


def _by_mark(head: bytes) -> tuple[str, int, str] | None:
    for mark, name, title in _BOMS:
        if head.startswith(mark):
            return name, len(mark), title
    return None


def _by_zeros(head: bytes) -> tuple[str, int, str] | None:
    """UTF-16 and UTF-32 without a mark, known by the zeros around the first character of JSON."""
    zeros = tuple(not byte for byte in head[:4])
    shapes: dict[tuple[bool, ...], tuple[str, int]] = {
        (False, True, True, True): ("utf-32-le", 0), (True, True, True, False): ("utf-32-be", 3),
        (False, True, False, True): ("utf-16-le", 0), (True, False, True, False): ("utf-16-be", 1),
    }  # fmt: skip
    found = shapes.get(zeros)
    if found is None or head[found[1]] not in _JSON_START:
        return None
    return found[0], 0, found[0][:6].upper()


def _bytewise(blocks: Blocks, where: Where) -> Encoding:
    decoder = codecs.getincrementaldecoder("utf-8")()
    crlf = lf = cr = False
    valid, last = True, b""
    for block in blocks():
        if b"\0" in block:
            raise _binary(where)
        crlf = crlf or b"\r\n" in block or (last == b"\r" and block.startswith(b"\n"))
        lf, cr, last = lf or b"\n" in block, cr or b"\r" in block, block[-1:]
        valid = valid and _decodes(decoder, block)
    ends, cr_only = _line_ends(crlf, lf, cr)
    if valid and _decodes(decoder, b"", final=True):
        return Encoding("utf-8", 0, cr_only, ends)
    sample = _sample(blocks)
    if _mostly_utf8(sample):
        return Encoding("utf-8", 0, cr_only, ends)
    name = _code_page(blocks, sample)
    letters = "accented letters" if name in WESTERN else "letters"
    note = f"Not UTF-8: read as {CODE_PAGES[name]}. Check the {letters}."
    return Encoding(name, 0, cr_only, (note, *ends))


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _sample(blocks: Blocks) -> bytes:
    """Texts in quotes that are not ASCII alone: a quote is never half of a character in any of `CODE_PAGES`."""
    found: list[bytes] = []
    size = 0
    for block in blocks():
        for match in _NOT_ASCII.finditer(block):
            found.append(match.group())
            size += len(match.group())
            if size > _SAMPLE:
                return b"\n".join(found)[:_SAMPLE]
    return b"\n".join(found)


def _mostly_utf8(sample: bytes) -> bool:
    """Whether more of its characters are whole in UTF-8 than not: UTF-8 that was damaged, not another encoding."""
    text = sample.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    return sum(not char.isascii() for char in text) - damaged > damaged


def _code_page(blocks: Blocks, sample: bytes) -> str:
    """Windows-1252 unless a text in it would make no sense; then the likeliest of the others."""
    from charset_normalizer import from_bytes

    western = "latin-1" if any(not _NOT_IN_1252.isdisjoint(block) for block in blocks()) else "cp1252"
    if from_bytes(sample, cp_isolation=[western]).best() is None:
        best = from_bytes(sample, cp_isolation=[name for name in CODE_PAGES if name not in WESTERN]).best()
        if best is not None and _all_decode(blocks, best.encoding):
            return best.encoding
    return western


def _all_decode(blocks: Blocks, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    return all(_decodes(decoder, block) for block in blocks()) and _decodes(decoder, b"", final=True)


def _line_ends(crlf: bool, lf: bool, cr: bool) -> tuple[tuple[str, ...], bool]:
    if crlf:
        return ("Windows line endings (CRLF) were read as line breaks.",), False
    if cr and not lf:
        return ("Classic Mac line endings (CR) were read as line breaks.",), True
    return (), False


def _transcode(blocks: Iterable[bytes], encoding: Encoding, where: Where) -> Iterator[bytes]:
    skip = encoding.skip
    decoder = None if encoding.name == "utf-8" else codecs.getincrementaldecoder(encoding.name)()
    try:
        for raw in blocks:
            block, skip = raw[skip:], 0
            out = block if decoder is None else decoder.decode(block).encode("utf-8")
            yield out.replace(b"\r", b"\n") if encoding.cr_only else out
        if decoder is not None:
            yield decoder.decode(b"", True).encode("utf-8")
    except UnicodeError as exc:
        raise AppError(
            "damaged_text",
            f"It is damaged: part of it is not valid {encoding.name.upper()}.",
            hint="Open it in a text editor and save it as UTF-8.",
            detail=repr(exc),
            where=where,
        ) from exc


def _binary(where: Where) -> AppError:
    return AppError(
        "binary_file",
        "It is not text: it contains binary data.",
        hint="Choose the JSON or JSONL file itself. Unpack a compressed file first.",
        where=where,
    )
