"""The form of a new run: what to train, a preset, the settings, and what to expect of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLineEdit, QWidget

from core.datasets.store import Dataset
from core.models.store import BaseModel
from core.training.config import (
    DEFAULT_PRESET,
    PRACTICE_OVERRIDES,
    PRESETS,
    RANGES,
    SCHEDULES,
    TARGETS,
    TrainingConfig,
    problems,
)
from core.training.estimate import Material, estimate
from ui import format as fmt
from ui.pages.training.estimate import Expectations
from ui.pages.training.presets import PresetCards, RangeField
from ui.theme import theme
from ui.widgets.basic import Button, column, label, row, scrolled
from ui.widgets.card import Card
from ui.widgets.forms import Form, choice, field_value, number, text_field
from ui.words.training import TITLES

MAIN = ("learning_rate", "batch_size", "epochs", "rank")
TYPES = {field.name: str(field.type) for field in fields(TrainingConfig)}
NAME_LENGTH = 60


@dataclass(frozen=True)
class Choices:
    """What a new run can be made of; rates are seconds a trained token, by base model."""

    datasets: tuple[Dataset, ...]
    bases: tuple[BaseModel, ...]
    default_base: str
    rates: dict[str, float | None]


@dataclass(frozen=True)
class Wanted:
    """What the form asks for."""

    name: str
    dataset_id: str
    base_model_id: str
    preset: str
    config: TrainingConfig


def typed(key: str, value: Any) -> Any:
    """A field's value as the configuration stores it."""
    kind = TYPES[key]
    return round(float(value)) if kind == "int" else float(value) if kind == "float" else value


def check_setting(key: str, value: Any) -> str:
    """What is wrong with one setting, or nothing."""
    return problems(replace(TrainingConfig(), **{key: typed(key, value)})).get(key, "")


class NewRunForm(QWidget):
    """`edited()` when what it asks for changed; the page starts the run from `wanted()`."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("new_run")
        self._choices = Choices((), (), "", {})
        self._loading = True
        self._named = False
        self.expect = Expectations()
        self.expect.practice.clicked.connect(self.use_practice_settings)
        sizes = theme().sizes
        cards = self._what(), self._presets(), self._settings()
        inner = column(*cards, None, gap=2 * sizes.grid)
        side = scrolled(self.expect)
        side.setFixedWidth(sizes.field - sizes.grid)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2 * sizes.grid)
        box.addWidget(scrolled(inner), 1)
        box.addWidget(side)
        self._loading = False
        self.apply_preset(DEFAULT_PRESET)

    # Building

    def _what(self) -> Card:
        self.what = Form()
        self.name = text_field("", "Name of the adapter")
        self.name.setMaxLength(NAME_LENGTH)
        self.name.textEdited.connect(self._on_named)
        self.dataset, self.base = choice([]), choice([])
        for combo in (self.dataset, self.base):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.what.add("dataset", "Dataset", self.dataset, check=lambda v: "" if v else "Choose a dataset.")
        self.what.add("base", "Base model", self.base, check=lambda v: "" if v else "Choose a base model.")
        self.what.add("name", "Name", self.name, check=lambda v: "" if v.strip() else "Enter a name.")
        self.what.changed.connect(self._on_what)
        return Card("What to train", self.what)

    def _presets(self) -> Card:
        self.presets = PresetCards()
        self.presets.chosen.connect(self.apply_preset)
        self.changed_from = label("", "caption", wrap=True, name="changed_from")
        self.back_to_preset = Button("Reset to preset", "link", on_click=self._reset, name="back_to_preset")
        self._changed_row = row(self.changed_from, self.back_to_preset, stretch=self.changed_from)
        return Card("Preset", self.presets, self._changed_row)

    def _settings(self) -> Card:
        self.settings = Form()
        default = TrainingConfig()
        for key in MAIN:
            self._add(key, default)
        self.settings.begin_advanced()
        options = [(text, key) for key, text in TARGETS.items()]
        self._add_choice(
            "targets", "Trained layers", options, "Layers of the base that get an adapter (target modules)."
        )
        schedules = [(text, key) for key, text in SCHEDULES.items()]
        self._add_choice("schedule", "Schedule", schedules, "How the learning rate changes after warm-up.")
        for key in RANGES:
            if key not in MAIN:
                self._add(key, default)
        self.settings.add(
            "grad_checkpoint",
            "Gradient checkpointing",
            QCheckBox("Use less memory, run slower"),
            "Recomputes activations in the backward pass instead of keeping them.",
        )
        self.settings.changed.connect(self._on_settings)
        return Card("Settings", self.settings)

    def _add(self, key: str, default: TrainingConfig) -> None:
        allowed, value = RANGES[key], getattr(default, key)
        field: QWidget = number(0, int(allowed.high), value) if key == "seed" else RangeField(allowed, value)
        self.settings.add(key, TITLES[key], field, allowed.help, check=partial(check_setting, key))

    def _add_choice(self, key: str, title: str, options: list[tuple[str, str]], help_text: str) -> None:
        combo = choice(options)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.settings.add(key, title, combo, help_text)

    # Choices

    def set_choices(self, choices: Choices, dataset_id: str = "", base_id: str = "") -> None:
        """What there is to choose from; what was chosen stays if it is still there."""
        self._choices = choices
        self._loading = True
        _fill(self.dataset, [(dataset.name, dataset.id) for dataset in choices.datasets], dataset_id)
        _fill(self.base, [(base.name, base.id) for base in choices.bases], base_id, choices.default_base)
        self._loading = False
        self._on_what()

    @property
    def chosen_dataset(self) -> Dataset | None:
        """The dataset that is chosen."""
        return next((d for d in self._choices.datasets if d.id == self.dataset.currentData()), None)

    @property
    def chosen_base(self) -> BaseModel | None:
        """The base model that is chosen."""
        return next((b for b in self._choices.bases if b.id == self.base.currentData()), None)

    # Settings

    def config(self) -> TrainingConfig:
        """What the fields say; it may be out of range."""
        return TrainingConfig(**{key: typed(key, value) for key, value in self.settings.values().items()})

    def set_config(self, config: TrainingConfig) -> None:
        """Show these settings."""
        self._loading = True
        for key, value in config.to_json().items():
            _put(self.settings.field(key), value)
        self._loading = False
        self._rank = config.rank
        self._follow()

    @Slot(str)
    def apply_preset(self, name: str) -> None:
        """All settings as the preset has them."""
        self.presets.set_current(name)
        self.set_config(PRESETS[name].config)

    def use(self, preset: str, config: TrainingConfig) -> None:
        """A preset with settings of one's own, as an earlier run had them."""
        self.presets.set_current(preset if preset in PRESETS else DEFAULT_PRESET)
        self.set_config(config)

    def _reset(self) -> None:
        self.apply_preset(self.presets.current)

    @Slot()
    def use_practice_settings(self) -> None:
        """Settings whose effect can be seen on a model as small as the practice model."""
        self.set_config(replace(self.config(), **PRACTICE_OVERRIDES))

    @Slot()
    def _on_settings(self) -> None:
        if self._loading:
            return
        config = self.config()
        # A preset's alpha is twice its rank; that applies until someone sets alpha itself.
        if config.rank != self._rank and config.alpha == 2 * self._rank:
            self._loading = True
            _put(self.settings.field("alpha"), 2 * config.rank)
            self._loading = False
        self._rank = config.rank
        self._follow()

    def _on_named(self, _text: str) -> None:
        self._named = True

    @Slot()
    def _on_what(self) -> None:
        if self._loading:
            return
        self._follow()

    # Following

    def _follow(self) -> None:
        dataset, base, config = self.chosen_dataset, self.chosen_base, self.config()
        preset = PRESETS[self.presets.current]
        changed = [key for key, value in config.to_json().items() if value != getattr(preset.config, key)]
        words = ", ".join(_title(key).lower() for key in changed)
        self.changed_from.setText(f"Changed from {preset.title}: {words}")
        self._changed_row.setVisible(bool(changed))
        if dataset is not None and not self._named:
            self._loading = True
            self.name.setText(f"{dataset.name}, {preset.title.lower()}"[:NAME_LENGTH])
            self._loading = False
        self.what.set_help("dataset", _dataset_words(dataset))
        self.what.set_help("base", _base_words(base))
        self._estimate(dataset, base, config)
        visible = base is not None and base.is_practice
        done = all(getattr(config, key) == value for key, value in PRACTICE_OVERRIDES.items())
        self.expect.show_practice(visible, done)
        self.edited.emit()

    def _estimate(self, dataset: Dataset | None, base: BaseModel | None, config: TrainingConfig) -> None:
        if dataset is None or problems(config):
            self.expect.show_nothing("Choose a dataset." if dataset is None else "A setting is out of range.")
            return
        material = Material(
            dataset.total_conversations, dataset.total_validation_conversations,
            dataset.stats.get("supervised_tokens"),
        )  # fmt: skip
        rate = self._choices.rates.get(base.id) if base is not None else None
        self.expect.show_estimate(estimate(config, material, rate, self.presets.current), material)

    # Asking

    def submit(self) -> bool:
        """Show what is wrong; True if nothing is."""
        return self.what.submit() and self.settings.submit()

    @property
    def valid(self) -> bool:
        """Whether a run could start."""
        return self.what.valid and self.settings.valid

    def wanted(self) -> Wanted:
        """What the fields ask for."""
        return Wanted(
            " ".join(self.name.text().split()), self.dataset.currentData(), self.base.currentData(),
            self.presets.current, self.config(),
        )  # fmt: skip

    def renew(self) -> None:
        """Ready for another run: a name of its own again."""
        self._named = False
        self.apply_preset(DEFAULT_PRESET)


def _fill(combo: QComboBox, rows: Sequence[tuple[str, str]], wanted: str, default: str = "") -> None:
    keep = wanted or combo.currentData() or default
    combo.blockSignals(True)
    combo.clear()
    for text, data in rows:
        combo.addItem(text, data)
    combo.setCurrentIndex(max(0, combo.findData(keep)) if rows else -1)
    combo.blockSignals(False)


def _put(field: QWidget, value: Any) -> None:
    if field_value(field) == value:
        return
    if isinstance(field, QComboBox):
        field.setCurrentIndex(field.findData(value))
    elif isinstance(field, QCheckBox):
        field.setChecked(bool(value))
    elif isinstance(field, RangeField):
        field.set_value(value)
    elif isinstance(field, QLineEdit):
        field.setText(value)
    else:
        field.setValue(value)  # type: ignore[attr-defined]


def _title(key: str) -> str:
    return TITLES.get(key) or {"targets": "Trained layers", "schedule": "Schedule"}.get(key, "Gradient checkpointing")


def _dataset_words(dataset: Dataset | None) -> str:
    if dataset is None:
        return "Only ready datasets can be trained on."
    validation = fmt.count(dataset.total_validation_conversations)
    tokens = f" · {fmt.count(dataset.total_tokens)} tokens" if dataset.total_tokens is not None else ""
    return f"{fmt.plural(dataset.total_conversations, 'conversation')}, {validation} for validation{tokens}"


def _base_words(base: BaseModel | None) -> str:
    if base is None:
        return "Add a base model on the Adapters page."
    kind = "Practice model, for trying things out" if base.is_practice else base.architecture
    return f"{kind} · {fmt.size(base.size_bytes)} · up to {fmt.count(base.context_length)} tokens"
