"""One turn of a conversation written anew: what it costs, and the batch of one that does it.

It is a batch like any other: its reply is in the log before it is read, its money in `cost_records`, a kill costs
nothing. The outcome is a version of the conversation, which can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.conversations import store as conversations
from core.conversations.store import Conversation
from core.db import Database
from core.db.connection import transaction
from core.errors import AppError
from core.generation.create import check_price, complete, insert_batch, provider_of
from core.generation.estimate import BYTES_A_TOKEN, GUESSED_TURN, measured
from core.generation.flow import make_flow
from core.generation.models import SETTING as MODEL_SETTING
from core.generation.models import default_model
from core.generation.models import listing as known_models
from core.generation.plan import Library, Plan, PlanItem
from core.generation.prices import PriceTable, Usage
from core.generation.prompts import Prompts
from core.generation.settings import LOCAL, PROVIDER_SETTING, TURNS, RunSettings, Target
from core.jobs import Job
from core.models import store as bases
from core.registries import PROVIDERS
from core.workspace import settings
from core.workspace.paths import Workspace

JOB_KIND = "rewrite"
# A reply that can't be used is asked for once more.
TRIES = 2


@dataclass(frozen=True)
class Offer:
    """A turn that can be written anew. `usd` is what it is expected to cost, None where the price is not known."""

    item: PlanItem
    target: Target
    library: Library
    settings: RunSettings
    usd: Decimal | None

    @property
    def paid(self) -> bool:
        """Whether it costs money."""
        return provider_of(self.settings.provider).paid


@dataclass(frozen=True)
class Writer:
    """Who can write a turn: `model` is Claude's id of a model, or the id of a base."""

    provider: str
    model: str
    label: str
    paid: bool


def writers(db: Database) -> list[Writer]:
    """Everyone who answers one request at a time: Claude's models, then the bases of this computer."""
    out = []
    for kind in map(provider_of, PROVIDERS.names()):
        if kind.batch:
            continue
        if kind.paid:
            out += [Writer(kind.name, m.id, m.display_name or m.id, True) for m in known_models(db)]
        else:
            out += [Writer(kind.name, base.id, f"{base.name}, on this computer", False) for base in bases.listing(db)]
    return out


def usual_writer(db: Database, workspace: Workspace, ident: str, known: Sequence[Writer]) -> Writer | None:
    """Who wrote the conversation, if that model is still there; else whoever wrote last; else the first.

    Raises what reading the conversation raises.
    """
    parsed = conversations.read_parsed(workspace, conversations.get(db, ident))
    made = (parsed.get("conversation_metadata") or {}).get("generation") or {}
    names = {base.name: base.id for base in bases.listing(db)}
    default = bases.default(db)
    last = str(settings.get(db, MODEL_SETTING, "") or default_model())
    if settings.get(db, PROVIDER_SETTING, "") == LOCAL and default is not None:
        last = default.id
    wanted = [str(made.get("model") or ""), names.get(str(made.get("model") or ""), ""), last]
    found = (next((writer for writer in known if writer.model == model), None) for model in wanted if model)
    return next(filter(None, found), next(iter(known), None))


def offer(
    db: Database, workspace: Workspace, ident: str, number: int, provider: str, model: str, wish: str = ""
) -> Offer:
    """What it takes to write turn `number` (from 1) anew with that model; the cap is the most that can be charged.

    Raises AppError `no_such_conversation`, `no_such_turn`, `no_such_base`, or what reading the conversation raises.
    """
    found = conversations.get(db, ident)
    parsed = conversations.read_parsed(workspace, found)
    turns = tuple({"role": turn["role"], "content": turn["content"] or ""} for turn in parsed["turns"])
    if not 1 <= number <= len(turns):
        raise AppError("no_such_turn", f"“{found.title}” has no turn {number}.", hint="Refresh the list.")
    target = Target(ident, number, turns, wish)
    kind = provider_of(provider)
    asked = RunSettings(kind.name, model, mode=TURNS, rewrite=target.to_json())
    whole = complete(db, workspace, asked, kind)
    library = Library.of(db, active_only=False)
    item = _item(found, parsed, len(turns), library)
    request = make_flow(item, library, Prompts(whole.profile, library.vertical, whole.example), whole).next()
    if not kind.paid:
        return Offer(item, target, library, whole, Decimal(0))
    table, today = PriceTable(whole.prices), datetime.now(UTC).date()
    most = table.most(whole.model, request.most_prompt_tokens, request.max_tokens, today)
    known = measured(db, whole.model, TURNS)
    texts = (*request.system, *(message["content"] for message in request.messages))
    usage = Usage(
        input_tokens=round(sum(len(text.encode()) for text in texts) / BYTES_A_TOKEN) + 60,
        output_tokens=round(known.output_a_turn if known else GUESSED_TURN),
    )
    whole = replace(whole, max_cost_usd=None if most is None else str(TRIES * most))
    return Offer(item, target, library, whole, table.cost(whole.model, usage, today))


def _item(found: Conversation, parsed: Mapping[str, Any], turns: int, library: Library) -> PlanItem:
    """The conversation as a plan item; what is not known of it stays empty."""
    made = (parsed.get("conversation_metadata") or {}).get("generation") or {}
    template = next((entry.key for entry in library.templates if entry.id == found.template_id), "")
    return PlanItem(
        found.persona_key or "", found.emotional_arc_key or "", found.training_topic_key or "", template, turns,
        dict(made.get("attributes") or {}),
    )  # fmt: skip


def create_rewrite(db: Database, offered: Offer, title: str) -> Job:
    """Queue it. Raises AppError `price_unknown`, or `being_rewritten` for a turn that is under way."""
    kind = provider_of(offered.settings.provider)
    if offered.target.number in under_way(db, offered.target.conversation_id):
        raise AppError(
            "being_rewritten", f"Turn {offered.target.number} is being regenerated already.",
            hint="Wait until that is done, or stop it in the bar below.",
        )  # fmt: skip
    check_price(offered.settings, kind)
    name = f"Turn {offered.target.number} of “{title}”"
    plan = Plan((offered.item,), name)
    estimate = {"usd": str(offered.usd), "basis": "guessed"} if offered.paid and offered.usd is not None else None
    # A local model answers in the lane of the machine's own models.
    job_kind = JOB_KIND if kind.paid else kind.job_kind
    with transaction(db):
        job = insert_batch(db, plan, offered.library, offered.settings, name, (job_kind, f"Regenerating {name}"),
                           estimate=estimate)  # fmt: skip
        # No plan of a conversation: it keeps none from being planned.
        db.execute(
            "update batch_items set conversation_id = ?, title = ?, signature = '' where batch_job_id = ?",
            [offered.target.conversation_id, name, job.id],
        )
    return job


def under_way(db: Database, ident: str) -> Sequence[int]:
    """The turns of a conversation that are being written anew, in order."""
    return all_under_way(db).get(ident, ())


def all_under_way(db: Database) -> Mapping[str, Sequence[int]]:
    """Those of every conversation, by its id."""
    rows = db.execute(
        "select i.conversation_id as ident, b.settings ->> '$.rewrite.number' as turn from jobs j join batch_jobs b"
        " on b.id = j.id join batch_items i on i.batch_job_id = b.id where i.status in ('queued', 'processing')"
        " and j.status in ('queued', 'initializing', 'running') and i.conversation_id is not null"
    ).fetchall()
    out: dict[str, list[int]] = {}
    for row in rows:
        if row["turn"] is not None:
            out.setdefault(row["ident"], []).append(int(row["turn"]))
    return {ident: tuple(sorted(turns)) for ident, turns in out.items()}
