"""A run through batches: all requests at once, their results within a day, imported from a file on the disk.

What is asked is recorded before it is sent, and the batch's id before it is polled. When the reply to its creation is
lost, the batch is looked for at the service before anything is sent again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from core.errors import AppError, Cancelled
from core.generation.budget import budget_reached
from core.generation.flow import GivenUp
from core.generation.journal import RemoteState
from core.generation.live import LiveRun
from core.generation.pace import backoff
from core.generation.plan import PlanItem
from core.generation.provider import Batches, BatchResult, RemoteBatch, Request, Scope, Trouble
from core.generation.run import Run, is_transient

MOST_REQUESTS = 5_000
MOST_BYTES = 48 << 20
# The service's clock may be off by that much.
CLOCK_S = 600.0
IDLE_ROUNDS = 4
TRIES = 3
STEP_S = 0.1


class BatchRun:
    """Drives the conversations of one attempt through batches."""

    def __init__(self, run: Run, provider: Batches) -> None:
        self._run, self._provider = run, provider
        self._pace = run.settings.pace
        self._open: list[RemoteState] = [batch for batch in run.history.batches if not batch.ended]
        self._number = max((batch.number for batch in run.history.batches), default=0)
        self._failures: dict[str, int] = {}

    async def run(self) -> None:
        """Until every conversation is written or given up. Raises AppError for what ends the run, or Cancelled."""
        for state in self._open:
            self._run.budget.reserve_again(f"batch-{state.number}", state.most)
            if not state.id:
                await self._find(state)
        idle = 0
        while self._open or next(self._run.open_items(), None) is not None:
            before = self._run.made + self._run.failed
            if not self._open:
                await self._send_all()
            await self._wait_for_all()
            idle = 0 if self._run.made + self._run.failed > before else idle + 1
            if idle >= IDLE_ROUNDS:
                raise AppError(
                    "batch_incomplete", "The service returned batches without an answer for what was asked.",
                    hint="Resume: what is missing is asked for again.", action="generate:resume",
                )  # fmt: skip

    # Sending

    async def _send_all(self) -> None:
        """Ask for everything that is open, in batches of a size that fits memory and budget."""
        await self._first_check()
        waiting: list[Request] = []
        size, most = 0, Decimal(0)
        stopped_short = False
        for item in self._run.open_items():
            request = self._run.flow(item).next()
            dearest = self._run.most(request, batch=True)
            if not self._run.budget.fits(None if dearest is None else most + dearest):
                stopped_short = True
                break
            waiting.append(request)
            size += request.most_prompt_tokens
            most += dearest or Decimal(0)
            if len(waiting) >= MOST_REQUESTS or size >= MOST_BYTES:
                await self._create(waiting, most)
                waiting, size, most = [], 0, Decimal(0)
        if waiting:
            await self._create(waiting, most)
        if stopped_short and not self._open:
            raise budget_reached(self._run.budget)

    async def _first_check(self) -> None:
        """The service checks a batch's requests only when it runs them: let it look at one of their shape now."""
        first: PlanItem | None = next(self._run.open_items(), None)
        if first is None:
            return
        await self._retrying(lambda: self._provider.check(self._run.flow(first).next()))
        if self._run.settings.live_first and self._run.made + self._run.failed == 0:
            await self._live_first()

    async def _live_first(self) -> None:
        from core.generation.claude import open_live
        from core.generation.provider import Opening

        settings = self._run.settings
        live = open_live(Opening(settings.model, settings.model_facts, self._pace.timeout_s))
        try:
            await LiveRun(self._run, live, alone_first=True).run(most_items=1)
        finally:
            await live.close()

    async def _create(self, requests: Sequence[Request], most: Decimal) -> None:
        await self._heed()
        self._number += 1
        state = RemoteState(self._number, [request.key for request in requests], time.time(), most)
        self._run.budget.reserve(f"batch-{state.number}", most)
        await self._run.journal.record(
            "batch_asked", number=state.number, keys=state.keys, at=state.asked_at, most_usd=str(most)
        )
        self._open.append(state)
        tried = 0
        while True:
            await self._heed()
            try:
                remote = await self._provider.create(requests)
            except Trouble as trouble:
                tried += 1
                if trouble.charged or trouble.error.code == "service_unavailable":
                    # It may be there although its reply was lost.
                    found = await self._looked_up(state)
                    if found is not None:
                        return
                if trouble.scope is not Scope.RETRY or tried >= self._pace.tries:
                    await self._close(state, "not_created", {})
                    raise trouble.error from trouble
                await self._sleep(backoff(self._pace, tried, trouble.retry_after_s))
            else:
                await self._created(state, remote)
                return

    async def _created(self, state: RemoteState, remote: RemoteBatch) -> None:
        state.id = remote.id
        await self._run.journal.record("batch_created", number=state.number, batch_id=remote.id, at=remote.created_at)

    async def _looked_up(self, state: RemoteState) -> RemoteBatch | None:
        """The batch of that many requests that came into being since it was asked for; recorded as created."""
        known = {batch.id for batch in [*self._run.history.batches, *self._open] if batch.id}
        recent: Sequence[RemoteBatch] = await self._retrying(lambda: self._provider.recent(state.asked_at - CLOCK_S))
        found = [b for b in recent if b.total == len(state.keys) and b.id not in known]
        if not found:
            return None
        await self._created(state, found[-1])
        return found[-1]

    async def _find(self, state: RemoteState) -> None:
        """An earlier attempt asked for a batch and did not hear of it."""
        if await self._looked_up(state) is None:
            await self._close(state, "not_created", {})

    # Waiting

    async def _wait_for_all(self) -> None:
        waited, step = 0.0, min(1.0, self._pace.poll_s)
        while self._open:
            for state in list(self._open):
                await self._look(state)
            if not self._open:
                return
            self._words(waited)
            longest = self._pace.poll_s if waited < 3_600 else self._pace.poll_longest_s
            await self._sleep(step * (0.9 + random.random() / 5))
            waited += step
            step = min(longest, step * 2)

    def _words(self, waited: float) -> None:
        requests = sum(len(state.keys) for state in self._open)
        minutes = f", {waited / 60:.0f} min so far" if waited >= 60 else ""
        self._run.progress(force=True, message=f"Waiting for Claude's batch of {requests:,}{minutes}")

    async def _look(self, state: RemoteState) -> None:
        remote = await self._retrying(lambda: self._provider.retrieve(state.id))
        if remote.ended:
            await self._import(state, remote)

    async def _retrying(self, call: Any) -> Any:
        """A call that costs nothing, again and again while the network is away for a moment."""
        tried = 0
        while True:
            try:
                return await call()
            except Trouble as trouble:
                tried += 1
                if trouble.scope is not Scope.RETRY or tried >= self._pace.tries:
                    raise trouble.error from trouble
                await self._sleep(backoff(self._pace, tried, trouble.retry_after_s))

    async def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self._heed()
            await asyncio.sleep(min(STEP_S, max(0.0, end - time.monotonic())))

    async def _heed(self) -> None:
        if self._run.stopping():
            await self._stop()

    async def _stop(self) -> None:
        """Stop cancels the batches at the service; pause and the window's end leave them running there."""
        reason = self._run.context.token.reason
        if reason == "user":
            for state in [state for state in self._open if state.id and not state.cancelling]:
                await self._run.journal.record("batch_cancel", number=state.number, batch_id=state.id)
                state.cancelling = True
                try:
                    await self._provider.cancel(state.id)
                except Trouble:
                    # It is asked for again when the run is resumed.
                    continue
            await self._last_look()
        raise Cancelled(reason)

    async def _last_look(self) -> None:
        """Take what is there within the grace that a stop has; the rest is fetched at the next start."""
        end = time.monotonic() + self._run.grace_s
        while self._open and time.monotonic() < end:
            for state in list(self._open):
                try:
                    remote = await self._provider.retrieve(state.id)
                    if remote.ended:
                        await self._import(state, remote)
                except Trouble:
                    return
            await asyncio.sleep(STEP_S)

    # Importing

    async def _import(self, state: RemoteState, remote: RemoteBatch) -> None:
        """Results to the disk, then each into the log and on; what an earlier attempt had imported is passed over."""
        path = self._run.context.run_dir / f"batch-{state.number}.jsonl"
        if not path.exists():
            await self._retrying(lambda: self._provider.download(state.id, path))
        wanted = set(state.keys)
        async for result in self._provider.results(path):
            if result.key in wanted:
                await self._take(state, result)
                self._run.check_disk()
        await self._run.journal.synced()
        await self._close(state, "ended", remote.counts)
        if remote.counts.get("canceled", 0) and not state.cancelling:
            raise AppError(
                "batch_canceled", "The batch was canceled at the service.",
                hint="Resume to ask again for what it did not answer.", action="generate:resume",
            )  # fmt: skip

    async def _take(self, state: RemoteState, result: BatchResult) -> None:
        run, ident = self._run, result.key[:32]
        if ident in run.history.made:
            return
        item = self._item(ident)
        history = run.history.of(ident)
        taken = {step["key"] for step in history.steps if isinstance(step, dict)}
        if item is None or history.failed:
            return
        flow = run.flow(item)
        if result.key not in taken and flow.outcome is None:
            request = flow.next()
            if request.key != result.key:
                return
            if result.reply is None:
                await self._not_answered(flow, result)
                return
            most = run.most(request, batch=True)
            event = run.reply_event(f"{result.key}-b{state.number}", request, result.reply, most)
            run.journal.note("reply", **event, batch_id=state.id)
            run.budget.add(run.cost(result.reply), most)
            run.history.take({"type": "reply", **event})
            flow.take(result.reply)
        if flow.outcome is not None:
            failed = isinstance(flow.outcome, GivenUp)
            await run.conclude(flow)
            run.history.of(ident).failed = failed

    async def _not_answered(self, flow: Any, result: BatchResult) -> None:
        """Not run, or an error of the service: asked for again a few times. A request that is refused is given up."""
        if result.trouble is None:
            return
        ident = result.key[:32]
        self._failures[ident] = self._failures.get(ident, 0) + 1
        transient = is_transient(result.trouble)
        if transient and self._failures[ident] < TRIES:
            return
        flow.give_up(result.trouble.code, result.trouble, transient=transient)
        await self._run.conclude(flow)
        self._run.history.of(ident).failed = True

    def _item(self, ident: str) -> PlanItem | None:
        row = self._run.db.execute("select spec from batch_items where id = ?", [ident]).fetchone()
        return PlanItem.from_json(orjson.loads(row[0])) if row else None

    async def _close(self, state: RemoteState, how: str, counts: Any) -> None:
        state.ended = True
        self._open.remove(state)
        self._run.budget.release(f"batch-{state.number}")
        await self._run.journal.record("batch_ended", number=state.number, how=how, counts=dict(counts))
