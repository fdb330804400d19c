"""Stalls of the window's event loop: how late a 5 ms timer is, idle and while the workers are at their busiest.

The window is the real one, shown offscreen on the page that belongs to the work; workers are real processes.
"""

from __future__ import annotations

import json
import shutil
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QElapsedTimer, QEventLoop, QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QApplication

from app.bootstrap import Application, Options
from app.services import Services
from core.datasets import store as datasets
from core.generation.create import create_batch
from core.generation.sampling import spread
from core.generation.settings import TURNS, RunSettings
from core.inference.engine import GenerateRequest, Sampling
from core.jobs import Job
from core.models import store as models
from core.projects import projects
from core.projects.jobs import index_params
from core.training import store as training
from core.training.config import TrainingConfig
from core.workspace.paths import Workspace
from tests.support.broken import sample_talk
from tests.support.hf_model import write_hf_model
from ui.registry import PAGES
from ui.theme import theme

TICK_MS = 5
ANSWERS = 80


class Meter(QObject):
    """Collects how late each tick of a timer in the GUI thread was, in ms."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[float] = []
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        self.late = []
        self._clock.start()
        self._timer.start(TICK_MS)

    @Slot()
    def _tick(self) -> None:
        self.late.append(max(0.0, self._clock.nsecsElapsed() / 1e6 - TICK_MS))
        self._clock.restart()

    def stop(self) -> str:
        self._timer.stop()
        late = sorted(self.late)
        return f"p99 {late[int(len(late) * 0.99)]:.1f}, worst {late[-1]:.1f} ({len(late):,} ticks)"


def wait(until: Callable[[Callable[[], None]], None], limit_s: float = 300) -> None:
    """Run the event loop until the given function calls back."""
    loop = QEventLoop()
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: loop.exit(1))
    timer.start(int(limit_s * 1000))
    until(loop.quit)
    if loop.exec():
        raise RuntimeError("the benchmark did not end in time")


def pause(seconds: float) -> None:
    wait(lambda done: QTimer.singleShot(int(seconds * 1000), done))


class Bench:
    """The phases, over one window."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services, self.folder, self.meter = services, folder, Meter()
        self.out: dict[str, Any] = {}

    def job(self, kind: str, params: dict[str, Any]) -> Job:
        found: list[Job] = []
        wait(lambda done: self._start(kind, params, lambda job: (found.append(job), done())))
        if found[0].error is not None:
            raise RuntimeError(f"{kind}: {found[0].error} {found[0].error.detail}")
        return found[0]

    def _start(self, kind: str, params: dict[str, Any], then: Callable[[Job], Any]) -> None:
        self.services.start_job(kind, kind, params, then=then)

    def measure(self, name: str, page: str, work: Callable[[], None]) -> None:
        self.services.navigator.open_page(page)
        pause(1.5)
        self.meter.start()
        begun = time.monotonic()
        work()
        self.out[f"{name}, ms late"] = f"{self.meter.stop()}, {time.monotonic() - begun:.1f} s"

    def run(self) -> dict[str, Any]:
        pause(3)
        self.job("add_base_model", {"path": "practice"})
        self.measure("idle", "home", lambda: pause(5))
        big = big_file(self.folder / "big.json")
        self.measure(f"import of one file of {big.stat().st_size / 1e6:.0f} MB", "conversations",
                     lambda: self.job("import", {"files": [str(big)]}))  # fmt: skip
        talks = self.folder / "talks.json"
        talks.write_text(json.dumps([talk(n) for n in range(600)]))
        imported = self.job("import", {"files": [str(talks)]})
        self.measure("enrichment of 600 conversations", "conversations",
                     lambda: self.job("enrich", {"conversation_ids": imported.result["conversations"]}))  # fmt: skip
        self.generate()
        self.train()
        self.index()
        self.stream()
        self.themes()
        return self.out

    def index(self) -> None:
        """20 MB of Python by words, on the page that shows the project."""
        root = twenty_megabytes(self.folder / "library")
        db = self.services.connections.db
        project = projects.add(db, root, "Library", embedder="none")
        self.services.navigator.open_page("projects", project.id)
        params = index_params(self.services.workspace, project)
        self.measure("indexing of 20 MB by words", "projects", lambda: self.job("index_project", params))

    def generate(self) -> None:
        db, services = self.services.connections.db, self.services
        job = create_batch(db, services.workspace, spread(db, 12, 1), RunSettings("local", "practice", mode=TURNS))
        services.navigator.open_page("generate", job.id)

        def work() -> None:
            wait(lambda done: (services.when_finished(job.id, services.root, lambda _job: done()),
                               services.queue.kick()))  # fmt: skip

        self.measure("generation of 12 conversations by the practice model", "generate", work)

    def train(self) -> None:
        base = write_hf_model(self.folder / "tiny", num_hidden_layers=1, hidden_size=16, intermediate_size=16,
                              num_attention_heads=2, num_key_value_heads=2, head_dim=8)  # fmt: skip
        self.job("add_base_model", {"path": str(base), "name": "tiny"})
        short = self.folder / "short.jsonl"
        lines = [{"prompt": f"Count {n}", "completion": f"{n} and {n + 1}"} for n in range(1500)]
        short.write_text("".join(json.dumps(line) + "\n" for line in lines))
        dataset_id = self.job("import", {"files": [str(short)]}).result["datasets"][0]
        db = self.services.connections.db
        tiny = next(m for m in models.listing(db) if m.name == "tiny")
        config = TrainingConfig(batch_size=1, epochs=1, rank=4, alpha=8, targets="attention", max_steps=600,
                                validate_every=300, checkpoint_every=300)  # fmt: skip
        run = training.create_run(db, name="fast", dataset_id=datasets.get(db, dataset_id).id, base_model_id=tiny.id,
                                  preset="fast", config=config)  # fmt: skip

        def work() -> None:
            wait(lambda done: (self.services.when_finished(run.id, self.services.root, lambda _job: done()),
                               self.services.queue.kick()))  # fmt: skip

        self.services.navigator.open_page("training", run.id)
        self.measure("training of 600 steps at its fastest", "training", work)
        points = training.metrics(db, run.id)
        self.out["training steps a second"] = f"{600 / points[-1]['elapsed_s']:.0f}"

    def stream(self) -> None:
        db = self.services.connections.db
        practice = models.get(db, "practice")
        engine = self.services.engine
        wait(lambda done: engine.load(self.services.root, practice.path, lambda _f: done(), raise_error))
        request = GenerateRequest([{"role": "user", "content": "Tell me about bread."}],
                                  sampling=Sampling(temperature=1.5, max_tokens=900, seed=4))  # fmt: skip
        counts = [0]

        def work() -> None:
            for _ in range(ANSWERS):
                wait(lambda done: engine.generate(
                    self.services.root, request, text=lambda t: counts.__setitem__(0, counts[0] + len(t)),
                    done=lambda _r: done(), stopped=done, failed=raise_error))  # fmt: skip

        self.measure(f"streaming of {ANSWERS} answers", "chat", work)
        self.out["characters streamed"] = f"{counts[0]:,}"

    def themes(self) -> None:
        for spec in PAGES.specs():
            self.services.navigator.open_page(spec.name)
            pause(0.5)

        def work() -> None:
            for mode in ("dark", "light") * 4:
                theme().set_mode(mode)
                pause(0.5)

        self.measure("8 changes of theme with every page made", "home", work)


def raise_error(error: Exception) -> None:
    raise error


def talk(number: int) -> dict[str, Any]:
    found = sample_talk(number % 24)
    found["turns"][0]["content"] += f" This is client number {number}."
    return found


def twenty_megabytes(root: Path) -> Path:
    """Python's own library, copied until there is enough of it."""
    source, left, copy = Path(sysconfig.get_path("stdlib")), 20_000_000, 0
    while left > 0:
        copy += 1
        for path in sorted(source.glob("[a-z]*/**/*.py")):
            if "site-packages" in path.parts or left <= 0:
                continue
            target = root / f"copy{copy}" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            left -= path.stat().st_size
    return root


def big_file(path: Path) -> Path:
    """One JSON array of 100 MB on one line: the shape that froze a window once."""
    one = json.dumps(talk(1))
    with path.open("w") as handle:
        handle.write("[" + one)
        size, number = len(one), 2
        while size < 100_000_000:
            made = talk(number)
            made["turns"][1]["content"] += " And so on." * 2000
            text = json.dumps(made)
            handle.write("," + text)
            size, number = size + len(text) + 1, number + 1
        handle.write("]")
    return path


def run(folder: Path) -> dict[str, Any]:
    app = QApplication.instance() or QApplication(["bench"])
    app.setQuitOnLastWindowClosed(False)  # type: ignore[attr-defined]
    application = Application(Options(Workspace(folder / "workspace")))
    if not application.start() or application.session is None:
        raise RuntimeError("the window did not start")
    session = application.session
    session.window.resize(1440, 900)
    bench = Bench(session.services, folder)
    try:
        return bench.run()
    finally:
        session.services.queue.shutdown()
        if session.services.queue.busy:
            wait(lambda done: session.services.queue.idle.connect(done), 30)
        application.stop()
