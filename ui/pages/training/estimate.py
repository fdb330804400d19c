"""Beside the form: what the run will take, and what to expect of it."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.training.estimate import Estimate, Material
from ui import format as fmt
from ui.models.rows import Status
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.facts import Fact, Facts

UNMEASURED = "Not yet measured on this machine"
EFFECTS = {"small": Status("warn", "Small effect"), "moderate": Status("info", "Some effect"),
           "clear": Status("ok", "Clear effect")}  # fmt: skip


class Expectations(QWidget):
    """Steps, tokens, duration, a verdict in words; and the way out when the practice model hardly moves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        sizes = theme().sizes
        self.steps = label("–", "big", name="expect_steps")
        self.formula = label("", "caption", wrap=True, name="expect_formula")
        self.facts = Facts()
        self.facts.setObjectName("expect_facts")
        self.effect = StatusPill(Status("neutral", ""))
        self.verdict = label("", wrap=True, name="expect_verdict")
        self.warnings = label("", "muted", wrap=True, name="expect_warnings")
        self._estimate = Card(
            "What to expect", label("Steps", "caption"), self.steps, self.formula, self.facts, row(self.effect, None),
            self.verdict, self.warnings,
        )  # fmt: skip
        self.practice = Button("Use settings with a visible effect", "", "ph.magic-wand", name="practice_settings")
        self._hint = label(
            "The practice model is tiny; the presets hardly change it. These settings are within the accepted range "
            "and show an effect.", "muted", wrap=True,
        )  # fmt: skip
        self._practice = Card("Trying things out", self._hint, self.practice)
        self._practice.setObjectName("practice_hint")
        self.setMaximumWidth(sizes.inspector)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2 * sizes.grid)
        box.addWidget(self._estimate)
        box.addWidget(self._practice)
        box.addStretch(1)

    def show_estimate(self, found: Estimate, material: Material) -> None:
        """Numbers for what the form says now."""
        self.steps.setText(fmt.count(found.steps))
        per = f"{fmt.plural(found.steps_per_epoch, 'step')} per epoch"
        self.formula.setText(f"{per}, from {fmt.plural(material.training, 'training conversation')}")
        about = f"about {fmt.duration(found.seconds)}" if found.seconds is not None else UNMEASURED
        self.facts.show()
        self.facts.set_facts(
            [
                Fact("Tokens to train", fmt.count(found.tokens) if found.tokens is not None else "Not counted"),
                Fact("Duration", about),
                Fact("Validation", fmt.plural(material.validation, "conversation")),
            ]
        )
        self.effect.set_status(EFFECTS[found.effect])
        self.effect.show()
        self.verdict.setText(found.verdict)
        self.warnings.setText("\n".join(found.warnings))
        self.warnings.setVisible(bool(found.warnings))

    def show_nothing(self, why: str) -> None:
        """There is nothing to reckon with."""
        self.steps.setText(fmt.NOTHING)
        self.formula.setText("")
        self.facts.hide()
        self.effect.hide()
        self.verdict.setText(why)
        self.warnings.hide()

    def show_practice(self, visible: bool, used: bool) -> None:
        """Offer the practice settings while the base is the practice model."""
        self._practice.setVisible(visible)
        self.practice.setEnabled(not used)
        self.practice.setText("These settings are in use" if used else "Use settings with a visible effect")
