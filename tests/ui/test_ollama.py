"""Ollama in the window: how it is, its models, one as a base that answers with the adapters of its sibling."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from PySide6.QtWidgets import QDialog, QLabel
from pytestqt.qtbot import QtBot
from sqlite_utils import Database

from app import ollama_service
from app.services import Services
from core import jobs, trash
from core.events import Changed
from core.inference.ollama.faults import absent, stopped
from core.inference.ollama.host import OllamaHost
from core.inference.ollama.seen import PRACTICE_NAME, Held, OllamaModel, Seen, State
from core.models import served
from core.models import store as models
from core.models.practice import PRACTICE_ID
from core.models.served import Served
from core.models.work import practice_row
from core.workspace import settings
from tests.support.chat import add_adapter, add_dataset
from tests.support.gguf_base import practice_gguf, write_random_adapter
from tests.support.ollama import NEW, RealOllama, add_model, free_port, running
from tests.support.pages import click, open_page
from tests.support.pages import shown_text as text
from tests.support.patience import PATIENCE_S
from ui.dialogs.base import ConfirmDialog
from ui.pages.adapters.ollama import OllamaDialog, state_words
from ui.pages.adapters.page import AdaptersPage
from ui.pages.adapters.share import ShareDialog
from ui.pages.chat.page import ChatPage
from ui.pages.chat.turns import turn_of
from ui.pages.settings.page import SettingsPage
from ui.window.main_window import MainWindow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ollama")]
opened = partial(open_page, kind=AdaptersPage)
QWEN = OllamaModel("qwen3:4b", "sha256:1", 2_600_000_000, "qwen3", "4.0B", "Q4_K_M", "gguf")
ALONE = OllamaModel("glimmer:9b", "sha256:2", 9_000_000, "glimmer", "9B", "", "safetensors")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOllama]:
    with running(NEW, tmp_path_factory.mktemp("ollama")) as made:
        add_model(made, practice_gguf(tmp_path_factory.mktemp("gguf")), "practice")
        yield made


@pytest.fixture
def as_seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Ollama is so from now on."""

    def put(seen: Seen) -> None:
        monkeypatch.setattr(ollama_service, "_look", lambda address: replace(seen, address=address))

    return put


def show(qtbot: QtBot, page: AdaptersPage) -> OllamaDialog:
    click(qtbot, page, "open_ollama")
    found = page.findChild(OllamaDialog)
    assert found is not None
    qtbot.waitUntil(lambda: found.pill.status.word != "Looking")
    return found


def pointed(qtbot: QtBot, services: Services, address: str) -> None:
    """Ollama is asked there from now on."""
    services.write(services.root, lambda db: settings.put(db, "ollama_address", address))
    qtbot.waitUntil(lambda: services.ollama.address == address)


def seen(state: State = State.RUNNING, **more: Any) -> Seen:
    return Seen(state, "http://127.0.0.1:11434", **{"version": "0.34.4", "program": "/usr/local/bin/ollama", **more})


def test_a_model_of_ollama_answers_with_an_adapter_of_its_sibling(
    qtbot: QtBot, window: MainWindow, services: Services, server: RealOllama
) -> None:
    write_random_adapter(services.workspace.adapters / "loud")

    def put(db: Database) -> Changed:
        models.upsert(db, practice_row())
        add_adapter(db, services.workspace, "loud", "Loud", base=PRACTICE_ID)
        return settings.put(db, "ollama_address", server.address) | Changed.MODELS | Changed.ADAPTERS

    services.write(services.root, put)
    qtbot.waitUntil(lambda: services.ollama.address == server.address)
    page = opened(qtbot, window)
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == 1 and page.adapters.rows.rowCount() == 1)
    found = show(qtbot, page)
    qtbot.waitUntil(lambda: [row.id for row in found.model.rows] == ["practice:latest"])
    assert text(found, "ollama_state").startswith("Ollama on this computer · holds nothing")
    click(qtbot, found, "use_model")
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == 2 and not page.strip.jobs)
    base = next(entry for entry in page.bases.rows.rows if entry.base.ollama)
    assert (base.base.name, base.base.engine) == ("practice", "gguf")
    # What the other format is the same as is found out by itself.
    page.open_item({"base": base.id})
    qtbot.waitUntil(lambda: "The same model as Practice model" in page.inspector.base.siblings.text.text())
    assert not page.inspector.base.default.isVisible()
    services.navigator.open_page("chat", {"base": base.id})
    chat = window.findChild(ChatPage)
    assert chat is not None
    qtbot.waitUntil(lambda: chat.base is not None and chat.base.id == base.id)
    qtbot.waitUntil(lambda: (chip := chat.chips.chip("loud")) is not None and chip.isVisible())
    click(qtbot, chat.chips, "adapter_loud")
    chat.composer.set_text("How do I keep bread fresh?")
    click(qtbot, chat, "send")
    qtbot.waitUntil(lambda: not chat.session.busy and len(chat.messages) == 2)
    assert chat.messages[-1].status == "complete"
    assert chat.messages[-1].artifact_id == "loud", [(b.text, b.details) for b in chat.banners.banners]
    # On the same model in MLX's format the conversation goes on with the same adapter.
    chat._choose_base(PRACTICE_ID)
    assert chat.adapter is not None
    assert chat.adapter.id == "loud"
    chat.composer.set_text("And rolls?")
    click(qtbot, chat, "send")
    qtbot.waitUntil(lambda: not chat.session.busy and len(chat.messages) == 4)
    assert chat.messages[-1].status == "complete"


def test_ollama_itself_answers_with_what_it_alone_can_run_and_the_adapter_that_is_left_is_named(
    qtbot: QtBot, window: MainWindow, services: Services, server: RealOllama
) -> None:
    write_random_adapter(services.workspace.adapters / "loud")
    facts = {"architecture": "llama", "parameter_count": 1, "size_bytes": 1, "quantization": "", "vocab_size": 0}
    prints = dict.fromkeys(
        ("structure_fingerprint", "content_fingerprint", "rendering_fingerprint", "template_hash"), ""
    )
    # Its address is another one by now.
    path = served.write("alone", Served("http://127.0.0.1:1", "practice:latest", 1))

    def put(db: Database) -> Changed:
        models.upsert(db, practice_row())
        models.upsert(db, {
            "id": "alone", "name": "glimmer", "path": str(path), "kind": "ollama", "ollama": "practice:latest",
            "engine": "ollama", "notes": ["Ollama here answers"], "context_length": 512, **facts, **prints,
        })  # fmt: skip
        add_adapter(db, services.workspace, "loud", "Loud", base=PRACTICE_ID)
        return settings.put(db, "ollama_address", server.address) | Changed.MODELS | Changed.ADAPTERS

    services.write(services.root, put)
    qtbot.waitUntil(lambda: services.ollama.address == server.address)
    page = opened(qtbot, window)
    qtbot.waitUntil(lambda: page.bases.rows.rowCount() == 2)
    page.open_item({"base": "alone"})
    detail = page.inspector.base
    qtbot.waitUntil(lambda: detail.line.text() == "Ollama only, without adapters")
    assert (detail.facts.facts["Vocabulary"], detail.folder.isVisible(), detail.siblings.isVisible()) == (
        "–",
        False,
        False,
    )
    assert not page.train.isEnabled()
    services.navigator.open_page("chat", {"adapter": "loud"})
    chat = window.findChild(ChatPage)
    assert chat is not None
    qtbot.waitUntil(lambda: chat.adapter is not None and chat.overview is not None and len(chat.overview.bases) == 2)
    chat.choose_base.chosen.emit("alone")
    (banner,) = chat.banners.banners
    assert banner.text == "Loud does not answer on glimmer; the base answers for itself."
    assert "Ollama" in text(banner, "banner_hint")
    assert chat.adapter is None
    click(qtbot, banner, "banner_action")
    assert chat.base is not None
    assert (chat.base.id, chat.adapter.id if chat.adapter else "") == (PRACTICE_ID, "loud")
    assert chat.banners.banners == []
    # Gone back to by hand, there is nothing to say any more.
    chat.choose_base.chosen.emit("alone")
    assert len(chat.banners.banners) == 1
    chat.choose_base.chosen.emit(PRACTICE_ID)
    assert chat.banners.banners == []
    chat.choose_base.chosen.emit("alone")
    assert "Answers with Ollama" in chat.base_pill.toolTip()
    assert "gets what is said" not in chat.base_pill.toolTip()
    chat.composer.set_text("How do I keep bread fresh?")
    click(qtbot, chat, "send")
    qtbot.waitUntil(lambda: not chat.session.busy and len(chat.messages) == 2)
    assert (chat.messages[-1].status, bool(chat.messages[-1].content)) == ("complete", True)
    # The address is another one: the old one is asked nothing any more.
    pointed(qtbot, services, f"http://127.0.0.1:{free_port()}")
    ask(qtbot, chat, "And for how long?")
    assert (chat.messages[-1].status, chat.messages[-1].content) == ("failed", "")
    assert "127.0.0.1" in chat.banners.banners[-1].text
    pointed(qtbot, services, server.address)
    ask(qtbot, chat, "And rolls?")
    assert chat.messages[-1].status == "complete"
    assert turn_of(chat.messages[-1], chat.names, None, last=True).said[0].who == "glimmer, no adapter"
    assert "switched" not in chat.state.text()
    # Who said it stays known when the chat goes on with another base, which is not loaded yet.
    chat._choose_base(PRACTICE_ID)
    assert turn_of(chat.messages[-1], chat.names, None, last=True).said[0].who == "glimmer, no adapter"
    assert chat.base_pill.status.kind == "neutral"
    assert "The model loads when you ask" in chat.state.text()
    with OllamaHost(server.address) as host:
        assert [one.name for one in host.held()] == ["practice:latest"]


def test_an_adapter_is_shared_to_ollama_and_taken_out_again(
    qtbot: QtBot, window: MainWindow, services: Services, server: RealOllama
) -> None:
    write_random_adapter(services.workspace.adapters / "loud")

    def put(db: Database) -> Changed:
        models.upsert(db, practice_row())
        add_adapter(db, services.workspace, "loud", "Loud & kind", base=PRACTICE_ID)
        return settings.put(db, "ollama_address", server.address) | Changed.MODELS | Changed.ADAPTERS

    services.write(services.root, put)
    qtbot.waitUntil(lambda: services.ollama.address == server.address)
    page = opened(qtbot, window)
    qtbot.waitUntil(lambda: page.adapters.rows.rowCount() == 1)
    page.open_item({"adapter": "loud"})
    qtbot.waitUntil(lambda: page.inspector.adapter.share.isVisible())
    click(qtbot, page, "share_adapter")
    assert [banner.text for banner in page.banners.banners] == [
        "No base in Ollama is the model that Loud & kind was trained on."
    ]
    found = show(qtbot, page)
    qtbot.waitUntil(lambda: len(found.model.rows) == 1)
    click(qtbot, found, "use_model")
    qtbot.waitUntil(lambda: any(one.fits for one in page._siblings))
    page.open_item({"adapter": "loud"})
    qtbot.waitUntil(lambda: page.inspector.adapter.share.isVisible())
    click(qtbot, page, "share_adapter")
    dialog = page.findChild(ShareDialog)
    assert dialog is not None
    assert dialog.name.text() == "loud-kind"
    assert dialog.way.currentText().startswith("Linked, ")
    dialog.name.setText("Not A Name")
    assert not dialog.primary.isEnabled()
    dialog.name.setText("loud-kind")
    dialog.preview.setFocus()
    click(qtbot, dialog, "share_preview")
    click(qtbot, dialog, "share_preview")
    assert dialog.preview.isEnabled()
    qtbot.waitUntil(dialog.modelfile.isVisible)
    assert dialog.focusWidget() is dialog.preview
    assert len(jobs.listing(services.connections.db, kind="preview_share")) == 1
    assert dialog.modelfile.source.splitlines()[:2] == ["FROM practice:latest", "ADAPTER ./adapter.gguf"]
    # Another way is another file.
    dialog.way.setCurrentIndex(dialog.way.findData("fused"))
    assert not dialog.modelfile.isVisible()
    click(qtbot, dialog, "share_preview")
    qtbot.waitUntil(dialog.modelfile.isVisible)
    assert dialog.modelfile.source.splitlines()[0] == "FROM ./fused.gguf"
    dialog.way.setCurrentIndex(dialog.way.findData("linked"))
    click(qtbot, dialog, "share_go")
    qtbot.waitUntil(lambda: "loud-kind:latest is in Ollama" in [banner.text for banner in page.banners.banners])
    qtbot.waitUntil(lambda: "In Ollama" in page.inspector.adapter.facts.facts)
    assert page.inspector.adapter.facts.facts["In Ollama"] == "loud-kind:latest (linked, 5 of 5 answers the same)"
    says_what_stays(qtbot, window, services, "In Ollama stays what was shared: loud-kind:latest.")
    qtbot.waitUntil(lambda: page.inspector.adapter.unshare.isVisible())
    click(qtbot, page, "unshare_adapter")
    qtbot.waitUntil(lambda: "In Ollama" not in page.inspector.adapter.facts.facts)
    with OllamaHost(server.address) as host:
        assert [model.name for model in host.models()] == ["practice:latest"]


def ask(qtbot: QtBot, chat: ChatPage, question: str) -> None:
    """Until it is answered, or can't be."""
    count = len(chat.messages)
    chat.composer.set_text(question)
    click(qtbot, chat, "send")
    qtbot.waitUntil(lambda: not chat.session.busy and len(chat.messages) == count + 2)


def says_what_stays(qtbot: QtBot, window: MainWindow, services: Services, words: str) -> None:
    """Whoever deletes the adapter for good is told first, and thinks again."""
    services.write(services.root, lambda db: trash.delete(db, "model_artifacts", ["loud"]))
    window.actions_["trash"].trigger()
    dialog: Any = window.findChild(QDialog, "trash_dialog")
    qtbot.waitUntil(lambda: dialog.model.rowCount() == 1)
    dialog.table.select_id(("model_artifacts", "loud"))
    click(qtbot, dialog, "purge")
    question = dialog.findChild(QDialog, "confirm_dialog")
    assert any(words in label.text() for label in question.findChildren(QLabel))
    question.reject()
    click(qtbot, dialog, "restore")
    qtbot.waitUntil(lambda: dialog.model.rowCount() == 0)
    dialog.close()
    services.navigator.open_page("adapters", {"adapter": "loud"})


def test_what_is_left_of_an_adapter_on_another_format_is_measured_and_said(
    qtbot: QtBot, window: MainWindow, services: Services, tmp_path: Path
) -> None:
    file = practice_gguf(tmp_path, louder="blk.1.ffn_down")
    write_random_adapter(services.workspace.adapters / "loud")
    talk = [
        {"role": "user", "content": "How do I keep bread fresh?"},
        {"role": "assistant", "content": "Keep it in a cloth, and cut it when you eat it."},
    ]
    folder = services.workspace.datasets / "d"
    folder.mkdir(parents=True)
    (folder / "data.jsonl").write_bytes(orjson.dumps({"id": "1", "split": "validation", "messages": talk}) + b"\n")

    def put(db: Database) -> Changed:
        models.upsert(db, practice_row())
        add_dataset(db, "d", [])
        db.execute("update datasets set file_path = 'datasets/d/data.jsonl'")
        add_adapter(db, services.workspace, "loud", "Loud", base=PRACTICE_ID, dataset="d")
        return Changed.MODELS | Changed.ADAPTERS

    services.write(services.root, put)
    page = opened(qtbot, window)
    qtbot.waitUntil(lambda: page.adapters.rows.rowCount() == 1)
    assert page.dropped([file])
    qtbot.waitUntil(lambda: any(one.fits for one in page._siblings))
    page.open_item({"adapter": "loud"})
    facts = page.inspector.adapter.facts
    qtbot.waitUntil(lambda: facts.facts.get("On practice") == "fits; not measured yet")
    click(qtbot, page, "measure_parity")
    qtbot.waitUntil(lambda: facts.facts["On practice"].startswith("weakened: "))
    assert not page.inspector.adapter.measure.isVisible()
    base = next(entry for entry in page.bases.rows.rows if not entry.base.trains)
    services.navigator.open_page("chat", {"base": base.id})
    chat = window.findChild(ChatPage)
    assert chat is not None
    qtbot.waitUntil(lambda: (chip := chat.chips.chip("loud")) is not None and chip.isVisible())
    assert "weakened" not in chat.state.text()
    click(qtbot, chat.chips, "adapter_loud")
    qtbot.waitUntil(lambda: "weakened on this base: " in chat.state.text())


def test_what_is_a_base_already_is_not_added_twice(
    qtbot: QtBot, window: MainWindow, services: Services, as_seen: Callable[..., None]
) -> None:
    as_seen(seen(models=(QWEN, ALONE), held=(Held("qwen3:4b", 3_000_000_000),)))
    page = opened(qtbot, window)
    page.show_content()
    found = show(qtbot, page)
    qtbot.waitUntil(lambda: len(found.model.rows) == 2)
    assert text(found, "ollama_state").endswith("holds qwen3:4b in 3 GB of memory")
    # The page says so too, as long as it is shown.
    assert page.host.isVisible()
    assert "holds qwen3:4b" in page.host.toolTip()
    assert [row.status.word for row in found.model.rows] == ["In Ollama", "Ollama only"]
    assert found.use.isEnabled()
    found.table.step(1)
    # Ollama itself answers with it.
    assert found.use.isEnabled()
    found._bases[QWEN.name] = "b"
    found._show()
    found.table.step(-1)
    assert "a base here already" in found.use.toolTip()
    found.leave()


@pytest.mark.parametrize(("state", "error", "word", "said", "start"), [
    (State.ABSENT, absent(), "Not installed", "Install it from ollama.com", False),
    (State.STOPPED, stopped("http://127.0.0.1:11434", ""), "Not running", "does not run", True),
])  # fmt: skip
def test_how_it_is_is_said_with_the_next_step(
    qtbot: QtBot, window: MainWindow, as_seen: Callable[..., None], state: State, error: Any, word: str, said: str,
    start: bool,
) -> None:  # fmt: skip
    as_seen(seen(state, error=error))
    page = opened(qtbot, window)
    page.show_content()
    found = show(qtbot, page)
    assert found.pill.status.word == word
    assert said in text(found, "ollama_state")
    assert not page.host.isVisible()
    assert found.start.isVisible() is start
    assert not found.name.isVisible()
    found.leave()


def test_it_is_started_from_the_dialog(
    qtbot: QtBot, window: MainWindow, services: Services, server: RealOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    for name, value in (server.environment() | {"OLLAMA_HOST": f"127.0.0.1:{port}"}).items():
        monkeypatch.setenv(name, value)
    started: list[Any] = []
    real = ollama_service._start

    def start(address: str, log: Path, token: Any) -> None:
        monkeypatch.setattr("core.inference.ollama.host.find_program", lambda: server.binary)
        started.append(address)
        real(address, log, token)

    # A busy machine takes its time.
    monkeypatch.setattr("core.inference.ollama.host.START_S", PATIENCE_S)
    monkeypatch.setattr(ollama_service, "_start", start)
    monkeypatch.setattr("core.inference.ollama.seen.find_program", lambda: server.binary)
    pointed(qtbot, services, f"http://127.0.0.1:{port}")
    page = opened(qtbot, window)
    page.show_content()
    found = show(qtbot, page)
    assert found.pill.status.word == "Not running"
    click(qtbot, found, "start_ollama")
    qtbot.waitUntil(lambda: found.pill.status.word == "Running" and len(found.model.rows) == 1)
    assert started == [f"http://127.0.0.1:{port}"]
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("OLLAMA_HOST") == f"127.0.0.1:{port}":
            process.kill()
    found.leave()


def test_a_start_is_stopped_and_leaves_nothing(
    qtbot: QtBot, window: MainWindow, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ollama"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    script.chmod(0o755)
    for module in ("core.inference.ollama.host", "core.inference.ollama.seen"):
        monkeypatch.setattr(f"{module}.find_program", lambda: script)
    monkeypatch.setattr("core.inference.ollama.host.START_S", 600.0)
    pointed(qtbot, services, f"http://127.0.0.1:{free_port()}")
    page = opened(qtbot, window)
    page.show_content()
    found = show(qtbot, page)
    qtbot.waitUntil(found.start.isVisible)
    click(qtbot, found, "start_ollama")
    qtbot.waitUntil(lambda: found.pill.status.word == "Starting" and (tmp_path / "pid").is_file())
    click(qtbot, found, "stop_starting")
    qtbot.waitUntil(lambda: found.pill.status.word == "Not running" and not found.halt.isVisible())
    assert not found.banners.banners
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    found.leave()


def test_the_practice_model_is_put_into_it_by_one_click(
    qtbot: QtBot, window: MainWindow, services: Services, server: RealOllama
) -> None:
    pointed(qtbot, services, server.address)
    page = opened(qtbot, window)
    page.show_content()
    found = show(qtbot, page)
    qtbot.waitUntil(found.practice.isVisible)
    click(qtbot, found, "practice_to_ollama")
    qtbot.waitUntil(lambda: [entry.base.ollama for entry in page.bases.rows.rows] == [PRACTICE_NAME])
    with OllamaHost(server.address) as host:
        host.delete(PRACTICE_NAME)


def test_a_model_that_is_being_pulled_is_not_pulled_twice(
    qtbot: QtBot, window: MainWindow, services: Services, as_seen: Callable[..., None]
) -> None:
    as_seen(seen())
    # Somebody who takes connections and never says a word.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pointed(qtbot, services, f"http://127.0.0.1:{silent.getsockname()[1]}")
        page = opened(qtbot, window)
        page.show_content()
        said: list[str] = []
        services.notifier.toast.connect(lambda text, _undo: said.append(text))
        for _ in range(2):
            found = show(qtbot, page)
            found.name.setText("qwen3:4b")
            click(qtbot, found, "pull_model")
            qtbot.waitUntil(lambda: bool(services.queue.running()))
        assert said == ["“Pulling qwen3:4b” is under way already"]
        (job,) = jobs.listing(services.connections.db, kind="pull_ollama")
        services.queue.stop(job.id)
        qtbot.waitUntil(lambda: not services.queue.running())


def test_a_pull_that_fails_is_a_job_that_says_why(
    qtbot: QtBot, window: MainWindow, services: Services, server: RealOllama
) -> None:
    pointed(qtbot, services, server.address)
    page = opened(qtbot, window)
    page.show_content()
    found = show(qtbot, page)
    found.name.setText("127.0.0.1:1/nobody/nothing")
    click(qtbot, found, "pull_model")
    qtbot.waitUntil(lambda: any("does not reach its registry" in banner.text for banner in page.banners.banners))


def test_a_model_is_deleted_after_a_question(
    qtbot: QtBot, window: MainWindow, services: Services, server: RealOllama, tmp_path: Path
) -> None:
    add_model(server, practice_gguf(tmp_path, context=512), "spare")
    pointed(qtbot, services, server.address)
    page = opened(qtbot, window)
    page.show_content()
    found = show(qtbot, page)
    qtbot.waitUntil(lambda: len(found.model.rows) == 2)
    found.table.select_id("spare:latest")
    click(qtbot, found, "delete_from_ollama")
    ask = found.findChild(ConfirmDialog)
    assert ask is not None
    click(qtbot, ask, "confirm")
    qtbot.waitUntil(lambda: [row.id for row in found.model.rows] == ["practice:latest"])
    with OllamaHost(server.address) as host:
        assert host.look().model("spare") is None
    found.leave()


def test_another_computer_is_asked_for_once_more(qtbot: QtBot, window: MainWindow, services: Services) -> None:
    page = open_page(qtbot, window, SettingsPage)
    card = page.ollama
    qtbot.waitUntil(lambda: "Nothing leaves" in text(page, "ollama_words"))
    card.address.setText("studio.local")
    card.address.editingFinished.emit()
    ask = page.findChild(ConfirmDialog)
    assert ask is not None
    assert services.ollama.address.startswith("http://127.0.0.1")
    click(qtbot, ask, "confirm")
    qtbot.waitUntil(lambda: "sent to it" in text(page, "ollama_words"))
    assert card.address.text() == "http://studio.local:11434"
    card.address.setText("")
    card.address.editingFinished.emit()
    qtbot.waitUntil(lambda: "Nothing leaves" in text(page, "ollama_words"))
    card.address.setText("a b")
    card.address.editingFinished.emit()
    assert not card.form.valid


def test_what_it_says_of_itself() -> None:
    assert state_words(None) == "Asking Ollama…"
    assert state_words(seen(version="0.0.0")) == "Ollama on this computer · holds nothing in memory"
    away = Seen(State.RUNNING, "http://studio.local:11434", "0.34.4")
    assert state_words(away) == "Ollama 0.34.4 at http://studio.local:11434 · holds nothing in memory"
