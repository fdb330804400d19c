"""A template written or edited, with what it reads like beside it while it is typed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QMenu, QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.scaffolding import store
from core.scaffolding.placeholders import Problem, problems
from core.scaffolding.render import SOURCES
from core.scaffolding.store import TIERS, PromptTemplate
from ui.dialogs.base import Dialog
from ui.pages.scaffolding.form import EntryFields, required, show_under, wrong_key
from ui.pages.scaffolding.kinds import TEMPLATE, put_value
from ui.pages.scaffolding.lists import Library
from ui.pages.scaffolding.preview import PARTS, Preview, narrow
from ui.pages.scaffolding.template_text import MOST, TemplateText, told
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, scrolled
from ui.widgets.forms import choice, text_area, text_field
from ui.words.scaffolding import TIER_WORDS

FIELDS = ("name", "emotional_arc_key", "text", "tier", "description")
WORDS = {**PARTS, "run": "Conversation"}
HELP = "Type {{ for the placeholders."


class TemplateDialog(Dialog):
    """Writes the template itself; `saved(template)` once it is stored."""

    saved = Signal(object)

    def __init__(self, parent: QWidget | None, services: Services, library: Library, template: PromptTemplate) -> None:
        self._new = not template.id
        super().__init__(parent, "Add prompt template" if self._new else f"Edit “{template.name}”")
        self.setObjectName("template_dialog")
        self._services, self._template = services, template
        self._keys = library.keys("template")
        self.banners = BannerArea()
        self.text = TemplateText()
        self.preview = Preview()
        self.preview.set_library(library.entries)
        self._build_form(library)
        menu = QMenu(self)
        menu.setObjectName("placeholder_menu")
        self.text.fill_menu(menu, {WORDS[source]: names for source, names in SOURCES.items()})
        insert = Button("Insert placeholder", "ghost", "ph.brackets-curly", name="insert_placeholder")
        insert.setMenu(menu)
        self.body.addWidget(self.banners)
        both = QHBoxLayout()
        both.setSpacing(2 * theme().sizes.grid)
        both.addWidget(scrolled(self.form), 5)
        both.addWidget(self.preview, 4)
        self.body.addLayout(both, 1)
        self.ok = Button("Add prompt template" if self._new else "Save", "main", "ph.check", on_click=self._save,
                         name="save_template")  # fmt: skip
        self.set_buttons(self.ok, insert)
        sizes = theme().sizes
        self.resize(2 * sizes.inspector + sizes.search, 2 * sizes.inspector - sizes.label)
        self._fill()
        self.preview.values_changed.connect(self._on_text)
        self.form.changed.connect(self._on_text)
        self.form.field("key" if self._new and not template.key else "name").setFocus()

    def _build_form(self, library: Library) -> None:
        form = self.form = EntryFields()
        arcs = [(str(getattr(arc, "name", arc.key)), arc.key) for arc in library.entries["arc"]]
        form.add("key", "Key", text_field("", "clarity_walkthrough"), check=self._wrong_key)
        form.add("name", "Name", text_field("", "Clarity Walkthrough"), check=required("Name"))
        self._first_arc = arcs[0][1] if arcs else ""
        arc = choice([*arcs, ("Any arc", "")])
        narrow(arc)
        form.add("emotional_arc_key", "Arc", arc)
        arc.currentIndexChanged.connect(lambda _place: self._preview_arc())
        form.add("text", "Text", self.text, HELP, check=self._wrong_text)
        form.grow("text")
        form.begin_advanced("More")
        form.add("tier", "Tier", choice([(TIER_WORDS[tier], tier) for tier in TIERS]))
        form.add("description", "Description", text_area("", 2))

    def _values(self, template: PromptTemplate) -> dict[str, Any]:
        values = {name: getattr(template, name) for name in FIELDS}
        if self._new and not values["emotional_arc_key"]:
            values["emotional_arc_key"] = self._first_arc
        return {"key": template.key} | values

    def _fill(self) -> None:
        for name, value in self._values(self._template).items():
            put_value(self.form.field(name), value)
        self._preview_arc()
        self.form.settle()
        self._began = self.form.values()
        self._on_text()
        self.preview.render_now()

    def _preview_arc(self) -> None:
        if key := str(self.form.values()["emotional_arc_key"] or ""):
            self.preview.choose("arc", key)

    @property
    def typed(self) -> bool:
        """Whether something is other than at the beginning."""
        return bool(self.form.values() != self._began)

    # Verdicts

    def _wrong_key(self, value: str) -> str:
        return wrong_key(value, TEMPLATE, self._keys, self._template)

    @staticmethod
    def _wrong_text(text: str) -> str:
        if not text.strip():
            return "Write what the conversation is to be."
        return told(problems(text, None, MOST))

    @Slot()
    def _on_text(self) -> None:
        """What is typed, or what it is filled with, is another: mark what has no value, and read it again."""
        text, values = self.text.toPlainText(), self.preview.values
        self.text.highlighter.set_values(values)
        unfilled: list[Problem] = [found for found in problems(text, values, MOST) if not found.blocks]
        self.form.set_help("text", told(unfilled) or HELP)
        self.preview.set_text(text)

    # Saving

    @Slot()
    def _save(self) -> None:
        if not self.form.submit():
            return
        values, services, new = self.form.values(), self._services, self._new
        parts: dict[str, Any] = {name: values[name].strip() for name in FIELDS if name != "text"}
        wanted = replace(self._template, template_key=values["key"].strip(), text=values["text"], **parts)

        def work(db: Database) -> tuple[Changed, PromptTemplate]:
            if new:
                return Changed.SCAFFOLDING, store.add(db, wanted)
            return store.update(db, wanted), wanted

        def done(stored: PromptTemplate) -> None:
            services.notifier.say(f"Prompt template “{stored.name}” saved")
            self.saved.emit(stored)
            self.accept()

        self.hold("Still saving.")
        services.write(self, work, done, self.show_problem)

    def show_problem(self, error: Exception) -> None:
        """An error of saving, under its field or above the form."""
        self.hold("")
        if not isinstance(error, AppError):
            self._services.notifier.report(error, self)
        elif not show_under(self.form, TEMPLATE, error):
            self.banners.show_error(error)
