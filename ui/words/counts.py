"""Counts that add up, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui import format as fmt


def sum_words(counts: Mapping[str, Any]) -> str:
    """ "24 in = 21 used + 2 rejected + 1 cut"."""
    parts = [f"{fmt.count(int(counts.get(key, 0)))} {key}" for key in ("used", "rejected", "cut")]
    return f"{fmt.count(int(counts.get('in', 0)))} in = {' + '.join(parts)}"
