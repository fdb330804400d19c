"""Beside the lists of the Adapters page: a base model, or an adapter with its passport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from core import memory
from core.adapters.siblings import Sibling
from core.inference.arbiter import base_needs
from core.models.store import BaseModel
from core.training.store import Adapter
from ui import format as fmt
from ui.models.rows import Status
from ui.pages.adapters.elsewhere import Elsewhere
from ui.pages.adapters.quantise import can_quantise
from ui.pages.adapters.siblings import SiblingLines
from ui.theme import theme
from ui.widgets.basic import Button, ElidedLabel, column, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.facts import Fact, Facts, short_hash
from ui.widgets.scroll import ScrollColumn
from ui.words.counts import sum_words
from ui.words.training import TITLES, losses, preset_title, rate_words, result_words, target_title, verdict_status

PRACTICE_KIND = "Practice model, for trying things out"
# The files that an imported adapter came in.
SOURCES = {
    "adapter_config.json": "Imported settings", "adapter_model.safetensors": "Imported weights",
    "adapters.safetensors": "Imported weights",
}  # fmt: skip
TYPES = {"lora": "LoRA", "dora": "DoRA"}
KINDS = {"hub": "Hugging Face", "quantised": "Quantized here", "gguf": "GGUF file", "ollama": "Ollama"}
# What the passport keeps beside TITLES.
EXTRA_TITLES = {
    "targets": "Trained layers", "schedule": "Schedule", "scale": "Scale", "preset": "Preset",
    "grad_checkpoint": "Gradient checkpointing", "fine_tune_type": "Type",
}  # fmt: skip

AUTOMATIC = {
    "max_steps": "all epochs", "validate_every": "automatic", "checkpoint_every": "automatic", "grad_clip": "off",
}  # fmt: skip


def parameters(count: int) -> str:
    """4022468096 -> "4.02 B"."""
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return fmt.count(count)


def kind_words(base: BaseModel) -> str:
    """What kind of base it is."""
    if base.served:
        return "Ollama only, without adapters"
    return PRACTICE_KIND if base.is_practice else KINDS.get(base.kind, "Folder")


def _tokens(count: int) -> str:
    return f"{fmt.count(count)} tokens" if count else "–"


DEFAULT, AVAILABLE = Status("ok", "Default"), Status("neutral", "Available")


def base_status(is_default: bool) -> Status:
    """Whether new datasets and chats start with it."""
    return DEFAULT if is_default else AVAILABLE


def memory_words(base: BaseModel) -> str:
    """What it needs of the memory that models may use on this machine, and whether that is there at all."""
    needs, budget = base_needs(base.size_bytes), memory.read().budget
    return f"about {fmt.size(needs)} of {fmt.size(budget)}{'' if needs <= budget else ': too large'}"


def used_by(*counts: tuple[str, int]) -> str:
    """ "2 adapters, 1 chat"; what there is none of is left out."""
    return ", ".join(fmt.plural(number, noun) for noun, number in counts if number) or "nothing"


def _lay_out(owner: QWidget, *items: QWidget, stretch: QWidget) -> None:
    box = QVBoxLayout(owner)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(theme().sizes.grid)
    for item in items:
        box.addWidget(item, 1 if item is stretch else 0)


class BaseDetail(QWidget):
    """A base model: what it is, what was fixed, where it is stored."""

    default_wanted = Signal()
    rebuild_wanted = Signal()
    quantise_wanted = Signal()
    folder_wanted = Signal()
    delete_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        sizes = theme().sizes
        self.title, self.line = ElidedLabel("", "section"), ElidedLabel("", "muted")
        self.title.setObjectName("base_title")
        self.pill = StatusPill(Status("neutral", ""))
        self.facts, self.prints = Facts(), Facts()
        self.siblings = SiblingLines()
        self.notes = label("", wrap=True, selectable=True, name="base_notes")
        self.default = Button("Make default", "", "ph.star", on_click=self.default_wanted.emit, name="set_default")
        self.rebuild = Button(
            "Rebuild", "", "ph.wrench", on_click=self.rebuild_wanted.emit, name="rebuild_practice",
            tip="Build the practice model again from its text, on this machine",
        )  # fmt: skip
        self.quantise = Button(
            "Quantize…", "", "ph.arrows-in", on_click=self.quantise_wanted.emit, name="quantise_base",
            tip="Make a smaller base of it, with 4 or 8 bits a weight",
        )  # fmt: skip
        self.folder = Button("Show folder", "", "ph.folder-open", on_click=self.folder_wanted.emit, name="base_folder")
        self.delete = Button("Delete", "", "ph.trash", on_click=self.delete_wanted.emit, name="delete_base")
        # A base has one of them; with both, a card that shows no base yet would be wider than its place.
        self.rebuild.hide()
        self.quantise.hide()
        self._scroll = ScrollColumn(
            self.facts, self.siblings, label("Notes", "strong"), self.notes, label("Fingerprints", "strong"),
            self.prints, gap=sizes.grid, accessible="Details of the base model",
        )  # fmt: skip
        _lay_out(
            self, row(self.title, self.pill, stretch=self.title), self.line, self._scroll,
            row(self.default, self.rebuild, self.quantise, None),
            row(self.folder, self.delete, None), stretch=self._scroll,
        )  # fmt: skip

    def show_base(
        self, base: BaseModel, is_default: bool, uses: tuple[int, int], siblings: Sequence[Sibling] = (),
        names: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """This one, on which so many adapters and chats rest; `names` are those of all bases by id."""
        self.title.setText(base.name)
        self.line.setText(kind_words(base))
        self.pill.set_status(base_status(is_default))
        self.facts.set_facts(
            [
                Fact("Architecture", base.architecture),
                Fact(
                    "Parameters",
                    parameters(base.parameter_count) if base.parameter_count else "–",
                    fmt.count(base.parameter_count),
                ),
                Fact("Size", fmt.size(base.size_bytes)),
                Fact("In memory", memory_words(base)),
                Fact("Quantization", base.quantization or ("–" if base.served else "none")),
                Fact("Context", _tokens(base.context_length)),
                Fact("Vocabulary", _tokens(base.vocab_size)),
                Fact("Used by", used_by(("adapter", uses[0]), ("chat", uses[1]))),
                Fact("Added", fmt.moment_long(base.created_at)),
            ]
        )
        self.notes.setText("\n".join(base.notes) or "Nothing needed fixing.")
        self.prints.set_facts(
            [
                short_hash("Structure", base.structure_fingerprint),
                short_hash("Content", base.content_fingerprint),
                short_hash("Chat template", base.template_hash),
            ]
        )
        self.siblings.show_base(base, siblings, names or {})
        self.default.setEnabled(not is_default)
        # Training and counting begin with the default.
        self.default.setVisible(base.trains)
        self.rebuild.setVisible(base.is_practice)
        self.quantise.setVisible(can_quantise(base))
        # Its weights are Ollama's.
        self.folder.setVisible(not base.served)


class AdapterDetail(QWidget):
    """An adapter with its passport."""

    run_wanted = Signal()
    check_wanted = Signal()
    export_wanted = Signal()
    share_wanted = Signal()
    unshare_wanted = Signal()
    measure_wanted = Signal()
    folder_wanted = Signal()
    delete_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        sizes = theme().sizes
        self._passport: Mapping[str, Any] = {}
        self.title, self.line = ElidedLabel("", "section"), ElidedLabel("", "muted")
        self.title.setObjectName("adapter_title")
        self.pill = StatusPill(Status("neutral", ""))
        self.losses, self.verdict = (
            label("", "big", name="adapter_losses"),
            label("", wrap=True, name="adapter_verdict"),
        )
        self.facts, self.settings, self.hashes, self.versions = Facts(), Facts(), Facts(), Facts()
        self.sum = label("", wrap=True, name="adapter_sum")
        title, heard = label("Validation loss, before and after", "caption"), label("Conversations", "strong")
        # What an adapter that was imported has not.
        self._of_training = (title, self.losses, heard, self.sum)
        self._scroll = ScrollColumn(
            title, self.losses, self.verdict, self.facts, heard, self.sum, label("Settings", "strong"), self.settings,
            label("Hashes", "strong"), self.hashes, label("Created with", "strong"), self.versions, gap=sizes.grid,
            accessible="Adapter passport",
        )  # fmt: skip
        self.run = Button("Open run", "", "ph.chart-line", on_click=self.run_wanted.emit, name="open_run")
        self.copy = Button("Copy passport", "", "ph.copy", on_click=self._copy, name="copy_passport")
        self.check = Button(
            "Check", "", "ph.check-circle", on_click=self.check_wanted.emit, name="check_adapter",
            tip="Compare its hash with its passport, and its file with its base",
        )  # fmt: skip
        self.export = Button(
            "Export…", "", "ph.export", on_click=self.export_wanted.emit, name="export_adapter",
            tip="Write it with its passport into a folder, for mlx-lm, PEFT or llama.cpp",
        )  # fmt: skip
        self.share = Button(
            "Share to Ollama…", "", "ph.share-network", on_click=self.share_wanted.emit, name="share_adapter",
            tip="Make it a model in Ollama, so that other programs can use it",
        )  # fmt: skip
        self.unshare = Button("Stop sharing", "", "ph.x", on_click=self.unshare_wanted.emit, name="unshare_adapter")
        self.measure = Button(
            "Measure", "", "ph.gauge", on_click=self.measure_wanted.emit, name="measure_parity",
            tip="How much of it is left on bases in another format, on held-out turns",
        )  # fmt: skip
        self.unshare.hide()
        self.measure.hide()
        self.folder = Button(
            "Show folder", "", "ph.folder-open", on_click=self.folder_wanted.emit, name="adapter_folder"
        )
        self.delete = Button("Delete", "", "ph.trash", on_click=self.delete_wanted.emit, name="delete_adapter")
        _lay_out(
            self, row(self.title, self.pill, stretch=self.title), self.line, self._scroll,
            row(self.run, self.copy, None), row(self.check, self.export, self.measure, None),
            row(self.share, self.unshare, None),
            row(self.folder, self.delete, None), stretch=self._scroll,
        )  # fmt: skip

    def show_adapter(
        self, adapter: Adapter, several: int = 1, chats: int = 0, elsewhere: Elsewhere | None = None
    ) -> None:
        """This one, with which so many chats talk; `elsewhere` says where else it answers; `several` are selected."""
        elsewhere = elsewhere or Elsewhere()
        passport = self._passport = adapter.passport
        self.title.setText(adapter.name)
        self.line.setText(f"{adapter.base_name} · {fmt.moment_long(adapter.created_at)}")
        self.pill.set_status(verdict_status(adapter.verdict))
        self.losses.setText(losses(passport.get("loss_before"), passport.get("loss_after")))
        self.verdict.setText(result_words(adapter))
        self.facts.set_facts([*_facts(adapter), Fact("Used by", used_by(("chat", chats))), *elsewhere.facts])
        self.unshare.setVisible(bool(elsewhere.shares))
        self.measure.setVisible(bool(elsewhere.unmeasured) and adapter.dataset_id is not None)
        counts = passport.get("counts", {})
        self.sum.setText(sum_words(counts) if counts else "Not recorded")
        imported = "imported" in passport
        for part in self._of_training:
            part.setVisible(not imported)
        self.settings.set_facts(_settings(passport.get("hyperparameters", {})))
        self.hashes.set_facts(_hashes(adapter))
        made = [Fact(name, str(version)) for name, version in passport.get("versions", {}).items()]
        self.versions.set_facts([*made, Fact("Machine", str(passport.get("machine", fmt.NOTHING)))])
        self.run.setVisible(bool(adapter.training_job_id))
        self.delete.setText(f"Delete {fmt.count(several)}" if several > 1 else "Delete")

    def _copy(self) -> None:
        text = orjson.dumps(self._passport, option=orjson.OPT_INDENT_2).decode()
        QGuiApplication.clipboard().setText(text)


def dataset_name(adapter: Adapter) -> str:
    """The dataset's name as it was when the adapter was trained."""
    return str(adapter.passport.get("dataset", {}).get("name") or fmt.NOTHING)


def _facts(adapter: Adapter) -> list[Fact]:
    passport = adapter.passport
    if "imported" in passport:
        return _imported_facts(adapter, passport["imported"])
    return [
        Fact("Base", adapter.base_name),
        Fact("Dataset", dataset_name(adapter)),
        Fact("Steps", f"{fmt.count(passport.get('published_step'))} of {fmt.count(passport.get('steps'))}",
             "The step with the best validation loss was published"),
        Fact("Trained tokens", fmt.count(passport.get("trained_tokens"))),
        Fact("Training time", fmt.duration(passport.get("seconds"))),
        Fact("Size", fmt.size(adapter.size_bytes)),
    ]  # fmt: skip


def _imported_facts(adapter: Adapter, imported: Mapping[str, Any]) -> list[Fact]:
    source = str(imported.get("from") or "")
    return [
        Fact("Base", adapter.base_name),
        Fact("Imported from", source.rpartition("/")[2] or fmt.NOTHING, source),
        Fact("Layout", str(imported.get("layout") or fmt.NOTHING)),
        Fact("Adapted modules", fmt.count(imported.get("modules"))),
        Fact("Size", fmt.size(adapter.size_bytes)),
    ]


def _settings(values: Mapping[str, Any]) -> list[Fact]:
    out = []
    for key, value in values.items():
        if key == "preset":
            text = preset_title(str(value))
        elif key == "targets":
            text = target_title(str(value))
        elif key == "fine_tune_type":
            text = TYPES.get(str(value), str(value))
        elif key == "learning_rate":
            text = rate_words(float(value))
        elif isinstance(value, bool):
            text = "yes" if value else "no"
        elif value == 0 and key in AUTOMATIC:
            text = AUTOMATIC[key]
        elif isinstance(value, int):
            text = str(value) if key == "seed" else fmt.count(value)
        else:
            text = f"{value:g}" if isinstance(value, float) else fmt.word(str(value))
        out.append(Fact(TITLES.get(key) or EXTRA_TITLES.get(key) or fmt.word(key), text))
    return out


def _hashes(adapter: Adapter) -> list[Fact]:
    passport = adapter.passport
    base, imported = passport.get("base", {}), passport.get("imported", {})
    own = [short_hash(SOURCES.get(name, name), value) for name, value in imported.get("files", {}).items()]
    if not imported:
        own = [short_hash("Dataset", passport.get("dataset_hash")), short_hash("Settings", passport.get("config_hash"))]
    return [
        short_hash("Adapter", adapter.sha256),
        *own,
        short_hash("Chat template", passport.get("template_hash")),
        short_hash("Base structure", base.get("structure_fingerprint")),
        short_hash("Base content", base.get("content_fingerprint")),
    ]


class Inspector(Card):
    """The card at the right: nothing, a base, or an adapter."""

    def __init__(self) -> None:
        super().__init__("")
        self.setObjectName("adapters_inspector")
        self.base, self.adapter = BaseDetail(), AdapterDetail()
        self._nothing = column(label("Select a base model or an adapter to see its details.", "muted", wrap=True), None)
        self._views = QStackedWidget()
        for view in (self._nothing, self.base, self.adapter):
            self._views.addWidget(view)
        self.add(self._views, 1)

    def show_base(
        self, base: BaseModel, is_default: bool, uses: tuple[int, int], siblings: Sequence[Sibling],
        names: Mapping[str, str],
    ) -> None:  # fmt: skip
        """A base model."""
        self.base.show_base(base, is_default, uses, siblings, names)
        self._views.setCurrentWidget(self.base)

    def show_adapter(self, adapter: Adapter, several: int, chats: int, elsewhere: Elsewhere) -> None:
        """An adapter."""
        self.adapter.show_adapter(adapter, several, chats, elsewhere)
        self._views.setCurrentWidget(self.adapter)

    def show_nothing(self) -> None:
        """Nothing is selected."""
        self._views.setCurrentWidget(self._nothing)
