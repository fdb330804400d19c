"""Words for what a conversation is built on."""

from __future__ import annotations

from ui import format as fmt

TIER_WORDS = {"template": "Template", "scenario": "Scenario", "edge_case": "Edge"}


def tier_word(tier: str | None) -> str:
    """ "edge_case" -> "Edge"."""
    return TIER_WORDS.get(tier, fmt.word(tier)) if tier else fmt.NOTHING
