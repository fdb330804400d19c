"""A live run: several conversations at once, each going on only when its last reply is on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

from core.errors import AppError, Cancelled
from core.generation.budget import budget_reached
from core.generation.flow import Flow
from core.generation.pace import Limiter, backoff
from core.generation.plan import PlanItem
from core.generation.provider import Live, Reply, Request, Scope, Trouble
from core.generation.run import Run, is_transient
from core.generation.troubles import NETWORK, SERVICE
from core.workspace.files import disk_error

POLL_S = 0.05
# A request that may have been paid for is not sent often.
CHARGED_TRIES = 3
SAME_REFUSALS = 3
STOPS_ALL = (NETWORK, SERVICE, "not_the_service", "rate_limited", "no_reply", "slow_reply")


class _Slot:
    """One place among the requests under way; given back once, however often it is asked to be."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter: Limiter | None = limiter

    async def release(self) -> None:
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            await limiter.release()


class LiveRun:
    """Drives the conversations of one attempt through a live provider."""

    def __init__(self, run: Run, provider: Live, *, alone_first: bool) -> None:
        self._run, self._provider = run, provider
        self._pace = run.settings.pace
        self.limiter = Limiter(run.settings.max_in_flight, alone_first=alone_first)
        self._items: Iterator[PlanItem] = run.open_items()
        self._money = asyncio.Condition()
        self._bad_in_a_row = 0
        self._stop: AppError | None = None

    async def run(self, most_items: int | None = None) -> None:
        """Until every conversation is written or given up. Raises AppError for what ends the run, or Cancelled."""
        left = [most_items]

        async def worker() -> None:
            while self._stop is None and not self._run.stopping():
                if left[0] is not None:
                    if left[0] <= 0:
                        return
                    left[0] -= 1
                item = next(self._items, None)
                if item is None:
                    return
                await self._converse(item)

        # A few more than may be under way: some are always busy writing a conversation to the disk.
        most = self._run.settings.max_in_flight
        workers = [asyncio.create_task(worker()) for _ in range(most + (most + 1) // 2 if most > 1 else 1)]
        watcher = asyncio.create_task(self._watch(workers))
        try:
            done = await asyncio.gather(*workers, return_exceptions=True)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
        self._raise(done)

    def _raise(self, outcomes: list[BaseException | None]) -> None:
        faults = [o for o in outcomes if isinstance(o, Exception) and not isinstance(o, (AppError, Cancelled))]
        if faults:
            raise faults[0]
        if self._stop is not None:
            raise self._stop
        if found := [o for o in outcomes if isinstance(o, AppError)]:
            raise found[0]
        if self._run.made + self._run.failed < self._run.total:
            self._run.raise_if_stopped()

    async def _watch(self, workers: list[asyncio.Task[None]]) -> None:
        """When the run is to end, give what is under way a few seconds, then cut it off; a stop is one request away."""
        while not self._run.stopping() and self._stop is None:
            await asyncio.sleep(POLL_S)
            self._run.progress()
        self.limiter.close()
        async with self._money:
            self._money.notify_all()
        grace = self._run.grace_s if self._stop is None else self._pace.timeout_s
        waiting = asyncio.ensure_future(asyncio.wait(workers, timeout=grace))
        while not waiting.done():
            await asyncio.wait([waiting], timeout=POLL_S)
            if self._run.stopping() and self._stop is not None:
                # The user does not wait for what the run itself was waiting for.
                await asyncio.wait([waiting], timeout=self._run.grace_s)
                break
        waiting.cancel()
        for task in workers:
            task.cancel()

    def _end(self, error: AppError) -> None:
        if self._stop is None:
            self._stop = error

    async def _converse(self, item: PlanItem) -> None:
        """One conversation to its end, or until the run ends."""
        run = self._run
        flow = run.flow(item)
        try:
            while flow.outcome is None:
                run.check_disk()
                before = flow.done_turns
                reply = await self._ask(flow)
                if reply is None:
                    return
                flow.take(reply)
                run.report_turn(flow, before)
            await run.conclude(flow)
            run.check_disk()
        except AppError as error:
            self._end(error)
        except OSError as error:
            self._end(disk_error(error, run.context.run_dir))

    async def _ask(self, flow: Flow) -> Reply | None:
        """The reply to the request that is due, on the disk; None when the run ends or the conversation is given up."""
        request = flow.next()
        tried = charged = 0
        successes = self.limiter.successes
        while True:
            if not await self.limiter.acquire():
                return None
            slot = _Slot(self.limiter)
            try:
                reply, trouble = await self._once(request, slot)
            finally:
                await slot.release()
            if reply is not None:
                return reply
            if trouble is None:
                return None
            tried += 1
            charged += trouble.charged
            if trouble.scope is Scope.RUN:
                self._end(trouble.error)
                return None
            wait = backoff(self._pace, tried - 1, trouble.retry_after_s)
            if trouble.retry_after_s is not None and trouble.retry_after_s > self._pace.longest_wait_s:
                self._end(trouble.error)
                return None
            # Being told to wait is no failure of the request's own.
            most_tries = self._pace.tries * (3 if trouble.slow_down else 1)
            if trouble.scope is Scope.ITEM or tried >= most_tries or charged >= CHARGED_TRIES:
                await self._give_up(flow, trouble, none_since=self.limiter.successes == successes)
                return None
            if trouble.slow_down:
                self.limiter.slow_down(wait)
            else:
                await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0 and not self.limiter.closed:
            await asyncio.sleep(min(left, 0.1))

    async def _give_up(self, flow: Flow, trouble: Trouble, *, none_since: bool) -> None:
        """A request that nothing helps: its conversation fails, or the run when nobody else has more luck."""
        if none_since and trouble.error.code in STOPS_ALL:
            self._end(trouble.error)
            return
        if trouble.error.code == "bad_request":
            self._bad_in_a_row += 1
            if self._bad_in_a_row >= SAME_REFUSALS and self.limiter.successes == 0:
                self._end(trouble.error)
                return
        transient = is_transient(trouble.error)
        flow.give_up(trouble.error.code, trouble.error, transient=transient, raw=trouble.raw)
        await self._run.conclude(flow)

    async def _once(self, request: Request, slot: _Slot) -> tuple[Reply | None, Trouble | None]:
        """Send once; the reply is on the disk when this returns. (None, None): the run ends before it is sent.

        The place among those under way is given back as soon as the reply is here: the disk keeps nobody waiting.
        """
        run = self._run
        most = run.most(request)
        history = run.history.of(request.item_id)
        tried = history.tries.get(request.key, 0)
        record = f"{request.key}-{tried}"
        if not await self._afford(record, most):
            return None, None
        history.tries[request.key] = tried + 1
        try:
            # It outlives the process from here on; a loss of power could cost the note, never a reply.
            run.journal.note(
                "asked", item=request.item_id, key=request.key, tried=tried, record=record, turn=request.turn,
                most_usd=None if most is None else str(most),
            )  # fmt: skip
        except BaseException:
            run.budget.release(record)
            raise
        run.in_flight += 1
        try:
            reply = await self._provider.send(request)
            # Before the place is given back: those who wait for one find as many as there are by now.
            self.limiter.succeeded(self._provider.limits())
        except Trouble as trouble:
            self._book_trouble(record, request, most, trouble)
            return None, trouble
        except asyncio.CancelledError:
            run.lose(record, request.item_id, most, None, "stopped")
            raise
        finally:
            run.in_flight -= 1
            await slot.release()
            await self._money_changed()
        event = run.reply_event(record, request, reply, most)
        run.budget.settle(record, run.cost(reply))
        # In the log before anything can cut this off; paid for, it is never asked for again.
        run.journal.note("reply", **event)
        await run.journal.synced()
        self._bad_in_a_row = 0
        await self._money_changed()
        return reply, None

    def _book_trouble(self, record: str, request: Request, most: Decimal | None, trouble: Trouble) -> None:
        run = self._run
        if trouble.charged:
            run.lose(record, request.item_id, most, trouble, trouble.error.code)
            return
        run.budget.release(record)
        run.journal.note("rejected", item=request.item_id, record=record, code=trouble.error.code,
                         detail=trouble.error.detail)  # fmt: skip

    async def _afford(self, record: str, most: Decimal | None) -> bool:
        """Set aside what the request can cost, once others have been settled if need be; False when the run ends."""
        budget = self._run.budget
        async with self._money:
            while self._stop is None and not self._run.stopping():
                if budget.fits(most):
                    budget.reserve(record, most)
                    return True
                if not budget.busy:
                    self._end(budget_reached(budget, most))
                    return False
                await self._money.wait()
        return False

    async def _money_changed(self) -> None:
        async with self._money:
            self._money.notify_all()
