"""Numbers as people read them, where the core itself speaks: progress, errors, the log."""

from __future__ import annotations


def amount(size_bytes: int) -> str:
    """Bytes with a unit: "2.7 GB", "63 MB", "1.3 MB", "8 kB"."""
    for least, unit in ((10**9, "GB"), (10**6, "MB")):
        if size_bytes >= least:
            return f"{size_bytes / least:.{0 if unit == 'MB' and size_bytes >= 10 * least else 1}f} {unit}"
    return f"{size_bytes / 1000:.0f} kB"
