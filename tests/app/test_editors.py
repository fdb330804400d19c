"""Files open at a line in the editor of choice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.editors import command, installed
from core.errors import AppError


def having(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/bin/{name}" if name in programs else None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a b {line} $(x).py"
    path.write_text("x = 1\n")
    return path


def test_the_chosen_editor_opens_it_at_the_line(file: Path) -> None:
    found = command("zed", file, 12, which=having("code", "zed"), system="linux")
    assert found == ["/bin/zed", f"{file}:12"]
    assert command("kate", file, 0, which=having("kate"), system="linux") == ["/bin/kate", "--line", "1", str(file)]


def test_without_a_choice_the_first_that_is_there_opens_it(file: Path) -> None:
    assert command("", file, 3, which=having("cursor", "kate"), system="linux") == [
        "/bin/cursor", "--goto", f"{file}:3",
    ]  # fmt: skip
    assert command("system", file, 3, which=having("xdg-open"), system="linux") == ["/bin/xdg-open", str(file)]
    assert command("", file, 3, which=having(), system="darwin") == ["/usr/bin/open", "-t", str(file)]


def test_an_own_command_is_no_shell(file: Path) -> None:
    found = command("vim -c ':{line}' {file}; rm -rf /", file, 7, which=having("vim"), system="linux")
    assert found == ["/bin/vim", "-c", ":7", f"{file};", "rm", "-rf", "/"]


@pytest.mark.parametrize(
    ("setting", "code"),
    [("zed", "no_editor"), ("", "no_editor"), ("'vim {file}", "bad_editor"), ("nope {file}", "bad_editor")],
)  # fmt: skip
def test_what_is_not_there_is_named(file: Path, setting: str, code: str) -> None:
    with pytest.raises(AppError) as error:
        command(setting, file, 1, which=having(), system="linux")
    assert error.value.code == code


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="no longer there"):
        command("zed", tmp_path / "gone.py", 1, which=having("zed"), system="linux")


def test_a_bundle_is_found_without_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import app.editors as editors

    bundled = tmp_path / "zed"
    bundled.touch()
    mine = editors.Editor("zed", "Zed", "zed", (), str(bundled))
    monkeypatch.setattr(editors, "EDITORS", (mine,))
    assert installed(having(), "darwin") == [mine]
    assert installed(having(), "linux") == []
