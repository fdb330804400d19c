"""Empty states: icon, one sentence, one button, one link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from ui.icons import icon
from ui.theme import theme
from ui.widgets.basic import Button, label

Click = Callable[[], Any]


class EmptyState(QWidget):
    """What a page shows while it has nothing: what it is for, and the next step."""

    def __init__(
        self,
        icon_name: str,
        sentence: str,
        button: tuple[str, Click] | None = None,
        link: tuple[str, Click] | None = None,
        *,
        title: str = "",
        button_icon: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("empty")
        self._icon_name = icon_name
        self._picture = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        box = QVBoxLayout(self)
        box.setSpacing(theme().sizes.grid + 4)
        box.addStretch(2)
        box.addWidget(self._picture)
        if title:
            box.addWidget(label(title, "section"), 0, Qt.AlignmentFlag.AlignHCenter)
        text = label(sentence, "muted", wrap=True)
        text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence = text
        box.addWidget(text, 0, Qt.AlignmentFlag.AlignHCenter)
        if button is not None:
            main = Button(button[0], "main", button_icon, on_click=button[1], name="empty_button")
            box.addWidget(main, 0, Qt.AlignmentFlag.AlignHCenter)
        if link is not None:
            other = Button(link[0], "link", on_click=link[1], name="empty_link")
            box.addWidget(other, 0, Qt.AlignmentFlag.AlignHCenter)
        box.addStretch(3)
        self._tint()
        theme().changed.connect(self._tint)

    @Slot()
    def _tint(self) -> None:
        # One width and its height, or the layout asks for the height of a wider line than it then gives.
        width = theme().sizes.field + theme().sizes.icon_large
        self.sentence.ensurePolished()
        self.sentence.setFixedSize(width, self.sentence.heightForWidth(width))
        side = theme().sizes.icon_large
        self._picture.setPixmap(icon(self._icon_name, "faint").pixmap(side, side))
