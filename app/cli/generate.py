"""Conversations from a model without a window: a plan in, conversations and a bill out, one JSON object a line.

The same inputs are the same batch, however often it is called and wherever an earlier call was cut short: what is
written stays, what was paid for is never asked for again. What failed and may go well at another try is tried again;
what was refused or invalid only with `--retry-failed`.

Exit codes: 0 everything was written; 1 nothing; 2 usage or lock; 3 some.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from app.cli.arguments import Parser, add_vertical, refuse_unreadable
from app.cli.session import Session, run_session
from app.cli.steps import Steps
from core import jobs
from core.errors import AppError
from core.generation import bill, store
from core.generation.create import check_batch, complete, create_batch, provider_of
from core.generation.estimate import estimate, measured
from core.generation.models import EFFORTS, chosen, notice_of
from core.generation.models import listing as known_models
from core.generation.plan import Library, Plan
from core.generation.plan_file import plan_of, read_bytes
from core.generation.sampling import counts, coverage, planned_before_words, spread
from core.generation.settings import TURNS, WHOLE, RunSettings
from core.jobs import Job, JobState
from core.models import store as base_models
from core.models.practice import PRACTICE_ID

PROVIDERS = ("claude", "claude-batch", "local")
REASONS = 200


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read the arguments. Raises AppError `usage`."""
    parser = Parser(prog="app generate", description="A plan in, conversations and a bill out.")
    parser.add_argument("--workspace", type=Path, required=True)
    add_vertical(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--count", type=int, help="so many conversations, spread over the active scaffolding")
    what.add_argument("--plan", type=Path, help="a plan file, see docs/generation.md")
    parser.add_argument("--provider", default="claude", choices=PROVIDERS)
    parser.add_argument("--model", default="", help="a model of Claude, or the name of a base model for local")
    parser.add_argument("--max-cost", default="", metavar="USD", help="spend no more than that")
    parser.add_argument("--name", default="", help="name of the batch; another name is another batch")
    parser.add_argument("--mode", default=WHOLE, choices=(WHOLE, TURNS), help="whole conversations, or turn by turn")
    parser.add_argument("--effort", default="low", choices=EFFORTS)
    parser.add_argument("--in-flight", type=int, default=8, metavar="N", help="requests at once at most")
    parser.add_argument("--seed", type=int, default=7, help="another seed spreads --count differently")
    parser.add_argument("--example", action="store_true",
                        help="also send your best approved conversation, as an example of the tone")  # fmt: skip
    parser.add_argument("--retry-failed", action="store_true", help="also what was refused, truncated or invalid")
    options = parser.parse_args(list(args))
    refuse_unreadable(options.workspace, options.vertical, options.plan, options.name, options.model)
    if options.count is not None and not 1 <= options.count <= 100_000:
        raise _usage(f"--count {options.count} is not possible.", "Ask for 1 to 100,000 conversations.")
    if not 1 <= options.in_flight <= 64:
        raise _usage(f"--in-flight {options.in_flight} is not possible.", "Use 1 to 64.")
    options.cap = _cap(options.max_cost)
    return options


def _usage(message: str, hint: str) -> AppError:
    return AppError("usage", message, hint=hint)


def _cap(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = Decimal(text.lstrip("$"))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise _usage(f"--max-cost {text} is not an amount.", "Write US dollars, for example --max-cost 5 or 0.50.")
    return value


class Generate:
    """One call over an open workspace."""

    def __init__(self, session: Session) -> None:
        self.workspace, self.db = session.workspace, session.db
        self.options, self.out = session.options, session.out
        self.steps = Steps(session.db, session.workspace, session.token, session.out, self._listen, lambda _job: None)
        self.batch = ""
        self.estimate: Mapping[str, Any] | None = None
        self.error: AppError | None = None

    def _listen(self, message: Mapping[str, Any]) -> None:
        """The events of the run that are told as they come."""
        kind = message["type"]
        if kind == "conversation":
            row = message["row"]
            self.out.line("conversation", id=row["id"], title=row["title"], turns=row["turn_count"])
        elif kind == "item_failed":
            error = message["error"]
            self.out.line("failed", item=message["item"], failure=message["failure"], message=error["message"],
                          hint=error["hint"])  # fmt: skip
        elif kind == "notice":
            self.out.line("notice", code=message["code"], message=message["message"])

    def prepare(self) -> Job | None:
        """The job to run, new or an earlier one of the same inputs; None when that one is complete.

        Raises AppError for what is wrong with plan, model or price.
        """
        settings = self._settings()
        # Once: what comes through a pipe is gone then.
        data = read_bytes(self.options.plan) if self.options.plan else b""
        plan = self._plan(data) if self.options.plan else None
        text = data.decode(errors="replace")
        key = jobs.key_of(
            "generate", text, self.options.count, self.options.seed, settings.provider, settings.model, settings.mode,
            settings.effort, self.options.name.strip(), *(["example"] if self.options.example else []),
        )  # fmt: skip
        kind = provider_of(settings.provider).job_kind
        if found := jobs.by_key(self.db, kind, key):
            return self._again(found[0])
        if plan is None:
            plan = spread(self.db, self.options.count, self.options.seed)
        provider = provider_of(settings.provider)
        whole = complete(self.db, self.workspace, settings, provider)
        library = Library.of(self.db)
        check_batch(plan, library, whole, provider)
        known = measured(self.db, whole.model, whole.mode)
        self.estimate = estimate(plan, library, whole, known=known, batch=provider.batch).to_json()
        self.out.line("plan", conversations=len(plan.items), turns=plan.turns, model=whole.model, mode=whole.mode)
        self.out.line("estimate", **self.estimate)
        if repeats := planned_before_words(self.db, plan):
            self.out.line("notice", code="planned_before", message=repeats)
        job = create_batch(self.db, self.workspace, plan, whole, name=self.options.name.strip(), key=key,
                           estimate=self.estimate)  # fmt: skip
        self.batch = job.id
        return job

    def _settings(self) -> RunSettings:
        provider = self.options.provider.replace("-", "_")
        if provider == "local":
            return RunSettings(provider, self._base(), mode=TURNS, effort="")
        model = self.options.model
        if not model:
            model, notice = chosen(self.db, datetime.now(UTC).date())
        else:
            notice = notice_of(model, datetime.now(UTC).date(), known_models(self.db))
        if notice:
            self.out.line("notice", code="model_retires", message=notice)
        cap = None if self.options.cap is None else str(self.options.cap)
        return RunSettings(
            provider, model, mode=self.options.mode, effort=self.options.effort, max_cost_usd=cap,
            max_in_flight=self.options.in_flight, use_example=self.options.example,
        )  # fmt: skip

    def _base(self) -> str:
        """The id of the base model that writes; the practice model is added when none is named."""
        wanted = self.options.model
        for model in base_models.listing(self.db):
            if wanted in (model.id, model.name, model.ollama or model.id, str(model.path)) or (
                not wanted and model.is_practice
            ):
                return model.id
        if wanted and wanted != PRACTICE_ID:
            names = ", ".join(model.name for model in base_models.listing(self.db)) or "none"
            raise _usage(f"There is no base model {wanted!r}.", f"In this workspace: {names}.")
        params = {"path": PRACTICE_ID}
        done = self.steps.step("add_base_model", "Practice model", params, jobs.key_of(params), lambda _job: False)
        return str(done.result["base_model_id"])

    def _plan(self, data: bytes) -> Plan:
        return plan_of(data, self.options.plan, Library.of(self.db), counts(coverage(self.db)))

    def _again(self, job: Job) -> Job | None:
        """An earlier batch of the same inputs: what is missing of it is written, with the cap of this call."""
        self.batch = job.id
        found = store.get_batch(self.db, job.id)
        self.estimate = found.estimate
        cap = None if self.options.cap is None else str(self.options.cap)
        if found.settings.provider != "local":
            settings = replace(found.settings, max_in_flight=self.options.in_flight)
            store.put_settings(self.db, job.id, replace(settings, max_cost_usd=cap))
        which = store.ALL if self.options.retry_failed else store.TRANSIENT
        if job.status is JobState.QUEUED:
            # An earlier call was cut off before it began.
            return job
        if job.status is JobState.COMPLETED and not store.can_reopen(self.db, job.id, which):
            self.steps.use(job)
            return None
        return store.retry(self.db, job.id, which)

    def run(self, job: Job | None) -> None:
        """Run it to its end."""
        if job is not None:
            self.steps.run(job)

    def report(self) -> int:
        """Print the final report; returns the exit code."""
        if not self.batch:
            return 1
        facts = bill.summary(self.db, self.batch)
        reasons = [
            {"item": item.item_id, "code": item.error.code, "kind": item.kind, "category": item.category,
             "message": item.error.message, "hint": item.error.hint}
            for item in store.failures(self.db, self.batch)[:REASONS]
        ]  # fmt: skip
        if self.error is not None:
            reasons.append({"item": "", "code": self.error.code, "kind": "run", "category": "",
                            "message": self.error.message, "hint": self.error.hint})  # fmt: skip
        code = 0 if facts["made"] == facts["planned"] else 3 if facts["made"] else 1
        batch = store.get_batch(self.db, self.batch)
        self.out.line(
            "report", batch=self.batch, name=batch.name, provider=batch.provider, model=batch.model, **facts,
            max_cost_usd=batch.settings.max_cost_usd, estimate=self.estimate, reasons=reasons, exit_code=code,
        )  # fmt: skip
        return code


def main(args: Sequence[str]) -> int:
    """Entry of `python -m app generate`."""
    return run_session(args, parse, _work)


def _work(session: Session) -> int:
    call = Generate(session)
    try:
        session.settle()
        job = call.prepare()
    except Exception as exc:
        session.out.error(session.explain(exc))
        return 2
    try:
        call.run(job)
    except Exception as exc:
        call.error = session.explain(exc)
        session.out.error(call.error)
    return call.report()
