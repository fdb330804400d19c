"""In the worker: make examples of a project's code, and a dataset of them with the split by file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from core.code_index.records import ParsedFile
from core.code_index.spec import ProjectSpec
from core.datasets.importers.chat_messages import IMPORTER
from core.datasets.ingest import DatasetIngest
from core.datasets.store import unique_name
from core.db import Database
from core.errors import AppError
from core.models import store as models
from core.models.rendering import ChatTokenizer, load_tokenizer
from core.projects import projects
from core.projects.adapter_state import record_of
from core.projects.assistant import system_prompt
from core.projects.examples.make import Measure, make
from core.projects.examples.plan import problem
from core.projects.examples.records import CodeFile, Example, Limits, Made, Why
from core.projects.examples.source import CodeSource
from core.projects.examples.trained import Snapshot, snapshot_path
from core.reading.encoding import Encoding
from core.reading.intake import DATASET, Intake
from core.reading.records import Layout, records
from core.workers.host import JobContext
from core.workspace.files import atomic_write, read_json, write_json

FILE, COUNTS = "examples.jsonl", "made.json"


def look(context: JobContext) -> dict[str, Any]:
    """Handler of `look_at_examples`: what would be made. Params: project, base_model_id, tokens, maybe limits."""
    made, counts, _ = _make(context)
    return {**counts, "in": made.kept + made.dropped.total(), "used": made.kept}


def run(context: JobContext) -> dict[str, Any]:
    """Handler of `project_examples`. Params: those of `look` and `name`, that of the dataset.

    Raises AppError `too_few_examples`, `too_few_held_out`, `no_code_to_train_on`, `no_project_folder`.
    """
    spec = ProjectSpec.from_json(context.params["project"])
    path = context.run_dir / FILE
    db = context.open_db()
    try:
        intake = Intake(context, 0)
        ingest = DatasetIngest(intake, db)
        if not intake.start_file(path) or ingest.taken_before(path):
            # An earlier attempt at this job ended between its dataset and its result.
            return _result(context, intake)
        made, counts, snapshot = _make(context)
        if error := problem(counts, _limits(context)):
            raise error
        _keep_snapshot(context, db, spec, snapshot)
        write_json(context.run_dir / COUNTS, counts)
        _write(path, made, system_prompt(spec.name))
        row = {"name": unique_name(db, str(context.params["name"])), "source_path": spec.root}
        facts = {"project": {"id": spec.id, "name": spec.name, "root": spec.root}, "examples": counts}
        reads = records(path, Encoding("utf-8"), Layout("lines"), context.token)
        ingest.build(IMPORTER, reads, row, base_model_id=str(context.params["base_model_id"]), facts=facts)
        intake.end_file()
        path.unlink(missing_ok=True)
        return _result(context, intake)
    finally:
        db.close()


def _keep_snapshot(context: JobContext, db: Database, spec: ProjectSpec, snapshot: Snapshot) -> None:
    """With that of the adapter in use; those of other runs are of no use any more."""
    path = snapshot_path(spec.index_path, context.job_id)
    snapshot.write(path)
    record = record_of(projects.get(db, spec.id))
    used = snapshot_path(spec.index_path, record.in_use["examples_job"]) if record and record.in_use else path
    for other in path.parent.glob("*.json"):
        if other not in (path, used):
            other.unlink(missing_ok=True)


def _result(context: JobContext, intake: Intake) -> dict[str, Any]:
    counts = context.run_dir / COUNTS
    made = read_json(counts) if counts.exists() else {}
    return {"dataset_id": intake.made[DATASET][0], **intake.tally.to_json(), "made": made}


def _limits(context: JobContext) -> Limits:
    return replace(Limits(), **context.params.get("limits", {}))


def _make(context: JobContext) -> tuple[Made, dict[str, Any], Snapshot]:
    spec = ProjectSpec.from_json(context.params["project"])
    source = CodeSource(
        spec.root_path, context.workspace.root, context.token,
        lambda done, total: context.progress(done, total, "Reading code", f"{done:,} of {total:,} files"),
    )  # fmt: skip
    seen: list[tuple[str, ParsedFile]] = []
    made = make(_noted(source, seen), _limits(context), _measure(context, system_prompt(spec.name)), context.token)
    counts = {**made.counts(), "left_out": dict(source.left_out)}
    return made, counts, Snapshot.of(seen)


def _noted(source: CodeSource, seen: list[tuple[str, ParsedFile]]) -> Iterator[CodeFile]:
    for file in source.files():
        seen.append((file.hash, file.parsed))
        yield file


def _measure(context: JobContext, system: str) -> Measure:
    """Counts with the base's own rendering. Raises AppError where it can't be trained on at all."""
    db = context.open_db()
    try:
        base = models.get(db, str(context.params["base_model_id"]))
    finally:
        db.close()
    tokenizer = load_tokenizer(Path(base.path))
    most = min(int(context.params["tokens"]), base.context_length or 1 << 30)
    return lambda example: _measured(tokenizer, example, system, most)


def _measured(tokenizer: ChatTokenizer, example: Example, system: str, most: int) -> tuple[int, Why | None]:
    try:
        rendered = tokenizer.render(example.messages(system))
    except AppError as error:
        if error.code != "special_token_in_text":
            raise
        return 0, Why.CONTROL
    return rendered.supervised, Why.LONG if len(rendered.ids) > most else None


def _write(path: Path, made: Made, system: str) -> None:
    """One record a line, those that train first."""
    splits: Mapping[bool, Any] = {False: made.training, True: made.validation}
    rows = (example.row(system, held_out=held_out) for held_out, chosen in splits.items() for example in chosen)
    atomic_write(path, b"".join(orjson.dumps(row) + b"\n" for row in rows))
