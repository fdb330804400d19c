"""The theme in force: tokens, sizes, palette, style sheet, fonts; light, dark or as the system has it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from ui.fonts import mono_font, text_font
from ui.qss import style_sheet
from ui.tokens import DARK, LIGHT, Sizes, Tokens

MODES = ("system", "light", "dark")
NATURAL = 100
SAMPLE = "The quick brown fox jumps over the lazy dog 0123456789"
SCALES = (0.9, 1.0, 1.15, 1.3, 1.5, 2.0)


class Theme(QObject):
    """Lives in the GUI thread, one an application. `changed()` follows every change of colours or sizes."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.mode = "system"
        self.scale = 1.0
        self.stretch = NATURAL
        self.tokens: Tokens = LIGHT
        self.sizes = Sizes()
        self._applied: tuple[str, float, int] | None = None
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(self._on_system_changed)

    def set_mode(self, mode: str) -> None:
        """ "light", "dark", or "system"; anything else reads as the last."""
        self.mode = mode if mode in MODES else "system"
        hints = QGuiApplication.styleHints()
        if self.mode == "system":
            hints.unsetColorScheme()
        else:
            scheme = Qt.ColorScheme.Dark if self.mode == "dark" else Qt.ColorScheme.Light
            hints.setColorScheme(scheme)
        self._apply()

    def set_scale(self, scale: float) -> None:
        """Font scale: everything grows with it."""
        self.scale = min(max(scale, SCALES[0]), SCALES[-1])
        self._apply()

    def set_stretch(self, percent: int) -> None:
        """A font wider or narrower than its own: whoever checks widths asks for it, users don't."""
        self.stretch = percent
        self._apply()

    @Slot()
    def _on_system_changed(self) -> None:
        if self.mode == "system":
            self._apply()

    def _wanted(self) -> Tokens:
        if self.mode != "system":
            return DARK if self.mode == "dark" else LIGHT
        return DARK if QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark else LIGHT

    def _apply(self) -> None:
        app = QApplication.instance()
        self.tokens = self._wanted()
        key = (self.tokens.name, self.scale, self.stretch)
        if key == self._applied or not isinstance(app, QApplication):
            return
        self._applied = key
        self.sizes = Sizes().scaled(self.scale, self._character())
        # Qt replaces a sheet widget by widget, and far slower than it takes one off and puts one on.
        app.setStyleSheet("")
        # Only now: a sheet wraps the style, which has no name then.
        if app.style() is None or app.style().objectName() != "fusion":
            app.setStyle("Fusion")
        app.setPalette(palette(self.tokens))
        app.setFont(self.font())
        app.setStyleSheet(style_sheet(self.tokens, self.sizes))
        self.changed.emit()

    def font(self, size: int = 0, *, bold: bool = False, tabular: bool = False) -> QFont:
        """The application's font at a size of `sizes`; `tabular` gives figures of one width."""
        font = text_font()
        font.setPixelSize(size or self.sizes.base)
        self._widen(font)
        if bold:
            font.setWeight(QFont.Weight.DemiBold)
        if tabular:
            font.setFeature(QFont.Tag("tnum"), 1)
        return font

    def mono(self, size: int = 0) -> QFont:
        """The application's font of fixed width."""
        font = mono_font()
        font.setPixelSize(size or self.sizes.base - 1)
        self._widen(font)
        return font

    def _widen(self, font: QFont) -> None:
        if self.stretch != NATURAL:
            font.setStretch(self.stretch)

    def _character(self) -> float:
        return QFontMetricsF(self.font(round(Sizes().base * self.scale))).horizontalAdvance(SAMPLE) / len(SAMPLE)

    def colour(self, name: str) -> QColor:
        """A token by its name."""
        return QColor(getattr(self.tokens, name))


def palette(t: Tokens) -> QPalette:
    """Always our own: the system's would mix with the style sheet."""
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    out = QPalette()
    for which, colour in (
        (role.Window, t.bg), (role.WindowText, t.text), (role.Base, t.card), (role.AlternateBase, t.bg),
        (role.Text, t.text), (role.Button, t.card), (role.ButtonText, t.text), (role.BrightText, t.bad),
        (role.Highlight, t.accent), (role.HighlightedText, t.on), (role.Link, t.accent), (role.LinkVisited, t.accent),
        (role.ToolTipBase, t.card), (role.ToolTipText, t.text), (role.PlaceholderText, t.muted),
        (role.Light, t.card), (role.Midlight, t.line), (role.Mid, t.edge), (role.Dark, t.muted), (role.Shadow, t.line),
        (role.Accent, t.accent),
    ):  # fmt: skip
        out.setColor(which, QColor(colour))
    for which in (role.Text, role.WindowText, role.ButtonText):
        out.setColor(group.Disabled, which, QColor(t.faint))
    return out


_theme: Theme | None = None


def theme() -> Theme:
    """The application's theme; made on first use, when there is a QApplication."""
    global _theme
    if _theme is None:
        _theme = Theme()
    return _theme
