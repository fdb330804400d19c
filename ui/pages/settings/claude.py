"""Settings of Claude: the key, and the prices that spending is reckoned with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QComboBox, QLineEdit

from core.db import Database
from core.generation import models, prices
from core.jobs import Job
from core.workspace import secrets, settings
from ui import format as fmt
from ui.dialogs.api_key import TEST, ApiKeyDialog, KeyState, read_key_state
from ui.dialogs.base import confirm
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card
from ui.widgets.forms import Form, text_field
from ui.widgets.page import Page

TITLES = {
    "input": "Input", "output": "Output", "cache_write_5m": "Cache write, 5 min", "cache_write_1h": "Cache write, 1 h",
    "cache_read": "Cache read",
}  # fmt: skip
Table = tuple[list[models.ModelFacts], Mapping[str, Any], prices.PriceTable]


class ClaudeKey(Card):
    """Where the key comes from; add, replace, test, remove."""

    def __init__(self, page: Page) -> None:
        super().__init__("Claude")
        self.setObjectName("claude_card")
        self._page, self._services = page, page.services
        self.state = label("", "muted", wrap=True, name="claude_key_state")
        self.change = Button("Add API key…", "", "ph.key", on_click=self._change, name="change_key")
        self.test = Button("Test key", "", "ph.check-circle", on_click=self._test, name="test_key")
        self.remove = Button("Remove key", "ghost", "ph.trash", on_click=self._remove, name="remove_key")
        self.add(self.state)
        self.add(row(self.change, self.test, self.remove, None))
        self._show(KeyState("", False, False))

    def read(self) -> None:
        """Ask the keychain, off the GUI thread."""
        self._services.run(self._page, read_key_state, self._show)

    def _show(self, state: KeyState) -> None:
        self.state.setText(state.words)
        stored = state.there and "keychain" in state.words
        self.change.setText("Replace key…" if stored else "Add API key…")
        self.change.setVisible(state.can_store)
        self.test.setVisible(state.there)
        self.remove.setVisible(stored)

    def _change(self) -> None:
        dialog = ApiKeyDialog(self._page, self._services)
        dialog.stored.connect(self.read)
        dialog.open()

    def _test(self) -> None:
        self.test.setEnabled(False)
        self._services.start_job("ask_claude", "Testing the API key", TEST, self._on_tested, self,
                                 refused=self._on_tested)  # fmt: skip

    def _on_tested(self, job: Job | None = None) -> None:
        self.test.setEnabled(True)
        if job is not None and job.error is None and "models" in job.result:
            count = fmt.plural(int(job.result["models"]), "model")
            self._services.notifier.say(f"The key works: {count} to choose from")

    def _remove(self) -> None:
        confirm(
            self._page, "Remove key", "The API key is removed from the keychain.", "Remove", self._on_remove,
            hint="Claude can't write conversations without a key.",
        )  # fmt: skip

    def _on_remove(self) -> None:
        self._services.run(self._page, secrets.delete_anthropic, lambda _nothing: self.read())


class Prices(Card):
    """The user's own prices of a model, over the shipped ones. USD per million tokens."""

    def __init__(self, page: Page) -> None:
        super().__init__("Prices")
        self.setObjectName("prices_card")
        self._page = page
        self._table: Table | None = None
        self.about = label("", "muted", wrap=True, name="prices_about")
        self.model = QComboBox()
        self.model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.model.currentIndexChanged.connect(self._show_model)
        self.form = Form()
        self.form.add("model", "Model", self.model)
        self.fields: dict[str, QLineEdit] = {}
        for kind in prices.KINDS:
            field = self.fields[kind] = text_field("", "not known")
            self.form.add(f"price_{kind}", f"{TITLES[kind]}, $", field, check=_check)
        self.keep = Button("Use these prices", on_click=self._keep, name="keep_prices")
        self.shipped = Button("Use the shipped prices", "ghost", on_click=self._forget, name="shipped_prices")
        self.add(self.about)
        self.add(self.form)
        self.add(row(self.keep, self.shipped, None, gap=theme().sizes.grid))
        self.form.changed.connect(self._judge)

    def read(self) -> None:
        """Read models and prices again."""
        self._page.read(_read, self._show, "prices")

    def _show(self, found: Table) -> None:
        self._table = found
        known, _, table = found
        kept = self.model.currentData()
        self.about.setText(
            "US dollars per million tokens. A batch with a spending cap needs the price of its model. Shipped prices"
            f" were checked on {fmt.moment(table.checked)}."
        )
        self.model.blockSignals(True)
        self.model.clear()
        for facts in known:
            self.model.addItem(facts.display_name or facts.id, facts.id)
        self.model.setCurrentIndex(max(0, self.model.findData(kept)))
        self.model.blockSignals(False)
        self._show_model()

    @Slot()
    def _show_model(self) -> None:
        if self._table is None:
            return
        _, own, table = self._table
        ident = str(self.model.currentData() or "")
        rates = table.rates(ident, datetime.now(UTC).date(), 0)
        for kind, field in self.fields.items():
            field.blockSignals(True)
            field.setText("" if rates is None else f"{getattr(rates, kind).normalize():f}")
            field.blockSignals(False)
        self.shipped.setEnabled(ident in own)
        self._judge()

    @Slot()
    def _judge(self) -> None:
        self.keep.setEnabled(self.form.valid and all(field.text().strip() for field in self.fields.values()))

    def _keep(self) -> None:
        ident, wanted = str(self.model.currentData()), {kind: field.text() for kind, field in self.fields.items()}
        self._page.write(lambda db: prices.override(db, ident, wanted), lambda _nothing: self.read())

    def _forget(self) -> None:
        ident = str(self.model.currentData())
        self._page.write(lambda db: prices.override(db, ident, None), lambda _nothing: self.read())


def _read(db: Database) -> Table:
    return models.listing(db), settings.get(db, prices.SETTING, {}), prices.table(db)


def _check(text: str) -> str:
    if not text.strip():
        return ""
    try:
        prices.check_price(text)
    except ValueError:
        return "Enter an amount, for example 2.50."
    return ""
