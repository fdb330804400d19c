"""Which branch a folder is on, read from files that anybody may have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.code_index.branch import branch_of

HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("head", "branch"),
    [
        ("ref: refs/heads/main\n", "main"),
        ("ref: refs/heads/feature/a-b\n", "feature/a-b"),
        (f"{HASH}\n", HASH[:7]),
        ("ref: refs/tags/v1\n", ""),
        ("ref: refs/heads/\x1b[31mred\n", ""),
        ("rubbish", ""),
        ("", ""),
    ],
)
def test_what_its_head_says(tmp_path: Path, head: str, branch: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    (tmp_path / ".git" / "config").write_text("[core]\n")
    assert branch_of(tmp_path) == branch
    (tmp_path / "below").mkdir()
    assert branch_of(tmp_path / "below") == branch


def test_no_git_and_one_that_is_no_file_have_none(tmp_path: Path) -> None:
    assert branch_of(tmp_path) == ""
    assert branch_of(tmp_path / "nowhere") == ""
    (tmp_path / ".git").mkdir()
    # Reading a pipe would wait for ever.
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert branch_of(tmp_path) == ""
    (tmp_path / ".git" / "HEAD").unlink()
    (tmp_path / ".git" / "HEAD").symlink_to("/etc/hostname")
    assert branch_of(tmp_path) == ""


def test_a_linked_working_tree_has_its_own(tmp_path: Path) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    folder = main / ".git" / "worktrees" / "other"
    folder.mkdir(parents=True)
    other.mkdir()
    (main / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (main / ".git" / "config").write_text("[core]\n")
    (folder / "HEAD").write_text("ref: refs/heads/side\n")
    (folder / "commondir").write_text("../..\n")
    (folder / "gitdir").write_text(f"{other / '.git'}\n")
    (other / ".git").write_text(f"gitdir: {folder}\n")
    assert branch_of(other) == "side"
