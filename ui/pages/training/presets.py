"""The three presets as cards, and fields whose slider is narrower than what is accepted."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from core.training.config import PRESETS, Preset, Range
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import label
from ui.widgets.forms import SliderSpin
from ui.words.training import rate_words


class PresetCard(QPushButton):
    """A preset: its name, what it is for, and the settings that make the difference."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        config = preset.config
        self.setObjectName(f"preset_{preset.name}")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        sizes = theme().sizes
        box = QVBoxLayout(self)
        box.setContentsMargins(sizes.grid + 4, sizes.grid + 2, sizes.grid + 4, sizes.grid + 2)
        box.setSpacing(2)
        epochs, rank = fmt.plural(config.epochs, "epoch"), f"rank {config.rank}"
        words = f"{epochs} · batch {config.batch_size}", f"{rank} · rate {rate_words(config.learning_rate)}"
        for text, role in ((preset.title, "section"), (preset.purpose, "muted"), *((w, "caption") for w in words)):
            line = label(text, role)
            line.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            box.addWidget(line)
        self.setAccessibleName(f"{preset.title}: {preset.purpose}")
        self.setAccessibleDescription(", ".join(words))
        # A push button does not ask its layout how tall it must be.
        self.setMinimumHeight(box.sizeHint().height())


class PresetCards(QWidget):
    """`chosen(name)` when the user takes one; exactly one is down."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Preset")
        self._group = QButtonGroup(self)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid)
        self.cards = {name: PresetCard(preset) for name, preset in PRESETS.items()}
        for card in self.cards.values():
            self._group.addButton(card)
            box.addWidget(card, 1)
            card.clicked.connect(self._on_clicked)

    @property
    def current(self) -> str:
        """The name of the one that is down."""
        return next((name for name, card in self.cards.items() if card.isChecked()), "")

    def set_current(self, name: str) -> None:
        """Choose without a signal."""
        self.cards[name].setChecked(True)

    @Slot()
    def _on_clicked(self) -> None:
        self.chosen.emit(self.current)


class RangeField(SliderSpin):
    """A setting: the slider covers the usual values, the spin box takes any.

    What is not accepted can be typed too, so that the form can say what is wrong with it.
    """

    def __init__(self, allowed: Range, value: float) -> None:
        step = f"{allowed.step:.6f}".rstrip("0")
        decimals = len(step.partition(".")[2])
        super().__init__(allowed.slider_low, allowed.slider_high, value, step=allowed.step, decimals=decimals)
        self.spin.setRange(min(0.0, allowed.low), max(allowed.high * 10, allowed.high + 1))
        self.spin.setFixedWidth(theme().sizes.label * 3 // 4)
        self.slider.setMinimumWidth(theme().sizes.icon_large)
        self.slider.setMinimumHeight(theme().sizes.pill + theme().sizes.half)
        self.set_value(value)
