"""What live runs and batches share: books, log, the end of a conversation. One attempt at one batch, in its worker."""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.conversations import files
from core.conversations.parse import parse
from core.db import Database
from core.errors import AppError, Cancelled
from core.generation import troubles
from core.generation.budget import Budget
from core.generation.create import Work, iter_plan, written
from core.generation.flow import Flow, GivenUp, Made, Rewritten, make_flow
from core.generation.journal import REOPEN, History, Journal, read_history
from core.generation.plan import PlanItem
from core.generation.prices import PriceTable
from core.generation.prompts import VERSION, Cast, Prompts
from core.generation.provider import Reply, Request, Trouble
from core.generation.settings import Target
from core.workers.host import JobContext

TICK_S = 0.4
# The next start waits five seconds for a worker that was left behind.
ORPHAN_GRACE_S = 3.0


class Run:
    """The state of one attempt; used from one event loop."""

    def __init__(self, context: JobContext, db: Database, work: Work) -> None:
        self.context, self.db = context, db
        self.settings, self.library, self.total = work.settings, work.library, work.total
        self.prompts = Prompts(work.settings.profile, work.library.vertical, work.settings.example)
        self.prices = PriceTable(work.settings.prices)
        self.journal = Journal(context)
        self.history: History = read_history(context.run_dir / "events.jsonl")
        self.budget = Budget(work.settings.cap, self.history.spent, self.history.unsure)
        self.budget.unknown = self.history.unknown
        self.made, self.failed, self.in_flight = max(len(self.history.made), written(db, context.job_id)), 0, 0
        self.paid = work.settings.structured
        self._tick = 0.0

    # The beginning

    async def begin(self) -> None:
        """Report the start, open again what is to be tried again, book what an earlier attempt had under way."""
        self.journal.open()
        self.journal.note("started", total=self.total, model=self.settings.model, provider=self.settings.provider)
        params = self.context.params
        wanted = int(params.get("round", 0))
        if wanted > self.history.round:
            event = {"round": wanted, "items": list(params.get("reopen") or [])}
            self.journal.note("reopened", **event)
            self.history.take({"type": "reopened", **event})
        for record, sent in list(self.history.open.items()):
            self.lose(record, sent.item, sent.most, None, "interrupted")
        self.history.open.clear()
        self.failed = sum(1 for item in self.history.items.values() if item.failed)
        self.progress(force=True)

    def open_items(self) -> Iterator[PlanItem]:
        """The conversations that are neither written nor given up, in the order of the plan."""
        for item in iter_plan(self.db, self.context.job_id):
            history = self.history.items.get(item.id)
            if item.id not in self.history.made and not (history and history.failed):
                yield item

    def flow(self, item: PlanItem) -> Flow:
        """The conversation as far as its log says."""
        flow = make_flow(item, self.library, self.prompts, self.settings)
        for step in self.history.of(item.id).steps:
            if step == REOPEN:
                flow.reopen()
            elif isinstance(step, Mapping) and flow.outcome is None:
                flow.take(Reply.from_json({key: value for key, value in step.items() if key != "key"}))
        return flow

    # Money

    def today(self) -> Any:
        """The day whose prices count."""
        return datetime.now(UTC).date()

    def most(self, request: Request, *, batch: bool = False) -> Decimal | None:
        """The most a request can cost."""
        if not self.paid:
            return Decimal(0)
        return self.prices.most(
            self.settings.model, request.most_prompt_tokens, request.max_tokens, self.today(), batch=batch
        )

    def cost(self, reply: Reply) -> Decimal | None:
        """What a reply cost; None for an unknown price."""
        return self.prices.cost(self.settings.model, reply.usage, self.today()) if self.paid else Decimal(0)

    def reply_event(self, record: str, request: Request, reply: Reply, most: Decimal | None) -> dict[str, Any]:
        """The event of a reply, with its cost at today's prices."""
        cost = self.cost(reply)
        saved = self.prices.saved_by_cache(self.settings.model, reply.usage, self.today()) if self.paid else None
        return {
            "item": request.item_id, "key": request.key, "record": record, "turn": request.turn,
            "provider": self.settings.provider, "model": self.settings.model, "reply": reply.to_json(),
            "usd": None if cost is None else str(cost), "most_usd": None if most is None else str(most),
            "saved_usd": None if saved is None else str(saved), "price_date": self.prices.checked,
        }  # fmt: skip

    def lose(self, record: str, item: str, most: Decimal | None, trouble: Trouble | None, why: str) -> None:
        """Book a request that was sent and brought no reply; what it may have cost counts against the cap."""
        usage = trouble.usage if trouble is not None else None
        known = self.prices.cost(self.settings.model, usage, self.today()) if usage and self.paid else None
        self.journal.note(
            "lost", item=item, record=record, why=why, provider=self.settings.provider, model=self.settings.model,
            usd=None, most_usd=None if most is None else str(max(most, known or Decimal(0))),
            usage=usage.to_json() if usage else None, request_id=trouble.request_id if trouble else "",
        )  # fmt: skip
        if record in self.history.open:
            self.budget.unsure += most or Decimal(0)
        else:
            self.budget.lose(record, known)

    # The end of a conversation

    def report_turn(self, flow: Flow, before: int) -> None:
        """Report a turn that was taken, for the window."""
        if flow.done_turns != before and self.settings.mode == "turns":
            met = list(getattr(flow, "met", ()))
            self.journal.note("turn", item=flow.item.id, done=flow.done_turns, beats=met)

    async def conclude(self, flow: Flow) -> None:
        """Write down how a conversation ended. Raises AppError `disk_full` when its files can't be written."""
        outcome = flow.outcome
        if isinstance(outcome, Made):
            row = await asyncio.to_thread(self._write, flow.item, outcome)
            self.journal.note("conversation", item=flow.item.id, row=row, beats=list(outcome.met),
                              rewritten=outcome.rewritten)  # fmt: skip
            self._count_made(flow.item.id)
        elif isinstance(outcome, Rewritten):
            target = Target.from_json(self.settings.rewrite)
            self.journal.note("rewritten", item=flow.item.id, conversation=target.conversation_id,
                              turn=target.number, before=target.before, content=outcome.content)  # fmt: skip
            self._count_made(flow.item.id)
        elif isinstance(outcome, GivenUp):
            self.journal.note(
                "item_failed", item=flow.item.id, failure=outcome.kind, error=outcome.error.to_json(),
                turn=outcome.turn, asked=dict(outcome.asked), raw=outcome.raw, category=outcome.category,
                transient=outcome.transient,
            )  # fmt: skip
            self.failed += 1
        self.history.items.pop(flow.item.id, None)
        self.progress()

    def _count_made(self, item: str) -> None:
        self.made += 1
        self.history.made.add(item)

    def _write(self, item: PlanItem, made: Made) -> dict[str, Any]:
        cast = Cast.of(item, self.library)
        parsed = parse({
            "title": made.title, "turns": [dict(turn) for turn in made.turns], "tier": cast.arc.tier,
            "input_parameters": cast.input_parameters(),
            "conversation_metadata": {"generation": {
                "batch_id": self.context.job_id, "item_id": item.id, "provider": self.settings.provider,
                "model": self.settings.model, "mode": self.settings.mode, "effort": self.settings.effort,
                "thinking": self.settings.thinking, "prompt_version": VERSION, "asked_turns": item.turns,
                "prompt_hash": self.prompts.fingerprint(item, cast, self.settings.mode),
                "attributes": dict(item.attributes), "beats_met": list(made.met), "turns_rewritten": made.rewritten,
            }},
        })  # fmt: skip
        ident = str(uuid.UUID(item.id))
        # Left by an attempt that was killed before it could report the folder: no row names it.
        shutil.rmtree(self.context.workspace.conversations / ident, ignore_errors=True)
        row = files.write(self.context.workspace, ident, made.raw, parsed)
        notes = [note for note in row["import_notes"] if not note.startswith("It has no title")]
        return {
            **row, "status": "needs_review", "source_id": item.id, "source_path": "",
            "template_id": cast.template.id or None, "import_notes": [*notes, *made.notes],
        }  # fmt: skip

    # Words

    def progress(self, *, force: bool = False, message: str = "") -> None:
        """Tell how far it is, at most a few times a second."""
        moment = time.monotonic()
        if not force and moment < self._tick:
            return
        self._tick = moment + TICK_S
        done = self.made + self.failed
        words = message or f"{self.made:,} of {self.total:,}"
        if self.paid:
            words += f" · {self.budget.left_words()}"
        self.context.progress(done, self.total, "Writing", words)

    def stopping(self) -> bool:
        """Whether the user, or the end of the window, asked to leave."""
        return self.context.token.cancelled

    @property
    def grace_s(self) -> float:
        """How long what is under way may still take; less when nobody is there any more to wait for it."""
        grace = self.settings.pace.grace_s
        return min(grace, ORPHAN_GRACE_S) if self.context.token.reason == "orphan" else grace

    def raise_if_stopped(self) -> None:
        """Raise Cancelled when the work was asked to end."""
        if self.stopping():
            raise Cancelled(self.context.token.reason)

    def check_disk(self) -> None:
        """Raise AppError `disk_full` once the last room was used for what had been paid for."""
        if self.journal.full:
            raise AppError(
                "disk_full", "The disk is full. Everything that was paid for is kept.",
                hint="Free some space, then resume: the rest continues where it was.", action="generate:resume",
            )  # fmt: skip

    def result(self) -> dict[str, Any]:
        """The result of the job."""
        return {
            "planned": self.total, "made": self.made, "failed": self.failed,
            "not_reached": self.total - self.made - self.failed, "spent_usd": str(self.budget.spent),
            "unsure_usd": str(self.budget.unsure), "unknown_prices": self.budget.unknown,
        }  # fmt: skip


def is_transient(error: AppError) -> bool:
    """Whether the next try may go well without anything being changed."""
    return error.code in troubles.TRANSIENT
