"""Job kinds about adapters: import a foreign folder, check one again, export one, compare bases. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.adapters import parity, shares, siblings
from core.db import Database
from core.db.connection import transaction
from core.events import Changed
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.training.store import insert_adapter
from core.workspace.paths import Workspace


def _apply(db: Database, _workspace: Workspace, _job: Job, event: Mapping[str, Any]) -> Changed:
    passport = event["passport"]
    with transaction(db):
        insert_adapter(db, event, name=passport["name"], base_model_id=passport["base"]["id"])
    return Changed.ADAPTERS


def _apply_sibling(db: Database, _workspace: Workspace, _job: Job, event: Mapping[str, Any]) -> Changed:
    return siblings.put(db, event["row"])


def _apply_parity(db: Database, _workspace: Workspace, _job: Job, event: Mapping[str, Any]) -> Changed:
    return parity.put(db, event["row"])


def _apply_share(db: Database, _workspace: Workspace, _job: Job, event: Mapping[str, Any]) -> Changed:
    return (
        shares.put(db, event["row"], event.get("moved", ()))
        if event["type"] == "share"
        else shares.drop(db, str(event["name"]), str(event["address"]))
    )


IMPORT = JobKind(
    "import_adapter", handler="core.adapters.work:import_adapter", events=("artifact",), apply=_apply, page="adapters"
)
CHECK = JobKind(
    "check_adapter", handler="core.adapters.work:check_adapter", events=(), apply=_apply, page="adapters"
)  # fmt: skip
EXPORT = JobKind(
    "export_adapter", handler="core.adapters.export:export_adapter", events=(), apply=_apply, page="adapters"
)  # fmt: skip
COMPARE = JobKind(
    "compare_bases", handler="core.adapters.comparing:compare_bases", events=("sibling",), apply=_apply_sibling,
    page="adapters",
)  # fmt: skip
PARITY = JobKind(
    "measure_parity", handler="core.adapters.measuring:measure_parity", events=("parity",), apply=_apply_parity,
    lane=Lane.GPU, page="adapters",
)  # fmt: skip
SHARE = JobKind(
    "share_adapter", handler="core.adapters.sharing:share_adapter", events=("share",), apply=_apply_share,
    lane=Lane.GPU, page="adapters",
)  # fmt: skip
PREVIEW_SHARE = JobKind(
    "preview_share", handler="core.adapters.sharing:preview_share", events=(), apply=_apply_share, lane=Lane.QUESTION,
    page="adapters",
)  # fmt: skip
UNSHARE = JobKind(
    "unshare_adapter", handler="core.adapters.sharing:unshare_adapter", events=("unshared",), apply=_apply_share,
    page="adapters",
)  # fmt: skip
