"""Opening the sample workspace: made off the GUI thread, opened, its conversations imported once."""

from __future__ import annotations

from pathlib import Path

from sqlite_utils import Database

from app.services import Services
from core import sample
from core.workspace.paths import sample_workspace

TITLE = "Importing the sample conversations"


def open_sample(services: Services) -> None:
    """From any workspace; errors are shown by the notifier."""
    workspace = sample_workspace()

    def after(opened: Services, files: list[Path]) -> None:
        def ask(db: Database) -> int:
            return int(db.execute("select count(*) from conversations").fetchone()[0])

        def answer(count: int) -> None:
            if count == 0 and files:
                opened.start_job("import", TITLE, {"files": [str(path) for path in files]})

        opened.read(opened.root, ask, answer)

    services.run(
        services.root,
        lambda: sample.create(workspace),
        lambda files: services.navigator.open_workspace(workspace, lambda opened: after(opened, files)),
    )
