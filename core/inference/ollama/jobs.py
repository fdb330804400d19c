"""Job kinds about Ollama's models. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from core.events import Changed
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.models import store
from core.workspace.paths import Workspace


def _apply(db: Database, _workspace: Workspace, _job: Job, event: Mapping[str, Any]) -> Changed:
    return store.upsert(db, event["row"])


PULL = JobKind(
    name="pull_ollama",
    handler="core.inference.ollama.work:take_model",
    events=("base_model",),
    apply=_apply,
    lane=Lane.NETWORK,
    resumable=True,
    page="adapters",
)
PRACTICE = JobKind(
    name="practice_to_ollama",
    handler="core.inference.ollama.practice:put_practice",
    events=("base_model",),
    apply=_apply,
    page="adapters",
)
TAKE = JobKind(
    name="take_ollama",
    handler="core.inference.ollama.work:take_model",
    events=("base_model",),
    apply=_apply,
    page="adapters",
)
