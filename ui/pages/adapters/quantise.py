"""The dialog that quantises a base: how many bits, under which name, and what that saves."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from core import memory
from core.inference.arbiter import base_needs
from core.models.quantise import BITS, size_after
from core.models.store import BaseModel
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.facts import Fact, Facts
from ui.widgets.forms import Form, choice, text_field

ABOUT = (
    "It becomes a base model of its own, and the original stays. It is smaller and faster, and answers a little less "
    "exactly; adapters of the original do not fit it."
)


def can_quantise(base: BaseModel) -> bool:
    """Whether it makes sense to offer it."""
    return base.trains and not base.is_practice and not base.quantization.endswith("-bit")


class QuantiseDialog(Dialog):
    """Asks for bits and name; `wanted(params, title)` when it is decided."""

    wanted = Signal(object, str)

    def __init__(self, parent: QWidget, base: BaseModel) -> None:
        super().__init__(parent, f"Quantize {base.name}")
        self.setObjectName("quantise_dialog")
        self._base = base
        self._named = ""
        self.form = Form()
        self.bits = choice([(f"{bits} bits", bits) for bits in BITS], BITS[0])
        self.form.add("bits", "Precision", self.bits, "4 bits for the smallest, 8 bits for answers almost as before.")
        self.name = text_field()
        self.form.add("name", "Name", self.name, check=lambda text: "" if text.strip() else "Enter a name.")
        self.facts = Facts()
        for part in (self.form, self.facts, label(ABOUT, "muted", wrap=True)):
            self.body.addWidget(part)
        self.set_buttons(Button("Quantize", "main", "ph.arrows-in", on_click=self._go, name="quantise_go"))
        self.form.changed.connect(self._show)
        self.setMinimumWidth(theme().sizes.field + theme().sizes.label)
        self._show()

    def _show(self) -> None:
        bits = int(self.bits.currentData())
        proposed = f"{self._base.name} {bits}-bit"
        if self.name.text() == self._named and self._named != proposed:
            self._named = proposed
            self.name.setText(proposed)
        size = size_after(self._base, bits)
        self.facts.set_facts(
            [
                Fact("Size", f"about {fmt.size(size)}, from {fmt.size(self._base.size_bytes)}"),
                Fact("In memory", f"about {fmt.size(base_needs(size))} of {fmt.size(memory.read().budget)}"),
            ]
        )
        self.hold("" if self.form.valid else "Enter a name.")

    def _go(self) -> None:
        if not self.form.submit():
            return
        params = {"base_id": self._base.id, "bits": int(self.bits.currentData()), "name": self.name.text().strip()}
        self.wanted.emit(params, f"Quantizing {self._base.name}")
        self.accept()
