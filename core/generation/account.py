"""What only a worker may ask Claude: whether the key works, which models there are, how long a prompt is.

The job `ask_claude`: params {"ask": "models"} lists the models of the account and thereby tests the key; result
{"models": n}. {"ask": "count", "settings": RunSettings, "library": ..., "items": [PlanItem, ...]} counts the prompt
tokens of the first request of each, for nothing; result {"tokens": [n or null, ...]}.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.db import Database
from core.errors import AppError
from core.events import Changed
from core.generation.models import ModelFacts, default_model, facts_of, remember
from core.jobs import Job, JobKind
from core.lanes import Lane
from core.workers.host import JobContext
from core.workspace.paths import Workspace


def _apply(db: Database, _workspace: Workspace, _job: Job, event: Mapping[str, Any]) -> Changed:
    return remember(db, [ModelFacts(**row) for row in event["models"]])


ASK_CLAUDE = JobKind(
    "ask_claude", handler="core.generation.account:run", events=("models",), apply=_apply, worker="generation",
    lane=Lane.QUESTION, page="generate",
)  # fmt: skip


def run(context: JobContext) -> dict[str, Any]:
    """The handler. Raises AppError `no_key`, `bad_key`, `no_network`, ..."""
    return asyncio.run(_ask(context))


async def _ask(context: JobContext) -> dict[str, Any]:
    from core.generation.claude import open_live
    from core.generation.provider import Opening, Trouble

    ask = str(context.params.get("ask"))
    model = str(context.params.get("model") or default_model())
    live = open_live(Opening(model, facts_of(model), timeout_s=30.0))
    try:
        if ask == "models":
            models = await live.list_models()
            context.emit("models", models=[asdict(found) for found in models])
            return {"models": len(models)}
        if ask == "count":
            return {"tokens": [await live.count_tokens(request) for request in _requests(context.params)]}
        raise AppError("unknown_question", f"Claude can't be asked for {ask!r}.", hint="Ask for models or count.")
    except Trouble as trouble:
        raise trouble.error from trouble
    finally:
        await live.close()


def _requests(params: Mapping[str, Any]) -> list[Any]:
    from core.generation.create import library_of
    from core.generation.flow import make_flow
    from core.generation.plan import PlanItem
    from core.generation.prompts import Prompts
    from core.generation.settings import RunSettings

    settings, library = RunSettings.from_json(params["settings"]), library_of(params["library"])
    prompts = Prompts(settings.profile, library.vertical, settings.example)
    items = [PlanItem.from_json(row) for row in params["items"]]
    return [make_flow(item, library, prompts, settings).next() for item in items]
