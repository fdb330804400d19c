"""Adding the practice model, from every page that needs a base."""

from __future__ import annotations

from app.services import Services
from core.jobs import Job

ADDING = "adding_practice_model"


def add_practice(services: Services) -> None:
    """As a job; asked again while it is under way, it does nothing."""
    root = services.root
    if root.property(ADDING):
        return
    root.setProperty(ADDING, True)

    def ended(_job: Job) -> None:
        root.setProperty(ADDING, False)

    params = {"path": "practice", "name": ""}
    services.start_job("add_base_model", "Adding the practice model", params, ended, root)
