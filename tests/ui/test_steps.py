"""The steps that Home's Next and empty pages offer, where the workspace can't be written to."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.services import Services
from core import jobs
from tests.core.factories import add_conversation, parsed
from tests.support.pages import filled, until
from ui import steps
from ui.practice import add_practice


def enrich_waiting(services: Services) -> None:
    add_conversation(filled(services), parsed(title="One"))
    steps.enrich_waiting(services)


@pytest.mark.parametrize("begin", [enrich_waiting, add_practice])
def test_a_step_that_could_not_be_queued_can_be_begun_again(
    qtbot: QtBot, services: Services, monkeypatch: pytest.MonkeyPatch, begin: Callable[[Services], None]
) -> None:
    create, asked = jobs.create, []

    def full_once(*args: Any, **more: Any) -> jobs.Job:
        asked.append(args[1])
        if len(asked) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(*args, **more)

    monkeypatch.setattr(jobs, "create", full_once)
    reported: list[object] = []
    services.notifier.error.connect(lambda error, _owner: reported.append(error))
    begin(services)
    until(qtbot, lambda: len(reported) == 1)
    begin(services)
    until(qtbot, lambda: len(asked) == 2)
    until(qtbot, lambda: jobs.listing(services.connections.db, kind=asked[1]) != [])
    assert len(reported) == 1
