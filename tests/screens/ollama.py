"""The pictures of Ollama in the window: a real server, its models, a base of it with what it was compared with, an
adapter that is shared, a chat on it; and where it is absent.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QAbstractButton, QApplication
from sqlite_utils import Database

from app import ollama_service
from benchmarks.stalls import pause
from core.events import Changed
from core.inference.ollama.faults import absent
from core.inference.ollama.seen import Seen, State
from core.models import store as models
from core.models.practice import PRACTICE_ID
from core.workspace import settings
from tests.screens.projects import Camera
from tests.support.chat import add_adapter
from tests.support.gguf_base import practice_gguf, write_random_adapter
from tests.support.ollama import CACHE, NEW, RealOllama, add_model
from ui.pages.adapters.page import AdaptersPage
from ui.pages.adapters.share import ShareDialog
from ui.pages.chat.page import ChatPage
from ui.theme import theme


def _wait(check: Callable[[], bool]) -> None:
    for _ in range(900):
        pause(0.1)
        if check():
            return
    raise RuntimeError("it does not come to rest")


def shoot_ollama(studio: Camera, folder: Path, out: Path) -> None:
    """All of it, where a real Ollama was built for the tests before."""
    if not (CACHE / f"ollama-{NEW}" / "ollama").is_file():
        sys.stdout.write("no pictures of Ollama: run its tests once, they build it\n")
        return
    server = RealOllama(NEW, folder)
    server.start()
    try:
        add_model(server, practice_gguf(folder / "gguf"), "practice")
        _shoot(studio, server, out)
    finally:
        server.stop()


def _shoot(studio: Camera, server: RealOllama, out: Path) -> None:
    services = studio.services
    write_random_adapter(services.workspace.adapters / "loud")

    def put(db: Database) -> Changed:
        add_adapter(db, services.workspace, "loud", "Loud and kind", base=PRACTICE_ID)
        return settings.put(db, "ollama_address", server.address) | Changed.ADAPTERS

    services.write(services.root, put)
    services.start_job("take_ollama", "Adding practice", {"name": "practice", "address": server.address})
    db = services.connections.db
    _wait(lambda: db.execute("select 1 from base_siblings where fits = 1").fetchone() is not None)
    base = next(one for one in models.listing(db) if one.ollama)
    _shoot_pull(studio, base.id, out)
    services.start_job(
        "share_adapter", "Sharing Loud and kind",
        {"adapter_id": "loud", "base_id": base.id, "name": "loud-and-kind", "address": server.address},
    )  # fmt: skip
    _wait(lambda: db.execute("select 1 from ollama_shares").fetchone() is not None)
    studio.shoot("ollama", "adapters", {"base": base.id})
    studio.shoot("ollama-shared", "adapters", {"adapter": "loud"})
    _shoot_chat(studio, base.id)
    studio.shoot("ollama", "settings")
    page = studio.window.page("adapters")
    assert isinstance(page, AdaptersPage)
    services.navigator.open_page("adapters", {"adapter": "loud"})
    pause(1)
    asks: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("ollama_dialog", "ollama_dialog", page._open_ollama),
        ("share_dialog", "share_dialog", page.inspector.adapter.share.click),
        ("share_preview", "share_dialog", lambda: _preview(page)),
    )
    for name, kind, ask in asks:
        _grab(name, kind, ask, out)
    ollama_service._look = lambda address: Seen(State.ABSENT, address, error=absent())
    services.ollama.look()
    pause(0.5)
    _grab("ollama_absent", "ollama_dialog", page._open_ollama, out)


def _shoot_chat(studio: Camera, base_id: str) -> None:
    """One conversation on a base of Ollama's: the adapter answers, then the base, then both side by side."""
    chat = studio.window.page("chat")
    assert isinstance(chat, ChatPage)
    studio.services.navigator.open_page("chat", {"base": base_id})
    pause(1)

    def click(chat: ChatPage, name: str) -> None:
        chip = chat.chips.findChild(QAbstractButton, name)
        assert chip is not None
        chip.click()

    def ask(adapter: str, question: str) -> None:
        click(chat, f"adapter_{adapter}")
        chat.composer.set_text(question)
        pause(0.3)
        chat.composer.send.click()
        pause(0.3)
        _wait(lambda: not chat.session.busy)

    ask("loud", "How do I keep bread fresh?")
    ask("base", "And for how long?")
    studio.shoot("ollama", "chat", chat.chat.id if chat.chat else None)
    click(chat, "adapter_loud")
    chat.composer.set_text("What should I do first?")
    pause(0.3)
    chat.compare.click()
    pause(0.3)
    _wait(lambda: not chat.session.busy)
    studio.shoot("ollama-compare", "chat", chat.chat.id if chat.chat else None)


def _shoot_pull(studio: Camera, base_id: str, out: Path) -> None:
    """A pull under way, from what stands for an Ollama that has a network."""
    services = studio.services
    page = studio.window.page("adapters")
    assert isinstance(page, AdaptersPage)
    with _pulling() as address:
        params = {"name": "qwen3:4b", "address": address, "pull": True}
        job_id = services.start_job("pull_ollama", "Pulling qwen3:4b", params)
        _wait(lambda: any(one.id == job_id for one in services.queue.running()))
        pause(3)
        studio.shoot("ollama-pull", "adapters", {"base": base_id})
        _grab("ollama_pull", "ollama_dialog", page._open_ollama, out)
        services.queue.stop(job_id)
        _wait(lambda: not any(one.id == job_id for one in services.queue.running()))


@contextlib.contextmanager
def _pulling() -> Iterator[str]:
    over = threading.Event()

    class Pull(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            total, done = 2_497_280_480, 890_000_000
            with contextlib.suppress(OSError):
                while not over.wait(0.3):
                    done += 4_000_000
                    step = {"status": "pulling 163553aea1b1", "digest": "sha256:163553aea1b1", "total": total}
                    self.wfile.write(json.dumps(step | {"completed": done}).encode() + b"\n")

        def log_message(self, *_args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pull) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}"
        finally:
            over.set()
            made.shutdown()


def _preview(page: AdaptersPage) -> None:
    page.inspector.adapter.share.click()
    (dialog,) = [found for found in page.findChildren(ShareDialog) if found.isVisible()]
    dialog.preview.click()
    _wait(dialog.modelfile.isVisible)


def _grab(name: str, kind: str, ask: Callable[[], object], out: Path) -> None:
    for mode in ("light", "dark"):
        theme().set_mode(mode)
        ask()
        pause(2)
        (shown,) = [w for w in QApplication.topLevelWidgets() if w.objectName() == kind and w.isVisible()]
        (out / "dialogs").mkdir(parents=True, exist_ok=True)
        shown.grab().save(str(out / "dialogs" / f"{name}-{mode}.png"))
        shown.close()
        pause(0.2)


def main() -> None:
    """These alone, into the folder that is named."""
    import tempfile

    from core import sample
    from core.workspace.paths import Workspace
    from tests.screens.make import Studio

    app = QApplication(["screens"])
    app.setQuitOnLastWindowClosed(False)
    with tempfile.TemporaryDirectory(prefix="screens-") as name:
        folder, out = Path(name), Path(sys.argv[1])
        os.environ["BRIGHTRUN_DATA"], os.environ["BRIGHTRUN_MODELS"] = str(folder / "data"), str(folder / "models")
        sample.create(Workspace(folder / "w"))
        studio = Studio(folder / "w", out)
        studio.job("add_base_model", {"path": PRACTICE_ID, "name": "practice"})
        shoot_ollama(studio, folder / "ollama", out)
        studio.close()
        sys.stdout.write("\n".join(studio.cut) + "\n")


if __name__ == "__main__":
    main()
