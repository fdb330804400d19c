"""The adapter of a project: examples of its code, a run of the training queue, and whether what came out is used.

    look_at_examples -> project_examples -> training -> better than the base on held-out files? -> the project's adapter

What was decided, and why, is kept in the project's settings under `KEY`, in the transaction that completes the run; how
far a training is, its jobs say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from core import jobs
from core.datasets.store import unique_name
from core.db import Database
from core.db.connection import new_id, now, transaction
from core.errors import AppError
from core.events import Changed
from core.jobs import Job
from core.models import store as models
from core.models.folder import chat_template_in
from core.models.store import BaseModel
from core.projects import projects
from core.projects.adapter_state import KEY, Decision, Record, record_of
from core.projects.examples.plan import problem
from core.projects.examples.records import Limits
from core.projects.jobs import spec_of
from core.projects.projects import Project
from core.training import waiting
from core.training.config import DEFAULT_PRESET, TrainingConfig, configure
from core.workspace.paths import Workspace

OWNER = "project"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """How a project is to be trained: `limits` are fields of `examples.records.Limits`."""

    preset: str = DEFAULT_PRESET
    overrides: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] | None = None

    def config(self) -> TrainingConfig:
        """Checked. Raises AppError."""
        return configure(self.preset, self.overrides)


@dataclass(frozen=True)
class Chain:
    """The jobs of a training that was queued."""

    examples: Job
    training: Job


def name_for(project: Project, day: date | None = None) -> str:
    """What dataset and adapter are called: "brightrun-api code, 26 November"."""
    day = day or date.today()
    return f"{project.name} code, {day.day} {_MONTHS[day.month - 1]}"


def base_of(db: Database, project: Project) -> BaseModel:
    """The base that a project is trained on: its own, else the workspace's.

    Raises AppError `no_base`, `base_missing` or `no_chat_template`.
    """
    base = models.get(db, project.base_model_id) if project.base_model_id else models.default(db)
    if base is None:
        raise AppError(
            "no_base", "There is no base model in this workspace to train on.",
            hint="Add or download one on the Adapters page.", action="page:adapters",
        )  # fmt: skip
    models.require_trainable(base)
    if not chat_template_in(base.path):
        raise AppError(
            "no_chat_template", f"The base model {base.name} has no chat template, so it can't be trained on answers.",
            hint="Choose another base for the project, such as the instruct version of it.", action="page:adapters",
        )  # fmt: skip
    return base


def look_params(
    db: Database, workspace: Workspace, project_id: str, wanted: Wanted | None = None, *, start: bool = False
) -> dict[str, Any]:
    """Parameters of `look_at_examples`; with `start` the training is queued when it ends, or the project says why not.

    Raises AppError where no training could begin: `no_base`, `base_missing`, `no_chat_template`, `training_under_way`.
    """
    wanted = wanted or Wanted()
    project = projects.get(db, project_id)
    _refuse_second(db, project)
    base = base_of(db, project)
    return {**_params(workspace, project, base, wanted), "wanted": asdict(wanted), "start": start}


def _params(workspace: Workspace, project: Project, base: BaseModel, wanted: Wanted) -> dict[str, Any]:
    return {
        "project": spec_of(workspace, project).to_json(), "base_model_id": base.id,
        "tokens": wanted.config().max_seq_length, "limits": dict(wanted.limits or {}),
    }  # fmt: skip


def _refuse_second(db: Database, project: Project) -> None:
    record = record_of(project)
    for job_id in record.jobs if record is not None and record.decision is Decision.PENDING else ():
        row = db.execute("select title, status from jobs where id = ?", [job_id]).fetchone()
        if row is not None and row["status"] in [str(state) for state in jobs.ACTIVE]:
            raise AppError(
                "training_under_way", f"An adapter for “{project.name}” is being trained already (“{row['title']}”).",
                hint="Wait for it, or stop it first.",
            )  # fmt: skip


def start(
    db: Database, workspace: Workspace, project_id: str, wanted: Wanted | None = None,
    counts: Mapping[str, Any] | None = None,
) -> tuple[Changed, Chain]:  # fmt: skip
    """Queue examples and the run that waits for them, or nothing. `counts` is the result of `look_at_examples`.

    Raises AppError as `look_params` does, and where `counts` say that there is too little: see `plan.problem`.
    """
    wanted = wanted or Wanted()
    config = wanted.config()
    with transaction(db):
        project = projects.get(db, project_id)
        _refuse_second(db, project)
        base = base_of(db, project)
        params = _params(workspace, project, base, wanted)
        if counts is not None and (error := problem(counts, Limits(**(wanted.limits or {})))) is not None:
            raise error
        name, run_id = unique_name(db, name_for(project)), new_id()
        examples = jobs.create(
            db, "project_examples", f"Examples from {project.name}", {**params, "name": name, "run": run_id}
        )
        training = waiting.queue_run(
            db, name=name, base=base, preset=wanted.preset, config=config, waits_for=[examples.id],
            owner={"kind": OWNER, "id": project.id}, job_id=run_id,
        )  # fmt: skip
        before = record_of(project)
        _keep(db, project.id, Record(
            examples_job=examples.id, run=run_id, in_use=before.in_use if before else {}, base=base.name,
        ))  # fmt: skip
    return Changed.JOBS | Changed.PROJECTS, Chain(examples, training)


def _keep(db: Database, project_id: str, record: Record) -> Changed:
    return projects.keep_settings(db, project_id, {KEY: record.to_json()})


def look_completed(db: Database, workspace: Workspace, job: Job) -> Changed:
    """In the transaction that completes a look: queue the training, if it was wanted with it."""
    if not job.params.get("start"):
        return Changed.NOTHING
    project = _there(db, str(job.params["project"]["id"]))
    if project is None:
        return Changed.NOTHING
    try:
        return start(db, workspace, project.id, Wanted(**job.params["wanted"]), job.result)[0]
    except AppError as error:
        return not_started(db, project.id, error)


def not_started(db: Database, project_id: str, error: AppError) -> Changed:
    """Let the project say why no training began; one that is under way goes on."""
    project = _there(db, project_id)
    if project is None or error.code == "training_under_way":
        return Changed.NOTHING
    before = record_of(project)
    return _keep(db, project.id, Record(
        decision=Decision.NOT_STARTED, words=error.message, hint=error.hint, in_use=before.in_use if before else {},
        decided_at=now(),
    ))  # fmt: skip


def examples_completed(db: Database, _workspace: Workspace, job: Job) -> Changed:
    """In the transaction that completes the examples: the run that waits for them gets its dataset."""
    try:
        return waiting.give_dataset(db, str(job.params["run"]), str(job.result["dataset_id"]))
    except AppError:
        # Deleted meanwhile: the run says so when it is its turn.
        return Changed.NOTHING


def run_completed(db: Database, _workspace: Workspace, job: Job) -> Changed:
    """In the transaction that completes a run: the adapter becomes the project's if it is better than the base."""
    project = _there(db, str(job.params["owner"]["id"]))
    artifact_id = str(job.result.get("artifact_id", ""))
    known = db.execute("select 1 from model_artifacts where id = ? and deleted_at is null", [artifact_id]).fetchone()
    if project is None or known is None:
        return Changed.NOTHING
    before = record_of(project)
    base = job.params["base"]
    other = project.base_model_id not in (None, base["id"])
    decision = Decision.OTHER_BASE if other else Decision.of_verdict(str(job.result.get("verdict")))
    examples = next(iter(job.waits_for), "")
    record = Record(
        examples_job=examples, run=job.id, held_out=_held_out(db, examples), decision=decision, base=str(base["name"]),
        artifact_id=artifact_id, before=job.result.get("baseline_loss"), after=job.result.get("loss"),
        in_use=before.in_use if before else {}, decided_at=now(),
    )  # fmt: skip
    changed = Changed.PROJECTS
    if decision is Decision.IN_USE:
        record = record.used()
        projects.update(db, project.id, artifact_id=artifact_id)
    return changed | _keep(db, project.id, record)


def _held_out(db: Database, examples_job: str) -> int:
    """How many files the adapter was measured on."""
    try:
        made = (jobs.get(db, examples_job).result or {}).get("made") or {}
    except AppError:
        return 0
    return len(made.get("held_out", ()))


def _there(db: Database, project_id: str) -> Project | None:
    try:
        return projects.get(db, project_id)
    except AppError:
        return None


def use_all_the_same(db: Database, project_id: str) -> Changed:
    """The last adapter becomes the project's, better or not. Raises AppError `no_adapter_kept`."""
    with transaction(db):
        project = projects.get(db, project_id)
        record = record_of(project)
        kept = (
            record is not None
            and db.execute(
                "select 1 from model_artifacts where id = ? and deleted_at is null", [record.artifact_id]
            ).fetchone()
        )
        if record is None or not kept or not record.may_be_used:
            raise AppError(
                "no_adapter_kept", f"There is no adapter of “{project.name}” that could be used.",
                hint="Train one.",
            )  # fmt: skip
        projects.update(db, project.id, artifact_id=record.artifact_id)
        return _keep(db, project.id, record.used(Decision.CHOSEN))


def use_none(db: Database, project_id: str) -> Changed:
    """The base alone answers again; the adapter stays on its page, and may be used again."""
    with transaction(db):
        record = record_of(projects.get(db, project_id))
        changed = projects.update(db, project_id, artifact_id=None)
        if record is not None and record.decision in (Decision.IN_USE, Decision.CHOSEN):
            changed |= _keep(db, project_id, record.not_used())
        return changed
