"""Job kinds about Ollama's models. Light."""

from __future__ import annotations

from core.jobs import JobKind
from core.lanes import Lane
from core.models.jobs import apply_base

PULL = JobKind(
    name="pull_ollama",
    handler="core.inference.ollama.work:take_model",
    events=("base_model",),
    apply=apply_base,
    lane=Lane.NETWORK,
    resumable=True,
    page="adapters",
)
PRACTICE = JobKind(
    name="practice_to_ollama",
    handler="core.inference.ollama.practice:put_practice",
    events=("base_model",),
    apply=apply_base,
    page="adapters",
)
TAKE = JobKind(
    name="take_ollama",
    handler="core.inference.ollama.work:take_model",
    events=("base_model",),
    apply=apply_base,
    page="adapters",
)
