"""Beside the plan: who writes, what it costs and where spending stops, and what a turn is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QComboBox, QVBoxLayout, QWidget

from core.generation.create import provider_of
from core.generation.models import EFFORTS, ModelFacts
from core.generation.settings import TURNS, WHOLE, RunSettings
from core.models.store import BaseModel
from core.registries import PROVIDERS
from ui import format as fmt
from ui.dialogs.api_key import KeyState
from ui.format import usd
from ui.pages.generate.data import Priced, basis_words
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card
from ui.widgets.facts import Fact, Facts
from ui.widgets.forms import Form, number, text_field
from ui.widgets.segments import Segments

MODES = {WHOLE: "All at once", TURNS: "Turn by turn"}
EDIT_MS = 250
MOST_IN_FLIGHT = 64


class WhoWrites(Card):
    """Provider, model, effort and mode. `changed()`; `key_wanted()` when the user wants to add a key."""

    changed = Signal()
    key_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Who writes")
        self.setObjectName("who_writes")
        names = {name: provider_of(name).label for name in PROVIDERS.names()}
        self.provider = Segments(names, "Who writes", "provider")
        self.provider.chosen.connect(self._on_provider)
        self.about = label("", "caption", wrap=True, name="provider_notice")
        self.model, self.effort, self.mode = QComboBox(), QComboBox(), QComboBox()
        for box in (self.model, self.effort, self.mode):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.form = Form(narrow=True)
        self.form.add("model", "Model", self.model)
        self.form.add("effort", "Effort", self.effort)
        self.form.add("mode", "Steering", self.mode)
        self.example = QCheckBox("Send my best one")
        self.form.add("example", "Example", self.example,
                      "The best approved conversation goes to Claude, for its tone.")  # fmt: skip
        self.form.begin_advanced()
        self.in_flight = number(1, MOST_IN_FLIGHT, 8)
        self.form.add("in_flight", "Requests at once", self.in_flight, "Fewer are used where Claude asks for it.")
        self.key = label("", "caption", wrap=True, name="key_state")
        self.add_key = Button("Add API key…", "", "ph.key", on_click=self.key_wanted.emit, name="add_key")
        self.notice = label("", "error", wrap=True, name="model_notice")
        for item in (self.provider, self.about, self.form, self.notice, self.key, row(self.add_key, None)):
            self.add(item)
        self._key = KeyState("", True, False)
        self._models: Sequence[ModelFacts] = ()
        self._bases: Sequence[BaseModel] = ()
        self._default = ("", "")
        self.form.changed.connect(self._on_form)

    def set_choices(self, models: Sequence[ModelFacts], model: str, bases: Sequence[BaseModel], base_id: str) -> None:
        """What can be chosen, and what is chosen at first."""
        if (tuple(models), tuple(bases)) != (tuple(self._models), tuple(self._bases)):
            self._models, self._bases, self._default = models, bases, (model, base_id)
            self._fill()

    def choose_provider(self, name: str) -> None:
        """Another provider, as if the user had."""
        self.provider.set_current(name)
        self._on_provider(name)

    @Slot(str)
    def _on_provider(self, _name: str) -> None:
        self._fill()
        self.changed.emit()

    @Slot()
    def _on_form(self) -> None:
        self._fill_effort()
        self.changed.emit()

    def _fill(self) -> None:
        provider = provider_of(self.provider.current)
        self.about.setText(provider.notice)
        self.about.setVisible(bool(provider.notice))
        kept = self.model.currentData()
        if provider.paid:
            options = [((facts.display_name or facts.id).removeprefix("Claude "), facts.id) for facts in self._models]
        else:
            options = [(base.name, base.id) for base in self._bases]
        wanted = [kept, self._default[0 if provider.paid else 1]]
        _set_options(self.model, options, next((w for w in wanted if w in [data for _, data in options]), None))
        modes = provider.modes if provider.structured else tuple(m for m in provider.modes if m == TURNS)
        _set_options(self.mode, [(MODES[mode], mode) for mode in modes], self.mode.currentData())
        self.mode.setEnabled(len(modes) > 1)
        self.in_flight.setEnabled(provider.paid and not provider.batch)
        self.form.set_shown("example", provider.paid)
        self._show_key()
        self._fill_effort()

    def _fill_effort(self) -> None:
        paid = provider_of(self.provider.current).paid
        facts = next((f for f in self._models if f.id == self.model.currentData()), None) if paid else None
        levels = [effort for effort in EFFORTS if facts is not None and effort in facts.effort]
        options = [(effort.capitalize() if effort != "xhigh" else "Extra high", effort) for effort in levels]
        _set_options(self.effort, options or [("None", "")], self.effort.currentData())
        self.effort.setEnabled(bool(levels))

    def settings(self, cap: Decimal | None) -> RunSettings:
        """What is chosen, with that spending cap."""
        provider = provider_of(self.provider.current)
        return RunSettings(
            provider.name, str(self.model.currentData() or ""), mode=str(self.mode.currentData() or WHOLE),
            effort=str(self.effort.currentData() or ""), max_in_flight=self.in_flight.value(),
            max_cost_usd=str(cap) if cap is not None and provider.paid else None,
            use_example=self.example.isChecked() and provider.paid,
        )  # fmt: skip

    @property
    def paid(self) -> bool:
        """Whether what is chosen costs money and needs a key."""
        return provider_of(self.provider.current).paid

    def show_key(self, state: KeyState) -> None:
        """Where the key comes from, or that there is none."""
        self._key = state
        self._show_key()

    def _show_key(self) -> None:
        self.key.setText(self._key.words)
        self.key.setVisible(bool(self._key.words) and self.paid)
        self.add_key.setVisible(self.paid and self._key.can_store and not self._key.there)

    def show_notice(self, text: str) -> None:
        """What is to be known of the model: that it is retired soon."""
        self.notice.setText(text)
        self.notice.setVisible(bool(text))


def _set_options(box: QComboBox, options: Sequence[tuple[str, str]], wanted: str | None) -> None:
    box.blockSignals(True)
    box.clear()
    for words, data in options:
        box.addItem(words, data)
    box.setCurrentIndex(max(0, next((i for i, (_, data) in enumerate(options) if data == wanted), 0)))
    box.blockSignals(False)


def parse_cap(text: str) -> Decimal | None:
    """An amount of USD, None for none. Raises ValueError."""
    plain = text.strip().lstrip("$").replace(",", "")
    if not plain:
        return None
    try:
        value = Decimal(plain)
    except InvalidOperation as exc:
        raise ValueError(text) from exc
    if not value.is_finite() or value <= 0:
        raise ValueError(text)
    return value


class Price(Card):
    """The estimate and the cap. `cap_changed()`; `count_wanted()`: let Claude count the prompts for nothing.

    `follow(action)` leads to where what holds the plan can be fixed.
    """

    cap_changed = Signal()
    count_wanted = Signal()
    follow = Signal(str)

    def __init__(self) -> None:
        super().__init__("", gap=theme().sizes.half)
        self.setObjectName("price")
        self.total = label(fmt.NOTHING, "big", name="price_total")
        self.add(row(label("Price", "section"), None, self.total))
        self.basis = label("", "caption", wrap=True, name="price_basis")
        self.cap = text_field("", "No cap")
        self.cap.setObjectName("cap")
        self.form = Form(narrow=True)
        self.form.add("cap", "Spending stops at, $", self.cap, check=self._check)
        self.facts = Facts()
        self.error = label("", "error", wrap=True, name="plan_error")
        self.count = Button("Count the prompts", "link", on_click=self.count_wanted.emit, name="count_prompts",
                            tip="Claude counts the prompts of three conversations, free of charge")  # fmt: skip
        self.fix = Button("", "link", on_click=self._fix, name="fix_plan")
        self._action = ""
        for item in (self.basis, self.form, self.facts, self.error, row(self.fix, self.count, None)):
            self.add(item)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(EDIT_MS)
        self._soon.timeout.connect(self.cap_changed)
        self.form.changed.connect(self._soon.start)

    @staticmethod
    def _check(text: str) -> str:
        try:
            parse_cap(text)
        except ValueError:
            return "Enter an amount in US dollars, for example 5 or 0.50."
        return ""

    def set_cap(self, text: str) -> None:
        """The cap of the settings, unless another is being typed."""
        if not self.cap.isModified() and self.cap.text() != text:
            self.cap.setText(text)

    def _fix(self) -> None:
        self.follow.emit(self._action)

    @property
    def value(self) -> Decimal | None:
        """The cap; None without one, or while what is typed is no amount."""
        try:
            return parse_cap(self.cap.text())
        except ValueError:
            return None

    def show_price(self, priced: Priced, *, paid: bool) -> None:
        """The price of a draft, or why it can't be started."""
        found, error = priced.estimate, priced.error
        self.form.setVisible(paid)
        self.error.setText(f"{error.message} {error.hint}".strip() if error is not None else "")
        self.error.setVisible(error is not None)
        kind, _, name = (error.action if error is not None else "").partition(":")
        self._action = f"page:{name}" if kind == "page" else ""
        self.fix.setText(f"Open {fmt.word(name.partition('/')[0])}")
        self.fix.setVisible(bool(self._action))
        self.facts.setVisible(found is not None)
        self.count.setVisible(paid and found is not None and found.basis == "guessed")
        if found is None:
            self.total.setText(fmt.NOTHING)
            self.basis.setText("" if error is not None else "Add conversations to the plan to see what they cost.")
            return
        if not paid:
            self.total.setText("Free")
            self.basis.setText("Written on this computer; nothing leaves it.")
            self.facts.set_facts([Fact("Conversations", fmt.count(len(priced.draft.items))),
                                  Fact("Turns", fmt.count(priced.draft.plan().turns))])  # fmt: skip
            return
        self.total.setText(usd(found.usd))
        self.basis.setText(basis_words(found) if found.usd is not None else "This model's price is not known.")
        facts = [Fact("Requests", fmt.count(found.requests)),
                 Fact("Prompts", f"{fmt.count(found.prompt_tokens)} tokens"),
                 Fact("Replies", f"{fmt.count(found.output_tokens)} tokens")]  # fmt: skip
        if found.saved_by_cache:
            facts.append(Fact("Saved by prompt caching", usd(found.saved_by_cache)))
        if priced.batch is not None and priced.batch.usd is not None:
            facts.append(Fact("As a batch", usd(priced.batch.usd)))
        if found.prices_checked:
            when = date.fromisoformat(found.prices_checked)
            facts.append(Fact("Prices of", f"{when.day} {when:%b %Y}"))
        self.facts.set_facts(facts)


class PlanSide(QWidget):
    """The three cards."""

    def __init__(self, asked: QWidget) -> None:
        super().__init__()
        self.who, self.price = WhoWrites(), Price()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid + 4)
        for card in (self.who, self.price, asked):
            box.addWidget(card)
        box.addStretch(1)
