"""The consultant's profile as a form: every field, lists as one item a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLineEdit, QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.scaffolding import profile
from core.scaffolding.seeding import shipped_profile
from core.scaffolding.store import consultant_profile
from ui.dialogs.base import Dialog
from ui.pages.scaffolding.form import EntryFields
from ui.pages.scaffolding.kinds import put_value
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, label
from ui.widgets.forms import text_area, text_field
from ui.widgets.scroll import ScrollColumn

TEXTS = ("name", "business", "expertise", "approach", "system_prompt")


def _lines(items: Any) -> str:
    return "\n".join(str(item) for item in items)


def _items(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def form_values(found: Mapping[str, Any]) -> dict[str, str]:
    """What the form shows of a profile."""
    style = found.get("communication_style")
    style = style if isinstance(style, Mapping) else {}
    return {name: str(found.get(name, "")) for name in TEXTS} | {
        "core_philosophy": _lines(profile.principles(found)), "tone": str(style.get("tone", "")),
        "techniques": _lines(style.get("techniques", ())), "avoid": _lines(style.get("avoid", ())),
    }  # fmt: skip


def to_profile(found: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The profile with the values of the form; what the form does not show stays."""
    style = found.get("communication_style")
    return dict(found) | {name: values[name].strip() for name in TEXTS} | {
        "core_philosophy": profile.with_principles(found, _items(values["core_philosophy"])),
        "communication_style": (dict(style) if isinstance(style, Mapping) else {}) | {
            "tone": values["tone"].strip(), "techniques": _items(values["techniques"]),
            "avoid": _items(values["avoid"]),
        },
    }  # fmt: skip


class ProfileDialog(Dialog):
    """Reads the profile, saves it whole."""

    def __init__(self, parent: QWidget | None, services: Services) -> None:
        super().__init__(parent, "Consultant profile")
        self.setObjectName("consultant_profile")
        self._services = services
        self._found: dict[str, Any] = {}
        self.banners = BannerArea()
        self.form = EntryFields()
        self._build_form()
        hint = "Who answers in the conversations. Enrichment, generation, and training files use it from now on."
        self.body.addWidget(label(hint, "muted", wrap=True))
        self.body.addWidget(self.banners)
        self.body.addWidget(ScrollColumn(self.form, name="profile_scroll", accessible="Fields of the profile"), 1)
        restore = Button("Restore the shipped profile", "ghost", on_click=self._restore, name="restore_profile")
        self.ok = Button("Save", "main", "ph.check", on_click=self._save, name="save_profile")
        self.set_buttons(self.ok, restore)
        self.hold("The profile is still loading.")
        sizes = theme().sizes
        self.resize(2 * sizes.inspector, 2 * sizes.inspector - sizes.label)
        services.read(self, consultant_profile, self._fill, self.show_problem)

    def _build_form(self) -> None:
        form, per_line = self.form, "One per line."
        form.add("name", "Name", text_field(), check=lambda v: "" if v.strip() else "Enter a name.")
        form.add("business", "Business", text_field())
        form.add("expertise", "Expertise", text_area("", 2))
        form.add("approach", "Approach", text_area("", 2))
        form.add("core_philosophy", "Core philosophy", text_area("", 5), per_line)
        form.add("tone", "Tone", text_area("", 2))
        form.add("techniques", "Techniques", text_area("", 5), per_line)
        form.add("avoid", "Avoid", text_area("", 5), per_line)
        form.add("system_prompt", "System prompt", text_area("", 3), "The instruction the model gets first.",
                 check=lambda v: "" if v.strip() else "Enter a system prompt.")  # fmt: skip

    def _fill(self, found: dict[str, Any]) -> None:
        self._found = found
        for name, value in form_values(found).items():
            put_value(self.form.field(name), value)
        self.form.settle()
        self.hold("")
        first = self.form.field("name")
        first.setFocus()
        if isinstance(first, QLineEdit):
            first.selectAll()

    @Slot()
    def _save(self) -> None:
        if self.form.submit():
            wanted = to_profile(self._found, self.form.values())
            self._store(lambda _db: wanted, "Consultant profile saved")

    @Slot()
    def _restore(self) -> None:
        self._store(shipped_profile, "Shipped consultant profile restored")

    def _store(self, wanted: Callable[[Database], Mapping[str, Any]], text: str) -> None:
        self.hold("Still saving.")
        services = self._services

        def work(db: Database) -> tuple[Changed, dict[str, Any]]:
            before = consultant_profile(db)
            return profile.save(db, wanted(db)), before

        def done(before: dict[str, Any]) -> None:
            services.notifier.say(text, lambda: services.write(services.root, lambda db: profile.put_back(db, before)))
            self.accept()

        services.write(self, work, done, self.show_problem)

    def show_problem(self, error: Exception) -> None:
        """An error of reading or saving, above the form."""
        self.hold("")
        if isinstance(error, AppError):
            self.banners.show_error(error)
        else:
            self._services.notifier.report(error, self)
