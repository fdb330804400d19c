"""The local checks of a conversation as badges: one a kind of finding, with the turns in its tooltip."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.conversations.checks import Check, Remark
from core.conversations.digests import Near
from ui import format as fmt
from ui.models.rows import Status
from ui.theme import theme
from ui.widgets.basic import Button, plain_tip
from ui.widgets.chip import StatusPill
from ui.widgets.flow import Flow

CHECK_WORDS = {
    Check.SECRETS: Status("bad", "Secrets"), Check.UNREADABLE: Status("bad", "Unreadable"),
    Check.PERSONAL: Status("warn", "Personal data"), Check.PLACEHOLDERS: Status("warn", "Placeholders"),
    Check.STRUCTURE: Status("warn", "Structure"), Check.REPEATS: Status("warn", "Repeats"),
    Check.NEAR_DUPLICATE: Status("warn", "Near-duplicate"),
}  # fmt: skip
LINES_SHOWN, TITLE_SHOWN = 8, 40


def checks_cell(flags: Check) -> str | Status:
    """For a table: the finding, or how many kinds of them; nothing where there is none."""
    found = [status for check, status in CHECK_WORDS.items() if check in flags]
    if len(found) < 2:
        return found[0] if found else ""
    return Status(found[0].kind, fmt.plural(len(found), "check"))


def checks_words(flags: Check) -> str:
    """All of them, for the tooltip."""
    return ", ".join(status.word for check, status in CHECK_WORDS.items() if check in flags)


class Badges(QWidget):
    """`show_checks` of a conversation; hidden where nothing was found. `other_wanted(id)` of its near-duplicate."""

    other_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("badges")
        self._near: Near | None = None
        self.pills = {check: StatusPill(status) for check, status in CHECK_WORDS.items()}
        flow = Flow(*self.pills.values(), gap=theme().sizes.half + 2)
        flow.align(right=False)
        self.other = Button("", "link", on_click=self._open, name="near_duplicate")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(flow)
        box.addWidget(self.other)

    def show_checks(self, remarks: Sequence[Remark], near: Near | None) -> None:
        """Those of another conversation."""
        self._near = near
        for check, pill in self.pills.items():
            lines = [f"Turn {r.turn}: {r.text}" if r.turn else r.text for r in remarks if r.check is check]
            if check is Check.NEAR_DUPLICATE and near is not None:
                lines = [f"About {fmt.percent(near.share)} the same as “{near.title}”"]
            more = [f"and {fmt.count(len(lines) - LINES_SHOWN)} more"] if len(lines) > LINES_SHOWN else []
            pill.setVisible(bool(lines))
            pill.setToolTip(plain_tip("\n".join([*lines[:LINES_SHOWN], *more])))
            pill.setAccessibleDescription("; ".join(lines))
        self.other.setVisible(near is not None)
        if near is not None:
            title = near.title if len(near.title) <= TITLE_SHOWN else f"{near.title[:TITLE_SHOWN]}…"
            self.other.setText(f"Show “{title}”")
            self.other.setToolTip(plain_tip(f"Nearly the same as “{near.title}”"))
        self.setVisible(bool(remarks) or near is not None)

    def _open(self) -> None:
        if self._near is not None:
            self.other_wanted.emit(self._near.id)
