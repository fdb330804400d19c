"""In the worker: build a dataset from a training file, or from a file somebody else made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from core.conversations.intake import Intake
from core.conversations.records import Layout, Read, records
from core.conversations.sniff import Importer, Recognised
from core.conversations.text import Encoding
from core.datasets import store
from core.datasets.build import DATA, Builder, Split, Tokenizer, build_folder
from core.datasets.candidates import candidates
from core.datasets.importers.v4 import IMPORTER as V4
from core.datasets.store import unique_name
from core.db.connection import new_id
from core.errors import AppError
from core.workers.host import JobContext
from core.workspace import settings


def run(context: JobContext) -> dict[str, Any]:
    """The handler of `build_dataset`."""
    db = context.open_db()
    try:
        source = _training_file(db, str(context.params["training_file_id"]))
        path = context.workspace.absolute(source["jsonl_file_path"])
        intake = Intake(context, path.stat().st_size)
        if not intake.start_file(path) or intake.dataset_taken_before():
            # An earlier attempt at this job was cut short behind its dataset.
            return {"dataset_id": intake.datasets[0], **intake.tally.to_json()}
        reads = records(path, Encoding("utf-8"), Layout("lines"), context.token)
        row = {
            "name": unique_name(db, str(context.params["name"])), "source_path": source["jsonl_file_path"],
            "training_file_id": source["id"], "training_file_version": source["version"],
        }  # fmt: skip
        dataset_id = _build(intake, db, V4, reads, row, str(context.params.get("base_model_id") or ""))
        intake.end_file()
    finally:
        db.close()
    tally = intake.tally
    if not dataset_id:
        raise AppError(
            "nothing_to_train",
            f"No pair of the training file {source['name']} can be trained on ({tally.rejected:,} were left out).",
            hint="Look at the report of this job; fill in the answers and enrich the conversations again.",
            action="page:training_files",
        )
    return {"dataset_id": dataset_id, **tally.to_json()}


def ingest(intake: Intake, db: Database, found: Recognised, *, use_known: bool = False) -> None:
    """Take in a recognised file as a dataset; with `use_known` one of the same content is used as it is here."""
    if intake.dataset_taken_before():
        return
    reads = records(found.path, found.encoding, found.layout, intake.token)
    name = unique_name(db, found.path.stem, frozenset(intake.names))
    row = {"name": name, "source_path": str(found.path)}
    dataset_id = _build(intake, db, found.importer, reads, row, "", found.notes, use_known=use_known)
    if dataset_id:
        message = " ".join([f"Became the dataset {name}.", *found.notes])
        intake.item("used", target=dataset_id, message=message, code="dataset")


def _training_file(db: Database, ident: str) -> dict[str, Any]:
    row = db.execute("select * from training_files where id = ? and deleted_at is null", [ident]).fetchone()
    if row is None or not row["jsonl_file_path"]:
        raise AppError(
            "no_such_training_file",
            "That training file is not in this workspace, or was not built yet.",
            hint="Build it on the page Training files.",
            action="page:training_files",
        )
    return dict(row)


def _build(
    intake: Intake, db: Database, importer: Importer | None, reads: Iterator[Read], row: dict[str, Any],
    base_model_id: str, notes: tuple[str, ...] = (), *, use_known: bool = False,
) -> str:  # fmt: skip
    """Returns the dataset's id, empty when nothing could be used."""
    tokenizer, base, problems = _tokenizer(db, base_model_id)
    split = Split(float(settings.get(db, "validation_share")), int(settings.get(db, "split_seed")))

    def rejected(line: int, error: AppError, units: int) -> None:
        intake.reject(_at_line(error, line), units)

    builder = Builder(intake.run_dir, split, tokenizer, rejected, intake.token)
    builder.notes += [*notes, *problems]
    ident = new_id()
    folder = intake.workspace.datasets / ident
    found = candidates(reads, importer, builder.spool, intake.token, intake.tick)
    columns = build_folder(builder, found, folder)
    if columns is not None and use_known and (other := intake.made.get(columns["content_hash"])):
        shutil.rmtree(folder)
        intake.reject(
            AppError(
                "duplicate", f"The same conversations are in {other} already.",
                hint="Nothing has to be done; each answer is trained on once.",
            ), builder.tally.used + builder.tally.cut,
        )  # fmt: skip
        return ""
    intake.used(builder.tally.used, builder.tally.cut)
    if cut := builder.tally.cut:
        intake.item(
            "cut", code="no_answer", message=f"{cut:,} without an answer: kept as context, and not trained on.",
            hint="Fill in the answer in the source, and import it again, to train on it.",
        )  # fmt: skip
    if columns is None:
        return ""
    intake.made[columns["content_hash"]] = Path(row["source_path"]).name
    here = store.by_content(db, columns["content_hash"]) if use_known else None
    if here is not None:
        shutil.rmtree(folder)
        intake.known_dataset(here)
        return ""
    columns["stats"] |= base
    file_format = getattr(importer, "format", importer.name if importer else "")
    file_path = intake.workspace.relative(folder / DATA)
    intake.dataset({"id": ident, "format": file_format, "file_path": file_path, **row, **columns})
    return ident


def _at_line(error: AppError, line: int) -> AppError:
    """The same error with the line filled in where it is missing."""
    if not error.where.line and line:
        error.where = replace(error.where, line=line)
    return error


def _tokenizer(db: Database, base_model_id: str) -> tuple[Tokenizer | None, dict[str, Any], list[str]]:
    """The base model's tokenizer, what the statistics say about it, and notes. None where there is no base."""
    from core.models import store
    from core.models.rendering import load_tokenizer

    none: dict[str, Any] = {"base_model_id": None, "base_model_name": None}
    base = store.get(db, base_model_id) if base_model_id else store.default(db)
    if base is None:
        return None, none, ["Tokens were not counted: there is no base model in this workspace yet."]
    try:
        tokenizer = load_tokenizer(Path(base.path))
    except AppError as error:
        if base_model_id:
            raise
        return None, none, [f"Tokens were not counted. {error.message}"]
    return tokenizer, {"base_model_id": base.id, "base_model_name": base.name}, []
