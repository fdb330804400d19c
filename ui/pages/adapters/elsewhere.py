"""Where an adapter answers beside its own base: as models in Ollama, and on bases in another format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.adapters.parity import Parity
from core.adapters.shares import Share
from core.models.store import BaseModel
from ui import format as fmt
from ui.pages.adapters.share import shared_words
from ui.widgets.facts import Fact

NOT_MEASURED, OLD = "fits; not measured yet", "measured before one of them changed"


@dataclass(frozen=True)
class Elsewhere:
    """`served` are the bases in another format that it fits, each with what was measured there."""

    shares: Sequence[Share] = ()
    served: Sequence[tuple[BaseModel, Parity | None]] = ()

    @property
    def facts(self) -> list[Fact]:
        """For the details of an adapter."""
        out = [Fact("In Ollama", shared_words(self.shares))] if self.shares else []
        return out + [Fact(f"On {base.name}", parity_words(found), parity_tip(found)) for base, found in self.served]

    @property
    def unmeasured(self) -> list[BaseModel]:
        """Bases that it was not measured on as both are now."""
        return [base for base, found in self.served if found is None or not found.is_current]


def parity_words(found: Parity | None) -> str:
    """ "99 % the same words, 98 % of its effect"."""
    if found is None:
        return NOT_MEASURED
    if not found.is_current:
        return OLD
    words = f"{fmt.percent(found.same)} the same words, {fmt.percent(found.left)} of its effect"
    return f"weakened: {words}" if found.weakened else words


def parity_tip(found: Parity | None) -> str:
    """What was measured."""
    if found is None:
        return ""
    return (
        f"On {fmt.plural(found.tokens, 'held-out token')}, against MLX: first choices the same, what is left of the "
        f"adapter's effect, and a drift of {found.drift:.4f} nats a token"
    )
