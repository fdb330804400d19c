"""Below the search: what was found, in how long, by what; or what to try where nothing was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from core.errors import AppError
from ui import format as fmt
from ui.pages.projects.results import Hit, ResultList, hit_of, hit_of_line
from ui.pages.projects.search_box import Asked
from ui.pages.projects.words import plain, ways_words
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, row
from ui.widgets.flow import Flow

IDLE = (
    "Ask in your own words, or write a name as it stands in the code. “text:” before it looks for the text itself; "
    "“lang:go”, “kind:class”, “path:src/” and “tests:no” narrow it."
)
NOTHING = "Nothing was found. Try fewer words, a name as it stands in the code, or the plain text."
NOTHING_PLAIN = "No line has this text. Try a part of it, or search by meaning, words and names."
# What notices about the missing way of meaning have in them.
MODEL, LOADING = "embedding model", "until the embedding model"
UNFIT = "Kind and tests do not narrow a search for plain text."


class Answers(QWidget):
    """`model_wanted()`, `plain_wanted()`, `unfiltered_wanted()` and `again_wanted()` by what it offers."""

    model_wanted = Signal()
    plain_wanted = Signal()
    unfiltered_wanted = Signal()
    again_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.caption = ElidedLabel("", "caption")
        self.caption.setObjectName("search_caption")
        self.notices = label("", "caption", wrap=True, name="search_notices")
        self.model = Button("Choose an embedding model", "link", on_click=self.model_wanted.emit, name="choose_model")
        self.list = ResultList()
        self.idle = label(IDLE, "muted", wrap=True, name="search_idle")
        self._build_nothing()
        self.stack = QStackedWidget()
        for part in (column(self.idle, None), self.list, self.nothing):
            self.stack.addWidget(part)
        self._notice_row = column(self.notices, row(self.model, None), gap=0)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self.caption)
        box.addWidget(self._notice_row)
        box.addWidget(self.stack, 1)
        self.show_idle()

    def _build_nothing(self) -> None:
        self.why = label("", "muted", wrap=True, name="nothing_found")
        self.plain = Button("Look for the plain text", "", on_click=self.plain_wanted.emit, name="try_plain")
        self.unfiltered = Button("Without filters", "", on_click=self.unfiltered_wanted.emit, name="try_unfiltered")
        self.again = Button("Search again", "", on_click=self.again_wanted.emit, name="search_again")
        ways = Flow(self.plain, self.unfiltered, self.again)
        ways.align(right=False)
        self.nothing = column(self.why, ways, None)

    # What is shown

    def show_idle(self) -> None:
        """Nothing is asked."""
        self.caption.setText("")
        self.caption.hide()
        self._notice_row.hide()
        self.list.show_hits([])
        self.stack.setCurrentIndex(0)

    def show_answer(
        self, asked: Asked, answer: Mapping[str, Any], seconds: float, wanted: tuple[str, int] | None, *, keep: bool
    ) -> None:
        """What was found; the result at `wanted` is chosen, else the best one."""
        hits, words = _plain(answer) if asked.is_plain else _merged(asked, answer)
        notices = [str(notice) for notice in answer.get("notices") or ()]
        if asked.is_plain and {"kind", "tests"} & asked.filters.keys():
            notices.append(UNFIT)
        self.caption.setText(words.format(time=fmt.duration(seconds)))
        self.caption.show()
        self.show_notices(notices)
        if hits:
            self.list.show_hits(hits, wanted, keep=keep)
            if wanted is None:
                # A result that is gone leaves its source on the page, rather than another one's.
                self.list.choose_first()
            self.stack.setCurrentIndex(1)
            return
        self.list.show_hits([])
        self.why.setText(NOTHING_PLAIN if asked.is_plain else NOTHING)
        self._offer(plain=not asked.is_plain, unfiltered=bool(asked.filters), again=False)

    def show_error(self, error: AppError) -> None:
        """The search itself failed."""
        self.caption.hide()
        self._notice_row.hide()
        self.list.show_hits([])
        self.why.setText(f"{plain(error.message)} {error.hint}".strip())
        self._offer(plain=False, unfiltered=False, again=True)

    def _offer(self, *, plain: bool, unfiltered: bool, again: bool) -> None:
        self.plain.setVisible(plain)
        self.unfiltered.setVisible(unfiltered)
        self.again.setVisible(again)
        self.stack.setCurrentIndex(2)

    def show_notices(self, notices: Sequence[str]) -> None:
        """Quiet lines on what was not looked at, with what to do about it."""
        told = list(dict.fromkeys(" ".join(notice.split()) for notice in notices))
        # That a leg is missing is said once, by whoever says it first.
        about_model = [notice for notice in told if MODEL in notice]
        text = "\n".join(notice for notice in told if notice not in about_model[1:])
        self.notices.setText(text)
        # One that is on its way needs no other.
        self.model.setVisible(any(LOADING not in notice for notice in about_model))
        self._notice_row.setVisible(bool(text))


def _merged(asked: Asked, answer: Mapping[str, Any]) -> tuple[list[Hit], str]:
    found = answer.get("found") or []
    hits = [hit_of(item, asked.wanted.split()) for item in found]
    ways = ways_words(found)
    words = f"{fmt.count(len(hits))} of {fmt.count(int(answer.get('total') or 0))} in {{time}}"
    return hits, f"{words} · {ways}" if ways else words


def _plain(answer: Mapping[str, Any]) -> tuple[list[Hit], str]:
    hits = [hit_of_line(line) for line in answer.get("lines") or []]
    more = "the first " if answer.get("more") else ""
    return hits, f"{more}{fmt.plural(len(hits), 'line')} in {{time}} · plain text, from the files as they are"
