"""In the worker: build a dataset from a training file."""

from __future__ import annotations

from typing import Any

from core.datasets.importers.v4 import IMPORTER as V4
from core.datasets.ingest import DatasetIngest
from core.datasets.store import unique_name
from core.db import Database
from core.errors import AppError
from core.reading.encoding import Encoding
from core.reading.intake import DATASET, Intake
from core.reading.records import Layout, records
from core.workers.host import JobContext


def run(context: JobContext) -> dict[str, Any]:
    """The handler of `build_dataset`. Params: training_file_id, name, and maybe version and base_model_id."""
    db = context.open_db()
    try:
        source = _training_file(db, str(context.params["training_file_id"]), context.params.get("version"))
        path = context.workspace.absolute(source["jsonl_file_path"])
        intake = Intake(context, path.stat().st_size)
        ingest = DatasetIngest(intake, db)
        if not intake.start_file(path) or ingest.taken_before(path):
            # An earlier attempt at this job ended between its dataset and its result.
            return {"dataset_id": intake.made[DATASET][0], **intake.tally.to_json()}
        reads = records(path, Encoding("utf-8"), Layout("lines"), context.token)
        row = {
            "name": unique_name(db, str(context.params["name"])), "source_path": source["jsonl_file_path"],
            "training_file_id": source["id"], "training_file_version": source["version"],
        }  # fmt: skip
        dataset_id = ingest.build(V4, reads, row, base_model_id=str(context.params.get("base_model_id") or ""))
        intake.end_file()
    finally:
        db.close()
    tally = intake.tally
    if not dataset_id:
        raise AppError(
            "nothing_to_train",
            f"No pair of the training file {source['name']} can be trained on ({tally.rejected:,} were left out).",
            hint="See the report of this job. Fill in the answers and enrich the conversations again.",
            action="page:training_files",
        )
    return {"dataset_id": dataset_id, **tally.to_json()}


def _training_file(db: Database, ident: str, version: int | None) -> dict[str, Any]:
    """A version of a training file, the newest without one asked for, with its id and name."""
    row = db.execute("select * from training_files where id = ? and deleted_at is null", [ident]).fetchone()
    if row is not None and version not in (None, row["version"]):
        sql = "select * from training_file_versions where training_file_id = ? and version = ?"
        earlier = db.execute(sql, [ident, version]).fetchone()
        row = earlier and {"id": ident, "name": row["name"], **dict(earlier)}
    if row is None or not row["jsonl_file_path"]:
        raise AppError(
            "no_such_training_file",
            "That training file is not in this workspace, or is not built yet.",
            hint="Build it on the Training files page.",
            action="page:training_files",
        )
    return dict(row)
