"""System prompt and sampling of a chat, folded to one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from core.inference.engine import Sampling
from ui import format as fmt
from ui.pages.chat.presets import PresetMenu
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, row
from ui.widgets.card import Card
from ui.widgets.forms import Form, SliderSpin, number, text_area

SAVE_MS = 500


def sampling_text(sampling: Sampling) -> str:
    """ "repeatable answers, at most 256 tokens"."""
    how = "repeatable answers" if sampling.temperature == 0 else f"temperature {fmt.decimal(sampling.temperature, 2)}"
    return f"{how}, at most {fmt.plural(sampling.max_tokens, 'token')}"


class ChatSettings(QWidget):
    """`prompt_changed(text, pinned)` and `sampling_changed(dict)` a moment after the last edit.

    A prompt follows the adapter until it is edited or pinned.
    """

    prompt_changed = Signal(str, bool)
    sampling_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("chat_settings")
        sizes = theme().sizes
        self._filling = False
        self._default, self._pinned = "", False
        self.prompt_fold = self._fold("System prompt", "fold_prompt")
        self.sampling_fold = self._fold("Sampling", "fold_sampling")
        self.prompt_line, self.sampling_line = ElidedLabel("", "caption"), ElidedLabel("", "caption")
        self.prompt_line.setObjectName("prompt_summary")
        self.sampling_line.setObjectName("sampling_summary")
        self.prompt_card, self.sampling_card = self._prompt_card(), self._sampling_card()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(sizes.half)
        line = row(self.prompt_fold, self.prompt_line, self.sampling_fold, self.sampling_line, gap=sizes.half,
                   stretch=self.prompt_line)  # fmt: skip
        for item in (self.prompt_card, self.sampling_card, line):
            box.addWidget(item)
        self._prompt_soon = self._soon(self._send_prompt)
        self._sampling_soon = self._soon(self._send_sampling)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        # The folds come first; their content is shown beside them as far as there is room.
        sizes = theme().sizes
        free = self.width() - sum(f.sizeHint().width() + sizes.grid for f in (self.prompt_fold, self.sampling_fold))
        told = self.sampling_line.fontMetrics().horizontalAdvance(self.sampling_line.text()) + sizes.half
        for line in (self.prompt_line, self.sampling_line):
            line.setVisible(free > sizes.sidebar // 2)
        self.sampling_line.setFixedWidth(max(0, min(told, free * 2 // 3)))

    def _soon(self, slot: Any) -> QTimer:
        out = QTimer(self)
        out.setSingleShot(True)
        out.setInterval(SAVE_MS)
        out.timeout.connect(slot)
        return out

    def _fold(self, title: str, name: str) -> Button:
        out = Button(title, "ghost", "ph.caret-right", name=name)
        out.setCheckable(True)
        out.toggled.connect(self._on_fold)
        return out

    def _prompt_card(self) -> Card:
        self.prompt: QPlainTextEdit = text_area("", 4)
        self.prompt.setObjectName("system_prompt")
        self.prompt.setAccessibleName("System prompt")
        self.prompt.setPlaceholderText("No system prompt: the conversation starts with your question.")
        self.prompt.textChanged.connect(self._on_prompt)
        self.whose = ElidedLabel("", "caption")
        self.whose.setObjectName("whose_prompt")
        self.pin = Button("", "link", on_click=self._switch_pin, name="pin_prompt")
        self.presets = PresetMenu(self.prompt.toPlainText)
        self.presets.used.connect(self._use)
        line = row(self.whose, self.presets, self.pin, stretch=self.whose)
        out = Card("", self.prompt, line, gap=theme().sizes.half)
        out.hide()
        return out

    def _sampling_card(self) -> Card:
        self.form = Form()
        self.temperature = SliderSpin(0, 1.5, 0, step=0.05, decimals=2)
        self.form.add("temperature", "Temperature", self.temperature,
                      "0 is repeatable: the same question gets the same answer.")  # fmt: skip
        self.tokens = number(1, 8192, Sampling().max_tokens, " tokens")
        self.form.add("max_tokens", "Maximum tokens", self.tokens, "Longer answers are cut off and marked.")
        self.form.changed.connect(self._on_form)
        out = Card("", self.form)
        out.hide()
        return out

    # What is shown

    def show_values(self, prompt: str, pinned: bool, sampling: Sampling, adapter_prompt: str) -> None:
        """Those of a chat; a field that is being edited is left alone."""
        self._filling = True
        try:
            self._default = adapter_prompt
            if not self._prompt_soon.isActive():
                self._pinned = pinned
                if self.prompt.toPlainText() != prompt:
                    self.prompt.setPlainText(prompt)
            if not self._sampling_soon.isActive():
                self.temperature.set_value(sampling.temperature)
                self.tokens.setValue(sampling.max_tokens)
        finally:
            self._filling = False
        self._summarise()

    def flush(self) -> None:
        """Send what was edited now: a question is about to be asked, or another chat opened."""
        for timer, send in ((self._prompt_soon, self._send_prompt), (self._sampling_soon, self._send_sampling)):
            if timer.isActive():
                timer.stop()
                send()

    def values(self) -> Mapping[str, Any]:
        """The sampling as entered in the fields."""
        return {"temperature": round(self.temperature.value(), 2), "max_tokens": self.tokens.value()}

    def _summarise(self) -> None:
        text = " ".join(self.prompt.toPlainText().split())
        self.prompt_line.setText(text or "none")
        self.sampling_line.setText(sampling_text(Sampling(**self.values())))
        self._fit()
        self.pin.setText("Follow the adapter" if self._pinned else "Keep for every adapter")
        self.pin.setToolTip(
            "Each adapter is asked with the system prompt it was trained with" if self._pinned
            else "The same system prompt, whoever answers"
        )  # fmt: skip
        self.whose.setText(self._whose())

    def _whose(self) -> str:
        if self._pinned:
            return "Kept for every adapter"
        return "The adapter's own: it was trained with it" if self._default else "The base has none of its own"

    def _on_fold(self, _open: bool) -> None:
        for fold, card in ((self.prompt_fold, self.prompt_card), (self.sampling_fold, self.sampling_card)):
            card.setVisible(fold.isChecked())
            fold.set_icon("ph.caret-down" if fold.isChecked() else "ph.caret-right")
        opened = self.sender()
        if opened is self.prompt_fold and self.prompt_fold.isChecked():
            self.prompt.setFocus(Qt.FocusReason.OtherFocusReason)

    def fold(self) -> bool:
        """Close what is open; False if nothing was."""
        was = self.prompt_fold.isChecked() or self.sampling_fold.isChecked()
        self.prompt_fold.setChecked(False)
        self.sampling_fold.setChecked(False)
        return was

    # What is edited

    def _switch_pin(self) -> None:
        self._pinned = not self._pinned
        if not self._pinned:
            self._filling = True
            self.prompt.setPlainText(self._default)
            self._filling = False
        self._prompt_soon.start()
        self._summarise()

    def _on_prompt(self) -> None:
        if not self._filling:
            self._pinned = True
            self._prompt_soon.start()
            self._summarise()

    def _use(self, prompt: str) -> None:
        # As if it were typed: it counts as this chat's own then, and Undo in the field takes it back.
        cursor = self.prompt.textCursor()
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(prompt)

    def _on_form(self) -> None:
        if not self._filling:
            self._sampling_soon.start()
            self._summarise()

    def _send_prompt(self) -> None:
        self.prompt_changed.emit(self.prompt.toPlainText(), self._pinned)

    def _send_sampling(self) -> None:
        self.sampling_changed.emit(self.values())
