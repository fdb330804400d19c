"""Adding the practice model, from every page that needs a base."""

from __future__ import annotations

from app.services import Services
from ui.steps import again, once

STEP = "add_practice_model"


def add_practice(services: Services) -> None:
    """As a job; asked again while it is under way, it does nothing."""
    if once(services, STEP):
        params = {"path": "practice", "name": ""}
        services.start_job("add_base_model", "Adding practice model", params, lambda _job: again(services, STEP))
