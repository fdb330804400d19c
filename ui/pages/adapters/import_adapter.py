"""The dialog that imports an adapter made elsewhere: which folder, onto which base, under which name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.services import Services
from core.adapters.layouts import Glance, glance
from core.errors import AppError
from core.models.store import BaseModel
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.theme import theme
from ui.widgets.banner import BannerArea
from ui.widgets.basic import Button, label
from ui.widgets.facts import Fact, Facts
from ui.widgets.forms import Form, choice, text_field

ABOUT = (
    "It is checked against the base (names, pairs, shapes, values), converted if it is PEFT's, and copied into the "
    "workspace. Nothing in the folder is run or changed."
)


class ImportAdapterDialog(Dialog):
    """Asks for base and name; `wanted(params, title)` when it is decided."""

    wanted = Signal(object, str)

    def __init__(
        self, parent: QWidget, services: Services, folder: Path, bases: Sequence[BaseModel], chosen: str
    ) -> None:
        super().__init__(parent, "Import adapter")
        self.setObjectName("import_adapter_dialog")
        self._folder, self._bases = folder, bases
        self.banners = BannerArea()
        self.facts = Facts([Fact("Folder", folder.name, str(folder))])
        self.form = Form()
        self.base = choice([(base.name, base.id) for base in bases], chosen)
        self.form.add("base", "Base model", self.base, "The one that it was trained on.")
        self.name = text_field(folder.name)
        self.form.add("name", "Name", self.name, check=lambda text: "" if text.strip() else "Enter a name.")
        for part in (self.banners, self.facts, self.form, label(ABOUT, "muted", wrap=True)):
            self.body.addWidget(part)
        self.set_buttons(Button("Import", "main", "ph.download-simple", on_click=self._go, name="import_adapter_go"))
        self.form.changed.connect(self._judge)
        self.setMinimumWidth(theme().sizes.field + theme().sizes.label)
        self._problem = "The folder is being read."
        self._judge()
        services.run(self, lambda: glance(folder), self._show, self._failed)

    def _judge(self) -> None:
        self.hold(self._problem or ("" if self.form.valid else "Enter a name."))

    def _show(self, seen: Glance) -> None:
        facts = [Fact("Folder", self._folder.name, str(self._folder)), Fact("Layout", seen.layout)]
        if seen.rank is not None:
            facts.append(Fact("Rank", fmt.count(seen.rank)))
        if seen.base_name:
            facts.append(Fact("Says it was trained on", seen.base_name))
        self.facts.set_facts(facts)
        found = base_for(seen, self._bases)
        if found is not None:
            self.base.setCurrentIndex(self.base.findData(found.id))
        self._problem = "" if self._bases else "Add the base model that it was trained on first."
        self._judge()
        self.adjustSize()

    def _failed(self, exc: Exception) -> None:
        self._problem = "This folder can't be imported."
        self._judge()
        if isinstance(exc, AppError):
            self.banners.show_error(exc)
        self.adjustSize()

    def _go(self) -> None:
        if not self.form.submit():
            return
        name = self.name.text().strip()
        params = {"path": str(self._folder), "base_id": self.base.currentData(), "name": name}
        self.wanted.emit(params, f"Importing {name}")
        self.accept()


def base_for(seen: Glance, bases: Sequence[BaseModel]) -> BaseModel | None:
    """The base that the folder names, by fingerprint or by the last part of its name."""
    for base in bases:
        if seen.content and base.content_fingerprint == seen.content:
            return base
    wanted = seen.base_name.rstrip("/").rpartition("/")[2].lower()
    return next((base for base in bases if wanted and base.name.lower() == wanted), None)
