"""A batch made of a plan: checked as far as that can be done for nothing, with all that its worker needs frozen."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from core import jobs
from core.conversations import store as conversations
from core.db import Database
from core.db.connection import free_name, new_id, now, transaction
from core.errors import AppError, Where
from core.generation import prices
from core.generation.budget import money, price_unknown
from core.generation.flow import make_flow
from core.generation.models import facts_of
from core.generation.models import listing as known_models
from core.generation.plan import Library, Plan, PlanItem
from core.generation.prompts import Cast, Prompts
from core.generation.provider import Provider
from core.generation.settings import RunSettings
from core.inference.ollama.address import address_of
from core.jobs import Job
from core.models import served
from core.models import store as base_models
from core.registries import PROVIDERS
from core.scaffolding.store import (
    EmotionalArc,
    Persona,
    PromptTemplate,
    TrainingTopic,
    consultant_profile,
    from_mapping,
)
from core.scaffolding.verticals import default_key, load
from core.workspace.paths import Workspace

PAGE = 200
EXAMPLE_CHARACTERS = 6_000


def provider_of(name: str) -> Provider:
    """The registered provider. Raises AppError `unknown_provider`."""
    found: Provider = PROVIDERS.get(name)
    return found


def create_batch(
    db: Database,
    workspace: Workspace,
    plan: Plan,
    settings: RunSettings,
    *,
    name: str = "",
    key: str = "",
    estimate: Mapping[str, Any] | None = None,
) -> Job:
    """Check everything that can be checked before money is spent, and queue the batch.

    What the worker needs of the workspace is frozen into the row: library, profile, prices, example. Raises AppError:
    what `check_batch` raises.
    """
    provider = provider_of(settings.provider)
    whole = complete(db, workspace, settings, provider)
    library = Library.of(db)
    check_batch(plan, library, whole, provider)
    title = free_name(db, "batch_jobs", name or plan.name or _count(len(plan.items)))
    return insert_batch(
        db, plan, library, whole, title, (provider.job_kind, f"Generating {title}"), key=key, estimate=estimate
    )


def _count(number: int) -> str:
    return f"{number:,} conversation{'' if number == 1 else 's'}"


def insert_batch(
    db: Database,
    plan: Plan,
    library: Library,
    whole: RunSettings,
    title: str,
    kind: tuple[str, str],
    *,
    key: str = "",
    estimate: Mapping[str, Any] | None = None,
) -> Job:
    """The rows of a batch with its job, which is of that `kind` (name, title); `whole` is complete and checked."""
    ident, stamp = new_id(), now()
    with transaction(db):
        job = jobs.create(db, kind[0], kind[1], {"round": 0, "reopen": ""}, job_id=ident, key=key)
        db.execute(
            "insert into batch_jobs(id, name, status, tier, total_items, provider, model, mode, settings, library,"
            " plan_name, seed, estimate, created_at, updated_at)"
            " values(?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ident, title, _tier(plan, library), len(plan.items), whole.provider, whole.model, whole.mode,
                orjson.dumps(whole.to_json()).decode(), orjson.dumps(library_json(plan, library)).decode(),
                plan.name, plan.seed,
                orjson.dumps(dict(estimate)).decode() if estimate else None, stamp, stamp,
            ],
        )  # fmt: skip
        _insert_items(db, ident, plan, stamp)
    return job


def _insert_items(db: Database, batch: str, plan: Plan, stamp: str) -> None:
    wanted = orjson.dumps([item.id for item in plan.items]).decode()
    used = {row[0] for row in db.execute(
        "select id from batch_items where id in (select value from json_each(?))", [wanted])}  # fmt: skip
    rows = []
    for position, planned in enumerate(plan.items):
        # The same plan may be written again, by another model for example.
        item = replace(planned, id=uuid.uuid4().hex) if planned.id in used else planned
        rows.append((
            item.id, batch, position, "queued", orjson.dumps(item.to_json()).decode(), item.signature, item.persona_key,
            item.emotional_arc_key, item.training_topic_key, item.template_key, item.turns, stamp,
        ))  # fmt: skip
    db.conn.executemany(
        "insert into batch_items(id, batch_job_id, position, status, spec, signature, persona_key, emotional_arc_key,"
        " training_topic_key, template_key, turns, updated_at) values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows,
    )  # fmt: skip


def _tier(plan: Plan, library: Library) -> str:
    wanted = {item.emotional_arc_key for item in plan.items}
    tiers = {arc.tier for arc in library.arcs if arc.key in wanted}
    return tiers.pop() if len(tiers) == 1 else ""


def complete(db: Database, workspace: Workspace, settings: RunSettings, provider: Provider) -> RunSettings:
    """Settings with everything frozen that a worker can't look up. Raises AppError `no_such_base`."""
    mode = settings.mode if settings.mode in provider.modes else provider.modes[0]
    base = dict(settings.base)
    if not provider.paid and not base:
        found = base_models.get(db, settings.model) if settings.model else base_models.default(db)
        if found is None:
            raise AppError("no_such_base", "There is no base model yet.", hint="Add one on the Adapters page.",
                           action="page:adapters")  # fmt: skip
        base_models.require_folder(found)
        if found.served:
            served.point(found.path, address_of(db))
        base = {"id": found.id, "name": found.name, "path": str(found.path), "engine": found.engine,
                "context": found.context_length, "practice": found.is_practice}  # fmt: skip
        # One model answers one question at a time.
        settings = replace(settings, max_in_flight=1)
    model = base["name"] if base else settings.model
    facts = settings.facts or asdict(facts_of(model, known_models(db)))
    tone = example(db, workspace) if settings.use_example else ()
    return replace(
        settings, mode=mode, model=model, base=base, facts=facts, prices=settings.prices or prices.table(db).data,
        profile=settings.profile or consultant_profile(db), example=settings.example or tone,
    )  # fmt: skip


def example(db: Database, workspace: Workspace) -> list[dict[str, str]]:
    """The best approved conversation, as an example of the tone; empty where none was approved."""
    wanted = conversations.Filter(status="approved", min_quality=4.0)
    for row in conversations.listing(db, wanted, order_by="quality", limit=5):
        turns = [{"role": t.role, "content": t.content or ""} for t in conversations.turns(workspace, row)]
        if all(t["content"] for t in turns) and sum(len(t["content"]) for t in turns) <= EXAMPLE_CHARACTERS:
            return turns
    return []


def check_batch(plan: Plan, library: Library, settings: RunSettings, provider: Provider) -> None:
    """Raise AppError for what would fail later: `price_unknown`, `mode_not_possible`, `unfilled_placeholder`, ..."""
    if not plan.items:
        raise AppError("empty_plan", "There is nothing to write.", hint="Add conversations to the plan.")
    if settings.mode not in provider.modes:
        raise AppError(
            "mode_not_possible", f"{provider.label} can't write turn by turn.",
            hint="Choose whole conversations, or another provider.", where=Where(field="mode"),
        )  # fmt: skip
    if settings.cap is not None and settings.cap <= 0:
        raise AppError("bad_cap", "The spending cap has to be more than nothing.", hint="Enter an amount, like 5.",
                       where=Where(field="max_cost"))  # fmt: skip
    check_price(settings, provider)
    prompts = Prompts(settings.profile, library.vertical, settings.example)
    seen = set()
    for index, item in enumerate(plan.items):
        combination = (*item.cell, item.training_topic_key, item.template_key)
        if combination in seen:
            continue
        seen.add(combination)
        try:
            prompts.whole(item, Cast.of(item, library))
        except AppError as error:
            error.where = replace(error.where, field=f"items[{index}].template: {error.where.field}".rstrip(": "))
            error.message = f"Persona “{item.persona_key}” with template “{item.template_key}”: {error.message}"
            error.action = error.action or "page:scaffolding"
            raise


def check_price(settings: RunSettings, provider: Provider) -> None:
    """Raise AppError `price_unknown` for a cap on a model whose price is not known."""
    if provider.paid and settings.cap is not None:
        table = prices.PriceTable(settings.prices)
        if table.rates(settings.model, datetime.now(UTC).date(), 0) is None:
            raise price_unknown(settings.model)


def check_cap(plan: Plan, library: Library, settings: RunSettings, *, batch: bool) -> None:
    """Raise AppError `cap_too_small` where the cap of complete settings does not cover even the first request."""
    if settings.cap is None:
        return
    request = make_flow(plan.items[0], library, Prompts(settings.profile, library.vertical, settings.example), settings)
    asked, today = request.next(), datetime.now(UTC).date()
    table = prices.PriceTable(settings.prices)
    most = table.most(settings.model, asked.most_prompt_tokens, asked.max_tokens, today, batch=batch)
    if most is not None and most > settings.cap:
        raise AppError(
            "cap_too_small",
            f"The cap of {money(settings.cap)} does not cover one request, which can cost {money(most)}.",
            hint="Raise it: a request is sent only if its highest possible cost is left.",
            where=Where(field="max_cost"),
        )


def library_json(plan: Plan, library: Library) -> dict[str, Any]:
    """The entries that a plan uses, as they are now; `library_of` reads them again."""
    keys = {
        "personas": {item.persona_key for item in plan.items}, "arcs": {item.emotional_arc_key for item in plan.items},
        "topics": {item.training_topic_key for item in plan.items},
        "templates": {item.template_key for item in plan.items},
    }  # fmt: skip
    entries = {name: [asdict(e) for e in getattr(library, name) if e.key in wanted] for name, wanted in keys.items()}
    return {"vertical": library.vertical.key, **entries}


def library_of(data: Mapping[str, Any]) -> Library:
    """The reverse of `library_json`. Raises AppError `unknown_vertical` or `bad_vertical`."""
    return Library(
        # Batches of before there were several are of the one there was.
        load(data.get("vertical") or default_key()),
        [from_mapping(Persona, row) for row in data["personas"]],
        [from_mapping(EmotionalArc, row) for row in data["arcs"]],
        [from_mapping(TrainingTopic, row) for row in data["topics"]],
        [from_mapping(PromptTemplate, row) for row in data["templates"]],
    )  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What a worker reads of its batch."""

    settings: RunSettings
    library: Library
    total: int
    name: str


def read_work(db: Database, batch: str) -> Work:
    """Settings and frozen library of a batch. Raises AppError `no_such_batch`."""
    row = db.execute("select name, settings, library, total_items from batch_jobs where id = ?", [batch]).fetchone()
    if row is None:
        raise no_such_batch()
    settings = RunSettings.from_json(orjson.loads(row["settings"]))
    return Work(settings, library_of(orjson.loads(row["library"])), int(row["total_items"]), row["name"])


def iter_plan(db: Database, batch: str) -> Iterator[PlanItem]:
    """The items that are not written, in order, a page at a time."""
    position = -1
    while True:
        rows = db.execute(
            "select position, spec from batch_items where batch_job_id = ? and position > ? and status <> 'completed'"
            " order by position limit ?", [batch, position, PAGE],
        ).fetchall()  # fmt: skip
        if not rows:
            return
        for row in rows:
            position = int(row["position"])
            yield PlanItem.from_json(orjson.loads(row["spec"]))


def written(db: Database, batch: str) -> int:
    """How many of its conversations are written, as far as the database knows."""
    sql = "select count(*) from batch_items where batch_job_id = ? and status = 'completed'"
    return int(db.execute(sql, [batch]).fetchone()[0])


def no_such_batch() -> AppError:
    """The batch is gone."""
    return AppError("no_such_batch", "That batch is not in this workspace.", hint="Refresh the list.")
