"""Pictures of every page: filled, empty, busy, failed; light and dark; both sizes. `make screens` → build/screens.

Everything shown is real: the sample goes through the real line in real workers; what fails, fails for real.
All of it twice: with the application's font, and in a second folder with one 15 % wider. `tests.screens.fits` looks for
words that have no room in either; what it finds is listed, and the exit code is 1.
The filled ones at 1440x900 are copied to docs/screens with --docs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_SCALE_FACTOR", "1")

import orjson
from PySide6.QtWidgets import QApplication

from app.bootstrap import Application, Options
from app.services import Services
from benchmarks.stalls import pause, wait
from core import sample
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.jobs import Job
from core.models import store as models
from core.projects import chats
from core.training import store as training
from core.training.config import PRACTICE_OVERRIDES, configure
from core.workspace.paths import Workspace
from tests.screens import ollama as ollama_screens
from tests.screens import projects as project_screens
from tests.screens.fits import problems
from tests.support.broken import broken_files, sample_talk
from ui.format import plural
from ui.registry import PAGES
from ui.theme import NATURAL, theme

WIDE = 115
SIZES = {"1440x900": (1440, 900), "1100x700": (1100, 700)}
TITLES = {
    "import": "Importing {count}",
    "enrich": "Enriching {count}",
    "build_training_file": "Building Planner",
    "build_dataset": "Building dataset Planner",
    "add_base_model": "Adding {name}",
}
QUESTIONS = ("I am afraid of my debt. What should I do?", "What is one small step I can take this month?")


class Studio:
    """One window over one workspace, and where its pictures go."""

    def __init__(self, root: Path, out: Path) -> None:
        self.out = out
        self.cut: list[str] = []
        self.application = Application(Options(Workspace(root)))
        if not self.application.start() or self.application.session is None:
            raise RuntimeError(f"{root} can't be opened")
        self.window = self.application.session.window
        self.services: Services = self.application.session.services
        pause(2.5)

    def job(self, kind: str, params: dict[str, Any]) -> Job:
        found: list[Job] = []
        noun = "file" if "files" in params else "conversation"
        count = plural(len(params.get("files") or params.get("conversation_ids") or ()), noun)
        title = TITLES[kind].format(count=count, name=params.get("name"))
        wait(lambda done: self.services.start_job(kind, title, params, then=lambda j: (found.append(j), done())))
        return found[0]

    def train(self, name: str, dataset_id: str, *, to_the_end: bool = True, **overrides: Any) -> str:
        db = self.services.connections.db
        config = configure("balanced", {**PRACTICE_OVERRIDES, **overrides})
        job = training.create_run(db, name=name, dataset_id=dataset_id, base_model_id="practice", preset="balanced",
                                  config=config)  # fmt: skip
        if to_the_end:
            wait(lambda done: (self.services.when_finished(job.id, self.services.root, lambda _j: done()),
                               self.services.queue.kick()))  # fmt: skip
        else:
            self.services.queue.kick()
        return job.id

    def shoot(self, state: str, page: str, argument: object = None, before: Callable[[], Any] | None = None) -> None:
        """All four pictures of a page as it is now."""
        self.services.navigator.open_page(page, argument)
        pause(0.8)
        if before is not None:
            before()
            pause(0.8)
        for mode in ("light", "dark"):
            theme().set_mode(mode)
            for name, size in SIZES.items():
                self.window.resize(*size)
                pause(0.25)
                folder = self.out / state
                folder.mkdir(parents=True, exist_ok=True)
                self.window.grab().save(str(folder / f"{page}-{mode}-{name}.png"))
                if mode == "light":
                    self.cut += [f"{folder.name}/{page}-{name}: {text}" for text in problems(self.window)]

    def close(self) -> None:
        queue = self.services.queue
        queue.shutdown()
        if queue.busy:
            wait(lambda done: queue.idle.connect(done), 60)
        self.application.stop()
        pause(0.2)
        if self.cut:
            with (self.out / "cut.txt").open("a", encoding="utf-8") as report:
                report.writelines(f"{line}\n" for line in self.cut)


def fill(root: Path, out: Path) -> None:
    """The sample, all the way, with a chat at its end."""
    files = sample.create(Workspace(root))
    studio = Studio(root, out)
    db = studio.services.connections.db
    imported = studio.job("import", {"files": [str(f) for f in files]}).result["conversations"]
    studio.job("enrich", {"conversation_ids": imported})
    file = studio.job("build_training_file", {"name": "Planner", "description": "", "conversation_ids": imported})
    dataset = studio.job("build_dataset", {"training_file_id": file.result["training_file_id"], "name": "Planner"})
    run_id = studio.train("Planner, first try", dataset.result["dataset_id"])
    adapter = training.get_adapter(db, str(training.get_run(db, run_id).artifact_id))
    converse(studio.services, db, adapter)
    studio.close()


def converse(services: Services, db: Any, adapter: training.Adapter) -> None:
    """Real answers of base and adapter, stored as the chat stores them."""
    prompt = str(adapter.passport["system_prompt"])
    chat = chats.create(db, "practice", adapter.id, prompt)
    ref = AdapterRef(adapter.id, str(services.workspace.absolute(adapter.path)), adapter.name)
    with InferenceClient() as client:
        client.load(models.get(db, "practice").path)
        for question, who in zip(QUESTIONS, (None, ref), strict=True):
            chats.add_message(db, chat.id, "user", question)
            asked = chats.prompt_messages(chat, chats.messages(db, chat.id))
            text, result = client.generate(GenerateRequest(asked, who, Sampling(max_tokens=120)))
            chats.add_message(db, chat.id, "assistant", text.strip(), artifact_id=who.id if who else None,
                              stats=result["stats"])  # fmt: skip


def shoot_filled(root: Path, out: Path) -> None:
    studio = Studio(root, out)
    db = studio.services.connections.db
    run_id = training.list_runs(db)[0].id
    chat_id = chats.listing(db)[0].id
    arguments = {"training": run_id, "chat": chat_id}
    for spec in PAGES.specs():
        if spec.name != "projects":
            studio.shoot("filled", spec.name, arguments.get(spec.name))
    project_screens.shoot_filled(studio, root.parent / "code-filled")
    project_screens.shoot_dialogs(studio, root.parent / "code-dialogs", out)
    ollama_screens.shoot_ollama(studio, root.parent / "ollama", out)
    studio.close()


def shoot_empty(root: Path, out: Path) -> None:
    studio = Studio(root, out)
    for spec in PAGES.specs():
        studio.shoot("empty", spec.name)
    studio.close()


def shoot_busy(root: Path, out: Path, folder: Path) -> None:
    studio = Studio(root, out)
    db = studio.services.connections.db
    dataset = db.execute("select id from datasets").fetchone()["id"]
    run_id = studio.train("Planner, long run", dataset, to_the_end=False, epochs=20, seed=1)
    talks = folder / "many"
    talks.mkdir()
    for number in range(4000):
        talk = sample_talk(number % 24)
        talk["turns"][0]["content"] += f" Client {number}."
        (talks / f"{number}.json").write_bytes(orjson.dumps(talk))
    pause(12)
    studio.shoot("busy", "training", run_id)
    studio.services.start_job("import", "Importing 4,000 files", {"files": [str(talks)]})
    pause(1)
    for name in ("conversations", "home", "datasets", "adapters", "training_files", "scaffolding", "settings"):
        studio.shoot("busy", name)
    studio.shoot("busy", "chat", chats.listing(db)[0].id)
    project_screens.shoot_busy(studio, folder / "code-busy")
    studio.close()


def shoot_failed(root: Path, out: Path, folder: Path) -> None:
    studio = Studio(root, out)
    db = studio.services.connections.db
    source = folder / "broken"
    source.mkdir()
    shutil.copy(sample.sample_files()[0], source / "good-1.json")
    broken_files(source)
    studio.services.navigator.open_page("conversations")
    result = studio.job("import", {"files": [str(f) for f in sorted(source.iterdir())]}).result
    studio.job("enrich", {"conversation_ids": result["conversations"]})
    failed = db.execute("select id from conversations where enrichment_status = 'failed'").fetchone()["id"]
    studio.shoot("failed", "conversations", failed)
    studio.shoot("failed", "home")
    dataset = dict(db.execute("select id, file_path from datasets").fetchone())
    data = studio.services.workspace.absolute(dataset["file_path"])
    hidden = data.with_name("hidden.jsonl")
    data.rename(hidden)
    run_id = studio.train("Planner, without its data", dataset["id"])
    studio.shoot("failed", "training", run_id)
    studio.shoot("failed", "datasets", dataset["id"])
    hidden.rename(data)
    studio.job("add_base_model", {"path": str(source), "name": "Not a model"})
    studio.shoot("failed", "adapters")
    adapter = training.list_adapters(db)[0]
    tensors = studio.services.workspace.absolute(adapter.path) / "adapters.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    studio.shoot("failed", "chat", chats.listing(db)[0].id, before=lambda: ask(studio))
    project_screens.shoot_failed(studio, folder / "code-failed")
    studio.close()


def ask(studio: Studio) -> None:
    """Ask through the page, as a user does."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QPlainTextEdit

    page = studio.window.current_page
    assert page is not None
    entry = page.findChild(QPlainTextEdit, "question_field")
    QTest.keyClicks(entry, "And now?")
    QTest.keyClick(entry, Qt.Key.Key_Return)
    pause(4)


def shoot_states(states: list[str], sample_folder: Path, roots: Path, out: Path) -> None:
    """The pictures of these states into `out`, each in a copy of the sample of its own."""
    roots.mkdir()
    for state in states:
        root = roots / state
        if state != "empty":
            shutil.copytree(sample_folder / "sample", root)
        shooter = {"empty": shoot_empty, "filled": shoot_filled}.get(state)
        if shooter is not None:
            shooter(root, out)
        else:
            {"busy": shoot_busy, "failed": shoot_failed}[state](root, out, roots)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/screens"))
    parser.add_argument("--docs", action="store_true", help="copy the filled ones at 1440x900 to docs/screens")
    parser.add_argument("--only", default="", help="filled, empty, busy or failed")
    parser.add_argument("--narrow", action="store_true", help="with the application's font alone")
    options = parser.parse_args()
    app = QApplication(["screens"])
    app.setQuitOnLastWindowClosed(False)
    app.setApplicationName("Bright Run Screens")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="screens-") as name:
        folder = Path(name)
        os.environ["BRIGHTRUN_DATA"], os.environ["BRIGHTRUN_MODELS"] = str(folder / "data"), str(folder / "models")
        states = [options.only] if options.only else ["empty", "filled", "busy", "failed"]
        outs = {NATURAL: options.out}
        if not options.narrow:
            outs[WIDE] = options.out.with_name(f"{options.out.name}-wide")
        if set(states) - {"empty"}:
            fill(folder / "sample", options.out)
        for stretch, out in outs.items():
            out.mkdir(parents=True, exist_ok=True)
            (out / "cut.txt").write_text("", encoding="utf-8")
            theme().set_stretch(stretch)
            shoot_states(states, folder, folder / str(stretch), out)
    if options.docs:
        docs = Path("docs/screens")
        docs.mkdir(parents=True, exist_ok=True)
        for path in (options.out / "filled").glob("*-1440x900.png"):
            shutil.copy(path, docs / path.name.replace("-1440x900", ""))
    cut = [line for out in outs.values() for line in (out / "cut.txt").read_text(encoding="utf-8").splitlines()]
    for line in cut:
        sys.stdout.write(f"no room: {line}\n")
    for out in outs.values():
        sys.stdout.write(f"{len(list(out.rglob('*.png')))} pictures in {out}\n")
    sys.stdout.write(f"{len(cut)} words without room, {time.monotonic() - begun:.0f} s\n")
    return 1 if cut else 0


if __name__ == "__main__":
    raise SystemExit(main())
