"""The whole line without a window: files in, an adapter and a report out, one JSON object a line.

The same inputs, settings and base give the same training file, dataset, run and adapter, however often it is called
and wherever an earlier call was interrupted.

Exit codes: 0 everything was used; 1 nothing came out; 2 usage or lock; 3 some was rejected or cut.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from app.cli.arguments import parse
from app.cli.output import as_error
from app.cli.session import Session, run_session
from app.cli.steps import Steps
from core import jobs
from core.datasets import store as datasets
from core.datasets.store import Dataset
from core.db.connection import free_name
from core.errors import AppError
from core.importing.walk import Walk
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.jobs import Job, JobState
from core.models import store as models
from core.models.fingerprint import content_fingerprint, rendering_fingerprint
from core.models.practice import PRACTICE_ID
from core.models.store import BaseModel
from core.reading import report
from core.reading.encoding import file_size, printable, refuse_name
from core.training import store as training
from core.training.config import TrainingConfig
from core.training_files import store as training_files
from core.workspace import settings
from core.workspace.files import sha256_file

CONVERSATIONS = "conversations"


class Pipeline:
    """One run over an open workspace.

    `open` holds the units of each source (a dataset that a file became, by its id, or all conversations together) that
    are in and neither used nor left out yet; at the end it is empty.
    """

    def __init__(self, session: Session) -> None:
        self.workspace, self.db = session.workspace, session.db
        self.options, self.token, self.out = session.options, session.token, session.out
        self.config: TrainingConfig = session.options.config
        self.steps = Steps(self.db, self.workspace, self.token, self.out, self._listen, self._items)
        self.total, self.used, self.rejected, self.cut = 0, 0, 0, 0
        self.open: dict[str, int] = {}
        self._files: dict[str, str] = {}
        self._troubled = False
        self.reasons: list[dict[str, Any]] = []
        self.adapters: list[dict[str, Any]] = []

    def _listen(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "enrich_failed":
            error = AppError.from_json(message["error"])
            self.fail(error, self._source(message["conversation_id"]))

    def _items(self, job: Job) -> None:
        """Why a job did not use something: from its report, which also has what an earlier call found."""
        if job.kind not in ("import", "build_dataset"):
            return
        page = 500
        for offset in itertools.count(0, page):
            found = report.items(self.db, job.id, limit=page, offset=offset)
            for item in found:
                if item.outcome == "used":
                    continue
                fields = {k: getattr(item, k) for k in ("code", "message", "hint", "file", "line", "field")}
                if item.outcome == "cut" and job.kind != "import":
                    # A turn without an answer inside of a conversation that is used.
                    self.out.line("note", **fields)
                else:
                    self.reason(**fields)
            if len(found) < page:
                return

    def _source(self, conversation_id: str) -> str:
        row = self.db.execute(
            "select source_path from conversations where conversation_id = ?", [conversation_id]
        ).fetchone()
        return str(row["source_path"]) if row else ""

    def reason(self, code: str, message: str, hint: str, file: str = "", line: int = 0, field: str = "") -> None:
        """Record and print why something was not used."""
        item = {"code": code, "file": file, "line": line, "field": field, "message": message, "hint": hint}
        self.reasons.append(item)
        self.out.line("rejected", **item)

    def fail(self, error: AppError, file: str) -> None:
        """`reason` of an error."""
        self.reason(error.code, error.message, error.hint, file, error.where.line, error.where.field)

    def give_up(self, error: AppError, *sources: str) -> None:
        """These sources, or all that are still open, come to nothing because of `error`."""
        self._troubled = True
        for source in sources or tuple(self.open):
            if units := self.open.pop(source, 0):
                self.rejected += units
                self.fail(error, self._files.get(source, source))

    def run(self) -> None:
        """Import, enrich, gather, train: each source on its own, so that a bad one never stops a good one."""
        files = self.files()
        base = self.base()
        done = self.steps.step(
            "import", "Import", {"files": files, "use_known": True}, self._content(files), self._imported
        )
        result = done.result
        self.total += int(result["in"])
        self.rejected += int(result["rejected"])
        self.cut += int(result["cut"])
        conversations = list(result["conversations"])
        imported = [datasets.get(self.db, ident) for ident in result["datasets"]]
        self.open = {CONVERSATIONS: len(conversations)} | {d.id: d.counts["used"] for d in imported}
        self._files = {d.id: d.source_path for d in imported}
        if conversations:
            self._attempt(CONVERSATIONS, partial(self.from_conversations, conversations, base))
        for dataset in imported:
            self._attempt(dataset.id, partial(self.train, dataset.id, dataset, base))

    def _attempt(self, source: str, work: Callable[[], None]) -> None:
        try:
            work()
        except AppError as error:
            if error.code in ("stopped", "disk_full", "workspace_gone"):
                raise
            self.out.error(error)
            self.give_up(error, source)

    def files(self) -> list[str]:
        """Absolute paths of the files asked for; those whose names can't be written down are rejected."""
        out = []
        for path in self.options.files:
            try:
                refuse_name(path.absolute())
                out.append(str(path.absolute()))
            except AppError as error:
                self.total, self.rejected = self.total + 1, self.rejected + 1
                self.fail(error, printable(path))
        return out

    def _content(self, files: list[str]) -> str:
        """The key of these files as they are now: names and contents, folders walked through."""
        walk = Walk(self.token)
        inputs: list[Any] = []
        for number, path in enumerate(walk.files([Path(name) for name in files]), start=1):
            self.token.raise_if_cancelled()
            self.steps.progress(number, 0, "Checking files", printable(path))
            try:
                file_size(path)
                inputs.append([printable(path), sha256_file(path)])
            except (AppError, OSError) as exc:
                inputs.append([printable(path), f"unreadable: {getattr(exc, 'code', type(exc).__name__)}"])
        split = [settings.get(self.db, "validation_share"), settings.get(self.db, "split_seed")]
        return jobs.key_of(files, inputs, split)

    def _imported(self, job: Job) -> bool:
        """Whether all that an import made is still there."""
        ids = orjson.dumps([*job.result["conversations"], *job.result["datasets"]]).decode()
        there = self.db.execute(
            "select (select count(*) from conversations where deleted_at is null and id in (select value from"
            " json_each(?1))) + (select count(*) from datasets where deleted_at is null and id in (select value from"
            " json_each(?1)))", [ids],
        ).fetchone()[0]  # fmt: skip
        return bool(there == len(set(orjson.loads(ids)))) and all(map(self._dataset_is_there, job.result["datasets"]))

    def base(self) -> BaseModel:
        """The base model asked for, added to the workspace when it is new."""
        folder: Path | None = self.options.base
        if folder is None:
            known = next((m for m in models.listing(self.db) if m.id == PRACTICE_ID), None)
            title, params = "Practice model", {"path": PRACTICE_ID}
        else:
            notes = f"Weights stay in {folder.resolve()}"
            bases = [m for m in models.listing(self.db) if notes in m.notes]
            # The folder's files may have changed since it was first added: then it is there a second time.
            known = next((m for m in bases if _is_there(m, folder)), None)
            title, params = folder.name, {"path": str(folder.absolute()), "name": folder.name}
        # The practice model may have been built again on this machine.
        if known is not None and _is_there(known, folder):
            return known
        # Never an earlier job that is complete: what it added is not there any more.
        done = self.steps.step("add_base_model", title, params, jobs.key_of(params), lambda _job: False)
        return models.get(self.db, done.result["base_model_id"])

    def from_conversations(self, conversation_ids: list[str], base: BaseModel) -> None:
        """Enrich, gather in a training file, make a dataset, train."""
        wanted = self._not_rejected(conversation_ids)
        if waiting := [r["conversation_id"] for r in wanted if r["enrichment_status"] != "completed"]:
            enriched = self._enrich([r["conversation_id"] for r in wanted], waiting)
            self._leave_out(CONVERSATIONS, int(enriched.result["rejected"]))
        rows = [r for r in self._not_rejected(conversation_ids, tell=False) if r["enrichment_status"] == "completed"]
        if not rows:
            return
        file = self._training_file([r["conversation_id"] for r in rows])
        made = self._dataset(file, base)
        dataset = datasets.get(self.db, made["dataset_id"])
        self._leave_out(CONVERSATIONS, len(rows) - dataset.total_conversations)
        self.train(CONVERSATIONS, dataset, base)

    def _enrich(self, wanted: list[str], waiting: list[str]) -> Job:
        """Enrich those that wait, as one job for all that are wanted."""
        key = jobs.key_of("enrich", wanted)
        earlier = jobs.by_key(self.db, "enrich", key)
        params = {"conversation_ids": waiting}
        title = "Enrich"
        job = jobs.restart(self.db, earlier[0].id, params) if earlier else None
        return self.steps.run(job or jobs.create(self.db, "enrich", title, params, key=key))

    def _training_file(self, members: list[str]) -> Mapping[str, Any]:
        """The result of building these members as they are enriched and reviewed now."""
        state = self.db.execute(
            "select conversation_id, enriched_at, human_reviewed, reviewer_notes from conversations"
            " where conversation_id in (select value from json_each(?)) order by created_at, rowid",
            [orjson.dumps(members).decode()],
        ).fetchall()
        asked = self.options.name.strip()
        name = free_name(self.db, "training_files", asked or f"pipeline-{time.strftime('%Y%m%d-%H%M%S')}")
        key = jobs.key_of(asked, [list(row) for row in state], settings.get(self.db, "vertical"))
        params = {"name": name, "description": "", "conversation_ids": members}

        def whole(job: Job) -> bool:
            return self._version_is_there(job.result["training_file_id"], int(job.result["version"]))

        job = self.steps.step("build_training_file", name, params, key, whole)
        return {"name": training_files.get(self.db, job.result["training_file_id"]).name, **job.result}

    def _dataset(self, file: Mapping[str, Any], base: BaseModel) -> Mapping[str, Any]:
        """The result of making a dataset of that version, counted in the tokens of this base."""
        ident, name = file["training_file_id"], file["name"]
        split = [settings.get(self.db, "validation_share"), settings.get(self.db, "split_seed")]
        key = jobs.key_of(ident, file["version"], split, base.id, base.content_fingerprint)
        params = {"training_file_id": ident, "version": file["version"], "name": name, "base_model_id": base.id}

        def whole(job: Job) -> bool:
            return self._dataset_is_there(job.result["dataset_id"])

        job = self.steps.step("build_dataset", name, params, key, whole)
        return job.result

    def _version_is_there(self, ident: str, version: int) -> bool:
        if not training_files.has_version(self.db, ident, version):
            return False
        found = next(v for v in training_files.versions(self.db, ident) if v.version == version)
        return all(self.workspace.absolute(path).exists() for path in (found.json_file_path, found.jsonl_file_path))

    def _dataset_is_there(self, ident: str) -> bool:
        try:
            found = datasets.get(self.db, ident)
        except AppError:
            return False
        return bool(found.file_path and self.workspace.absolute(found.file_path).exists())

    def _not_rejected(self, conversation_ids: list[str], *, tell: bool = True) -> list[Mapping[str, Any]]:
        """Their rows; those that were here already and rejected in review are left out and reported."""
        # As one value, since a statement takes a limited number of them.
        rows = self.db.execute(
            "select conversation_id, title, status, enrichment_status, source_path from conversations"
            " where conversation_id in (select value from json_each(?)) order by created_at, rowid",
            [orjson.dumps(conversation_ids).decode()],
        ).fetchall()
        refused = [row for row in rows if row["status"] == "rejected"]
        for row in refused if tell else ():
            self._leave_out(CONVERSATIONS, 1)
            message = f"“{row['title']}” was rejected in review."
            self.reason("rejected_in_review", message, "Approve it to include it in training.", row["source_path"])
        return [row for row in rows if row["status"] != "rejected"]

    def _leave_out(self, source: str, units: int) -> None:
        self.rejected += units
        self.open[source] -= units

    def train(self, source: str, dataset: Dataset, base: BaseModel) -> None:
        """Train an adapter on a dataset and ask it the question."""
        asked = self.options.name.strip()
        name = asked or dataset.name
        found = training.find_same(self.db, self.workspace, dataset.content_hash or "", base, self.config, asked)
        if found is None:
            job = self.steps.run(training.create_run(
                self.db, name=name, dataset_id=dataset.id, base_model_id=base.id,
                preset=self.options.preset, config=self.config,
            ))  # fmt: skip
        elif found.job.status is JobState.COMPLETED:
            job = self.steps.use(found.job)
        else:
            job = self.steps.run(jobs.restart(self.db, found.id, found.job.params))
        result = job.result
        # A source of records that were put together counts them; the trainer counts conversations.
        folded = source != CONVERSATIONS and dataset.counts["used"] != dataset.total_conversations
        left_out = result["left_out_pairs"] if folded else result
        self._leave_out(source, int(left_out["rejected"]))
        self.cut += int(left_out["cut"])
        self.used += self.open.pop(source) - int(left_out["cut"])
        self._left_out(training.get_run(self.db, job.id), dataset.name)
        adapter = training.get_adapter(self.db, result["artifact_id"])
        facts = {
            "id": adapter.id, "name": adapter.name, "path": str(self.workspace.absolute(adapter.path)),
            "base": base.name, "loss_before": result["baseline_loss"], "loss_after": result["loss"],
            "verdict": result["verdict"], "steps": result["steps"],
        }  # fmt: skip
        self.adapters.append(facts)
        if self.options.ask:
            facts["answers"] = self.answers(base, adapter, dataset.system_prompt)

    def _left_out(self, run: training.TrainingRun, name: str) -> None:
        for item in run.left_out:
            self.reason(item["code"], item["reason"], item["hint"], name, item["line"])
        more = int(run.counts["rejected"]) + int(run.counts["cut"]) - len(run.left_out)
        if more:
            self.reason("more_left_out", f"{more:,} more were left out for reasons like those above.", "", name)

    def answers(self, base: BaseModel, adapter: training.Adapter, system_prompt: str) -> dict[str, str]:
        """The same question to the base and to the adapter, greedy; empty, with the error reported, when that fails."""
        messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
        messages.append({"role": "user", "content": self.options.ask})
        reference = AdapterRef(adapter.id, str(self.workspace.absolute(adapter.path)), adapter.name)
        out: dict[str, str] = {}
        try:
            with InferenceClient(self.workspace.logs / "inference.log") as client:
                client.load(base.path, base.engine)
                for key, ref in (("base", None), ("adapter", reference)):
                    out[key] = client.generate(GenerateRequest(messages, ref, Sampling(max_tokens=160)))[0].strip()
        except (AppError, OSError) as exc:
            self.out.error(as_error(exc, self.workspace.root))
        return out

    def report(self) -> int:
        """Print the final report; returns the exit code."""
        counts = (self.used, self.rejected, self.cut)
        adds_up = self.total == sum(counts) and min(counts) >= 0
        some = self.rejected or self.cut or self._troubled or not adds_up
        code = (3 if some else 0) if self.adapters else 1
        self.out.line(
            "report", **{"in": self.total}, used=self.used, rejected=self.rejected, cut=self.cut,
            adds_up=adds_up, adapters=self.adapters,
            reasons=self.reasons, exit_code=code,
        )  # fmt: skip
        return code


def _is_there(base: BaseModel, folder: Path | None) -> bool:
    """Whether a base's view is whole, and the folder, if one was named, has the weights and the template it had."""
    try:
        models.require_folder(base)
    except AppError:
        return False
    if folder is None:
        return True
    same_text = base.rendering_fingerprint in ("", rendering_fingerprint(folder))
    return same_text and base.content_fingerprint == content_fingerprint(folder)


def main(args: Sequence[str]) -> int:
    """Entry of `python -m app pipeline`."""
    return run_session(args, parse, _work)


def _work(session: Session) -> int:
    pipeline = Pipeline(session)
    try:
        session.settle()
        pipeline.run()
    except Exception as exc:
        error = session.explain(exc)
        session.out.error(error)
        pipeline.give_up(error)
    return pipeline.report()
