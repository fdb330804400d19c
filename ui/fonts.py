"""The application's fonts: the system's on macOS, the shipped ones elsewhere."""

from __future__ import annotations

import logging
import sys
from functools import cache
from pathlib import Path

from PySide6.QtGui import QFont, QFontDatabase, QFontMetricsF

from core.workspace.paths import resources

log = logging.getLogger(__name__)
TEXT_FILES = ("Inter-Regular.ttf", "Inter-SemiBold.ttf", "Inter-Bold.ttf")
MONO_FILES = ("JetBrainsMono-Regular.ttf",)


def load(files: tuple[str, ...], folder: Path | None = None) -> str:
    """The family that these files of `folder` (resources/fonts) make up.

    "" and a line in the log if one of them can't be read.
    """
    family = ""
    for name in files:
        path = (folder or resources() / "fonts") / name
        number = QFontDatabase.addApplicationFont(str(path))
        if number < 0:
            log.warning("the font %s can't be read; the system's is used instead", path)
            return ""
        family = family or QFontDatabase.applicationFontFamilies(number)[0]
    return family


@cache
def _text_family() -> str:
    return "" if sys.platform == "darwin" else load(TEXT_FILES)


@cache
def _mono_family() -> str:
    # Measured: QFontInfo.fixedPitch says no to a family that fontconfig knows by an alias, such as "monospace".
    metrics = QFontMetricsF(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    return "" if metrics.horizontalAdvance("i") == metrics.horizontalAdvance("M") else load(MONO_FILES)


def text_font() -> QFont:
    """The font of everything; what it has no letters for comes from the system's fonts."""
    return _font(_text_family(), QFontDatabase.SystemFont.GeneralFont)


def mono_font() -> QFont:
    """A font of fixed width: the system's, or the shipped one if there is none."""
    return _font(_mono_family(), QFontDatabase.SystemFont.FixedFont)


def _font(family: str, kind: QFontDatabase.SystemFont) -> QFont:
    font = QFontDatabase.systemFont(kind)
    if family:
        font.setFamilies([family, *font.families()])
    return font
