"""The whole line without a window: files in, an adapter and a report out, one JSON object a line.

Exit codes: 0 everything was used; 1 nothing came out; 2 usage or lock; 3 some was rejected or cut.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import orjson
from sqlite_utils import Database

from app.opening import open_workspace, settle
from core import jobs
from core.cancel import CancelToken
from core.datasets import store as datasets
from core.db.connection import connect
from core.errors import AppError
from core.inference.client import InferenceClient
from core.inference.engine import AdapterRef, GenerateRequest, Sampling
from core.jobs import Job, JobState
from core.models import store as models
from core.models.store import BaseModel
from core.training import store as training
from core.training.config import DEFAULT_PRESET, PRESETS, TrainingConfig, configure
from core.workers.runner import run_to_end
from core.workspace.paths import Workspace

PROGRESS_EVERY_S = 1.0


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
    return parser.parse_args(list(args))


def overrides_of(pairs: Sequence[str]) -> dict[str, str]:
    """["key=value"] as a mapping. Raises AppError `usage`."""
    out = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise AppError("usage", f"“--set {pair}” has no value.", hint="Write --set key=value.")
        out[key.strip()] = value.strip()
    return out


def emit(kind: str, **fields: Any) -> None:
    """One line on stdout."""
    sys.stdout.write(orjson.dumps({"type": kind, **fields}).decode() + "\n")
    sys.stdout.flush()


def emit_error(error: AppError) -> None:
    """An error as a line, and in words on stderr."""
    emit("error", **error.to_json())
    sys.stderr.write(f"{error}\n{error.hint}\n".rstrip("\n") + "\n")


class Pipeline:
    """One run over an open workspace."""

    def __init__(
        self,
        workspace: Workspace,
        db: Database,
        options: argparse.Namespace,
        config: TrainingConfig,
        token: CancelToken,
    ) -> None:
        self.workspace, self.db = workspace, db
        self.options, self.config, self.token = options, config, token
        self.total, self.rejected, self.cut = 0, 0, 0
        self.reasons: list[dict[str, Any]] = []
        self.adapters: list[dict[str, Any]] = []
        self.used = 0
        self._last_progress = 0.0

    def job(self, kind: str, title: str, params: Mapping[str, Any], *, created: Job | None = None) -> Job:
        """Run one job to its end. Raises its error, or AppError `stopped`."""
        job = created or jobs.create(self.db, kind, title, params)
        claimed = jobs.claim_next(self.db, job.id)
        assert claimed is not None
        emit("job", job=kind, title=title, status="running", id=job.id)
        done = run_to_end(self.db, self.workspace, claimed, listen=self._listen, token=self.token)
        emit("job", job=kind, title=title, status=str(done.status), id=job.id, result=dict(done.result))
        if done.status is JobState.CANCELLED:
            raise AppError("stopped", "The run was stopped.", hint="What was done so far is in the workspace.")
        if done.error is not None:
            raise done.error
        return done

    def _listen(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "progress" and time.monotonic() - self._last_progress >= PROGRESS_EVERY_S:
            self._last_progress = time.monotonic()
            emit("progress", **{k: message[k] for k in ("done", "total", "stage", "message")})
        elif kind == "metric":
            emit("metric", **{k: v for k, v in message.items() if k not in ("v", "id", "type", "seq")})
        elif kind == "item" and message["outcome"] != "used":
            self.reason(message["code"], message["message"], message["hint"], message["file"],
                        message["line"], message["field"])  # fmt: skip
        elif kind == "enrich_failed":
            error = message["error"]
            self.reason(error["code"], error["message"], error["hint"], self._source(message["conversation_id"]),
                        error["where"]["line"], error["where"]["field"])  # fmt: skip

    def _source(self, conversation_id: str) -> str:
        row = self.db.execute(
            "select source_path from conversations where conversation_id = ?", [conversation_id]
        ).fetchone()
        return str(row["source_path"]) if row else ""

    def reason(self, code: str, message: str, hint: str, file: str = "", line: int = 0, field: str = "") -> None:
        """Record and print why something was not used."""
        item = {"code": code, "file": file, "line": line, "field": field, "message": message, "hint": hint}
        self.reasons.append(item)
        emit("rejected", **item)

    def run(self) -> None:
        """Import, enrich, gather, train."""
        base = self.base()
        done = self.job("import", "Import", {"files": [str(p.absolute()) for p in self.options.files]})
        result = done.result
        self.total += int(result["in"])
        self.rejected += int(result["rejected"])
        self.cut += int(result["cut"])
        dataset_ids = list(result["datasets"])
        if result["conversations"]:
            dataset_id = self.from_conversations(list(result["conversations"]), base)
            dataset_ids += [dataset_id] if dataset_id else []
        for dataset_id in dataset_ids:
            self.train(dataset_id, base)

    def base(self) -> BaseModel:
        """The base model asked for, added to the workspace when it is new."""
        folder: Path | None = self.options.base
        if folder is None:
            done = self.job("add_base_model", "Practice model", {"path": "practice"})
        else:
            known = [m for m in models.listing(self.db) if f"Weights stay in {folder.resolve()}" in m.notes]
            if known:
                return known[0]
            done = self.job("add_base_model", folder.name, {"path": str(folder.absolute()), "name": folder.name})
        return models.get(self.db, done.result["base_model_id"])

    def from_conversations(self, conversation_ids: list[str], base: BaseModel) -> str | None:
        """Enrich, gather in a training file, make a dataset; None when nothing was left."""
        enriched = self.job("enrich", "Enrich", {"conversation_ids": conversation_ids}).result
        self.rejected += int(enriched["rejected"])
        marks = ",".join("?" * len(conversation_ids))
        rows = self.db.execute(
            f"select conversation_id from conversations where conversation_id in ({marks})"
            " and enrichment_status = 'completed' order by created_at, rowid", conversation_ids,
        ).fetchall()  # fmt: skip
        if not rows:
            return None
        name = self.options.name or f"pipeline-{time.strftime('%Y%m%d-%H%M%S')}"
        file = self.job(
            "build_training_file", name,
            {"name": name, "description": "", "conversation_ids": [r["conversation_id"] for r in rows]},
        )  # fmt: skip
        dataset = self.job(
            "build_dataset", name,
            {"training_file_id": file.result["training_file_id"], "name": name, "base_model_id": base.id},
        ).result  # fmt: skip
        self.rejected += int(dataset["rejected"])
        return str(dataset["dataset_id"])

    def train(self, dataset_id: str, base: BaseModel) -> None:
        """Train an adapter on a dataset and ask it the question."""
        dataset = datasets.get(self.db, dataset_id)
        name = self.options.name or dataset.name
        try:
            job = training.create_run(
                self.db, name=name, dataset_id=dataset_id, base_model_id=base.id,
                preset=self.options.preset, config=self.config,
            )  # fmt: skip
            result = self.job("training", name, {}, created=job).result
        except AppError as error:
            self.rejected += dataset.total_conversations
            self.reason(error.code, error.message, error.hint, dataset.name)
            if error.code == "stopped":
                raise
            return
        self.used += int(result["used"])
        self.rejected += int(result["rejected"])
        self.cut += int(result["cut"])
        run = training.get_run(self.db, job.id)
        for item in run.left_out:
            self.reason(item["code"], item["reason"], "Raise max_seq_length to use it.", dataset.name, item["line"])
        adapter = training.get_adapter(self.db, result["artifact_id"])
        facts = {
            "id": adapter.id, "name": adapter.name, "path": str(self.workspace.absolute(adapter.path)),
            "base": base.name, "loss_before": result["baseline_loss"], "loss_after": result["loss"],
            "verdict": result["verdict"], "steps": result["steps"],
        }  # fmt: skip
        if self.options.ask:
            facts["answers"] = self.answers(base, adapter, dataset.system_prompt)
        self.adapters.append(facts)

    def answers(self, base: BaseModel, adapter: training.Adapter, system_prompt: str) -> dict[str, str]:
        """The same question to the base and to the adapter, greedy."""
        messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
        messages.append({"role": "user", "content": self.options.ask})
        reference = AdapterRef(adapter.id, str(self.workspace.absolute(adapter.path)), adapter.name)
        with InferenceClient(self.workspace.logs / "inference.log") as client:
            client.load(base.path)
            out = {}
            for key, ref in (("base", None), ("adapter", reference)):
                out[key] = client.generate(GenerateRequest(messages, ref, Sampling(max_tokens=160)))[0].strip()
        return out

    def report(self) -> int:
        """Print the final report; returns the exit code."""
        left_out = self.rejected or self.cut
        code = (3 if left_out else 0) if self.adapters else 1
        emit(
            "report", **{"in": self.total}, used=self.used, rejected=self.rejected, cut=self.cut,
            adds_up=self.total == self.used + self.rejected + self.cut, adapters=self.adapters,
            reasons=self.reasons, exit_code=code,
        )  # fmt: skip
        return code


def main(args: Sequence[str]) -> int:
    """Entry of `python -m app pipeline`."""
    try:
        options = parse(args)
        config = configure(options.preset, overrides_of(options.set))
        opened = open_workspace(Workspace(options.workspace.absolute()))
    except AppError as error:
        emit_error(error)
        return 2
    db = connect(opened.workspace.db_path)
    token = CancelToken()
    signal.signal(signal.SIGTERM, lambda *_: token.cancel("user"))
    signal.signal(signal.SIGINT, lambda *_: token.cancel("user"))
    pipeline = Pipeline(opened.workspace, db, options, config, token)
    try:
        settle(db, opened.workspace)
        pipeline.run()
    except AppError as error:
        emit_error(error)
    finally:
        db.close()
        opened.lock.release()
    return pipeline.report()
