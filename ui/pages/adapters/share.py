"""The dialog that makes an adapter a model in Ollama: over which base, under which name, linked or as one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from core.adapters.shares import NAME, Share, name_for
from core.errors import AppError
from core.inference.ollama.seen import FUSED
from core.models.store import BaseModel
from core.training.store import Adapter
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.basic import Button, label
from ui.widgets.code_block import CodeBlock
from ui.widgets.forms import Form, choice, text_field
from ui.widgets.markdown import Block
from ui.widgets.scroll import ScrollColumn

LINKED, MODELFILE = "linked", "Modelfile"
ABOUT = (
    "Other programs can use it then. Five fixed questions are answered by both before it counts as done; where the "
    "answers differ it is taken out again."
)
BAD_NAME = "Small letters, digits, dots and dashes, beginning with a letter or a digit."


def no_base(adapter: Adapter) -> AppError:
    """Nothing in Ollama is the model that it was trained on."""
    return AppError(
        "no_base_in_ollama", f"No base in Ollama is the model that {adapter.name} was trained on.",
        hint=f"Use {adapter.base_name} from Ollama as a base first: the button Ollama… pulls it or takes it.",
    )  # fmt: skip


def shared_words(shares: Sequence[Share]) -> str:
    """Under which names an adapter is in Ollama; empty where it isn't."""
    return ", ".join(
        f"{one.name} ({'one file' if one.way == FUSED else 'linked'}, {one.same} of {one.asked} answers the same)"
        if one.is_current else f"{one.name} (out of date: share it again)"
        for one in shares
    )  # fmt: skip


class ShareDialog(Dialog):
    """`wanted(params, title)` when it is decided, `preview_wanted(params)` before; `address` is where Ollama is."""

    wanted = Signal(object, str)
    preview_wanted = Signal(object)

    def __init__(
        self, parent: QWidget, adapter: Adapter, bases: Sequence[BaseModel], address: str, earlier: Sequence[Share]
    ) -> None:
        super().__init__(parent, f"Share {adapter.name} to Ollama")
        self.setObjectName("share_dialog")
        self._adapter, self._bases, self._address = adapter, list(bases), address
        self.form = Form()
        self.base = choice([(base.name, base.id) for base in bases])
        self.form.add("share_base", "Base", self.base, "The model of Ollama's that it is added to.")
        self.name = text_field(earlier[0].name.removesuffix(":latest") if earlier else name_for(adapter.name))
        self.form.add("share_name", "Name", self.name, "What it is called in Ollama.",
                      check=lambda text: "" if NAME.fullmatch(str(text).strip()) else BAD_NAME)  # fmt: skip
        self.way = choice([(self._words(LINKED), LINKED), (self._words(FUSED), FUSED)])
        self.form.add("share_way", "How", self.way, "Linked takes little room and needs the base to stay in Ollama.")
        self.preview = Button("Preview the Modelfile", "", "ph.eye", on_click=self._ask_preview, name="share_preview")
        self.modelfile = CodeBlock(Block("code", "", language=MODELFILE))
        self._place = ScrollColumn(self.modelfile, name="modelfile_place", accessible="The Modelfile")
        self._place.setMinimumHeight(6 * theme().sizes.row)
        self._place.hide()
        self._asking = False
        self.refusal = label("", "muted", wrap=True, name="preview_refusal")
        self.refusal.hide()
        for part in (self.form, label(ABOUT, "muted", wrap=True), self.refusal):
            self.body.addWidget(part)
        self.body.addWidget(self._place, 1)
        go = Button("Share", "main", "ph.share-network", on_click=self._go, name="share_go")
        self.set_buttons(go, self.preview)
        self.form.changed.connect(self._judge)
        self.base.currentIndexChanged.connect(self._on_base)
        for chosen in (self.base, self.way):
            chosen.currentIndexChanged.connect(self._forget_preview)
        self.setMinimumWidth(theme().sizes.field + theme().sizes.label)
        self._judge()

    @property
    def _chosen(self) -> BaseModel:
        return next(base for base in self._bases if base.id == self.base.currentData())

    def _words(self, way: str) -> str:
        if way == LINKED:
            return f"Linked, {fmt.size(self._adapter.size_bytes)}"
        return f"As one file, about {fmt.size(self._chosen.size_bytes)}"

    def _forget_preview(self) -> None:
        self._place.hide()
        self.refusal.hide()

    def _on_base(self) -> None:
        self.way.setItemText(self.way.findData(FUSED), self._words(FUSED))

    def _ask_preview(self) -> None:
        # It stays enabled: the focus of a button that is not goes to Cancel, and Enter with it.
        if not self._asking:
            self._asking = True
            self.preview_wanted.emit(self._params)

    def show_preview(self, asked: Mapping[str, Any], text: str, refusal: str = "") -> None:
        """The Modelfile that was asked for, or why there is none; one for other choices than by now is not shown."""
        self._asking = False
        if (asked["base_id"], asked["fused"]) != (self._params["base_id"], self._params["fused"]):
            return
        self.modelfile.show_block(Block("code", text.rstrip(), language=MODELFILE))
        self._place.setVisible(bool(text))
        self.refusal.setText(refusal)
        self.refusal.setVisible(bool(refusal))
        # Once the layout knows of it.
        self.fit_soon()

    def _judge(self) -> None:
        self.hold("" if self.form.valid else "Correct what is marked first.")

    @property
    def _params(self) -> dict[str, Any]:
        return {
            "adapter_id": self._adapter.id, "base_id": self._chosen.id, "name": self.name.text().strip(),
            "address": self._address, "fused": self.way.currentData() == FUSED,
        }  # fmt: skip

    def _go(self) -> None:
        if self.form.submit():
            self.wanted.emit(self._params, f"Sharing {self._adapter.name}")
            self.accept()
