"""Write a dataset from the records of a file: convert, check, split, count, keep it unless it is present already."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.datasets import store
from core.datasets.build import DATA, Builder, Split, Tokenizer, build_folder
from core.datasets.candidates import candidates
from core.db import Database
from core.db.connection import new_id
from core.errors import AppError
from core.reading.importer import Importer, Recognised
from core.reading.intake import DATASET, Intake
from core.reading.records import Read, records
from core.workspace import settings


class DatasetIngest:
    """Writes the datasets of one job; with `use_known` one of the same content is used as it is in the workspace."""

    def __init__(self, intake: Intake, db: Database, *, use_known: bool = False) -> None:
        self._intake = intake
        self._db = db
        self._use_known = use_known
        self._names: set[str] = set()
        self._file_by_content: dict[str, str] = {}

    def take(self, found: Recognised) -> None:
        """The file becomes a dataset, or its records are rejected by line."""
        intake = self._intake
        if self.taken_before(found.path):
            return
        reads = records(found.path, found.encoding, found.layout, intake.token)
        name = store.unique_name(self._db, found.path.stem, frozenset(self._names))
        row = {"name": name, "source_path": str(found.path)}
        dataset_id = self.build(found.importer, reads, row, notes=found.notes)
        if dataset_id:
            message = " ".join([f"Became the dataset {name}.", *found.notes])
            intake.item("used", target=dataset_id, message=message, code="dataset")

    def taken_before(self, path: Path) -> bool:
        """Whether an earlier attempt at the job made a dataset of the present file; then it is counted."""
        row = self._intake.before(DATASET)
        if row is None:
            return False
        self._intake.tally.add(row["counts"])
        self._intake.made[DATASET].append(str(row["id"]))
        self._remember(row, path)
        return True

    def _remember(self, row: Mapping[str, Any], path: Path) -> None:
        self._names.add(str(row["name"]))
        self._file_by_content[str(row["content_hash"])] = path.name

    def build(
        self, importer: Importer | None, reads: Iterator[Read], row: dict[str, Any], *, base_model_id: str = "",
        notes: tuple[str, ...] = (), facts: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """Write `data.jsonl` and report the row, which is `row` and what was counted; `facts` go into its `stats`.

        Returns the dataset's id, empty when nothing could be used or the dataset is present already.
        """
        intake = self._intake
        tokenizer, base, problems = _tokenizer(self._db, base_model_id)
        share, seed = settings.get(self._db, "validation_share"), settings.get(self._db, "split_seed")

        def rejected(line: int, error: AppError, units: int) -> None:
            intake.reject(_at_line(error, line), units)

        builder = Builder(intake.run_dir, Split(float(share), int(seed)), tokenizer, rejected, intake.token)
        builder.notes += [*notes, *problems]
        ident = new_id()
        folder = intake.workspace.datasets / ident
        found = candidates(reads, importer, builder.spool, intake.token, intake.tick)
        columns = build_folder(builder, found, folder)
        if columns is not None and self._use_known and self._repeats_a_file(columns, builder):
            shutil.rmtree(folder)
            return ""
        intake.used(builder.tally.used, builder.tally.cut)
        if cut := builder.tally.cut:
            intake.item(
                "cut", code="no_answer", message=f"{cut:,} without an answer: kept as context, not trained on.",
                hint="To train on it, fill in the answer in the source and import it again.",
            )  # fmt: skip
        if columns is None:
            return ""
        complete = self._complete(row | columns, ident, importer, folder, {**base, **(facts or {})})
        self._file_by_content[columns["content_hash"]] = Path(row["source_path"]).name
        present = store.by_content(self._db, intake.workspace, columns["content_hash"]) if self._use_known else None
        if present is not None:
            shutil.rmtree(folder)
            intake.add_present(DATASET, present, "dataset_here")
            return ""
        self._remember(complete, Path(row["source_path"]))
        intake.add(DATASET, complete)
        return ident

    def _repeats_a_file(self, columns: Mapping[str, Any], builder: Builder) -> bool:
        """Whether an earlier file of this job has the same conversations; then they are rejected."""
        other = self._file_by_content.get(columns["content_hash"])
        if other is None:
            return False
        self._intake.reject(
            AppError(
                "duplicate", f"The same conversations are already in {other}.",
                hint="Nothing to do; each answer is trained on once.",
            ), builder.tally.used + builder.tally.cut,
        )  # fmt: skip
        return True

    def _complete(
        self, row: dict[str, Any], ident: str, importer: Importer | None, folder: Path, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        row["stats"] |= facts
        file_format = getattr(importer, "format", importer.name if importer else "")
        return {"id": ident, "format": file_format, "file_path": self._intake.workspace.relative(folder / DATA), **row}


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
        store.refuse_untrainable(base)
        tokenizer = load_tokenizer(Path(base.path))
    except AppError as error:
        if base_model_id:
            raise
        return None, none, [f"Tokens were not counted. {error.message}"]
    return tokenizer, {"base_model_id": base.id, "base_model_name": base.name}, []
