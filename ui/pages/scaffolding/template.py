"""A prompt template in the inspector: its text with the placeholders marked, and what it reads like when filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from core.scaffolding.placeholders import problems
from core.scaffolding.render import placeholders
from core.scaffolding.store import Entry, PromptTemplate
from ui import format as fmt
from ui.pages.scaffolding.preview import Preview
from ui.pages.scaffolding.template_text import MOST, Highlighter, reader, told
from ui.widgets.basic import Button, column, label, row
from ui.widgets.card import Card
from ui.widgets.flow import Flow
from ui.widgets.segments import Segments
from ui.words.scaffolding import tier_word


class TemplateView(Card):
    """`edited(template)`, `duplicated(template)`, `deleted(template)` by its buttons."""

    edited = Signal(object)
    duplicated = Signal(object)
    deleted = Signal(object)

    def __init__(self) -> None:
        super().__init__("", gap=10)
        self.setObjectName("template_view")
        self._template: PromptTemplate | None = None
        self._arcs: dict[str, str] = {}
        self.title = label("", "section", wrap=True, name="template_title")
        self.line = label("", "muted", wrap=True)
        self.views = Segments({"text": "Text", "preview": "Preview"}, "Parts of the template", "template_views")
        self.views.chosen.connect(self._on_view)
        self.text = reader("template_text", "Text of the template")
        self._highlighter = Highlighter(self.text.document())
        self.problem = label("", "error", wrap=True, name="template_problem")
        self.used = label("", "caption", wrap=True)
        self._plain: QWidget = column(self.text, self.used, stretch=self.text)
        self.preview = Preview()
        self.preview.values_changed.connect(self._judge)
        does = Flow(
            Button("Edit…", "", "ph.pencil-simple", on_click=self._emit(self.edited), name="edit_template"),
            Button("Duplicate", "ghost", "ph.copy", on_click=self._emit(self.duplicated), name="duplicate_template"),
            Button("Delete", "ghost", "ph.trash", on_click=self._emit(self.deleted), name="delete_template"),
        )
        does.align(right=False)
        for item in (self.title, self.line, row(self.views, None), self.problem):
            self.add(item)
        self.add(self._plain, 1)
        self.add(self.preview, 1)
        self.add(does)
        self._on_view("text")

    def _emit(self, signal: Any) -> Callable[[], None]:
        return lambda: signal.emit(self._template)

    def set_library(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """What the preview can be filled with, by the kind's name."""
        self._arcs = {arc.key: str(getattr(arc, "name", "")) for arc in entries["arc"]}
        self.preview.set_library(entries)

    def show_template(self, template: PromptTemplate) -> None:
        """Another template, or the same as it is stored now."""
        if self._template is None or self._template.key != template.key:
            self.preview.choose("arc", template.emotional_arc_key)
        self._template = template
        self.title.setText(template.name)
        arc = self._arcs.get(template.emotional_arc_key, template.emotional_arc_key)
        parts = [template.description, tier_word(template.tier), arc]
        self.line.setText(" · ".join(part for part in parts if part))
        if self.text.toPlainText() != template.text:
            self.text.setPlainText(template.text)
        names = placeholders(template.text)
        self.used.setText(
            f"{fmt.plural(len(names), 'placeholder')}: {', '.join(names)}" if names else "No placeholders"
        )
        self.preview.set_text(template.text)
        self.preview.render_now()
        self._judge()

    @Slot(str)
    def _on_view(self, key: str) -> None:
        self._plain.setVisible(key == "text")
        self.preview.setVisible(key == "preview")

    @Slot()
    def _judge(self) -> None:
        values = self.preview.values
        self._highlighter.set_values(values)
        found = problems(self._template.text, values, MOST) if self._template is not None else []
        self.problem.setText(told(found))
        self.problem.setVisible(bool(found))
