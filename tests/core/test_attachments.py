"""Text files that go with a question."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import AppError
from core.projects.attachments import MOST_CHARACTERS, Attachment, asked, read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_text_file_is_read_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "Häuser.md"
    path.write_bytes("Ein Haus für Müller, größer als früher.\nÜber alles.".encode(encoding))
    assert read(path) == Attachment("Häuser.md", "Ein Haus für Müller, größer als früher.\nÜber alles.")


def test_what_can_not_be_attached_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "blank.txt").write_text("  \n")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(2000))
    (tmp_path / "long.txt").write_text("x" * (MOST_CHARACTERS + 1))
    (tmp_path / "huge.txt").write_bytes(b"x" * 5_000_000)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty.txt", "blank.txt", "photo.png", "long.txt", "huge.txt", "folder", "pipe"):
        with pytest.raises(AppError) as caught:
            read(tmp_path / name)
        assert caught.value.code == "not_attachable"
        assert name in caught.value.message
        assert caught.value.hint
        assert caught.value.where.file == str(tmp_path / name)
    with pytest.raises(AppError) as caught:
        read(tmp_path / "gone.txt")
    assert "gone.txt" in str(caught.value)


def test_the_fence_is_longer_than_any_in_the_file() -> None:
    text = asked("Why?", [Attachment("a.md", "One\n```python\nx\n```\n"), Attachment("b.txt", "Two")])
    assert text == ("Why?\n\nFile a.md:\n````\nOne\n```python\nx\n```\n````\n\nFile b.txt:\n```\nTwo\n```")
    assert asked("", [Attachment("b.txt", "Two")]).startswith("File b.txt:")


def test_a_name_breaks_no_line_and_no_fence(tmp_path: Path) -> None:
    path = tmp_path / "a\n```b.txt"
    path.write_text("Text")
    assert read(path).name == "a b.txt"
    odd = tmp_path / os.fsdecode(b"caf\xe9.txt")
    odd.write_text("Text")
    assert read(odd).name.encode()
