"""A prompt template: its text with the placeholders marked, and what it reads like once they are filled."""

from __future__ import annotations

import re
from collections.abc import Sequence

from PySide6.QtCore import Slot
from PySide6.QtGui import QFont, QSyntaxHighlighter, QTextCharFormat, QTextDocument
from PySide6.QtWidgets import QComboBox, QPlainTextEdit, QWidget

from core.errors import AppError
from core.scaffolding.render import placeholders, render, template_values
from core.scaffolding.store import EmotionalArc, Persona, PromptTemplate, TrainingTopic
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import column, label, row
from ui.widgets.card import Card
from ui.widgets.forms import Form
from ui.widgets.segments import Segments
from ui.words.scaffolding import tier_word

_PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}")
# What generation fills in by itself; the preview needs some number.
EXTRA = {"turn_count": "8"}


class Highlighter(QSyntaxHighlighter):
    """Marks {{placeholders}} in the accent's colour."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        theme().changed.connect(self._again)

    @Slot()
    def _again(self) -> None:
        self.rehighlight()

    def highlightBlock(self, text: str) -> None:
        style = QTextCharFormat()
        style.setForeground(theme().colour("accent"))
        style.setBackground(theme().colour("tint"))
        style.setFontWeight(QFont.Weight.DemiBold)
        for match in _PLACEHOLDER.finditer(text):
            self.setFormat(match.start(), match.end() - match.start(), style)


def _reader(name: str, accessible: str) -> QPlainTextEdit:
    out = QPlainTextEdit()
    out.setObjectName(name)
    out.setReadOnly(True)
    out.setTabChangesFocus(True)
    out.setAccessibleName(accessible)
    return out


class TemplateView(Card):
    """Read only: templates are shipped, and written by generation's own tools."""

    def __init__(self) -> None:
        super().__init__("", gap=10)
        self.setObjectName("template_view")
        self._template: PromptTemplate | None = None
        self._arcs: dict[str, EmotionalArc] = {}
        self.title = label("", "section", wrap=True, name="template_title")
        self.line = label("", "muted", wrap=True)
        self.views = Segments({"text": "Text", "preview": "Preview"}, "Parts of the template", "template_views")
        self.views.chosen.connect(self._on_view)
        self.text = _reader("template_text", "Text of the template")
        self._highlighter = Highlighter(self.text.document())
        self.preview = _reader("template_preview", "Preview with placeholders filled in")
        self.problem = label("", "error", wrap=True, name="template_problem")
        self.persona, self.topic = QComboBox(), QComboBox()
        for box in (self.persona, self.topic):
            # A long name must not widen the inspector.
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.currentIndexChanged.connect(self._render)
        choose = Form(narrow=True)
        choose.add("persona", "Persona", self.persona)
        choose.add("topic", "Topic", self.topic)
        self._filled: QWidget = column(choose, self.problem, self.preview, stretch=self.preview)
        self.used = label("", "caption", wrap=True)
        self._plain: QWidget = column(self.text, self.used, stretch=self.text)
        self.add(self.title)
        self.add(self.line)
        self.add(row(self.views, None))
        self.add(self._plain, 1)
        self.add(self._filled, 1)
        self._on_view("text")

    def set_library(
        self, personas: Sequence[Persona], arcs: Sequence[EmotionalArc], topics: Sequence[TrainingTopic]
    ) -> None:
        """What the preview can be filled with."""
        self._arcs = {arc.key: arc for arc in arcs}
        for box, entries in ((self.persona, personas), (self.topic, topics)):
            kept = box.currentData()
            box.blockSignals(True)
            box.clear()
            for entry in entries:
                box.addItem(entry.name, entry)
            found = [i for i, entry in enumerate(entries) if kept is not None and entry.id == kept.id]
            box.setCurrentIndex(found[0] if found else 0)
            box.blockSignals(False)
        self._render()

    def show_template(self, template: PromptTemplate) -> None:
        """Another template."""
        self._template = template
        arc = self._arcs.get(template.emotional_arc_key)
        self.title.setText(template.name)
        parts = [template.description, tier_word(template.tier), arc.name if arc else template.emotional_arc_key]
        self.line.setText(" · ".join(part for part in parts if part))
        if self.text.toPlainText() != template.text:
            self.text.setPlainText(template.text)
        names = placeholders(template.text)
        self.used.setText(
            f"{fmt.plural(len(names), 'placeholder')}: {', '.join(names)}" if names else "No placeholders"
        )
        self._render()

    @Slot(str)
    def _on_view(self, key: str) -> None:
        self._plain.setVisible(key == "text")
        self._filled.setVisible(key == "preview")

    @Slot()
    def _render(self) -> None:
        template, persona, topic = self._template, self.persona.currentData(), self.topic.currentData()
        arc = self._arcs.get(template.emotional_arc_key) if template else None
        self.problem.setText("")
        self.preview.clear()
        if template is None:
            return
        if persona is None or topic is None or arc is None:
            self.problem.setText("The preview needs a persona, a topic, and the arc this template belongs to.")
        else:
            try:
                self.preview.setPlainText(render(template.text, template_values(persona, arc, topic, EXTRA)))
            except AppError as error:
                self.problem.setText(f"{error.message} {error.hint}")
        self.problem.setVisible(bool(self.problem.text()))
