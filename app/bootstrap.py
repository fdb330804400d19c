"""Composition root: parses the arguments, opens a workspace, builds the window. The only module that imports it."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app.adapter_training import tell_decisions
from app.crash import CrashReporter
from app.gc_guard import GuiThreadCollector
from app.job_watch import JobWatch
from app.logs import Logs
from app.navigator import AfterOpen
from app.opening import Opened, open_workspace, queue_practice_model, settle
from app.services import Services, build_services
from app.single_instance import SingleInstance, raise_first
from app.system import System, this_system
from app.window_state import WindowState
from core.db.connection import Connections, explain
from core.errors import AppError
from core.events import Changed
from core.jobs import Job
from core.workspace.paths import Workspace, default_workspace
from ui.window.main_window import MODES, FatalWindow, MainWindow, theme

log = logging.getLogger(__name__)
SETTLE_AGAIN_MS = 5_000
HEAVY = (
    "mlx", "mlx_lm", "transformers", "tokenizers", "torch", "pyqtgraph", "jsonschema_rs", "lancedb", "anthropic",
    "sentence_transformers", "ollama", "xllamacpp",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What the command line asks of the window."""

    workspace: Workspace
    theme: str = ""
    vertical: str = ""
    self_exit: bool = False


@dataclass
class Session:
    """One open workspace with its window."""

    opened: Opened
    services: Services
    window: MainWindow
    instance: SingleInstance


def settle_services(services: Services) -> list[Job]:
    """On the serial lane, before any job."""
    db = services.connections.db
    recovered = settle(db, services.workspace)
    queue_practice_model(db)
    return recovered


class Application(QObject):
    """Lives in the GUI thread as long as the process: one session at a time, logs, crash reports, collector."""

    def __init__(self, options: Options, system: System | None = None) -> None:
        super().__init__()
        self.options = options
        self.session: Session | None = None
        self.fatal: FatalWindow | None = None
        self._system = system or this_system()
        self._opening = False
        self._next: tuple[Opened, AfterOpen | None] | None = None
        self._state = WindowState()
        self.logs = Logs()
        self.crash = CrashReporter(self)
        self.collector: GuiThreadCollector | None = None

    def start(self) -> bool:
        """Open the workspace asked for; False when a small window says why that can't be."""
        self.logs.install()
        self.crash.install()
        self.crash.unexpected.connect(self._on_unexpected)
        theme().set_scale(self._state.number("window/scale", 1.0))
        theme().set_mode(self.options.theme or "system")
        self.collector = GuiThreadCollector(self)
        try:
            self._open(open_workspace(self.options.workspace, self.options.vertical), None)
        except AppError as error:
            self._fail(error)
            return False
        except Exception as exc:
            log.exception("the workspace can't be opened")
            self._fail(explain(exc))
            return False
        return True

    def _fail(self, error: AppError) -> None:
        log.error("%s: %s", error.code, error)
        self.fatal = FatalWindow(error)
        self.fatal.show()
        QGuiApplication.setQuitOnLastWindowClosed(True)

    # One session

    def _open(self, opened: Opened, after: AfterOpen | None) -> None:
        self.logs.open_file(opened.workspace.logs)
        report = self.crash.open_file(opened.workspace.logs)
        theme().set_mode(self.options.theme or opened.theme)
        services = build_services(opened.workspace, Connections(opened.workspace.db_path), self._state)
        window = MainWindow(services, self.logs.ring, report)
        instance = SingleInstance(opened.workspace.root, services.root)
        instance.listen()
        instance.raise_requested.connect(window.come_to_front)
        tell_decisions(services)
        JobWatch(services.queue, self._system, window.isActiveWindow, services.root)
        self.session = Session(opened, services, window, instance)
        services.navigator.workspace_requested.connect(self._on_workspace_requested)
        window.closed.connect(self._on_window_closed)
        window.painted.connect(self._on_painted)
        window.show()
        self._settle(services)
        if after is not None:
            after(services)
        log.info("opened %s", opened.workspace.root)

    def _settle(self, services: Services, *, again: bool = False) -> None:
        def failed(exc: Exception) -> None:
            error = explain(exc)
            if not again:
                services.notifier.report(exc)
            if error.code == "internal_error":
                services.queue.start()
            else:
                # A full disk: jobs that were under way hold their slots until their end can be written.
                QTimer.singleShot(SETTLE_AGAIN_MS, services.root, lambda: self._settle(services, again=True))

        services.tasks.run(services.root, lambda: settle_services(services), self._on_settled, failed, serial=True)

    def _on_settled(self, recovered: list[Job]) -> None:
        if self.session is None:
            return
        services = self.session.services
        services.queue.start()
        services.hub.announce(Changed.everything())
        if recovered:
            count = len(recovered)
            services.notifier.say("1 job was interrupted" if count == 1 else f"{count} jobs were interrupted")

    @Slot()
    def _on_painted(self) -> None:
        # What is alive now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        if self.options.self_exit and self.session is not None:
            heavy = [name for name in HEAVY if sys.modules.get(name) is not None]
            report = {"seconds": round(seconds_since_process_start(), 3), "heavy": heavy}
            sys.stdout.write(orjson.dumps(report).decode() + "\n")
            sys.stdout.flush()
            self.session.window.close()

    @Slot(object)
    def _on_unexpected(self, exc: BaseException) -> None:
        if self.session is not None:
            self.session.services.notifier.report(exc)

    # Another workspace

    @Slot(object, object)
    def _on_workspace_requested(self, workspace: Workspace, after: AfterOpen | None) -> None:
        session = self.session
        if session is None or self._opening or self._next is not None:
            return
        if workspace.root.resolve() == session.opened.workspace.root.resolve():
            if after is not None:
                after(session.services)
            return
        # The other one is locked and opened first: if that fails, this one stays as it is.
        self._opening = True
        session.services.run(
            session.services.root, lambda: open_workspace(workspace), lambda opened: self._switch(opened, after),
            self._not_opened,
        )  # fmt: skip

    def _not_opened(self, exc: Exception) -> None:
        self._opening = False
        if self.session is not None:
            self.session.services.notifier.report(exc)

    def _switch(self, opened: Opened, after: AfterOpen | None) -> None:
        self._opening = False
        self._next = (opened, after)
        if self.session is not None:
            self.session.window.close()

    @Slot()
    def _on_window_closed(self) -> None:
        # Out of the window's own close event before anything of it is taken down.
        QTimer.singleShot(0, self, self._after_close)

    @Slot()
    def _after_close(self) -> None:
        self.close_session()
        following, self._next = self._next, None
        if following is not None:
            self._open(*following)
            return
        QApplication.quit()

    def close_session(self) -> None:
        """Take the open workspace down in order; nothing of it is left running or locked."""
        session, self.session = self.session, None
        if session is None:
            return
        session.instance.close()
        session.window.hide()
        session.services.close()
        session.window.deleteLater()
        log.info("closed %s", session.opened.workspace.root)
        self.crash.close_file()
        self.logs.close_file()
        session.opened.lock.release()

    def stop(self) -> None:
        """Release what `start` acquired."""
        self.close_session()
        self.crash.uninstall()
        if self.collector is not None:
            self.collector.stop()
        self.logs.remove()

    def request_quit(self) -> None:
        """As if the window had been closed."""
        if self.session is not None:
            self.session.window.close()
        else:
            # By the event loop: a signal may come before it runs, and quitting would then be lost.
            QTimer.singleShot(0, QApplication.quit)


def seconds_since_process_start() -> float:
    """By the kernel's clock, so that the interpreter's own start is counted."""
    stat = Path("/proc/self/stat")
    if stat.exists():
        import os

        started = int(stat.read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return float(Path("/proc/uptime").read_text().split()[0]) - started
    import psutil

    return time.time() - float(psutil.Process().create_time())


def parse(args: list[str]) -> Options:
    """The window's arguments. Exits with code 2 and a usage line on a wrong one."""
    parser = argparse.ArgumentParser(prog="brightrun", description="Bright Run")
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="open this workspace folder")
    parser.add_argument("--vertical", metavar="KEY", default="", help="what a new workspace is for")
    parser.add_argument("--theme", choices=MODES, default="", help="instead of the workspace's setting")
    parser.add_argument("--self-exit-after-paint", action="store_true", help="measure startup, then quit")
    found = parser.parse_args(args)
    workspace = Workspace(found.workspace.resolve()) if found.workspace else default_workspace()
    return Options(workspace, found.theme, found.vertical, found.self_exit_after_paint)


def run(args: list[str]) -> int:
    """Start the window; returns the exit code."""
    options = parse(args)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Bright Run")
    app.setOrganizationName("Bright Run")
    if raise_first(options.workspace.root):
        return 0
    app.setQuitOnLastWindowClosed(False)
    application = Application(options)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: application.request_quit())
    started = application.start()
    code = app.exec()
    application.stop()
    return code if started else 1
