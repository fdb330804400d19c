"""How large a record and a conversation that come from a file may be."""

from __future__ import annotations

RECORD_LIMIT = 32 * 1024 * 1024
DEPTH_LIMIT = 200
# Each v4 pair repeats all turns before it, and each answer is rendered with them: the work grows with the square.
MAX_TURNS = 1_000
SPLIT = "Split it into several conversations."


def too_many_turns(count: int) -> str:
    """The message for a conversation of more than MAX_TURNS turns."""
    return f"The conversation has {count:,} turns; it can have at most {MAX_TURNS:,}."
