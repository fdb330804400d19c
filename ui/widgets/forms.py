"""Forms: label left, help below, validation as you type, advanced folded away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ui.theme import theme
from ui.widgets.basic import Button, label, restyle

Check = Callable[[Any], str]


class SliderSpin(QWidget):
    """A slider and a spin box that say the same; `value_changed(float)`."""

    value_changed = Signal(float)

    def __init__(
        self, low: float, high: float, value: float, *, step: float = 1.0, decimals: int = 0, suffix: str = ""
    ) -> None:
        super().__init__()
        self._low, self._step = low, step
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, round((high - low) / step))
        self.spin = QDoubleSpinBox()
        self.spin.setDecimals(decimals)
        self.spin.setRange(low, high)
        self.spin.setSingleStep(step)
        self.spin.setSuffix(suffix)
        _indent(self.spin)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid + 4)
        box.addWidget(self.slider, 1)
        box.addWidget(self.spin)
        self.slider.valueChanged.connect(self._on_slider)
        self.spin.valueChanged.connect(self._on_spin)
        self.set_value(value)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.slider.setAccessibleName(f"{name}, slider")
        self.spin.setAccessibleName(name)

    def setFocus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        # A focus proxy would take the slider out of the tab order.
        self.spin.setFocus(reason)

    def value(self) -> float:
        """The number."""
        return float(self.spin.value())

    def set_value(self, value: float) -> None:
        """Another number."""
        self.spin.setValue(value)
        self._on_spin(self.spin.value())

    @Slot(int)
    def _on_slider(self, place: int) -> None:
        if round((self.spin.value() - self._low) / self._step) != place:
            self.spin.setValue(self._low + place * self._step)

    @Slot(float)
    def _on_spin(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round((value - self._low) / self._step))
        self.slider.blockSignals(False)
        self.value_changed.emit(value)


def _indent(spin: QAbstractSpinBox) -> None:
    # The style sheet's padding does not reach the text of a spin box.
    spin.lineEdit().setTextMargins(theme().sizes.half, 0, 0, 0)


def text_field(value: str = "", placeholder: str = "") -> QLineEdit:
    """One line of text."""
    out = QLineEdit(value)
    out.setPlaceholderText(placeholder)
    return out


def text_area(value: str = "", lines: int = 4) -> QPlainTextEdit:
    """Several lines of text; Tab leaves it."""
    out = QPlainTextEdit(value)
    out.setTabChangesFocus(True)
    out.setFixedHeight(lines * theme().sizes.row * 3 // 4 + theme().sizes.grid * 2)
    return out


class _Choice(QComboBox):
    """As wide as its words, up to a field's width: an endless name is elided, and widens no window."""

    def sizeHint(self) -> QSize:
        return super().sizeHint().boundedTo(QSize(theme().sizes.field, super().sizeHint().height()))

    def minimumSizeHint(self) -> QSize:
        return super().minimumSizeHint().boundedTo(QSize(theme().sizes.field, super().minimumSizeHint().height()))


def choice(options: list[tuple[str, Any]], value: Any = None) -> QComboBox:
    """One of (words, value)."""
    out = _Choice()
    for words, data in options:
        out.addItem(words, data)
    found = next((i for i, (_, data) in enumerate(options) if data == value), 0)
    out.setCurrentIndex(found)
    return out


def number(low: int, high: int, value: int, suffix: str = "") -> QSpinBox:
    """A whole number."""
    out = QSpinBox()
    out.setRange(low, high)
    out.setValue(value)
    out.setSuffix(suffix)
    _indent(out)
    return out


def field_value(field: QWidget) -> Any:
    """The value of a field."""
    if isinstance(field, QLineEdit):
        return field.text()
    if isinstance(field, QPlainTextEdit):
        return field.toPlainText()
    if isinstance(field, QComboBox):
        return field.currentData() if field.currentData() is not None else field.currentText()
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QSpinBox | QDoubleSpinBox):
        return field.value()
    own = getattr(field, "value", None)
    return own() if own is not None else None


@dataclass
class _Row:
    field: QWidget
    label: QLabel
    help: QLabel
    check: Check | None
    advanced: bool
    help_text: str
    line: int
    error: str = ""
    touched: bool = False


class Form(QWidget):
    """Rows of label, field and help. `changed()` at every edit, `valid_changed(bool)` when the verdict changes.

    `check(value)` of a row returns what is wrong, or "". An error shows once its field was edited, or after `submit`.
    `narrow` is for inspectors. A field of one's own has `value()` and `value_changed`.
    """

    changed = Signal()
    valid_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None, *, narrow: bool = False) -> None:
        super().__init__(parent)
        self._rows: dict[str, _Row] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme().sizes.grid * 2)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnMinimumWidth(0, theme().sizes.label // (2 if narrow else 1))
        self._grid.setColumnStretch(1, 1)
        self._fold: Button | None = None
        self._valid = True

    # Building

    def add(self, key: str, title: str, field: QWidget, help_text: str = "", *, check: Check | None = None) -> QWidget:
        """A row; those after `begin_advanced` are folded away. Returns the field."""
        line = self._grid.rowCount()
        name = label(title)
        name.setBuddy(field)
        below = label(help_text, "caption", wrap=True)
        below.setContentsMargins(0, 0, 0, theme().sizes.grid)
        field.setAccessibleName(title)
        field.setAccessibleDescription(help_text)
        if not field.objectName():
            field.setObjectName(f"field_{key}")
        if isinstance(field, QAbstractSpinBox | QComboBox | QSlider):
            field.installEventFilter(self)
        tall = isinstance(field, QPlainTextEdit) or isinstance(field.layout(), QVBoxLayout)
        align = Qt.AlignmentFlag.AlignTop if tall else Qt.AlignmentFlag.AlignVCenter
        self._grid.addWidget(name, line, 0, align)
        self._grid.addWidget(field, line, 1)
        self._grid.addWidget(below, line + 1, 1)
        below.setVisible(bool(help_text))
        made = _Row(field, name, below, check, self._fold is not None, help_text, line)
        self._rows[key] = made
        self._listen(key, field)
        if self._fold is not None:
            self._show_row(made, self._fold.isChecked())
        self._judge()
        return field

    def begin_advanced(self, title: str = "Advanced") -> None:
        """What follows is folded away."""
        self._fold = Button(title, "ghost", "ph.caret-right", name="advanced")
        self._fold.setCheckable(True)
        self._fold.toggled.connect(self._on_fold)
        self._grid.addWidget(self._fold, self._grid.rowCount(), 0, 1, 2, Qt.AlignmentFlag.AlignLeft)

    def _listen(self, key: str, field: QWidget) -> None:
        signals: tuple[tuple[type, str], ...] = (
            (QLineEdit, "textChanged"), (QPlainTextEdit, "textChanged"), (QComboBox, "currentIndexChanged"),
            (QCheckBox, "toggled"), (QSpinBox, "valueChanged"), (QDoubleSpinBox, "valueChanged"),
            (QWidget, "value_changed"),
        )  # fmt: skip
        for kind, signal in signals:
            if isinstance(field, kind) and hasattr(field, signal):
                getattr(field, signal).connect(lambda *_args, k=key: self._on_edited(k))
                return

    @Slot(bool)
    def _on_fold(self, shown: bool) -> None:
        if self._fold is not None:
            self._fold.set_icon("ph.caret-down" if shown else "ph.caret-right")
        for made in self._rows.values():
            if made.advanced:
                self._show_row(made, shown)

    @staticmethod
    def _show_row(made: _Row, shown: bool) -> None:
        made.label.setVisible(shown)
        made.field.setVisible(shown)
        made.help.setVisible(shown and bool(made.help.text()))

    # Values and verdicts

    def field(self, key: str) -> QWidget:
        """The field of a row."""
        return self._rows[key].field

    def values(self) -> dict[str, Any]:
        """Everything, by key."""
        return {key: field_value(made.field) for key, made in self._rows.items()}

    @property
    def valid(self) -> bool:
        """Whether every row is well."""
        return self._valid

    def set_shown(self, key: str, shown: bool) -> None:
        """Show a row, or leave it out for now."""
        self._show_row(self._rows[key], shown)

    def grow(self, key: str) -> None:
        """Give the field of this row the height that is left."""
        self._grid.setRowStretch(self._rows[key].line, 1)

    def set_help(self, key: str, text: str) -> None:
        """Other words below a field, such as a live estimate."""
        self._rows[key].help_text = text
        self._show_verdict(self._rows[key])

    def set_error(self, key: str, text: str) -> None:
        """An error from outside, such as a name that is taken; it goes when the field is edited."""
        made = self._rows[key]
        made.error, made.touched = text, True
        self._show_verdict(made)
        made.field.setFocus()

    def submit(self) -> bool:
        """Show every error; True if there is none. The first wrong field gets the focus."""
        self._judge()
        wrong = [made for made in self._rows.values() if made.error]
        for made in self._rows.values():
            made.touched = True
            self._show_verdict(made)
        if wrong:
            if wrong[0].advanced and self._fold is not None:
                self._fold.setChecked(True)
            wrong[0].field.setFocus()
        return not wrong

    def _on_edited(self, key: str) -> None:
        self._rows[key].touched = True
        self._judge()
        self.changed.emit()

    def _judge(self) -> None:
        for made in self._rows.values():
            made.error = made.check(field_value(made.field)) if made.check is not None else ""
            self._show_verdict(made)
        valid = not any(made.error for made in self._rows.values())
        if valid != self._valid:
            self._valid = valid
            self.valid_changed.emit(valid)

    def _show_verdict(self, made: _Row) -> None:
        wrong = bool(made.error) and made.touched
        text = made.error if wrong else made.help_text
        made.help.setText(text)
        made.help.setVisible(bool(text) and not made.field.isHidden())
        made.field.setAccessibleDescription(text)
        if bool(made.field.property("invalid")) != wrong:
            made.field.setProperty("invalid", wrong)
            made.help.setProperty("role", "error" if wrong else "caption")
            restyle(made.field)
            restyle(made.help)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # A wheel over a scrolled form must scroll it, not change a number the pointer happens to cross.
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False
