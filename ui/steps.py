"""The steps from conversations to an answer, each done with good defaults: what Home's Next and empty pages offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject

from app.services import Services
from core.datasets import store as datasets
from core.datasets.store import Dataset
from core.db import Database
from core.db.connection import free_name
from core.enrichment import store as enrichment
from core.jobs import Job
from core.training import store as training
from core.training_files import store as training_files
from core.training_files.store import TrainingFile
from core.workspace import settings
from ui import format as fmt

# Called with the job at its end, or without one when it could not be queued.
End = Callable[..., None]
_OWN, _SAMPLE = "All conversations", "Sample conversations"


@dataclass(frozen=True)
class Offer:
    """What a next step could be made of: the number of enriched conversations, the newest usable file and dataset."""

    enriched: int
    file: TrainingFile | None
    dataset: Dataset | None


def read_offer(db: Database) -> Offer:
    """By one reader."""
    found = datasets.listing(db, usable_only=True, limit=1)
    enriched = db.execute(
        "select count(*) from conversations where deleted_at is null and enrichment_status = 'completed'"
        " and status <> 'rejected'"
    ).fetchone()[0]
    file = next((f for f in training_files.listing(db) if f.status == "active" and f.total_training_pairs), None)
    return Offer(int(enriched), file, found[0] if found else None)


def once(services: Services, name: str) -> bool:
    """Whether the step of that name may begin; then it may not until `again`. For a button that is hit twice."""
    if services.root.property(f"step_{name}"):
        return False
    services.root.setProperty(f"step_{name}", True)
    return True


def again(services: Services, name: str) -> None:
    """The step may begin again."""
    services.root.setProperty(f"step_{name}", False)


def _start(services: Services, name: str, read: Callable[[Database], Any], start: Callable[[Any, End], Any]) -> None:
    """Read what the step is made of, start its job, and let no second one begin before it is at its end."""
    if not once(services, name):
        return

    def end(_job: Job | None = None) -> None:
        again(services, name)

    def failed(exc: Exception) -> None:
        again(services, name)
        services.notifier.report(exc)

    def begin(found: Any) -> None:
        if start(found, end) is None:
            again(services, name)

    services.read(services.root, read, begin, failed)


def enrich(services: Services, ids: Sequence[str], end: End, owner: QObject | None = None) -> str:
    """Enrich these conversations; returns the job's id."""
    title = f"Enriching {fmt.plural(len(ids), 'conversation')}"
    return services.start_job("enrich", title, {"conversation_ids": list(ids)}, end, owner, refused=end)


def enrich_waiting(services: Services) -> None:
    """Enrich all conversations that are not enriched; where none is left, show those that failed."""

    def start(ids: list[str], end: End) -> str | None:
        if ids:
            return enrich(services, ids, end)
        services.navigator.open_page("conversations", {"enrichment_status": "failed"})
        return None

    _start(services, "enrich", enrichment.waiting, start)


def build_training_file(services: Services) -> None:
    """Gather every enriched conversation that was not rejected in review, under a name that is free."""

    def read(db: Database) -> tuple[str, list[str]]:
        rejected = {
            row["conversation_id"]
            for row in db.execute("select conversation_id from conversations where status = 'rejected'")
        }
        ids = [c.conversation_id for c in training_files.eligible(db) if c.conversation_id not in rejected]
        return free_name(db, "training_files", _SAMPLE if settings.get(db, "is_sample") else _OWN), ids

    def start(found: tuple[str, list[str]], end: End) -> str | None:
        name, ids = found
        if not ids:
            services.navigator.open_page("conversations")
            return None
        params = {"conversation_ids": ids, "name": name, "description": ""}
        return services.start_job("build_training_file", f"Building {name}", params, end, refused=end)

    _start(services, "build_training_file", read, start)


def make_dataset(services: Services) -> None:
    """Build a dataset of the newest training file, counted in the default base's tokens."""

    def start(offer: Offer, end: End) -> str | None:
        if offer.file is None:
            services.navigator.open_page("training_files")
            return None
        name = f"{offer.file.name} v{offer.file.version}"
        params = {"training_file_id": offer.file.id, "name": name}
        return services.start_job("build_dataset", f"Building dataset {name}", params, end, refused=end)

    _start(services, "build_dataset", read_offer, start)


def train(services: Services) -> None:
    """The form of a new run on the newest dataset, ready to start; a run that was cut short is shown instead."""

    def read(db: Database) -> dict[str, Any]:
        cut = next((run for run in training.list_runs(db, limit=1) if run.job.can_resume), None)
        if cut is not None:
            return {"run": cut.id}
        offer = read_offer(db)
        return {"dataset": offer.dataset.id if offer.dataset else "", "visible_effect": True}

    services.read(services.root, read, lambda found: services.navigator.open_page("training", found))


def talk(services: Services) -> None:
    """A chat with the newest adapter."""

    def read(db: Database) -> str:
        found = training.list_adapters(db)
        return found[0].id if found else ""

    services.read(services.root, read, lambda ident: services.navigator.open_page("chat", {"adapter": ident}))
