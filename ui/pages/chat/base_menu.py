"""A small button beside the base's pill, for choosing another base; there only when there is a choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMenu

from core.models.store import BaseModel
from core.training.store import Adapter
from ui.theme import theme
from ui.widgets.banner import Action, Banner
from ui.widgets.basic import Button

BASE_TOPIC = "base"


def left_behind(adapter: Adapter, base: BaseModel, back: Action) -> Banner:
    """Why the adapter of a conversation does not answer on another base, with the way back."""
    why = f"It was trained on {adapter.base_name}, which is another model."
    if base.served:
        why = f"Ollama answers with {base.name} itself and takes no adapters."
    return Banner(
        "info", f"{adapter.name} does not answer on {base.name}; the base answers for itself.", why, action=back,
        topic=BASE_TOPIC,
    )  # fmt: skip


class BaseChooser(Button):
    """`chosen(id)` of a base of the menu."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__(
            "", "ghost", "ph.caret-down", on_click=self._show_menu, name="choose_base", tip="Choose another base model"
        )
        self._bases: list[tuple[str, str]] = []
        self._current = ""
        self.setFixedWidth(theme().sizes.control)
        self.hide()

    def show_bases(self, bases: Sequence[tuple[str, str]], current: str) -> None:
        """These (id, name), one of them in use."""
        self._bases, self._current = list(bases), current
        self.setVisible(len(self._bases) > 1)

    def _show_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for ident, name in self._bases:
            action = menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(ident == self._current)
            action.triggered.connect(partial(self._on_action, ident))
        menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _on_action(self, ident: str, _checked: bool = False) -> None:
        if ident != self._current:
            self.chosen.emit(ident)
