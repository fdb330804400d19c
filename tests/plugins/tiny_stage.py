"""A stage from elsewhere: one module, one line of registration."""

from __future__ import annotations

from core.enrichment.provenance import origin
from core.enrichment.stage import INFO, StageContext, State


class TinyStage:
    name = "tiny"
    version = "7"
    title = "Tiny"

    def run(self, context: StageContext, state: State) -> State:
        pairs = [
            {**pair, "emotional_context": {**pair["emotional_context"], "tiny": True}}
            for pair in state.document["training_pairs"]
        ]
        context.find(INFO, "training_pairs", f"Marked {len(pairs)} pairs.")
        sources = {**state.sources, "training_pairs[].emotional_context": origin("rule", "Marked by the tiny stage")}
        return state.with_(document={**state.document, "training_pairs": pairs}, sources=sources)


class FailingStage:
    """Fails until a file named "mended" lies in the workspace."""

    name = "normalize"
    version = "1"
    title = "Failing"

    def run(self, context: StageContext, state: State) -> State:
        if not (context.workspace.root / "mended").exists():
            raise ValueError("not yet")
        return state


class SlowStage:
    """Waits until it is stopped or killed."""

    name = "normalize"
    version = "1"
    title = "Slow"

    def run(self, context: StageContext, state: State) -> State:
        import time

        (context.workspace.root / "waiting").touch()
        for _ in range(600):
            context.token.raise_if_cancelled()
            time.sleep(0.05)
        return state


STAGE = TinyStage()
FAILING = FailingStage()
SLOW = SlowStage()
