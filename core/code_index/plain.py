"""A project's files read safely, and which of them are no code that a person wrote.

Everything is opened below a folder's descriptor, one component at a time, so that no link is ever followed, and
without waiting, so that a pipe in a file's place can't hold the reader up.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path

from core.code_index.decoding import decode
from core.code_index.never_wanted import words
from core.code_index.records import Left

LARGEST = 1_000_000
LONGEST_MEAN_LINE = 500
# A paragraph of prose is often one line.
LONGEST_MEAN_PARAGRAPH = 5_000
PROSE = (".md", ".markdown", ".mdx", ".rst", ".txt", ".adoc", ".tex", ".org")
_HEAD_BYTES, _HEAD_LINES = 3_000, 30
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
# macOS marks a file whose content is in iCloud alone; reading it would download it.
_DATALESS = 0x40000000

LOCK_FILES = words("""
    package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb deno.lock cargo.lock poetry.lock
    uv.lock pdm.lock pixi.lock pipfile.lock conda-lock.yml gemfile.lock composer.lock go.sum go.work.sum flake.lock
    mix.lock pubspec.lock podfile.lock packages.lock.json gradle.lockfile package.resolved cartfile.resolved paket.lock
    rebar.lock .terraform.lock.hcl stack.yaml.lock cabal.project.freeze
""")
_BINARY_SUFFIXES = words("""
    .png .jpg .jpeg .gif .bmp .ico .icns .webp .avif .heic .tif .tiff .psd .xcf .pdf .doc .docx .xls .xlsx .ppt .pptx
    .zip .gz .tgz .bz2 .xz .7z .rar .zst .tar .jar .war .ear .whl .egg .gem .deb .rpm .dmg .iso .class .o .a .so .lib
    .dylib .dll .exe .obj .pyc .pyo .pyd .wasm .woff .woff2 .ttf .otf .eot .mp3 .mp4 .m4a .mov .avi .mkv .wav .ogg .flac
    .webm .sqlite .sqlite3 .npy .npz .pt .pth .onnx .safetensors .gguf .parquet .arrow .feather .h5 .hdf5 .pkl .pickle
    .joblib .mo .nib .car .blend .fbx .glb .swf
""")
_MAGIC = (
    (b"%PDF-", "PDF"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"\xff\xd8\xff", "JPEG"), (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"7z\xbc\xaf", "7-Zip"), (b"(\xb5/\xfd", "zstd"),
    (b"\x7fELF", "ELF"), (b"\xca\xfe\xba\xbe", "Java class or Mach-O"), (b"\xcf\xfa\xed\xfe", "Mach-O"),
    (b"!<arch>\n", "archive"), (b"SQLite format 3", "SQLite"), (b"wOFF", "font"), (b"wOF2", "font"), (b"OTTO", "font"),
    (b"OggS", "Ogg"), (b"fLaC", "FLAC"), (b"ID3", "MP3"), (b"\0asm", "WebAssembly"),
    (b"version https://git-lfs.github.com/spec/", "pointer of Git LFS; the content is not here"),
)  # fmt: skip
_MAGICS = tuple(magic for magic, _ in _MAGIC)
_BUILT_NAME = re.compile(
    r"[.\-_](?:min|bundle|chunk)\.(?:js|mjs|cjs|css)$|\.(?:js|css|mjs|cjs)\.map$|_pb2(?:_grpc)?\.pyi?$"
    r"|\.pb\.(?:go|cc|h)$|\.g\.dart$|\.designer\.cs$",
    re.IGNORECASE,
)
_COMMENT = re.compile(rb"\s*(?:#|//|/\*|\*|--|;|<!--|%|'|\"\"\"|\{-|\(\*|@?rem\b|dnl\b)", re.IGNORECASE)
_MARKERS = (
    re.compile(rb"(?<![\w@])@generated\b"),
    re.compile(rb"\bDO NOT (?:EDIT|MODIFY)\b"),
    re.compile(
        rb"^\W*(?:this (?:file|code) (?:is|was|has been) )?(?:code|auto(?:matically|)[ -]?) ?generated\b", re.IGNORECASE
    ),
)  # fmt: skip
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\b"))


class Unread(Exception):  # noqa: N818 - says what a file is, not that anything failed
    """A file that is not read: `reason` and `detail` are those of its `LeftOut`; `gone` says it isn't there."""

    def __init__(self, reason: Left, detail: str, *, gone: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.gone = reason, detail, gone


def parts(path: str) -> list[str]:
    """The components of a path below the root. Raises `Unread` where it could lead out of it."""
    found = path.split("/")
    if path.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in found):
        raise Unread(Left.LINK_OUT, "the path leads out of the project")
    return found


def refused(exc: OSError) -> Unread:
    """What an OSError says of a file, in the user's words."""
    if isinstance(exc, FileNotFoundError | NotADirectoryError):
        return Unread(Left.UNREADABLE, "it no longer exists", gone=True)
    if isinstance(exc, PermissionError):
        return Unread(Left.UNREADABLE, "no permission to read it")
    return Unread(Left.UNREADABLE, (exc.strerror or str(exc)).lower())


def open_folder(root: Path, path: str = "") -> int:
    """A descriptor of a folder below `root`, which the caller closes; no component may be a link. Raises OSError.

    `root` itself may be a link: it is what the user chose.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
    for part in path.split("/") if path else ():
        try:
            below = os.open(part, _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def read_in(folder: int, name: str, most: int = LARGEST) -> tuple[bytes, os.stat_result]:
    """The bytes of a plain file in an open folder, and its stat from before they were read. Raises `Unread`."""
    try:
        handle = os.open(name, _FILE, dir_fd=folder)
    except OSError as exc:
        raise refused(exc) from exc
    try:
        found = os.fstat(handle)
        refuse_special(found)
        if found.st_size > most:
            raise too_large(found.st_size, most)
        # One more than it may have: it may grow meanwhile.
        data = os.read(handle, most + 1)
        while len(data) < found.st_size and (more := os.read(handle, most + 1 - len(data))):
            data += more
    except OSError as exc:
        raise refused(exc) from exc
    finally:
        os.close(handle)
    if len(data) > most:
        raise too_large(len(data), most)
    return data, found


def read_file(root: Path, path: str, most: int = LARGEST) -> bytes:
    """The bytes of a plain file at `path` below `root`, no link on the way. Raises `Unread`."""
    above, _, name = path.rpartition("/")
    parts(path)
    try:
        folder = open_folder(root, above)
    except OSError as exc:
        raise refused(exc) from exc
    try:
        return read_in(folder, name, most)[0]
    finally:
        os.close(folder)


def refuse_special(found: os.stat_result) -> None:
    """Raise `Unread` for what is no plain file, or has its content elsewhere."""
    if not stat.S_ISREG(found.st_mode):
        raise Unread(Left.SPECIAL, _SPECIAL.get(stat.S_IFMT(found.st_mode), "not a regular file"))
    if getattr(found, "st_flags", 0) & _DATALESS:
        raise Unread(Left.UNREADABLE, "its content is in iCloud alone; download it in the Finder")


_SPECIAL = {
    stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link",
}  # fmt: skip


def too_large(size: int, most: int = LARGEST) -> Unread:
    """A file over the limit, with both sizes in its detail."""
    return Unread(Left.TOO_LARGE, f"{size / 1e6:.1f} MB; at most {most / 1e6:.0f} MB are read")


def by_name(name: str) -> tuple[Left, str] | None:
    """Why a file of this name is not indexed, whatever it holds: lock files, built files, known binary kinds."""
    lower = name.lower()
    if lower in LOCK_FILES:
        return Left.LOCK_FILE, name
    suffix = os.path.splitext(lower)[1]
    if suffix in _BINARY_SUFFIXES:
        return Left.BINARY, f"*{suffix}"
    if built := _BUILT_NAME.search(name):
        return Left.GENERATED, f"*{built.group()}"
    return None


def by_content(name: str, data: bytes) -> tuple[Left, str] | None:
    """Why a file that holds `data` is not indexed: binary, generated or minified."""
    if data.startswith(_MAGICS):
        return Left.BINARY, next(title for magic, title in _MAGIC if data.startswith(magic))
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))
    if not marked:
        if b"\0" in data:
            return Left.BINARY, "NUL bytes"
        if len(data) - len(data.translate(None, _CONTROLS)) > len(data) // 20:
            return Left.BINARY, "control characters"
    if marker := _generated(data[:_HEAD_BYTES]):
        return Left.GENERATED, marker
    limit = LONGEST_MEAN_PARAGRAPH if name.lower().endswith(PROSE) else LONGEST_MEAN_LINE
    # Bytes first, since they can't be fewer than the characters.
    if len(data) > limit * (count := data.count(b"\n") + (not data.endswith(b"\n"))):
        mean = len(decode(data)) // max(count, 1)
        if mean > limit:
            return Left.GENERATED, f"minified: {mean:,} characters a line"
    return None


def _generated(head: bytes) -> str:
    """The first of a file's comments that says a program wrote it, with its line."""
    if b"enerated" not in head and b"ENERATED" not in head and b"DO NOT " not in head:
        return ""
    inside = False
    for number, line in enumerate(head.split(b"\n")[:_HEAD_LINES], start=1):
        comment = inside or _COMMENT.match(line)
        if comment and any(marker.search(line) for marker in _MARKERS):
            return f"line {number}: {line.strip().decode('utf-8', 'replace')[:80]}"
        inside = (inside or b"/*" in line or b"<!--" in line) and not (b"*/" in line or b"-->" in line)
    return ""
