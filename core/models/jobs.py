"""Job kinds about base models: add a folder, download one, rebuild the practice model. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.db import Database
from core.events import Changed
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.models import store
from core.workspace.paths import Workspace


def apply_base(db: Database, _workspace: Workspace, _job: Job, event: Mapping[str, Any]) -> Changed:
    """Keep the base that a worker reported."""
    return store.upsert(db, event["row"])


ADD_BASE = JobKind(
    name="add_base_model",
    handler="core.models.work:add_base",
    events=("base_model",),
    apply=apply_base,
    page="adapters",
)
LOOK_UP = JobKind(
    name="look_up_base",
    handler="core.models.download:look_up",
    events=(),
    apply=apply_base,
    lane=Lane.QUESTION,
    page="adapters",
)
DOWNLOAD = JobKind(
    name="download_base",
    handler="core.models.download:download_base",
    events=("base_model",),
    apply=apply_base,
    lane=Lane.NETWORK,
    resumable=True,
    page="adapters",
)
QUANTISE = JobKind(
    name="quantise_base",
    handler="core.models.quantise:quantise_base",
    events=("base_model",),
    apply=apply_base,
    lane=Lane.GPU,
    page="adapters",
)
BUILD_PRACTICE = JobKind(
    name="build_practice_model",
    handler="core.models.work:build_practice",
    events=("base_model",),
    apply=apply_base,
    lane=Lane.GPU,
    page="adapters",
)
