"""System prompts that are kept for use in any chat: a small menu beside the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu

from ui.widgets.basic import Button

NAME_LENGTH = 48
MOST = 30


def name_of(prompt: str) -> str:
    """Its first words, in one line."""
    line = " ".join(prompt.split())
    return line if len(line) <= NAME_LENGTH else f"{line[: NAME_LENGTH - 1]}…"


class PresetMenu(Button):
    """`used(prompt)` of one that was kept; `changed(prompts)` when one was added or left.

    `current` says the prompt of the chat that is shown.
    """

    used = Signal(str)
    changed = Signal(object)

    def __init__(self, current: Callable[[], str]) -> None:
        super().__init__("Saved prompts", "link", on_click=self.show_menu, name="saved_prompts",
                         tip="System prompts that you keep for other chats")  # fmt: skip
        self._current = current
        self._prompts: list[str] = []

    def show_prompts(self, prompts: Sequence[str]) -> None:
        """These are kept, the newest first."""
        self._prompts = list(prompts)

    def show_menu(self) -> None:
        """Use one, keep this one, or let one go."""
        menu, text = QMenu(self), self._current().strip()
        menu.setObjectName("saved_prompts_menu")
        for prompt in self._prompts:
            # A single & would underline the next letter instead of being shown.
            action = menu.addAction(name_of(prompt).replace("&", "&&"), partial(self.used.emit, prompt))
            action.setCheckable(True)
            action.setChecked(prompt == text)
        if self._prompts:
            menu.addSeparator()
        kept = text in self._prompts
        if kept:
            menu.addAction("Remove this prompt", partial(self._change, [p for p in self._prompts if p != text]))
        else:
            keep = menu.addAction("Save this prompt", partial(self._change, [text, *self._prompts]))
            full = len(self._prompts) >= MOST
            keep.setEnabled(bool(text) and not full)
            keep.setText(f"{MOST} prompts are saved: remove one first" if full else keep.text())
        menu.popup(self.mapToGlobal(self.rect().bottomLeft()))
        menu.aboutToHide.connect(menu.deleteLater)

    def _change(self, prompts: list[str]) -> None:
        self._prompts = prompts
        self.changed.emit(prompts)
