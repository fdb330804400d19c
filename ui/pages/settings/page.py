"""Settings: appearance, storage, how datasets are split, how many jobs run, and what this program is."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import PySide6
from PySide6.QtCore import Qt, QTimer, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from app.services import Services
from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.scaffolding import seeding
from core.workspace import settings
from core.workspace.paths import models_cache
from ui.pages.settings.claude import ClaudeKey, Prices
from ui.pages.settings.code import CodeCard
from ui.pages.settings.hub import HubToken
from ui.pages.settings.ollama import OllamaCard
from ui.theme import SCALES, theme
from ui.widgets.basic import Button, label, row, scrolled
from ui.widgets.card import Card
from ui.widgets.forms import Form, SliderSpin, choice, field_value, number
from ui.widgets.page import Page

THEMES = [("Match system", "system"), ("Light", "light"), ("Dark", "dark")]
SAVE_MS = 400
MAX_NETWORK_JOBS = 8
NUMBERS = ("validation_share", "network_jobs")


def product_version() -> str:
    """The installed version, or that this is a checkout."""
    try:
        return version("bright-run")
    except PackageNotFoundError:
        return "development checkout"


def _vertical(db: Database) -> str:
    """The name of the workspace's vertical; its key where this machine lacks its data, or can't use it."""
    try:
        return seeding.vertical_of(db).name
    except AppError as error:
        return f"{seeding.key_of(db)}: {error.message}"


class SettingsPage(Page):
    """Every change takes effect at once; nothing to save."""

    watches: ClassVar[Changed] = Changed.SETTINGS

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.set_header("Settings", "Changes take effect immediately.")
        self._loading = True
        self._save_soon = QTimer(self)
        self._save_soon.setSingleShot(True)
        self._save_soon.setInterval(SAVE_MS)
        self._save_soon.timeout.connect(self._save)
        self._edited: set[str] = set()
        self.about = self._about()
        inner = QWidget()
        inner.setMaximumWidth(2 * theme().sizes.inspector)
        box = QVBoxLayout(inner)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme().sizes.grid * 2)
        self.claude, self.prices, self.hub = ClaudeKey(self), Prices(self), HubToken(self)
        self.code, self.ollama = CodeCard(self), OllamaCard(self)
        cards = (
            self._appearance(), self._purpose(), self._folders(), self.claude, self.prices, self.hub, self.code,
            self.ollama,
            self._datasets(), self._jobs(), self.about,
        )  # fmt: skip
        for card in cards:
            box.addWidget(card)
        box.addStretch(1)
        self._area = scrolled(inner)
        self._area.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.set_content(self._area)
        theme().changed.connect(self._show_theme)

    def _appearance(self) -> Card:
        self.look = Form()
        self.look.add("theme", "Theme", choice(THEMES, theme().mode), "Saved in this workspace.")
        sizes = [(f"{round(scale * 100)}%", scale) for scale in SCALES]
        self.look.add("scale", "Text size", choice(sizes, theme().scale), "Rows, buttons, and icons scale with it.")
        self.look.changed.connect(self._on_look)
        return Card("Appearance", self.look)

    def _purpose(self) -> Card:
        about = Form()
        self.vertical = label("", wrap=True, name="vertical_name")
        about.add(
            "vertical", "Vertical", self.vertical,
            "What this workspace is for: its first scaffolding, and the words that enrichment looks for.",
        )  # fmt: skip
        return Card("Workspace", about)

    def _folders(self) -> Card:
        root = self.services.workspace.root
        lines = [
            self._folder(
                "Workspace folder", str(root), "Database, conversations, datasets, adapters, logs, and backups."
            ),
            self._folder("Base models", str(models_cache()), "Shared by all workspaces."),
        ]
        return Card("Storage", *lines)

    @staticmethod
    def _folder(title: str, path: str, text: str) -> QWidget:
        out = Form()
        shown = label(path, selectable=True, wrap=True)

        def show() -> None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(path))

        button = Button("Open", "", "ph.folder-open", on_click=show, accessible=f"Open folder: {title}")
        out.add(title, title, row(shown, button, stretch=shown), text)
        return out

    def _datasets(self) -> Card:
        self.split = Form()
        self.share = SliderSpin(5, 30, 12, suffix="%")
        self.split.add(
            "validation_share", "Validation share", self.share,
            "Share of a new dataset kept for validation (held-out set). Whole conversations, chosen at random.",
        )  # fmt: skip
        self.split.changed.connect(partial(self._on_number, "validation_share"))
        return Card("Datasets", self.split)

    def _jobs(self) -> Card:
        self.lanes = Form()
        self.network = number(1, MAX_NETWORK_JOBS, int(settings.DEFAULTS["network_jobs"]))
        self.lanes.add(
            "network_jobs", "Network jobs", self.network,
            "How many jobs that send requests, such as to Claude, run side by side.",
        )  # fmt: skip
        self.lanes.changed.connect(partial(self._on_number, "network_jobs"))
        return Card("Jobs", self.lanes)

    @staticmethod
    def _about() -> Card:
        qt = f"Python {platform.python_version()}, PySide6 {PySide6.__version__}"
        return Card(
            "About",
            label(f"Bright Run {product_version()}", "strong", selectable=True),
            label(f"{qt}, {platform.system()} {platform.machine()}", "caption", selectable=True),
            label("Nothing leaves this machine except what you send to Claude.", "muted", wrap=True),
        )

    # Values

    def reload(self) -> None:
        self.read(lambda db: {key: float(settings.get(db, key)) for key in NUMBERS}, self._show)
        self.read(_vertical, self.vertical.setText, key="vertical")
        self.claude.read()
        self.hub.read()
        self.prices.read()
        self.code.read()
        self.ollama.read()

    def _show(self, stored: Mapping[str, float]) -> None:
        self._loading = True
        if not self._edited:
            self.share.set_value(round(stored["validation_share"] * 100))
            self.network.setValue(round(stored["network_jobs"]))
        self._loading = False
        self._show_theme()

    @Slot()
    def _show_theme(self) -> None:
        self._loading = True
        for key, wanted in (("theme", theme().mode), ("scale", theme().scale)):
            combo = self.look.field(key)
            if isinstance(combo, QComboBox) and combo.findData(wanted) >= 0:
                combo.setCurrentIndex(combo.findData(wanted))
        self._loading = False

    @Slot()
    def _on_look(self) -> None:
        if self._loading:
            return
        mode, scale = self.look.values()["theme"], float(self.look.values()["scale"])
        if mode != theme().mode:
            self.services.navigator.run_command(f"theme_{mode}")
        if scale != theme().scale:
            theme().set_scale(scale)
            self.services.state.put_number("window/scale", scale)

    def _on_number(self, key: str) -> None:
        if not self._loading:
            self._edited.add(key)
            self._save_soon.start()

    @Slot()
    def _save(self) -> None:
        now = {"validation_share": float(field_value(self.share)) / 100, "network_jobs": int(field_value(self.network))}
        values = {key: now[key] for key in self._edited}
        self._edited.clear()

        def put(db: Database) -> Changed:
            for key, value in values.items():
                settings.put(db, key, value)
            return Changed.SETTINGS

        # A higher number lets a queued job start now.
        self.write(put, lambda _result: self.services.queue.kick())

    def open_item(self, argument: object) -> None:
        """ "about" and "code" show that card."""
        cards = {"about": self.about, "code": self.code, "ollama": self.ollama}
        if argument in cards:
            self._area.ensureWidgetVisible(cards[str(argument)])
