"""Opening the sample workspace: made off the GUI thread, opened, its conversations imported once."""

from __future__ import annotations

from pathlib import Path

from app.services import Services
from core import sample
from core.db import Database
from core.workspace.paths import sample_workspace
from ui.steps import again, once

TITLE = "Importing the sample conversations"
STEP = "make_sample"


def open_sample(services: Services) -> None:
    """From any workspace; errors are shown by the notifier. Asked again while it is made, it does nothing."""
    workspace, root = sample_workspace(), services.root
    if not once(services, STEP):
        return

    def after(opened: Services, files: list[Path]) -> None:
        def ask(db: Database) -> int:
            return int(db.execute("select count(*) from conversations").fetchone()[0])

        def answer(count: int) -> None:
            if count == 0 and files:
                opened.start_job("import", TITLE, {"files": [str(path) for path in files]})

        opened.read(opened.root, ask, answer)

    def made(files: list[Path]) -> None:
        again(services, STEP)
        services.navigator.open_workspace(workspace, lambda opened: after(opened, files))

    def failed(exc: Exception) -> None:
        again(services, STEP)
        services.notifier.report(exc)

    services.run(root, lambda: sample.create(workspace), made, failed)
