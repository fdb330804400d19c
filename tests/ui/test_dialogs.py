"""Every dialog with the keyboard alone: Enter does the primary action or shows what is missing, Escape asks."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

import ui
from app.services import Services
from core import jobs
from core.conversations import store as conversations
from core.datasets import store as datasets
from core.generation.plan import Library
from core.inference.ollama.seen import OllamaModel, Seen, State
from core.models.store import BaseModel
from core.projects import chats, corrections, projects
from core.scaffolding import store as scaffolding
from core.scaffolding.exchange import read_plan
from core.scaffolding.store import EmotionalArc, PromptTemplate, consultant_profile
from core.training_files import store as training_files
from core.workspace import settings
from core.workspace.paths import workspaces_folder
from tests.support.chat import TINY_BASE, add_base
from tests.support.foreign import write_peft
from tests.support.pages import find, until
from tests.support.refund_project import write_project
from ui.dialogs.api_key import ApiKeyDialog
from ui.dialogs.base import ConfirmDialog, DetailsDialog, Dialog, confirm
from ui.dialogs.hub_token import HubTokenDialog
from ui.dialogs.shortcuts import ShortcutsDialog
from ui.dialogs.terms import TermsDialog
from ui.dialogs.trash import TrashDialog
from ui.dialogs.workspaces import NewWorkspaceDialog, StartDialog
from ui.pages.adapters.download import DownloadDialog
from ui.pages.adapters.import_adapter import ImportAdapterDialog
from ui.pages.adapters.ollama import OllamaDialog
from ui.pages.adapters.quantise import QuantiseDialog
from ui.pages.adapters.share import ShareDialog
from ui.pages.chat.branch import EditQuestionDialog
from ui.pages.chat.compare import CompareDialog
from ui.pages.chat.keep import CorrectDialog
from ui.pages.chat.summary import SummaryDialog
from ui.pages.conversations.add_to_file import AddDialog
from ui.pages.conversations.data import read_detail
from ui.pages.conversations.edit import EditTurnDialog, VersionsDialog
from ui.pages.conversations.field_sources import SourcesDialog
from ui.pages.conversations.rate import RateDialog
from ui.pages.conversations.regenerate import RegenerateDialog
from ui.pages.conversations.scaffold_dialog import ScaffoldingDialog
from ui.pages.conversations.tags import TagDialog
from ui.pages.datasets import page as dataset_page
from ui.pages.generate.add_dialogs import AddOneDialog, MatrixDialog
from ui.pages.generate.start_dialogs import CapDialog, CountDialog
from ui.pages.projects.add_dialog import AddDialog as AddProjectDialog
from ui.pages.projects.embedder_dialog import EmbedderDialog
from ui.pages.projects.files_dialog import FilesDialog
from ui.pages.projects.train_dialog import TrainDialog
from ui.pages.scaffolding.beats_dialog import BeatsDialog
from ui.pages.scaffolding.import_dialog import ImportDialog
from ui.pages.scaffolding.lists import read_library
from ui.pages.scaffolding.profile_dialog import ProfileDialog
from ui.pages.scaffolding.template_dialog import TemplateDialog
from ui.pages.training_files import dialogs as training_file_dialogs
from ui.pages.training_files.dialogs import DatasetDialog
from ui.theme import theme
from ui.widgets.import_result import ImportReport
from ui.window.main_window import MainWindow


def every_dialog() -> set[type[Dialog]]:
    """All classes of dialogs that a module of the window defines, those that others are made of left out."""
    for found in pkgutil.walk_packages(ui.__path__, "ui."):
        importlib.import_module(found.name)
    kinds: set[type[Dialog]] = set()
    todo: list[type[Dialog]] = [Dialog]
    while todo:
        for kind in todo.pop().__subclasses__():
            kinds.add(kind)
            todo.append(kind)
    return {kind for kind in kinds if kind.__module__.startswith("ui.") and not kind.__subclasses__()}


@pytest.fixture
def here(gathered: str, services: Services, window: MainWindow) -> SimpleNamespace:
    db = services.connections.db
    file = training_files.get(db, gathered)
    (dataset,) = datasets.listing(db)
    (ident,) = [member.conversation_id for member in training_files.members(db, gathered)]
    job = jobs.listing(db, kind="build_dataset")[0]
    return SimpleNamespace(
        db=db, services=services, window=window, ident=ident, file=file, dataset=dataset, job=job, said=[]
    )


def add_dialog(here: Any) -> Dialog:
    made = AddDialog(here.window, here.services, [])
    made.chosen.connect(lambda params: here.said.append(params["name"]))
    return made


def dataset_dialog(here: Any) -> Dialog:
    made = DatasetDialog(here.window, here.file)
    made.chosen.connect(here.said.append)
    return made


def file_rename(here: Any) -> Dialog:
    made = training_file_dialogs.RenameDialog(here.window, here.file)

    def chosen(name: str, _description: str) -> None:
        here.said.append(name)
        made.accept()

    made.chosen.connect(chosen)
    return made


def dataset_rename(here: Any) -> Dialog:
    here.window.open_page("datasets")
    return dataset_page.RenameDialog(here.window, here.window.current_page, here.dataset)


def scaffolding_dialog(here: Any) -> Dialog:
    here.window.open_page("conversations")
    row = conversations.get(here.db, here.ident)
    return ScaffoldingDialog(here.window.current_page, row, here.said.append)


def sources_dialog(here: Any) -> Dialog:
    return SourcesDialog(here.window, read_detail(here.db, here.services.workspace, here.ident))


def import_report(here: Any) -> Dialog:
    return ImportReport(here.window, here.services, here.job, {"in": 0, "used": 0, "rejected": 0, "cut": 0})


def confirm_dialog(here: Any) -> Dialog:
    return confirm(here.window, "Trash", "Empty the trash?", "Delete permanently", lambda: here.said.append("gone"))


def new_workspace(here: Any) -> Dialog:
    return NewWorkspaceDialog(here.window, here.services)


def made_workspaces(_here: Any) -> str:
    return "".join(path.name for path in workspaces_folder().glob("*"))


def started(here: Any) -> tuple[Any, Any]:
    return settings.get(here.db, "vertical"), settings.get(here.db, "started", False)


def profile_dialog(here: Any) -> Dialog:
    return ProfileDialog(here.window, here.services)


def template(here: Any) -> PromptTemplate:
    found = here.db.execute("select id from prompt_templates where template_key = 'clarity_walkthrough'").fetchone()
    return scaffolding.get(here.db, PromptTemplate, found["id"])


def template_dialog(here: Any) -> Dialog:
    return TemplateDialog(here.window, here.services, read_library(here.db), template(here))


def arc(here: Any) -> EmotionalArc:
    return scaffolding.require_key(here.db, EmotionalArc, "confusion_to_clarity")


def import_adapter(here: Any) -> Dialog:
    base = BaseModel(**{field: "" for field in BaseModel.__dataclass_fields__} | {"id": "b", "name": "Base"})
    folder = write_peft(here.services.workspace.root / "theirs")
    made = ImportAdapterDialog(here.window, here.services, folder, [base], "b")
    made.wanted.connect(lambda params, _title: here.said.append(params["name"]))
    return made


def quantise_dialog(here: Any) -> Dialog:
    numbers = {"name": "Base", "parameter_count": 10**9, "size_bytes": 2 * 10**9}
    base = BaseModel(**{field: "" for field in BaseModel.__dataclass_fields__} | numbers)
    made = QuantiseDialog(here.window, base)
    made.wanted.connect(lambda params, _title: here.said.append(params["name"]))
    return made


def code(here: Any) -> Path:
    folder = here.services.workspace.root.parent / "refunds"
    return folder if folder.exists() else write_project(folder)


def embedder_dialog(here: Any) -> Dialog:
    if not projects.listing(here.db):
        projects.add(here.db, code(here))
    return EmbedderDialog(here.window, here.services, projects.listing(here.db)[0], "")


def train_dialog(here: Any) -> Dialog:
    if not projects.listing(here.db):
        projects.add(here.db, code(here))
    return TrainDialog(here.window, here.services, projects.listing(here.db)[0])


FORMS: dict[type[Dialog], tuple[Callable[[Any], Dialog], str, Callable[[Any], str]]] = {
    AddDialog: (add_dialog, "field_name", lambda here: "".join(here.said)),
    DatasetDialog: (dataset_dialog, "field_name", lambda here: "".join(here.said)),
    training_file_dialogs.RenameDialog: (file_rename, "field_name", lambda here: "".join(here.said)),
    dataset_page.RenameDialog: (
        dataset_rename, "field_name", lambda here: str(datasets.get(here.db, here.dataset.id).name)
    ),
    NewWorkspaceDialog: (new_workspace, "field_name", made_workspaces),
    ImportAdapterDialog: (import_adapter, "field_name", lambda here: "".join(here.said)),
    QuantiseDialog: (quantise_dialog, "field_name", lambda here: "".join(here.said)),
    TemplateDialog: (
        template_dialog, "field_name", lambda here: scaffolding.get(here.db, PromptTemplate, template(here).id).name
    ),
    ProfileDialog: (profile_dialog, "field_name", lambda here: str(consultant_profile(here.db)["name"])),
    AddProjectDialog: (
        lambda here: AddProjectDialog(here.window, here.services, {}, code(here)), "field_name",
        lambda here: "".join(project.name for project in projects.listing(here.db)),
    ),
}  # fmt: skip
CHOICES: dict[type[Dialog], Callable[[Any], Dialog]] = {ScaffoldingDialog: scaffolding_dialog}
READERS: dict[type[Dialog], Callable[[Any], Dialog]] = {
    SourcesDialog: sources_dialog,
    ImportReport: import_report,
    FilesDialog: lambda here: FilesDialog(
        here.window, here.services, "Refunds", here.services.workspace.projects / "x"
    ),
    TrashDialog: lambda here: TrashDialog(here.services, here.window),
    ShortcutsDialog: lambda here: ShortcutsDialog(here.window, [("Ctrl+1", "Home")], [("Ctrl+K", "Palette")], []),
    DetailsDialog: lambda here: DetailsDialog(here.window, "Internal error", "It broke.", "Copy it.", "Traceback"),
}


def add_one(here: Any) -> Dialog:
    made = AddOneDialog(here.window, Library.of(here.db))
    made.chosen.connect(lambda matrix: here.said.append(matrix.total))
    return made


def matrix_dialog(here: Any) -> Dialog:
    made = MatrixDialog(here.window, Library.of(here.db))
    made.chosen.connect(lambda matrix: here.said.append(matrix.total))
    return made


def count_dialog(here: Any) -> Dialog:
    made = CountDialog(here.window, "A line", 3, 9)
    made.chosen.connect(here.said.append)
    return made


def cap_dialog(here: Any) -> Dialog:
    capped = SimpleNamespace(cap=Decimal(5))
    made = CapDialog(here.window, SimpleNamespace(spent=Decimal(4), unsure=Decimal(0), not_reached=2, settings=capped))
    made.chosen.connect(here.said.append)
    return made


def terms_dialog(here: Any) -> Dialog:
    made = TermsDialog(here.window, "Words.")
    made.agreed.connect(lambda: here.said.append("agreed"))
    return made


def import_scaffolding(here: Any) -> Dialog:
    path = here.services.workspace.root / "theirs.json"
    path.write_text('[{"persona_key": "late_starter", "name": "Ruth"}]')
    made = ImportDialog(here.window, read_plan(here.db, path))
    made.chosen.connect(lambda _decisions: here.said.append("imported"))
    return made


def compare_dialog(here: Any) -> Dialog:
    adapter: Any = SimpleNamespace(id="a", name="Calm")
    made = CompareDialog(here.window, "Base", [adapter], adapter, "Who are you?")
    made.chosen.connect(lambda wanted: here.said.append(len(wanted.adapters)))
    return made


def share_dialog(here: Any) -> Dialog:
    adapter: Any = SimpleNamespace(id="a", name="Calm", size_bytes=1000)
    base = BaseModel(**{field: "" for field in BaseModel.__dataclass_fields__} | {"id": "b", "size_bytes": 10**9})
    made = ShareDialog(here.window, adapter, [base], "http://127.0.0.1:1", [])
    made.wanted.connect(lambda params, _title: here.said.append(params["name"]))
    return made


def ollama_dialog(here: Any) -> Dialog:
    model = OllamaModel("qwen3:4b", "1", 1000, format="gguf")
    here.services.ollama.seen = Seen(State.RUNNING, "http://127.0.0.1:1", models=(model,))
    # Nobody looks whether that is so.
    here.services.ollama.watch = lambda *_args, **_more: None
    made = OllamaDialog(here.window, here.services, {}, {})
    made.wanted.connect(lambda _kind, params, _title: here.said.append(params["name"]))
    return made


# What Enter does in those that are ready as they open.
READY: dict[type[Dialog], tuple[Callable[[Any], Dialog], object]] = {
    AddOneDialog: (add_one, 1), MatrixDialog: (matrix_dialog, 20), CountDialog: (count_dialog, 3),
    CapDialog: (cap_dialog, "10.00"), TermsDialog: (terms_dialog, "agreed"),
    ImportDialog: (import_scaffolding, "imported"), CompareDialog: (compare_dialog, 2),
    ShareDialog: (share_dialog, "calm"), OllamaDialog: (ollama_dialog, "qwen3:4b"),
}  # fmt: skip


def shown_conversation(here: Any) -> Any:
    here.window.open_page("conversations")
    found = read_detail(here.db, here.services.workspace, here.ident)
    assert found is not None
    return here.window.current_page, found


def talk(here: Any) -> Any:
    """The page Chat and a chat with one answer, which is kept here."""
    if not hasattr(here, "chat"):
        base = here.db.execute("select id from base_models").fetchone()
        if base is None:
            add_base(here.db, here.services.workspace.root)
        here.chat = chats.create(here.db, base["id"] if base is not None else TINY_BASE)
        here.messages = chats.ask(here.db, here.chat.id, "Why?", None)
        chats.write_answer(here.db, replace(here.messages[1], content="Because.", status="complete"))
    here.window.open_page("chat")
    return here.window.current_page, chats.get(here.db, here.chat.id), chats.messages(here.db, here.chat.id)


def summary_of(here: Any) -> str:
    talk(here)
    return chats.get(here.db, here.chat.id).summary


# Those that write what they ask for themselves: how they are opened, and what is written by then.
WRITERS: dict[type[Dialog], tuple[Callable[[Any], Dialog], Callable[[Any], object]]] = {
    BeatsDialog: (
        lambda here: BeatsDialog(here.window, here.services, arc(here)), lambda here: arc(here).beats
    ),
    EditTurnDialog: (lambda here: EditTurnDialog(*shown_conversation(here), 1), lambda here: turns_of(here)[0]),
    TagDialog: (
        lambda here: TagDialog(shown_conversation(here)[0], [here.ident], []), lambda here: tags_of(here)
    ),
    RateDialog: (
        lambda here: RateDialog(shown_conversation(here)[0], conversations.get(here.db, here.ident)),
        lambda here: dict(conversations.get(here.db, here.ident).human_criteria),
    ),
    StartDialog: (lambda here: StartDialog(here.window, here.services), started),
    EditQuestionDialog: (lambda here: EditQuestionDialog(here.window, talk(here)[2][0]), lambda here: list(here.said)),
    SummaryDialog: (lambda here: SummaryDialog(*talk(here)[:2], 2), summary_of),
    CorrectDialog: (
        lambda here: CorrectDialog(talk(here)[0], talk(here)[2][1], None), lambda here: corrections.count(here.db)
    ),
    VersionsDialog: (lambda here: VersionsDialog(*shown_conversation(here)), lambda here: turns_of(here)[0]),
    EmbedderDialog: (embedder_dialog, lambda here: "".join(p.embedder for p in projects.listing(here.db))),
    TrainDialog: (train_dialog, lambda here: len(jobs.listing(here.db, kind="training"))),
    RegenerateDialog: (
        lambda here: RegenerateDialog(*shown_conversation(here), 1), lambda here: here.db["batch_jobs"].count
    ),
}  # fmt: skip


def turns_of(here: Any) -> list[str]:
    row = conversations.get(here.db, here.ident)
    return [str(turn.content) for turn in conversations.turns(here.services.workspace, row)]


def tags_of(here: Any) -> list[str]:
    rows = here.db.execute("select tag from conversation_tags where conversation_id = ?", [here.ident]).fetchall()
    return [row["tag"] for row in rows]


# Those that do something with a text that is typed first: its field, and what Enter says without it.
ASKERS: dict[Any, tuple[str, str]] = {
    ApiKeyDialog: ("api_key", "Paste the key first."), HubTokenDialog: ("hub_token", "Paste the token first."),
    DownloadDialog: ("field_model", "Enter the name of a model first."),
}  # fmt: skip


def test_no_dialog_is_left_out() -> None:
    assert every_dialog() == {*FORMS, *CHOICES, *READERS, *READY, *WRITERS, *ASKERS, ConfirmDialog}


def focus_on(qtbot: QtBot, window: QWidget) -> None:
    """The keyboard is the window's, as it is when a person sees it open."""
    window.activateWindow()

    def there() -> bool:
        found = QApplication.focusWidget()
        return found is not None and found.window() is window

    until(qtbot, there, f"{window} does not get the focus")


class Keyboard:
    """Keys go where the focus is, as they do for a person."""

    def __init__(self, qtbot: QtBot, shown: Dialog) -> None:
        self.qtbot, self.shown = qtbot, shown
        shown.open()
        focus_on(qtbot, shown)
        self.gone: list[int] = []
        shown.finished.connect(self.gone.append)

    @property
    def focus(self) -> QWidget:
        found = QApplication.focusWidget()
        assert found is not None
        return found

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        target = QApplication.focusWidget() or QApplication.activeWindow()
        if target is not None:
            QTest.keyClick(target, key, modifier)

    def type(self, text: str) -> None:
        QTest.keyClicks(self.focus, text)

    def tab_to(self, name: str) -> None:
        seen: list[str] = []
        while self.focus.objectName() != name:
            assert seen.count(self.focus.objectName()) < 3, f"Tab never comes to {name}, only to {seen}"
            seen.append(self.focus.objectName())
            self.press(Qt.Key.Key_Tab)

    def clear(self) -> None:
        self.press(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        self.press(Qt.Key.Key_Delete)

    def complaints(self) -> list[str]:
        labels = self.shown.findChildren(QLabel)
        return [w.text() for w in labels if w.isVisible() and w.property("role") == "error" and w.text()]


def question() -> ConfirmDialog | None:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, ConfirmDialog) and w.isVisible()]
    return found[-1] if found else None


@pytest.fixture(params=list(FORMS), ids=lambda kind: f"{kind.__module__.split('.')[-2]}-{kind.__name__}")
def form(request: pytest.FixtureRequest, qtbot: QtBot, here: Any) -> Iterator[tuple[Keyboard, str, Callable[[], str]]]:
    opened, field, result = FORMS[request.param]
    shown = opened(here)
    keys = Keyboard(qtbot, shown)
    until(qtbot, lambda: shown.primary is not None and shown.primary.isEnabled(), "it can't be done yet")
    keys.tab_to(field)
    yield keys, field, lambda: result(here)
    if not keys.gone:
        shown.leave()


def test_enter_shows_what_is_missing_and_then_does_it_once(
    qtbot: QtBot, form: tuple[Keyboard, str, Callable[[], str]]
) -> None:
    keys, field, result = form
    before = result()
    keys.clear()
    keys.press(Qt.Key.Key_Return)
    assert not keys.gone
    assert keys.complaints()
    assert keys.focus.objectName() == field
    keys.type("Autumn")
    assert not keys.complaints()
    keys.press(Qt.Key.Key_Enter)
    keys.press(Qt.Key.Key_Return)
    until(qtbot, lambda: result() == "Autumn", f"{before!r} stayed {result()!r}")
    until(qtbot, lambda: keys.gone == [1], "it stays open")


def test_escape_asks_when_something_was_typed(qtbot: QtBot, form: tuple[Keyboard, str, Callable[[], str]]) -> None:
    keys, field, result = form
    before = result()
    keys.type("More")
    keys.press(Qt.Key.Key_Escape)
    asked = question()
    assert asked is not None
    focus_on(qtbot, asked)
    keys.press(Qt.Key.Key_Return)
    assert question() is None
    assert not keys.gone
    focus_on(qtbot, keys.shown)
    assert find(keys.shown, QLineEdit, field).text().endswith("More")
    keys.shown.close()
    asked = question()
    assert asked is not None
    focus_on(qtbot, asked)
    keys.tab_to("confirm")
    keys.press(Qt.Key.Key_Return)
    assert keys.gone == [0]
    assert result() == before


def test_escape_leaves_at_once_when_nothing_was_typed(form: tuple[Keyboard, str, Callable[[], str]]) -> None:
    keys, _, result = form
    before = result()
    keys.press(Qt.Key.Key_Escape)
    assert question() is None
    assert keys.gone == [0]
    assert result() == before


def test_cancel_is_done_by_enter_only_when_it_has_the_focus(form: tuple[Keyboard, str, Callable[[], str]]) -> None:
    keys, _, result = form
    before = result()
    keys.tab_to("cancel")
    keys.press(Qt.Key.Key_Return)
    assert keys.gone == [0]
    assert result() == before


def test_choices_are_made_and_saved_with_the_keyboard(qtbot: QtBot, here: Any) -> None:
    shown = scaffolding_dialog(here)
    keys = Keyboard(qtbot, shown)
    until(qtbot, lambda: shown.primary is not None and shown.primary.isEnabled())
    shown.form.field("persona_key").setCurrentIndex(-1)  # type: ignore[attr-defined]
    keys.press(Qt.Key.Key_Return)
    assert keys.complaints() == ["Choose one."]
    keys.press(Qt.Key.Key_Down)
    keys.press(Qt.Key.Key_Return)
    until(qtbot, lambda: here.said == [here.ident])
    assert keys.gone == [1]


@pytest.mark.parametrize("kind", list(READERS), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return], ids=["escape", "enter"])
def test_what_is_only_read_is_closed_by_either_key(qtbot: QtBot, here: Any, kind: type[Dialog], key: Qt.Key) -> None:
    shown = READERS[kind](here)
    keys = Keyboard(qtbot, shown)
    if key == Qt.Key.Key_Return:
        keys.tab_to("close")
    keys.press(key)
    assert question() is None
    assert keys.gone


@pytest.mark.parametrize("kind", list(READY), ids=lambda kind: kind.__name__)
def test_enter_does_at_once_what_is_ready_and_escape_does_nothing(qtbot: QtBot, here: Any, kind: type[Dialog]) -> None:
    opened, result = READY[kind]
    keys = Keyboard(qtbot, opened(here))
    keys.press(Qt.Key.Key_Escape)
    assert (keys.gone, here.said) == ([0], [])
    keys = Keyboard(qtbot, opened(here))
    keys.press(Qt.Key.Key_Return)
    assert (keys.gone, here.said) == ([1], [result])


@pytest.mark.parametrize("kind", list(ASKERS), ids=lambda kind: kind.__name__)
def test_a_text_is_asked_for_before_anything_is_done(qtbot: QtBot, here: Any, kind: Any) -> None:
    field, missing = ASKERS[kind]
    keys = Keyboard(qtbot, kind(here.window, here.services))
    keys.tab_to(field)
    keys.press(Qt.Key.Key_Return)
    assert keys.complaints() == [missing]
    keys.type("sk-ant-test")
    secret = find(keys.shown, QLineEdit, field).echoMode() is QLineEdit.EchoMode.Password
    assert secret is (kind is not DownloadDialog)
    keys.press(Qt.Key.Key_Escape)
    asked = question()
    assert asked is not None
    focus_on(qtbot, asked)
    keys.tab_to("confirm")
    keys.press(Qt.Key.Key_Return)
    assert keys.gone == [0]


@pytest.mark.parametrize("kind", list(WRITERS), ids=lambda kind: kind.__name__)
def test_escape_writes_nothing(qtbot: QtBot, here: Any, kind: type[Dialog]) -> None:
    opened, written = WRITERS[kind]
    before = written(here)
    keys = Keyboard(qtbot, opened(here))
    keys.press(Qt.Key.Key_Escape)
    assert (keys.gone, written(here)) == ([0], before)


def test_a_turn_is_edited_with_the_keyboard(qtbot: QtBot, here: Any) -> None:
    keys = Keyboard(qtbot, WRITERS[EditTurnDialog][0](here))
    keys.tab_to("turn_text")
    keys.clear()
    keys.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert keys.complaints() == ["Write what the client says."]
    keys.type("Other words")
    keys.press(Qt.Key.Key_Escape)
    asked = question()
    assert asked is not None
    focus_on(qtbot, asked)
    keys.press(Qt.Key.Key_Return)
    focus_on(qtbot, keys.shown)
    keys.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    until(qtbot, lambda: turns_of(here)[0] == "Other words")
    until(qtbot, lambda: keys.gone == [1])


def test_an_answer_is_corrected_with_the_keyboard(qtbot: QtBot, here: Any) -> None:
    keys = Keyboard(qtbot, WRITERS[CorrectDialog][0](here))
    keys.tab_to("corrected_answer")
    keys.clear()
    keys.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert keys.complaints() == ["Write what the answer should have been."]
    keys.type("Since you ask.")
    keys.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    until(qtbot, lambda: [found.answer for found in corrections.listing(here.db)] == ["Since you ask."])
    until(qtbot, lambda: keys.gone == [1])


def test_a_tag_is_added_with_the_keyboard(qtbot: QtBot, here: Any) -> None:
    keys = Keyboard(qtbot, WRITERS[TagDialog][0](here))
    keys.press(Qt.Key.Key_Return)
    assert keys.complaints() == ["Enter a tag."]
    keys.type("spring")
    keys.press(Qt.Key.Key_Return)
    until(qtbot, lambda: tags_of(here) == ["spring"])
    until(qtbot, lambda: keys.gone == [1])


def test_enter_never_deletes_for_good(qtbot: QtBot, here: Any) -> None:
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Escape):
        keys = Keyboard(qtbot, confirm_dialog(here))
        assert keys.focus.objectName() == "cancel"
        keys.press(key)
        assert keys.gone == [0]
    assert here.said == []
    keys = Keyboard(qtbot, confirm_dialog(here))
    keys.tab_to("confirm")
    keys.press(Qt.Key.Key_Return)
    assert here.said == ["gone"]


def test_a_held_enter_answers_one_question(qtbot: QtBot, here: Any) -> None:
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QKeyEvent

    keys = Keyboard(qtbot, dataset_dialog(here))
    held = QKeyEvent(
        QEvent.Type.KeyPress, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier, "\r", autorep=True, count=1
    )  # fmt: skip
    QApplication.sendEvent(keys.focus, held)
    assert here.said == []
    keys.press(Qt.Key.Key_Return)
    assert here.said == ["Spring v1"]


def test_what_can_not_be_done_yet_says_why(qtbot: QtBot, here: Any) -> None:
    shown = AddDialog(here.window, here.services, ["no such conversation"])
    keys = Keyboard(qtbot, shown)
    until(qtbot, lambda: "None of the 1 selected" in shown.told.text())
    keys.tab_to("field_name")
    keys.type("Autumn")
    keys.press(Qt.Key.Key_Return)
    assert keys.complaints() == ["There are no conversations to add."]
    assert not keys.gone
    shown.leave()


def test_no_dialog_is_larger_than_the_screen(qtbot: QtBot, here: Any) -> None:
    theme().set_scale(2.0)
    try:
        shown = template_dialog(here)
        room = shown.screen().availableSize()
        assert shown.width() > room.width()
        Keyboard(qtbot, shown)
        assert shown.size() == shown.size().boundedTo(room)
        shown.leave()
    finally:
        theme().set_scale(1.0)
