"""One persona, arc or topic as a form: validated as you type, saved by a button, drafts kept until then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QCheckBox, QWidget

from core.errors import AppError
from core.scaffolding.store import Entry
from ui import format as fmt
from ui.models.rows import Status
from ui.pages.scaffolding.beats_field import BeatsField
from ui.pages.scaffolding.kinds import (
    Kind,
    blank,
    field_widget,
    form_values,
    put_value,
    to_entry,
    wrong_age,
)
from ui.theme import theme
from ui.widgets.basic import Button, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.flow import Flow
from ui.widgets.forms import Check, Form, text_field
from ui.widgets.scroll import ScrollColumn

APART = ("is_active", "beats")
_KEY = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


class EntryFields(Form):
    """A form that is filled again and again."""

    def __init__(self) -> None:
        super().__init__(narrow=True)
        # Most rows have no help below them that would keep them apart.
        self._grid.setVerticalSpacing(theme().sizes.half)

    def settle(self) -> None:
        """After a filling: nothing was edited yet, so nothing is found fault with."""
        for made in self._rows.values():
            made.touched = False
            self._show_verdict(made)


class EntryForm(Card):
    """`saved(entry, is_new)`, `deleted(entry)`, `duplicated(entry)`, `show_uses(key)`, `dropped()`: a new one.

    `beats_wanted(arc)`: its beats as they are stored, or as they were given to a new one.
    """

    saved = Signal(object, bool)
    deleted = Signal(object)
    duplicated = Signal(object)
    show_uses = Signal(str)
    dropped = Signal()
    beats_wanted = Signal(object)

    def __init__(self, kind: Kind) -> None:
        super().__init__("", gap=10)
        self.setObjectName(f"form_{kind.name}")
        self.kind = kind
        self.entry: Entry = blank(kind)
        self._keys: Mapping[str, str] = {}
        self._drafts: dict[str, dict[str, Any]] = {}
        self._loading = True
        self.title = label("", "section", wrap=True, name="entry_title")
        self.dirty_pill = StatusPill(Status("warn", "Not saved"))
        self.uses = Button("", "link", on_click=lambda: self.show_uses.emit(self.entry.key), name="uses")
        self.form = self._build_form()
        self.add(row(self.title, self.dirty_pill, stretch=self.title))
        self.add(row(self.uses, None))
        self.add(ScrollColumn(self.form, name="entry_scroll", accessible=f"Fields of the {kind.one}"), 1)
        self.save = Button("Save", "main", "ph.check", on_click=self._save, name="save_entry")
        self.revert = Button("Discard changes", "ghost", on_click=self._revert, name="revert_entry")
        self.remove = Button("Delete", "ghost", "ph.trash", on_click=self._delete, name="delete_entry")
        self.copy = Button("Duplicate", "ghost", "ph.copy", on_click=self._duplicate, name="duplicate_entry")
        does = Flow(self.save, self.revert, self.copy, self.remove)
        does.align(right=False)
        self.add(does)
        self._loading = False
        # Widgets that nothing was put into yet are no draft.
        self._fill(form_values(kind, self.entry))
        self.show_new()

    def _build_form(self) -> EntryFields:
        form = EntryFields()
        form.add("key", "Key", text_field("", "first_time_buyer"), "The name that files use.",
                 check=self._wrong_key)  # fmt: skip
        folded = False
        for field in self.kind.fields:
            if field.more and not folded:
                self._add_active(form)
                form.begin_advanced("More")
                folded = True
            check = required(field.title) if field.required else wrong_age if field.kind == "age" else None
            made = form.add(field.name, field.title, field_widget(field), field.help, check=check)
            if isinstance(made, BeatsField):
                made.edit_wanted.connect(self._edit_beats)
        form.changed.connect(self._on_changed)
        return form

    @staticmethod
    def _add_active(form: Form) -> None:
        form.add("is_active", "State", QCheckBox("In use"))

    def _wrong_key(self, value: str) -> str:
        return wrong_key(value, self.kind, self._keys, self.entry)

    # What is shown

    @property
    def is_new(self) -> bool:
        """Whether the entry is not stored yet."""
        return not self.entry.id

    @property
    def dirty(self) -> bool:
        """Whether something was typed that is not saved."""
        return bool(self.form.values() != form_values(self.kind, self.entry))

    def set_keys(self, keys: Mapping[str, str]) -> None:
        """Keys that are taken, with the id of their entry."""
        self._keys = keys

    def show_entry(self, entry: Entry, *, uses: int | None = None) -> None:
        """Another entry, or the same as it is stored now; what was typed into either is kept."""
        same = not self.is_new and entry.id == self.entry.id
        if same and entry.updated_at < self.entry.updated_at:
            # A row of the list that was read before the last change.
            return
        if same and self.dirty:
            # Switched off or on from the list, beats saved by their dialog: saving the rest must not take that back.
            self.take_apart(entry)
        if not (same and self.dirty):
            self._keep_draft()
            self.entry = entry
            wanted = self._drafts.get(entry.id) or form_values(self.kind, entry)
            if not same or wanted != self.form.values():
                self._fill(wanted)
        self._show_uses(uses)

    def take_apart(self, entry: Entry) -> None:
        """The entry with a field that was changed outside of the form; what was typed into the others stays."""
        if entry.id != self.entry.id:
            return
        for name in APART:
            value = getattr(entry, name, None)
            if value != getattr(self.entry, name, None):
                parts: dict[str, Any] = {} if self.is_new else {name: value, "updated_at": entry.updated_at}
                self.entry = replace(self.entry, **parts)
                put_value(self.form.field(name), value)

    def _edit_beats(self) -> None:
        values = self.form.values()
        parts = {name: values[name] for name in ("name", "start_emotion", "end_emotion", "beats")}
        self.beats_wanted.emit(replace(self.entry, **parts))

    def show_new(self, key: str = "") -> None:
        """A form for a new entry; the one that was begun, unless a key is given."""
        self._keep_draft()
        self.entry = blank(self.kind, key)
        draft = self._drafts.get("")
        self._fill(draft if draft and key in ("", draft["key"]) else form_values(self.kind, self.entry))
        self._show_uses(None)

    def _keep_draft(self) -> None:
        if self.dirty:
            self._drafts[self.entry.id] = self.form.values()
        else:
            self._drafts.pop(self.entry.id, None)

    def _fill(self, values: Mapping[str, Any]) -> None:
        self._loading = True
        for name, value in values.items():
            put_value(self.form.field(name), value)
        self.form.settle()
        self._loading = False
        self._show_state()

    def _show_uses(self, uses: int | None) -> None:
        self.uses.setVisible(bool(uses) and not self.is_new)
        if uses:
            self.uses.setText(f"Used by {fmt.plural(uses, 'conversation')}")

    @Slot()
    def _on_changed(self) -> None:
        if not self._loading:
            self._show_state()

    def _show_state(self) -> None:
        name = str(self.form.values()["name"]).strip()
        self.title.setText(name or f"New {self.kind.one}")
        dirty = self.dirty
        self.dirty_pill.setVisible(dirty or self.is_new)
        self.dirty_pill.set_status(Status("info", "New") if self.is_new else Status("warn", "Not saved"))
        self.save.setText(f"Add {self.kind.one}" if self.is_new else "Save")
        self.save.setEnabled(dirty or self.is_new)
        self.revert.setText("Cancel" if self.is_new else "Discard changes")
        self.revert.setVisible(dirty or self.is_new)
        self.remove.setVisible(not self.is_new)
        self.copy.setVisible(not self.is_new)

    # What the user does

    def _save(self) -> None:
        if self.form.submit():
            self.saved.emit(to_entry(self.kind, self.entry, self.form.values()), self.is_new)

    def _revert(self) -> None:
        if self.is_new:
            self._drafts.pop("", None)
            self._fill(form_values(self.kind, blank(self.kind)))
            self.dropped.emit()
            return
        self._drafts.pop(self.entry.id, None)
        self._fill(form_values(self.kind, self.entry))

    def _delete(self) -> None:
        self.deleted.emit(self.entry)

    def _duplicate(self) -> None:
        self.duplicated.emit(self.entry)

    def stored(self, entry: Entry) -> None:
        """The entry was saved: this is how it is now."""
        self._drafts.pop(self.entry.id, None)
        self.entry = entry
        self._fill(form_values(self.kind, entry))

    def show_problem(self, error: AppError) -> bool:
        """Put an error of the store under its field; False if it belongs to none of them."""
        return show_under(self.form, self.kind, error)


def show_under(form: Form, kind: Kind, error: AppError) -> bool:
    """Put an error of the store under its field; False if it belongs to none of them."""
    place = error.where.field
    name = "key" if place == kind.entry.KEY else place.rpartition(".")[2]
    if name not in form.values():
        return False
    form.set_error(name, error.message)
    return True


def wrong_key(value: str, kind: Kind, taken: Mapping[str, str], entry: Entry) -> str:
    """What is wrong with the key of an entry, or nothing; `taken` has the ids of the keys that are there."""
    key = value.strip()
    if not key:
        return "Enter a key."
    if not _KEY.fullmatch(key):
        return "Use lowercase letters, digits, and single underscores, starting with a letter: first_time_buyer."
    owner = taken.get(key, "")
    return f"This key is already used by another {kind.one}." if owner and owner != entry.id else ""


def required(title: str) -> Check:
    """A check that something is there."""
    return lambda value: "" if str(value).strip() else f"{title} is required."


def focus_first(form: EntryForm) -> QWidget:
    """The field to begin with: the name where the key is given, else the key."""
    field = form.form.field("name" if form.entry.key else "key")
    field.setFocus()
    return field
