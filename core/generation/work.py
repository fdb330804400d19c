"""The generation worker's handler: read the batch, open its provider, write what is still to be written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from core.generation.create import provider_of, read_work
from core.generation.live import LiveRun
from core.generation.models import notice_of
from core.generation.plan import PlanItem
from core.generation.provider import Opening, Provider
from core.generation.run import Run
from core.inference.arbiter import base_needs
from core.inference.ollama.address import address_of
from core.models import served
from core.models.served import model_of, weight_bytes
from core.registry import resolve
from core.workers.host import JobContext


def run(context: JobContext) -> dict[str, Any]:
    """The handler of both kinds. Params: `round` and `reopen`, see `core.generation.store.retry`."""
    db = context.open_db()
    try:
        work = read_work(db, context.job_id)
        state = Run(context, db, work)
        return asyncio.run(_main(state, provider_of(work.settings.provider)))
    finally:
        db.close()


async def _main(run: Run, provider: Provider) -> dict[str, Any]:
    await run.begin()
    try:
        first = next(run.open_items(), None)
        if first is None and not any(not batch.ended for batch in run.history.batches):
            return run.result()
        if notice := notice_of(run.settings.model, run.today()):
            run.journal.note("notice", code="model_retires", message=notice)
        if run.settings.base:
            base = Path(str(run.settings.base["path"]))
            if model_of(base):
                # The address may be another one than when the batch was begun.
                served.point(base, address_of(run.db))
            await asyncio.to_thread(run.context.ask_memory, base_needs(weight_bytes(base)), model_of(base))
        opened = resolve(provider.opener)(_opening(run))
        try:
            if provider.batch:
                from core.generation.batch import BatchRun

                await BatchRun(run, opened).run()
            else:
                await _live(run, opened, first)
        finally:
            await opened.close()
        run.progress(force=True)
        return run.result()
    finally:
        run.journal.close()


async def _live(run: Run, opened: Any, first: PlanItem | None) -> None:
    alone = first is not None and run.flow(first).next().cache
    await LiveRun(run, opened, alone_first=alone).run()


def _opening(run: Run) -> Opening:
    settings = run.settings
    return Opening(
        settings.model,
        settings.model_facts,
        settings.pace.timeout_s,
        settings.base,
        run.context.run_dir,
        run.context.hold_memory,
    )
