"""The whole line without a window: files in, an adapter and a report out, one JSON object a line.

Exit codes: 0 everything was used; 1 nothing came out; 2 usage or lock; 3 some was rejected or cut.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import orjson
from sqlite_utils import Database

from app.cli.output import Output, as_error
from app.opening import open_workspace, settle
from core import jobs
from core.cancel import CancelToken
from core.conversations.text import printable, refuse_name
from core.datasets import store as datasets
from core.datasets.store import Dataset
from core.db.connection import connect, free_name
from core.errors import AppError
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.jobs import Job, JobState
from core.models import store as models
from core.models.fingerprint import content_fingerprint
from core.models.store import BaseModel
from core.training import store as training
from core.training.config import DEFAULT_PRESET, PRESETS, TrainingConfig, configure
from core.workers.runner import run_to_end
from core.workspace.paths import Workspace

PROGRESS_EVERY_S = 1.0
CONVERSATIONS = "conversations"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AppError("usage", message[:1].upper() + message[1:] + ".", hint=self.format_usage().strip())


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read the arguments. Raises AppError `usage`."""
    parser = _Parser(prog="app pipeline", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="folder with a base model; the practice model without it")
    parser.add_argument("--preset", default=DEFAULT_PRESET, choices=list(PRESETS))
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a training setting")
    parser.add_argument("--name", default="", help="name of the training file, the dataset and the adapter")
    parser.add_argument("--ask", default="", help="a question for the base and for the adapter")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILES")
    options = parser.parse_args(list(args))
    for value in (options.workspace, options.base, options.name, options.ask, *options.set):
        if value is not None and printable(value) != str(value):
            raise AppError("usage", f"“{printable(value)}” is not UTF-8.", hint="Name it in UTF-8.")
    return options


def overrides_of(pairs: Sequence[str]) -> dict[str, str]:
    """["key=value"] as a mapping. Raises AppError `usage`."""
    out = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise AppError("usage", f"“--set {pair}” has no value.", hint="Write --set key=value.")
        out[key.strip()] = value.strip()
    return out


class Pipeline:
    """One run over an open workspace.

    `open` holds the units of each source (a file that became a dataset, or all conversations together) that are in
    and neither used nor left out yet; at the end it is empty.
    """

    def __init__(
        self,
        workspace: Workspace,
        db: Database,
        options: argparse.Namespace,
        config: TrainingConfig,
        token: CancelToken,
        out: Output,
    ) -> None:
        self.workspace, self.db = workspace, db
        self.options, self.config, self.token, self.out = options, config, token, out
        self.total, self.used, self.rejected, self.cut = 0, 0, 0, 0
        self.open: dict[str, int] = {}
        self.reasons: list[dict[str, Any]] = []
        self.adapters: list[dict[str, Any]] = []
        self._kind = ""
        self._last_progress = 0.0

    def job(self, kind: str, title: str, params: Mapping[str, Any], *, created: Job | None = None) -> Job:
        """Run one job to its end. Raises its error, or AppError `stopped`."""
        job = created or jobs.create(self.db, kind, title, params)
        if job.status is not JobState.QUEUED:
            job = jobs.requeue(self.db, job.id)
        claimed = jobs.claim_next(self.db, job.id)
        assert claimed is not None
        self._kind = kind
        self.out.line("job", job=kind, title=title, status="running", id=job.id)
        done = run_to_end(self.db, self.workspace, claimed, listen=self._listen, token=self.token)
        self.out.line("job", job=kind, title=title, status=str(done.status), id=job.id, result=dict(done.result))
        if not self.workspace.db_path.exists():
            # SQLite goes on writing into a file that has been deleted.
            raise AppError(
                "workspace_gone",
                f"The workspace {self.workspace.root} was moved or deleted while it was in use.",
                hint="Put it back, or start again in another folder.",
            )
        if done.error is not None:
            raise done.error
        if done.status is not JobState.COMPLETED:
            raise AppError("stopped", "The run was stopped.", hint="What was done so far is in the workspace.")
        return done

    def _listen(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "progress" and time.monotonic() - self._last_progress >= PROGRESS_EVERY_S:
            self._last_progress = time.monotonic()
            self.out.line("progress", **{k: message[k] for k in ("done", "total", "stage", "message")})
        elif kind == "metric":
            self.out.line("metric", **{k: v for k, v in message.items() if k not in ("v", "id", "type", "seq")})
        elif kind == "item" and message["outcome"] != "used":
            item = {k: message[k] for k in ("code", "message", "hint", "file", "line", "field")}
            if message["outcome"] == "cut" and self._kind != "import":
                # A turn without an answer inside of a conversation that is used.
                self.out.line("note", **item)
            else:
                self.reason(**item)
        elif kind == "enrich_failed":
            error = AppError.from_json(message["error"])
            self.fail(error, self._source(message["conversation_id"]))

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
        for source in sources or tuple(self.open):
            if units := self.open.pop(source, 0):
                self.rejected += units
                self.fail(error, source)

    def run(self) -> None:
        """Import, enrich, gather, train: each source on its own, so that a bad one never stops a good one."""
        files = self.files()
        base = self.base()
        result = self.job("import", "Import", {"files": files, "use_known": True}).result
        self.total += int(result["in"])
        self.rejected += int(result["rejected"])
        self.cut += int(result["cut"])
        conversations = list(result["conversations"])
        imported = [datasets.get(self.db, ident) for ident in result["datasets"]]
        self.open = {CONVERSATIONS: len(conversations)} | {d.source_path: d.counts["used"] for d in imported}
        if conversations:
            self._attempt(CONVERSATIONS, partial(self.from_conversations, conversations, base))
        for dataset in imported:
            self._attempt(dataset.source_path, partial(self.train, dataset.source_path, dataset, base))

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

    def base(self) -> BaseModel:
        """The base model asked for, added to the workspace when it is new."""
        folder: Path | None = self.options.base
        if folder is None:
            done = self.job("add_base_model", "Practice model", {"path": "practice"})
        else:
            for known in models.listing(self.db):
                if f"Weights stay in {folder.resolve()}" in known.notes and _is_there(known, folder):
                    return known
            done = self.job("add_base_model", folder.name, {"path": str(folder.absolute()), "name": folder.name})
        return models.get(self.db, done.result["base_model_id"])

    def from_conversations(self, conversation_ids: list[str], base: BaseModel) -> None:
        """Enrich, gather in a training file, make a dataset, train."""
        wanted = self._not_rejected(conversation_ids)
        if waiting := [r["conversation_id"] for r in wanted if r["enrichment_status"] != "completed"]:
            enriched = self.job("enrich", "Enrich", {"conversation_ids": waiting}).result
            self._leave_out(CONVERSATIONS, int(enriched["rejected"]))
        rows = [r for r in self._not_rejected(conversation_ids, tell=False) if r["enrichment_status"] == "completed"]
        if not rows:
            return
        given = self.options.name.strip() or f"pipeline-{time.strftime('%Y%m%d-%H%M%S')}"
        name = free_name(self.db, "training_files", given)
        file = self.job(
            "build_training_file", name,
            {"name": name, "description": "", "conversation_ids": [r["conversation_id"] for r in rows]},
        )  # fmt: skip
        made = self.job(
            "build_dataset", name,
            {"training_file_id": file.result["training_file_id"], "name": name, "base_model_id": base.id},
        ).result  # fmt: skip
        dataset = datasets.get(self.db, made["dataset_id"])
        self._leave_out(CONVERSATIONS, len(rows) - dataset.total_conversations)
        self.train(CONVERSATIONS, dataset, base)

    def _not_rejected(self, conversation_ids: list[str], *, tell: bool = True) -> list[Mapping[str, Any]]:
        """Their rows; those that were here already and rejected in review are left out, and told."""
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
            self.reason("rejected_in_review", message, "Approve it to train on it.", row["source_path"])
        return [row for row in rows if row["status"] != "rejected"]

    def _leave_out(self, source: str, units: int) -> None:
        self.rejected += units
        self.open[source] -= units

    def train(self, source: str, dataset: Dataset, base: BaseModel) -> None:
        """Train an adapter on a dataset and ask it the question."""
        asked = self.options.name.strip()
        name = asked or dataset.name
        job = training.find_unfinished(self.db, dataset.content_hash or "", base.id, self.config, asked)
        if job is None:
            job = training.create_run(
                self.db, name=name, dataset_id=dataset.id, base_model_id=base.id,
                preset=self.options.preset, config=self.config,
            )  # fmt: skip
        result = self.job("training", job.title, {}, created=job).result
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
        """The same question to the base and to the adapter, greedy; empty, with the error told, when that fails."""
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
        left_out = self.rejected or self.cut
        code = (3 if left_out else 0) if self.adapters else 1
        self.out.line(
            "report", **{"in": self.total}, used=self.used, rejected=self.rejected, cut=self.cut,
            adds_up=self.total == self.used + self.rejected + self.cut, adapters=self.adapters,
            reasons=self.reasons, exit_code=code,
        )  # fmt: skip
        return code


def _is_there(base: BaseModel, folder: Path) -> bool:
    """Whether a base's view is whole, and the weights of the folder are those it was made of."""
    try:
        models.require_folder(base)
    except AppError:
        return False
    return base.content_fingerprint == content_fingerprint(folder)


def main(args: Sequence[str]) -> int:
    """Entry of `python -m app pipeline`."""
    token = CancelToken()
    out = Output(token)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: token.cancel("user"))
    root = Path()
    try:
        options = parse(args)
        config = configure(options.preset, overrides_of(options.set))
        root = options.workspace.absolute()
        opened = open_workspace(Workspace(root))
    except (AppError, OSError, sqlite3.Error) as exc:
        out.error(as_error(exc, root))
        return 2
    try:
        db = connect(opened.workspace.db_path)
        pipeline = Pipeline(opened.workspace, db, options, config, token, out)
        try:
            settle(db, opened.workspace)
            pipeline.run()
        except Exception as exc:
            error = as_error(exc, root)
            out.error(error)
            pipeline.give_up(error)
        finally:
            db.close()
    finally:
        opened.lock.release()
    return pipeline.report()
