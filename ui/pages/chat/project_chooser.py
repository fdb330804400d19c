"""Which project's chats are shown, and what each project was left with: chat, draft, place in the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import QComboBox, QSizePolicy

from core.projects.projects import Project
from ui.widgets.basic import plain_tip

ALL = ""
MOST_WORDS = 60
CHAT, DRAFT, FROM_END = "chat", "draft", "from_end"


class ProjectChooser(QComboBox):
    """`chosen(project id)`, empty for the chats of all. Hidden while there is no project."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("project_chooser")
        self.setAccessibleName("Chats of")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._known: list[tuple[str, str]] = []
        self.activated.connect(self._on_activated)
        self.hide()

    def show_projects(self, projects: Sequence[Project], current: str) -> None:
        """These, and which one is chosen."""
        known = [(ALL, "All chats"), *((project.id, project.name) for project in projects)]
        with QSignalBlocker(self):
            if known != self._known:
                self._known = known
                self.clear()
                for ident, name in known:
                    self.addItem(name if len(name) <= MOST_WORDS else f"{name[: MOST_WORDS - 1]}…", ident)
            self.setCurrentIndex(max(0, self.findData(current)))
        self.setToolTip(plain_tip(self.currentText()))
        self.setVisible(len(known) > 1)

    @Slot(int)
    def _on_activated(self, place: int) -> None:
        self.chosen.emit(str(self.itemData(place)))


class Left(NamedTuple):
    """What a project's chats are left with: the chat, the question that is half written, how far from the end."""

    chat: str = ""
    draft: str = ""
    from_end: int = 0

    def to_state(self) -> dict[str, Any]:
        """For `projects.keep_state`."""
        return {CHAT: self.chat or None, DRAFT: self.draft or None, FROM_END: self.from_end or None}


def left_with(state: Mapping[str, Any]) -> Left:
    """What was kept; what is missing is empty."""
    return Left(str(state.get(CHAT) or ""), str(state.get(DRAFT) or ""), int(state.get(FROM_END) or 0))
