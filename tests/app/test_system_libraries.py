"""Before Qt is loaded: what it needs of the system, and how to get what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from app.system_libraries import ALWAYS, WAYLAND, X11, check
from core.workspace.paths import source_root


def without(*missing: str) -> Callable[[str], bool]:
    return lambda name: name not in missing


def test_nothing_is_said_when_all_is_there() -> None:
    assert check({"DISPLAY": ":0"}, without()) == ""


def test_missing_libraries_are_named_with_the_command_that_installs_them() -> None:
    told = check({"DISPLAY": ":0"}, without("libxcb-icccm.so.4", "libxcb-keysyms.so.1"))
    assert "libxcb-icccm.so.4, libxcb-keysyms.so.1" in told
    assert "sudo apt install libxcb-icccm4 libxcb-keysyms1\n" in told


def test_only_what_the_display_needs_is_asked_for() -> None:
    x11, wayland = without(*X11), without(*WAYLAND)
    assert check({"DISPLAY": ":0"}, x11)
    for environment in ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, {"QT_QPA_PLATFORM": "offscreen"}):
        assert check(environment, x11) == ""
    assert check({"QT_QPA_PLATFORM": "xcb", "WAYLAND_DISPLAY": "wayland-0"}, x11)
    assert check({"WAYLAND_DISPLAY": "wayland-0"}, wayland)


def test_without_a_display_it_says_so() -> None:
    assert "there is no display" in check({}, without())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has displays that may not be there")
def test_the_program_ends_with_the_words_and_not_with_an_abort() -> None:
    hidden = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    hidden.pop("QT_QPA_PLATFORM", None)
    done = subprocess.run([sys.executable, "-m", "app"], cwd=source_root(), env=hidden, capture_output=True, text=True)
    assert done.returncode == 1
    assert "there is no display" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_readme_lists_every_package() -> None:
    words = (source_root() / "README.md").read_text(encoding="utf-8").split()
    assert [name for name in (ALWAYS | X11).values() if name not in words] == []
