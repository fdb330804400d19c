"""The style sheet, generated from tokens and sizes."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from pathlib import Path

from core.workspace.files import atomic_write
from core.workspace.paths import user_data
from ui.tokens import Sizes, Tokens

_GLYPHS = {
    "down": '<path d="M3 6 L8 11 L13 6" fill="none" stroke="{c}" stroke-width="1.5" stroke-linecap="round"/>',
    "up": '<path d="M3 10 L8 5 L13 10" fill="none" stroke="{c}" stroke-width="1.5" stroke-linecap="round"/>',
    "check": '<path d="M3 8.5 L6.5 12 L13 4.5" fill="none" stroke="{o}" stroke-width="2" stroke-linecap="round"/>',
    "dash": '<path d="M4 8 L12 8" fill="none" stroke="{o}" stroke-width="2" stroke-linecap="round"/>',
    "dot": '<circle cx="8" cy="8" r="4" fill="{o}"/>',
}


def glyph_files(t: Tokens) -> dict[str, str]:
    """Small pictures that a style sheet can only take from files; written once a set of colours."""
    folder = user_data() / "theme" / hashlib.sha256(repr(astuple(t)).encode()).hexdigest()[:12]
    out = {}
    for name, body in _GLYPHS.items():
        path = folder / f"{name}.svg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">{body}</svg>'
            atomic_write(path, svg.format(c=t.muted, o=t.on).encode())
        out[name] = Path(path).as_posix()
    return out


def style_sheet(t: Tokens, s: Sizes) -> str:
    """Everything, for the application."""
    glyphs = glyph_files(t)
    return "\n".join((_surfaces(t, s), _text(t, s), _buttons(t, s), _fields(t, s, glyphs), _checks(t, s, glyphs),
                      _lists(t, s, glyphs), _small_parts(t, s)))  # fmt: skip


def _surfaces(t: Tokens, s: Sizes) -> str:
    return f"""
    QMainWindow, QDialog, QWidget#page, QWidget#centre {{ background: {t.bg}; }}
    QWidget#sidebar {{ background: {t.side}; border-right: 1px solid {t.line}; }}
    QWidget#tray {{ background: {t.card}; border-top: 1px solid {t.line}; }}
    QFrame[role=card] {{ background: {t.card}; border: 1px solid {t.line}; border-radius: {s.radius}px; }}
    QFrame[role=tint] {{ background: {t.tint}; border-radius: {s.radius}px; }}
    QFrame[role=code] {{ background: {t.side}; border-radius: {s.radius_control}px; }}
    QFrame[role=rule] {{ background: {t.line}; max-height: 1px; border: none; }}
    QFrame[role=banner] {{ border-radius: {s.radius}px; border: 1px solid {t.line}; background: {t.card}; }}
    QFrame[role=banner][kind=bad] {{ background: {t.badbg}; border-color: {t.bad}; }}
    QFrame[role=banner][kind=warn] {{ background: {t.warnbg}; border-color: {t.warn}; }}
    QFrame[role=banner][kind=ok] {{ background: {t.okbg}; border-color: {t.ok}; }}
    QFrame[role=banner][kind=info] {{ background: {t.infobg}; border-color: {t.info}; }}
    QListView[role=cards] {{ background: transparent; border: 1px solid transparent; padding: 1px; }}
    QPlainTextEdit[role=source] {{ background: {t.side}; border: 1px solid transparent; padding: 0; }}
    QFrame[role=palette] {{ background: {t.card}; border: 1px solid {t.edge}; border-radius: {s.radius}px; }}
    QFrame[role=palette] QListView {{ border: none; }}
    QFrame[role=toast] {{ background: {t.text}; border-radius: {s.radius}px; }}
    QFrame[role=toast] QLabel {{ color: {t.bg}; }}
    QFrame[role=toast] QPushButton {{ background: transparent; border: none; color: {t.bg}; font-weight: 600;
        text-decoration: underline; padding: {s.half}px; }}
    QFrame[role=toast] QPushButton:focus {{ border: 1px solid {t.bg}; }}
    QScrollArea, QScrollArea > QWidget > QWidget#scrolled {{ background: transparent; border: none; }}
    ScrollColumn, Transcript {{ border: 1px solid transparent; border-radius: {s.radius_control}px; }}
    ScrollColumn:focus, Transcript:focus {{ border: 1px solid {t.accent}; }}
    QToolTip {{ background: {t.card}; color: {t.text}; border: 1px solid {t.edge}; padding: {s.half}px; }}
    QSplitter::handle {{ background: transparent; }}
    QSplitter::handle:hover {{ background: {t.line}; }}
    """


def _text(t: Tokens, s: Sizes) -> str:
    return f"""
    QLabel {{ color: {t.text}; background: transparent; }}
    QLabel[role=caption] {{ color: {t.muted}; font-size: {s.caption}px; }}
    QLabel[role=muted] {{ color: {t.muted}; }}
    QLabel[role=title] {{ font-size: {s.title}px; font-weight: 600; }}
    QLabel[role=section] {{ font-size: {s.section}px; font-weight: 600; }}
    QLabel[role=strong] {{ font-weight: 600; }}
    QLabel[role=big] {{ font-size: {s.big}px; font-weight: 600; }}
    QLabel[role=error] {{ color: {t.bad}; font-size: {s.caption}px; }}
    QLabel[role=group] {{ color: {t.muted}; font-size: {s.caption}px; font-weight: 600;
        padding: {s.grid + 2}px {s.grid + 4}px 2px {s.grid + 4}px; }}
    """


def _buttons(t: Tokens, s: Sizes) -> str:
    pad = f"{s.half + 1}px {s.grid + 4}px"
    return f"""
    QPushButton {{ background: {t.card}; border: 1px solid {t.edge}; border-radius: {s.radius_control}px;
        padding: {pad}; color: {t.text}; outline: none; }}
    QPushButton:hover {{ background: {t.hover}; }}
    QPushButton:pressed {{ background: {t.tint}; }}
    QPushButton:focus {{ border: 1px solid {t.accent}; }}
    QPushButton:disabled {{ color: {t.faint}; border-color: {t.line}; }}
    QPushButton:checked {{ background: {t.tint}; border-color: {t.accent}; }}
    QPushButton:checked:focus {{ border: 2px solid {t.text}; }}
    QPushButton[role=main] {{ background: {t.accent}; border: 1px solid {t.accent}; color: {t.on}; font-weight: 600; }}
    QPushButton[role=main]:hover, QPushButton[role=main]:pressed {{ background: {t.accent_hover}; }}
    QPushButton[role=main]:focus {{ border: 2px solid {t.text}; padding: {s.half}px {s.grid + 3}px; }}
    QPushButton[role=main]:disabled {{ background: {t.line}; border-color: {t.line}; color: {t.muted}; }}
    QPushButton[role=danger] {{ color: {t.bad}; }}
    QPushButton[role=ghost] {{ background: transparent; border: 1px solid transparent; color: {t.muted};
        padding: {s.half}px {s.grid - 2}px; }}
    QPushButton[role=ghost]:hover {{ color: {t.text}; background: {t.hover}; }}
    QPushButton[role=ghost]:focus {{ border: 1px solid {t.accent}; }}
    QPushButton[role=header] {{ background: {t.card}; border: 1px solid transparent; border-bottom-color: {t.line};
        border-radius: 0; padding: 0; }}
    QPushButton[role=header]:hover {{ background: {t.hover}; }}
    QPushButton[role=header]:focus {{ border: 1px solid {t.accent}; }}
    QPushButton[role=link] {{ background: transparent; border: 1px solid transparent; color: {t.accent};
        padding: {s.half}px 2px; text-align: left; }}
    QPushButton[role=link]:hover {{ text-decoration: underline; }}
    QPushButton[role=link]:focus {{ border: 1px solid {t.accent}; }}
    QPushButton[role=chip] {{ background: {t.tint}; border: 1px solid {t.tint}; border-radius: {s.pill // 2}px;
        padding: 0 {s.grid + 1}px; min-height: {s.pill}px; max-height: {s.pill}px; }}
    QPushButton[role=chip]:hover, QPushButton[role=chip]:focus {{ border-color: {t.accent}; }}
    QPushButton[role=chip]:checked {{ background: {t.accent}; border-color: {t.accent}; color: {t.on};
        font-weight: 600; }}
    QPushButton[role=chip]:checked:focus {{ border: 1px solid {t.text}; }}
    QPushButton[role=nav] {{ background: transparent; border: 1px solid transparent; text-align: left;
        padding: {s.half + 1}px {s.grid + 2}px; border-radius: {s.radius_control}px; }}
    QPushButton[role=nav]:hover {{ background: {t.hover}; }}
    QPushButton[role=nav]:checked {{ background: {t.tint}; font-weight: 600; }}
    QPushButton[role=nav]:focus, QPushButton[role=nav]:checked:focus {{ border: 1px solid {t.accent}; }}
    """


def _fields(t: Tokens, s: Sizes, g: dict[str, str]) -> str:
    fields = "QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox, QPlainTextEdit, QTextEdit, QTextBrowser"
    focused = ", ".join(f"{name.strip()}:focus" for name in fields.split(","))
    off = ", ".join(f"{name.strip()}:disabled" for name in fields.split(","))
    return f"""
    {fields} {{ background: {t.card}; border: 1px solid {t.edge}; border-radius: {s.radius_control}px;
        padding: {s.half}px {s.grid}px; color: {t.text}; selection-background-color: {t.accent};
        selection-color: {t.on}; }}
    {focused} {{ border: 1px solid {t.accent}; }}
    {off} {{ color: {t.faint}; background: {t.bg}; }}
    *[invalid=true] {{ border: 1px solid {t.bad}; }}
    QComboBox::drop-down {{ border: none; width: {s.row - 6}px; }}
    QComboBox::down-arrow {{ image: url("{g["down"]}"); width: {s.caption}px; height: {s.caption}px; }}
    QComboBox QAbstractItemView {{ background: {t.card}; border: 1px solid {t.edge}; padding: {s.half}px;
        selection-background-color: {t.tint}; selection-color: {t.text}; outline: 0; }}
    QComboBox QAbstractItemView::item {{ min-height: {s.row - 4}px; padding: 0 {s.half}px; }}
    QSpinBox::up-button, QDoubleSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::down-button {{
        border: none; background: transparent; width: {s.pill}px; }}
    QSpinBox::up-arrow, QDoubleSpinBox::up-arrow {{ image: url("{g["up"]}"); width: {s.caption - 2}px; }}
    QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {{ image: url("{g["down"]}"); width: {s.caption - 2}px; }}
    QSpinBox, QDoubleSpinBox {{ padding: {s.half}px {s.half}px {s.half}px {s.half}px; min-height: {s.pill - 2}px; }}
    QSlider::groove:horizontal {{ height: {s.half}px; background: {t.line}; border-radius: {s.half // 2}px; }}
    QSlider::sub-page:horizontal {{ background: {t.accent}; border-radius: {s.half // 2}px; }}
    QSlider::handle:horizontal {{ background: {t.card}; border: 2px solid {t.accent}; width: {s.base - 1}px;
        height: {s.base - 1}px; margin: -{s.half + 2}px 0; border-radius: {(s.base + 3) // 2}px; }}
    QSlider::handle:horizontal:focus {{ background: {t.accent}; }}
    """


def _checks(t: Tokens, s: Sizes, g: dict[str, str]) -> str:
    size = s.base + 1
    return f"""
    QCheckBox, QRadioButton {{ spacing: {s.grid}px; color: {t.text}; background: transparent; }}
    QCheckBox:disabled, QRadioButton:disabled {{ color: {t.faint}; }}
    QCheckBox::indicator, QRadioButton::indicator {{ width: {size}px; height: {size}px; background: {t.card};
        border: 1px solid {t.muted}; }}
    QCheckBox::indicator {{ border-radius: 3px; }}
    QRadioButton::indicator {{ border-radius: {(size + 2) // 2}px; }}
    QCheckBox::indicator:checked, QRadioButton::indicator:checked, QCheckBox::indicator:indeterminate {{
        background: {t.accent}; border: 1px solid {t.accent}; }}
    QCheckBox::indicator:checked {{ image: url("{g["check"]}"); }}
    QCheckBox::indicator:indeterminate {{ image: url("{g["dash"]}"); }}
    QRadioButton::indicator:checked {{ image: url("{g["dot"]}"); }}
    QCheckBox:focus, QRadioButton:focus {{ color: {t.accent}; }}
    QCheckBox::indicator:focus, QRadioButton::indicator:focus {{ border: 2px solid {t.accent}; }}
    """


def _lists(t: Tokens, s: Sizes, g: dict[str, str]) -> str:
    return f"""
    QTableView, QListView, QTreeView {{ background: {t.card}; border: 1px solid {t.line}; border-radius: {s.radius}px;
        selection-background-color: {t.tint}; selection-color: {t.text}; color: {t.text}; outline: 0;
        gridline-color: transparent; }}
    QTableView:focus, QListView:focus, QTreeView:focus {{ border: 1px solid {t.accent}; }}
    QTableView::item {{ border: none; padding: 0 {s.grid}px; }}
    QListView::item, QTreeView::item {{ min-height: {s.row}px; padding: 0 {s.grid}px; }}
    QHeaderView {{ background: {t.card}; border: none; border-radius: {s.radius}px; font-size: {s.caption}px;
        font-weight: 600; }}
    QHeaderView::section {{ background: {t.card}; color: {t.muted}; border: none;
        border-bottom: 1px solid {t.line}; padding: {s.half + 2}px {s.grid}px; }}
    QHeaderView::up-arrow, QHeaderView::down-arrow {{ width: {s.base - 1}px; height: {s.caption - 1}px; }}
    QHeaderView::up-arrow {{ image: url("{g["up"]}"); }}
    QHeaderView::down-arrow {{ image: url("{g["down"]}"); }}
    QHeaderView::section:first {{ border-top-left-radius: {s.radius}px; }}
    QHeaderView::section:last {{ border-top-right-radius: {s.radius}px; }}
    QTableCornerButton::section {{ background: {t.card}; border: none; }}
    QTabWidget::pane {{ border: none; }}
    QTabBar {{ qproperty-drawBase: 0; background: transparent; }}
    QTabBar::tab {{ background: transparent; color: {t.muted}; padding: {s.half + 2}px {s.grid + 2}px;
        border: none; border-bottom: 2px solid transparent; }}
    QTabBar::tab:selected {{ color: {t.text}; border-bottom: 2px solid {t.accent}; font-weight: 600; }}
    QTabBar::tab:hover, QTabBar::tab:focus {{ color: {t.accent}; }}
    """


def _small_parts(t: Tokens, s: Sizes) -> str:
    return f"""
    QProgressBar {{ background: {t.line}; border: none; border-radius: {s.bar // 2}px; max-height: {s.bar}px;
        min-height: {s.bar}px; }}
    QProgressBar::chunk {{ background: {t.accent}; border-radius: {s.bar // 2}px; }}
    QMenuBar {{ background: {t.side}; color: {t.text}; border-bottom: 1px solid {t.line}; }}
    QMenuBar::item {{ padding: {s.half}px {s.grid}px; background: transparent; }}
    QMenuBar::item:selected {{ background: {t.tint}; }}
    QMenu {{ background: {t.card}; border: 1px solid {t.edge}; padding: {s.half}px; color: {t.text}; }}
    QMenu::item {{ padding: {s.half + 1}px {s.margin}px {s.half + 1}px {s.grid + 4}px; border-radius: {s.half}px; }}
    QMenu::item:selected {{ background: {t.tint}; }}
    QMenu::item:disabled {{ color: {t.faint}; }}
    QMenu::separator {{ height: 1px; background: {t.line}; margin: {s.half}px {s.grid}px; }}
    QAbstractScrollArea::corner {{ background: transparent; border: none; }}
    QScrollBar:vertical {{ background: transparent; width: {s.grid + 2}px; margin: 2px; }}
    QScrollBar:horizontal {{ background: transparent; height: {s.grid + 2}px; margin: 2px; }}
    QScrollBar::handle {{ background: {t.edge}; border-radius: {s.half - 1}px; min-height: {s.row}px;
        min-width: {s.row}px; }}
    QScrollBar::handle:hover {{ background: {t.faint}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    """
