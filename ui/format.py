"""Numbers for people: 2 min 10 s, 19 MB, 1,204; never a bare float."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

NOTHING = "–"


def count(value: int | None) -> str:
    """1204 -> "1,204"."""
    return NOTHING if value is None else f"{value:,}"


def plural(value: int, one: str, many: str = "") -> str:
    """(1, "file") -> "1 file"; (2, "file") -> "2 files"."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def size(value: int | None) -> str:
    """Bytes in decimal units: 19 MB."""
    if value is None:
        return NOTHING
    amount = float(value)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 999.5 or unit == "GB":
            digits = 0 if unit == "bytes" or amount >= 99.5 else 1
            return f"{amount:,.{digits}f}".removesuffix(".0") + f" {unit}"
        amount /= 1000
    return NOTHING


def duration(seconds: float | None) -> str:
    """130 -> "2 min 10 s"; at most two parts."""
    if seconds is None:
        return NOTHING
    if seconds < 0.95:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "0 s"
    if seconds < 9.5:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(days, "d"), (hour, "h"), (minute, "min"), (second, "s")]
    while parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{value} {unit}" for value, unit in parts[:2] if value)


def time_left(seconds: float | None) -> str:
    """ "4 min left", or nothing while it is unknown."""
    if seconds is None:
        return ""
    if seconds < 5:
        return "a few seconds left"
    coarse = round(seconds / 5) * 5 if seconds < 60 else round(seconds / 10) * 10 if seconds < 600 else seconds
    if seconds >= 600:
        coarse = round(seconds / 60) * 60
    return f"{duration(coarse)} left"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number of fixed precision: 1.09; thousands are grouped."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def percent(share: float | None) -> str:
    """0.124 -> "12%"."""
    if share is None:
        return NOTHING
    return f"{share * 100:.1f}%" if 0 < share < 0.1 and round(share * 100) != share * 100 else f"{share * 100:.0f}%"


def moment(stored: str | None, *, now: datetime | None = None) -> str:
    """A stored time for lists: "14:02" today, "18 Nov", or "18 Nov 2024"."""
    if not stored:
        return NOTHING
    when = datetime.fromisoformat(stored).astimezone()
    today = (now or datetime.now(UTC)).astimezone()
    if when.date() == today.date():
        return f"{when:%H:%M}"
    return f"{when.day} {when:%b}" + ("" if when.year == today.year else f" {when.year}")


def moment_long(stored: str | None) -> str:
    """A stored time in full, for tooltips and inspectors."""
    if not stored:
        return NOTHING
    when = datetime.fromisoformat(stored).astimezone()
    return f"{when.day} {when:%b %Y, %H:%M}"


def word(stored: str) -> str:
    """ "needs_review" -> "Needs review"."""
    text = stored.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def usd(value: Decimal | str | None) -> str:
    """ "$2.31", "$0.041" below ten cents, "unknown" for None."""
    if value is None:
        return "unknown"
    amount = Decimal(value)
    if amount == 0 or amount >= Decimal("0.1"):
        return f"${amount:,.2f}"
    return f"${amount:,.3f}" if amount >= Decimal("0.0005") else "<$0.001"
