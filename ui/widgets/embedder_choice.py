"""The choice of an embedding model: those that are here, those that could be, none, or a folder of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtGui import QKeyEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QComboBox, QFileDialog, QVBoxLayout, QWidget

from app.services import Services
from core.code_index.active import folder_name
from core.db import Database
from core.errors import AppError
from core.projects.rates import measured
from ui import format as fmt
from ui.theme import theme
from ui.widgets.basic import label, restyle

if TYPE_CHECKING:
    from core.code_index.embedders import EmbedderChoice as ModelHere

BEST, FOLDER = "", "folder…"


@dataclass(frozen=True)
class Option:
    """A model that can be chosen. `speed` in chunks a second, 0 where nothing is embedded; `there` says it is here."""

    key: str
    name: str
    about: str
    speed: float = 0.0
    there: bool = True


def read_options(db: Database, kept: str = "", inherited: str | None = None) -> list[Option]:
    """Looks into folders: never on the GUI thread. `kept` is a setting that must be among them.

    `inherited` is the setting that an empty choice stands for; without one that is the best model there is.
    """
    # With it comes NumPy, which the widget need not wait for.
    from core.code_index import embedders

    rates = measured(db).embedding
    out = [_here(found.key, found, rates) for found in embedders.available()]
    have = {option.key for option in out}
    for model in embedders.KNOWN:
        if model.key not in have:
            error = embedders.missing(model)
            about = f"{model.about} {error.hint}" if not model.package else f"{model.about} {error.message}"
            speed = _speed(embedders.estimate(model, 1000)["seconds"])
            out.append(Option(model.key, f"{model.name} (not here)", about, speed, there=False))
    out.append(Option(embedders.WORDS_ONLY, "None: words and names only", "Search needs no model for words and names."))
    if kept and kept not in {option.key for option in out}:
        out.append(_own(kept, rates))
    first = _own(inherited or embedders.AUTO, rates)
    words = "Best available" if inherited is None else "As in Settings"
    name = f"{words} ({first.name})" if first.there or inherited else f"{words} (none is here yet)"
    return [Option(BEST, name, first.about, first.speed, first.there), *out]


def _own(setting: str, rates: Mapping[str, float]) -> Option:
    from core.code_index import embedders

    try:
        found = embedders.choose(setting)
    except AppError as error:
        return Option(setting, f"{Path(setting).name} (not here)", f"{error.message} {error.hint}", there=False)
    if found is None:
        return Option(setting, "words and names only", "Search needs no model for words and names.")
    return _here(setting, found, rates)


def _here(setting: str, found: ModelHere, rates: Mapping[str, float]) -> Option:
    """As quick as it was here; before it was ever used, as such a machine usually is."""
    speed = rates.get(folder_name(found.slug)) or _speed(found.seconds(1000))
    return Option(setting, found.name, f"{found.about} Takes {fmt.size(found.bytes_needed)} of memory.", speed)


def _speed(seconds: float) -> float:
    return 1000 / max(1e-9, seconds)


class EmbedderChoice(QWidget):
    """A combo box that fills itself. `value_changed()` when another is chosen, `filled()` once there are other words.

    `inherited` is the workspace's setting, where an empty choice means that.
    """

    value_changed = Signal()
    filled = Signal()

    def __init__(self, services: Services, value: str = "", inherited: str | None = None) -> None:
        super().__init__()
        self._services, self._wanted, self._inherited = services, value, inherited
        self._options: list[Option] = []
        self._filling = False
        # A folder that is being looked into.
        self._asked = ""
        self._looking: int | None = None
        self.combo = _Combo()
        self.combo.setObjectName("embedder_choice")
        self.combo.currentIndexChanged.connect(self._on_chosen)
        self.combo.activated.connect(self._on_activated)
        self.about = label("Looking for models…", "caption", wrap=True, name="embedder_about")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, theme().sizes.grid)
        box.setSpacing(theme().sizes.half)
        box.addWidget(self.combo)
        box.addWidget(self.about)
        self.read()

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.combo.setAccessibleName(name)

    def setFocus(self, *args: Any) -> None:
        self.combo.setFocus(*args)

    def read(self) -> None:
        """Look which models there are."""
        wanted, inherited = self._wanted, self._inherited
        self._services.read(self, lambda db: read_options(db, wanted, inherited), self._fill)

    def _fill(self, options: list[Option]) -> None:
        if self._wanted not in {option.key for option in options}:
            # Chosen after it was asked what there is.
            self.read()
            return
        self._options = options
        self._filling = True
        self.combo.clear()
        for option in options:
            self.combo.addItem(option.name, option.key)
        self.combo.addItem("A folder…", FOLDER)
        self.combo.setCurrentIndex(self.combo.findData(self._wanted))
        self._filling = False
        if not self._asked:
            self._describe()
        self.filled.emit()

    @property
    def option(self) -> Option | None:
        """What is chosen; None until the models are known."""
        return next((option for option in self._options if option.key == self._wanted), None)

    def value(self) -> str:
        """The setting: "" for the best there is, "none", a known name or a folder."""
        return self._asked or self._wanted

    def set_value(self, value: str) -> None:
        """Choose without a signal."""
        if value != self._wanted:
            self._look_no_more()
            self._wanted = value
            self.read()

    def _describe(self) -> None:
        self._say(self.option.about if self.option is not None else "")

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self.about.setText(text)
        self.about.setProperty("role", "error" if wrong else "caption")
        restyle(self.about)
        self.combo.setAccessibleDescription(text)
        self._fit()

    def _fit(self) -> None:
        # A form gives a field the height that it had; words that take more lines would be cut.
        self.about.setMinimumHeight(self.about.heightForWidth(self.width()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    @Slot(int)
    def _on_chosen(self, _place: int) -> None:
        if self._filling:
            return
        key = str(self.combo.currentData())
        if key == FOLDER:
            self._ask_folder(open_now=not self.combo.passing)
            return
        self._look_no_more()
        self._wanted = key
        self._describe()
        self.value_changed.emit()

    @Slot(int)
    def _on_activated(self, place: int) -> None:
        # Chosen again, what was said of a folder that was refused goes.
        if not self._asked and self.combo.itemData(place) == self._wanted:
            self._describe()

    def _ask_folder(self, *, open_now: bool) -> None:
        self._filling = True
        self.combo.setCurrentIndex(self.combo.findData(self._wanted))
        self._filling = False
        if not open_now:
            return
        dialog = QFileDialog(self, "Folder of an embedding model")
        dialog.setObjectName("embedder_folder")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self.choose_folder)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def choose_folder(self, name: str) -> None:
        """A model's folder of one's own; one that holds no model is refused, and what was chosen stays."""
        self._look_no_more()
        self._asked = name
        self._say("Looking into the folder…")
        self._looking = self._services.read(self, lambda db: _own(name, measured(db).embedding), self._on_folder)

    def _look_no_more(self) -> None:
        self._services.forget(self._looking)
        self._asked = ""

    def _on_folder(self, own: Option) -> None:
        self._asked = ""
        if not own.there:
            self._say(own.about, wrong=True)
            self.filled.emit()
            return
        self._wanted = own.key
        if self._options:
            self._fill([*(option for option in self._options if option.key != own.key), own])
        self.value_changed.emit()


class _Combo(QComboBox):
    """As wide as its words, up to a field's width. `passing` while a key or the wheel changes it, its list closed.

    A dialog must not open because one passes over it; from the open list it does.
    """

    passing = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.passing = True
        super().keyPressEvent(event)
        self.passing = False

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.passing = True
        super().wheelEvent(event)
        self.passing = False

    def showPopup(self) -> None:
        # Opened by a key, the list of macOS is chosen from before that key's event is over.
        self.passing = False
        super().showPopup()

    def sizeHint(self) -> QSize:
        return super().sizeHint().boundedTo(QSize(theme().sizes.field, super().sizeHint().height()))

    def minimumSizeHint(self) -> QSize:
        return super().minimumSizeHint().boundedTo(QSize(theme().sizes.label, super().minimumSizeHint().height()))
