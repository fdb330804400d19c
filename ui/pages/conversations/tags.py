"""Tags of a conversation as chips, and the dialog that tags one or many."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCompleter, QHBoxLayout, QWidget

from app.services import Services
from core.conversations import review
from core.db import Database
from core.errors import AppError
from core.events import Changed
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, label
from ui.widgets.flow import Flow
from ui.widgets.forms import choice
from ui.widgets.page import Page


class TagRow(QWidget):
    """The tags of the shown conversation. `removed(tag)`, `add_wanted()`."""

    removed = Signal(str)
    add_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("tags")
        self._shown: tuple[str, ...] = ()
        self._flow = Flow(gap=theme().sizes.half + 2)
        self._flow.align(right=False)
        self.add = Button("Add tag", "link", "ph.plus", on_click=self.add_wanted.emit, name="add_tag")
        self._flow.flow.addWidget(self.add)
        self._chips: list[Button] = []
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._flow)

    def show_tags(self, tags: Sequence[str]) -> None:
        """Those of another conversation."""
        if tuple(tags) == self._shown:
            return
        self._shown = tuple(tags)
        for chip in (*self._chips, self.add):
            self._flow.flow.removeWidget(chip)
        for chip in self._chips:
            chip.hide()
            chip.deleteLater()
        self._chips = [self._chip(tag) for tag in tags]
        for button in (*self._chips, self.add):
            self._flow.flow.addWidget(button)
        self._flow.updateGeometry()

    def _chip(self, tag: str) -> Button:
        told = f"Remove the tag {tag}"
        return Button(f"{tag}  ×", "chip", tip=told, accessible=told, on_click=lambda: self.removed.emit(tag))


def take_off(services: Services, ids: Sequence[str], tag: str) -> None:
    """Remove a tag; the toast puts it back."""
    chosen = list(ids)

    def done(had: list[str] | None) -> None:
        if had:
            services.notifier.say(
                f"Tag “{tag}” removed",
                lambda: services.write(services.root, lambda db: review.add_tag(db, had, tag)),
            )

    services.write(services.root, lambda db: review.remove_tag(db, chosen, tag), done)


class TagDialog(Dialog):
    """Adds a tag to conversations, or takes one off them."""

    def __init__(self, page: Page, ids: Sequence[str], known: Sequence[str]) -> None:
        super().__init__(page, "Tags")
        self.setObjectName("tag_dialog")
        self._services, self._ids = page.services, list(ids)
        self.banners = BannerArea()
        self.body.addWidget(label(f"Tag {fmt.plural(len(ids), 'conversation')}", "section"))
        self.body.addWidget(self.banners)
        self.tag = choice([])
        self.tag.setObjectName("tag")
        self.tag.setEditable(True)
        # Offered below: completed in the field, a tag that begins another could not be typed.
        if (offered := self.tag.completer()) is not None:
            offered.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        self.tag.setAccessibleName("Tag")
        self.tag.addItems(list(known))
        self.tag.setCurrentText("")
        self.tag.editTextChanged.connect(self._check)
        self.body.addWidget(self.tag)
        self.remove = Button("Remove tag", "", "ph.minus", on_click=self._remove, name="remove_tag")
        self.set_buttons(Button("Add tag", "main", "ph.plus", on_click=self._add, name="save_tag"), self.remove)
        self.setMinimumWidth(theme().sizes.inspector)
        self._check("")
        self.tag.setFocus()

    def _check(self, text: str) -> None:
        self.hold("" if text.strip() else "Enter a tag.")
        self.remove.setEnabled(bool(text.strip()))

    def _add(self) -> None:
        text, ids = self.tag.currentText(), self._ids

        def work(db: Database) -> tuple[Changed, list[str]]:
            return review.add_tag(db, ids, text)

        self._services.write(self, work, self._added, self._failed)

    def _added(self, new: list[str] | None) -> None:
        services, tag, ids = self._services, self.tag.currentText().strip(), list(new or ())
        if ids:
            services.notifier.say(
                f"Tag “{tag}” added to {fmt.plural(len(ids), 'conversation')}",
                lambda: services.write(services.root, lambda db: review.remove_tag(db, ids, tag)),
            )
        self.accept()

    def _remove(self) -> None:
        take_off(self._services, self._ids, self.tag.currentText())
        self.accept()

    def _failed(self, exc: Exception) -> None:
        if isinstance(exc, AppError):
            self.banners.show_error(exc)
        else:
            self._services.notifier.report(exc)
