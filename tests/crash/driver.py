"""A real window process for kill tests: opens the workspace, resumes what is offered, leaves when all is done.

python -m tests.crash.driver WORKSPACE [DOTTED_JOB_KIND]. Prints the worker's pid and what it does, a line each.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.bootstrap import Application, Options
from core import jobs
from core.jobs import Job, JobState
from core.registries import JOB_KINDS
from core.workspace.paths import Workspace


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> int:
    workspace = Workspace(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        JOB_KINDS.register("training", sys.argv[2])
    app = QApplication(sys.argv[:1])
    application = Application(Options(workspace))
    if not application.start():
        return 1
    assert application.session is not None
    services = application.session.services
    queue = services.queue

    def offered() -> None:
        found = jobs.listing(services.connections.db, kind="training")
        for job in found:
            if job.can_resume:
                say("offered", job.status)
                queue.resume(job.id)

    def poll() -> None:
        for job in queue.running():
            if queue.pid(job.id):
                say("pid", queue.pid(job.id))

    def finished(job: Job) -> None:
        say("finished", job.status, job.error.code if job.error else "")
        if job.kind == "training" and job.status is JobState.COMPLETED:
            application.request_quit()

    queue.finished.connect(finished)
    settled = QTimer()
    settled.setSingleShot(True)
    settled.timeout.connect(lambda: services.read(services.root, lambda _db: None, lambda _none: offered()))
    # The queue opens once recovery is written; what is offered is read after that.
    queue.job_changed.connect(lambda _job: None)
    settled.start(600)
    timer = QTimer()
    timer.timeout.connect(poll)
    timer.start(50)
    code = app.exec()
    application.stop()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
