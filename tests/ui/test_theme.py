"""Contrast as numbers, fonts, icons, and words for numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.errors import AppError
from core.workspace.paths import source_root
from ui import format as fmt
from ui.icons import icon
from ui.registry import PAGES
from ui.theme import theme
from ui.tokens import DARK, LIGHT, Tokens, contrast
from ui.widgets.chip import ICONS

SURFACES = ("bg", "side", "card", "tint", "hover")
PAIRS = [
    *[(ink, ground) for ink in ("text", "muted") for ground in SURFACES],
    *[("accent", ground) for ground in ("bg", "card", "tint", "hover")],
    ("on", "accent"), ("on", "accent_hover"), ("bg", "text"),
    *[(kind, f"{kind}bg") for kind in ("ok", "warn", "bad", "info")],
    *[("text", f"{kind}bg") for kind in ("ok", "warn", "bad", "info")],
    *[("muted", f"{kind}bg") for kind in ("bad", "warn")],
    ("bad", "card"), ("c1", "card"), ("c2", "card"), ("c3", "card"), ("c4", "card"),
]  # fmt: skip


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_contrast_is_enough_to_read(tokens: Tokens, ink: str, ground: str) -> None:
    assert contrast(getattr(tokens, ink), getattr(tokens, ground)) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def test_a_change_of_theme_reaches_palette_style_sheet_and_icons(qtbot: QtBot, qapp: QApplication) -> None:
    for mode, tokens in (("dark", DARK), ("light", LIGHT)):
        with qtbot.waitSignal(theme().changed):
            theme().set_mode(mode)
        assert qapp.palette().color(QPalette.ColorRole.Window).name().upper() == tokens.bg
        assert tokens.accent in qapp.styleSheet()
        image = icon("ph.house", "accent").pixmap(QSize(32, 32)).toImage()
        strongest = max((image.pixelColor(x, y) for x in range(32) for y in range(32)), key=lambda c: c.alpha())
        assert strongest.name().upper() == tokens.accent


def test_the_font_scale_makes_everything_grow(qtbot: QtBot, qapp: QApplication) -> None:
    theme().set_scale(2.0)
    assert qapp.font().pixelSize() == 26
    assert theme().sizes.row == 56
    assert "font-size: 22px" in qapp.styleSheet()


def test_every_icon_named_by_a_page_or_status_exists(qtbot: QtBot) -> None:
    for name in [*(spec.icon for spec in PAGES.specs()), *ICONS.values()]:
        assert not icon(name).pixmap(16, 16).isNull()
    with pytest.raises(AppError, match="no icon"):
        icon("ph.no-such-thing")


def test_no_colour_stands_outside_the_tokens() -> None:
    for path in (source_root() / "ui").rglob("*.py"):
        if path.name != "tokens.py":
            found = re.findall(r"[\"' ]#[0-9a-fA-F]{6}\b", path.read_text())
            assert not found, f"{path}: {found}"


def test_words_for_numbers() -> None:
    assert fmt.count(1204) == "1,204"
    assert fmt.count(None) == "–"
    assert [fmt.size(n) for n in (0, 999, 1500, 19_000_000, 4_260_000_000, 999_600)] == [
        "0 bytes", "999 bytes", "1.5 kB", "19 MB", "4.3 GB", "1 MB",
    ]  # fmt: skip
    assert [fmt.duration(s) for s in (0, 0.25, 4.5, 45, 130, 3600, 4320, 90_000)] == [
        "0 s", "250 ms", "4.5 s", "45 s", "2 min 10 s", "1 h", "1 h 12 min", "1 d 1 h",
    ]  # fmt: skip
    assert [fmt.time_left(s) for s in (None, 2, 47, 130, 4300)] == [
        "", "a few seconds left", "45 s left", "2 min 10 s left", "1 h 12 min left",
    ]  # fmt: skip
    assert [fmt.percent(s) for s in (0, 0.12, 0.005, 1)] == ["0%", "12%", "0.5%", "100%"]
    assert fmt.plural(1, "file") == "1 file"
    assert fmt.plural(1200, "entry", "entries") == "1,200 entries"
    assert fmt.word("needs_review") == "Needs review"


def test_moments_are_short_and_local() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert re.fullmatch(r"\d\d:\d\d", fmt.moment("2026-11-21T11:00:00.000+00:00", now=now))
    assert fmt.moment("2026-11-03T11:00:00.000+00:00", now=now) == "3 Nov"
    assert fmt.moment("2024-11-03T11:00:00.000+00:00", now=now) == "3 Nov 2024"
    assert fmt.moment(None) == "–"


def test_style_sheet_pictures_are_made_once(qtbot: QtBot, tmp_path: Path) -> None:
    from ui.qss import glyph_files

    first = glyph_files(LIGHT)
    stamps = {name: Path(path).stat().st_mtime_ns for name, path in first.items()}
    assert {name: Path(path).stat().st_mtime_ns for name, path in glyph_files(LIGHT).items()} == stamps
    assert first["check"] != glyph_files(DARK)["check"]
