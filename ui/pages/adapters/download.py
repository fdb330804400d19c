"""The dialog that downloads a base model: its name, what would come and whether it fits, then the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from app.services import Services
from core import memory
from core.db.connection import explain
from core.errors import AppError
from core.inference.arbiter import base_needs
from core.jobs import Job
from core.models.download import discard
from core.models.hub_files import is_revision, parse_name
from ui import format as fmt
from ui.dialogs.base import Dialog
from ui.dialogs.hub_token import HubTokenDialog
from ui.models.rows import Status
from ui.theme import theme
from ui.widgets.banner import Banner, BannerArea
from ui.widgets.basic import Button, column, label, row
from ui.widgets.card import Card
from ui.widgets.chip import StatusPill
from ui.widgets.facts import Fact, Facts
from ui.widgets.forms import Form, text_field
from ui.widgets.scroll import Tall

LOOK_UP = "look_up_base"
HELP = "owner/name, or the address of its page. Models with weights as safetensors, in MLX or Hugging Face format."
# Room that is left beside the files, for what the system writes meanwhile.
SPARE_BYTES = 256 << 20
TOKEN_HELPS = ("gated", "bad_token", "no_such_repository")


class DownloadDialog(Dialog):
    """Looks a model up and asks for its download with `wanted(params, title)`. The network is used on click alone."""

    wanted = Signal(object, str)

    def __init__(self, parent: QWidget, services: Services) -> None:
        super().__init__(parent, "Download base model")
        self.setObjectName("download_dialog")
        self._services = services
        self._job = ""
        self._found: Mapping[str, Any] | None = None
        self.banners = BannerArea()
        self.form = Form()
        self.model = text_field("", "mlx-community/Qwen2.5-1.5B-Instruct-4bit")
        self.form.add("model", "Model", self.model, HELP, check=_check_model)
        self.form.begin_advanced()
        self.revision = text_field("", "main")
        self.form.add("revision", "Revision", self.revision, "A branch, a tag or a commit; empty for the usual one.",
                      check=_check_revision)  # fmt: skip
        advanced = self.form.findChild(Button, "advanced")
        assert advanced is not None
        advanced.toggled.connect(self._fit_soon)
        self.pill = StatusPill(Status("neutral", ""))
        self.facts = Facts()
        self.about = label("", "muted", wrap=True, name="download_about")
        self.title = label("", "section", name="download_title")
        self.discard = Button("", "link", "ph.trash", on_click=self._discard, name="download_discard")
        self.offer = Card("", row(self.title, self.pill, stretch=self.title), self.facts, row(self.discard, None),
                          self.about)  # fmt: skip
        self.offer.setObjectName("download_offer")
        self.state = label("", "muted", wrap=True, name="download_state")
        # In the largest fonts it is higher than a small screen.
        self._inner = column(self.banners, self.form, self.state, self.offer, None, gap=theme().sizes.grid + 4)
        self._area = Tall(self._inner)
        self.body.addWidget(self._area, 1)
        self.go = Button("Look up", "main", "ph.magnifying-glass", on_click=self._go, name="download_go")
        self.set_buttons(self.go)
        self.form.changed.connect(self._forget)
        self._forget()

    def _forget(self) -> None:
        """Another name: what was found belongs to the one before."""
        self._stop_looking()
        self._found = None
        self.offer.hide()
        self._say("")
        self.go.setText("Look up")
        self.go.set_icon("ph.magnifying-glass")
        if not self.model.text().strip():
            self.hold("Enter the name of a model first.")
        else:
            self.hold("" if self.form.valid else "Correct what is marked first.")
        self._fit_soon()

    def _go(self) -> None:
        if self._found is None:
            self._look_up()
            return
        facts, title = self._found, f"Downloading {self._found['repo'].partition('/')[2]}"
        self.wanted.emit({key: facts[key] for key in ("repo", "revision", "commit", "size")}, title)
        self.accept()

    # Looking up

    def _look_up(self) -> None:
        if not self.form.submit():
            return
        self.banners.clear()
        name = parse_name(self.model.text())
        params = {"repo": name.repo, "revision": self.revision.text().strip() or name.revision}
        self.hold("The model is being looked up.")
        self._say(f"Asking for {name.repo}…")
        self._job = self._services.start_job(LOOK_UP, f"Looking up {name.repo}", params, self._on_looked_up, self,
                                             refused=self._forget)  # fmt: skip

    def _on_looked_up(self, job: Job) -> None:
        if job.id != self._job:
            return
        self._job = ""
        self._say("")
        self.hold("")
        if job.error is not None:
            self._show_refusal(job.error)
        elif "files" in job.result:
            self._show(job.result)
        self._fit_soon()

    def showEvent(self, event: QShowEvent) -> None:
        self._fit()
        super().showEvent(event)

    def _fit_soon(self) -> None:
        # Once the texts are laid out: before that nothing is known of their lines.
        QTimer.singleShot(0, self, self._fit)

    def _fit(self) -> None:
        """As high as what it shows, where the screen has the room."""
        sizes, room = theme().sizes, self.screen().availableSize()
        wide = min(room.width(), max(self.minimumSizeHint().width(), sizes.field + sizes.label + 8 * sizes.grid))
        margins, layout = self.body.contentsMargins(), self._inner.layout()
        assert layout is not None
        layout.invalidate()
        high = layout.totalHeightForWidth(wide - margins.left() - margins.right())
        rest = self.body.totalSizeHint().height() - self._area.sizeHint().height()
        self.resize(wide, min(high + rest, room.height()))

    def _show_refusal(self, error: AppError) -> None:
        if error.code in TOKEN_HELPS:
            token = ("Access token…", self._ask_token)
            self.banners.add(Banner("bad", error.message, error.hint, action=token, closable=False))
        else:
            self.banners.show_error(error)

    def _ask_token(self) -> None:
        dialog = HubTokenDialog(self, self._services)
        dialog.stored.connect(self._look_up)
        dialog.open()

    def _show(self, facts: Mapping[str, Any]) -> None:
        self._found = facts
        missing = int(facts["size"]) - int(facts["here"])
        needs, budget = base_needs(int(facts["weights"])), memory.read().budget
        room = missing + SPARE_BYTES <= int(facts["free"])
        self.title.setText(str(facts["repo"]).partition("/")[2])
        self.pill.set_status(verdict(room=room, fits=needs <= budget))
        parts = [("Size", fmt.size(int(facts["size"])))]
        if facts["here"]:
            parts.append(("Already here", fmt.size(int(facts["here"]))))
        parts += [
            ("Files", fmt.plural(len(facts["files"]), "file")), ("Architecture", str(facts["architecture"])),
            ("Quantization", str(facts["quantization"]) or "none"),
            ("On disk", f"{fmt.size(missing)} of {fmt.size(int(facts['free']))} free"),
            ("In memory", f"about {fmt.size(needs)} of {fmt.size(budget)}"), ("Commit", str(facts["commit"])[:12]),
        ]  # fmt: skip
        listed = "\n".join(f"{file['name']}, {fmt.size(int(file['size']))}" for file in facts["files"])
        self.discard.setVisible(bool(facts["here"]) and missing > 0)
        self.discard.setText(f"Discard the {fmt.size(int(facts['here']))} that have come")
        self.facts.set_facts([Fact(name, value, listed if name == "Files" else "") for name, value in parts])
        self.about.setText(
            "Every file is checked against its hash. Stop keeps what has come, and Resume goes on there. Its licence "
            "is on its page; code and pickles are never downloaded."
        )
        self.offer.show()
        self.go.set_icon("ph.download-simple")
        self.go.setText(f"Download {fmt.size(missing)}" if missing else "Add")
        self.hold("" if room else f"Free {fmt.size(missing + SPARE_BYTES - int(facts['free']))} on the disk first.")

    def _discard(self) -> None:
        facts = self._found
        if facts is not None:
            self.hold("What has come is being deleted.")
            repo, commit = str(facts["repo"]), str(facts["commit"])
            self._services.run(self, lambda: discard(repo, commit), lambda _size: self._look_up(), self._not_discarded)

    def _not_discarded(self, exc: Exception) -> None:
        self.hold("")
        self.banners.show_error(explain(exc))

    def _say(self, text: str) -> None:
        self.state.setText(text)
        self.state.setVisible(bool(text))

    def _stop_looking(self) -> None:
        if self._job:
            self._services.queue.stop(self._job)
            self._job = ""

    def leave(self) -> None:
        """Cancel; what is being looked up is not wanted any more."""
        self._stop_looking()
        super().leave()


def verdict(*, room: bool, fits: bool) -> Status:
    """Whether this machine has room for it."""
    if not room:
        return Status("bad", "Disk too full")
    return Status("ok", "Fits") if fits else Status("warn", "Too large for the memory")


def _check_model(text: str) -> str:
    if not text.strip():
        return ""
    try:
        parse_name(text)
    except AppError as error:
        return f"{error.message} {error.hint}"
    return ""


def _check_revision(text: str) -> str:
    plain = text.strip()
    return "" if not plain or is_revision(plain) else "That is no name of a branch, tag or commit."
