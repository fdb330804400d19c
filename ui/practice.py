"""Adding the practice model, from every page that needs a base."""

from __future__ import annotations

from app.services import Services
from core.jobs import Job
from ui.steps import again, once

STEP = "add_practice_model"


def add_practice(services: Services) -> None:
    """As a job; asked again while it is under way, it does nothing."""

    def end(_job: Job | None = None) -> None:
        again(services, STEP)

    if once(services, STEP):
        params = {"path": "practice", "name": ""}
        services.start_job("add_base_model", "Adding practice model", params, end, refused=end)
