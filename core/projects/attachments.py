"""Text files that go with a question: read, checked, and put into what the model is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, Where
from core.reading.encoding import detect, printable, utf8_blocks
from core.workspace.files import disk_error

MOST_CHARACTERS = 50_000
# No encoding takes more for so many characters.
MOST_BYTES = 4 * MOST_CHARACTERS
_TICKS = re.compile("`+")
# In a name they would end its line, or a fence.
_NOT_A_NAME = re.compile(r"[\x00-\x1f\x7f`]+")


@dataclass(frozen=True)
class Attachment:
    """A file as it was when it was attached."""

    name: str
    text: str


def read(path: Path) -> Attachment:
    """A text file, in whatever encoding. Raises AppError `not_attachable`, or `file_error` where it can't be read."""
    try:
        if not path.is_file():
            raise _refused(path, "it is not a file", "Attach the files in it one by one.")
        if path.stat().st_size > MOST_BYTES:
            raise _too_long(path)
        text = b"".join(utf8_blocks(path, detect(path))).decode()
    except UnicodeDecodeError as exc:
        raise _refused(path, "part of it is damaged", "Open it in a text editor and save it as UTF-8.") from exc
    except AppError as exc:
        if exc.code == "not_attachable":
            raise
        raise _refused(path, exc.message.rstrip("."), "Save it as plain text, and attach that.") from exc
    except OSError as exc:
        raise disk_error(exc, path) from exc
    if not text.strip():
        raise _refused(path, "it is empty", "Attach one that has text.")
    if len(text) > MOST_CHARACTERS:
        raise _too_long(path)
    return Attachment(_NOT_A_NAME.sub(" ", printable(Path(path.name))), text)


def _refused(path: Path, why: str, hint: str) -> AppError:
    return AppError("not_attachable", f"{path.name} can't be attached: {why}.", hint=hint, where=Where(str(path)))


def _too_long(path: Path) -> AppError:
    return _refused(path, f"it has more than {MOST_CHARACTERS:,} characters", "Attach the part that matters.")


def asked(question: str, files: Sequence[Attachment]) -> str:
    """The question with its files, each between fences that its own text can't close."""
    parts = [question]
    for file in files:
        fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(file.text)), default=0))
        parts.append(f"File {file.name}:\n{fence}\n{file.text.rstrip()}\n{fence}")
    return "\n\n".join(part for part in parts if part)
