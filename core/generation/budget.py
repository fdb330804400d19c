"""The hard cap of a run: the most a request can cost is set aside before it is sent, and settled by its usage.

What became of a request that was sent and never answered is not known; what was set aside for it counts as spent.
"""

from __future__ import annotations

from decimal import Decimal

from core.errors import AppError


def money(value: Decimal | None) -> str:
    """An amount as it is read: $4.37, $0.004, unknown."""
    if value is None:
        return "unknown"
    if value == 0 or value >= Decimal("0.1"):
        return f"${value:,.2f}"
    return f"${value:,.3f}" if value >= Decimal("0.001") else f"${value:,.5f}"


class Budget:
    """Books of one run, used from one thread. Without a cap it only counts."""

    def __init__(self, cap: Decimal | None, spent: Decimal = Decimal(0), unsure: Decimal = Decimal(0)) -> None:
        self.cap = cap
        self.spent = spent
        self.unsure = unsure
        self.unknown = 0
        self._reserved: dict[str, Decimal] = {}

    @property
    def reserved(self) -> Decimal:
        """Set aside for requests that are under way."""
        return sum(self._reserved.values(), Decimal(0))

    @property
    def committed(self) -> Decimal:
        """The most that can have been spent when all requests under way are answered."""
        return self.spent + self.unsure + self.reserved

    @property
    def busy(self) -> bool:
        """Whether something is set aside that may become free again."""
        return bool(self._reserved)

    def fits(self, most: Decimal | None) -> bool:
        """Whether a request may be sent now. Raises AppError `price_unknown` for an unknown price under a cap."""
        if self.cap is None:
            return True
        if most is None:
            raise price_unknown()
        return self.committed + most <= self.cap

    def reserve(self, key: str, most: Decimal | None) -> None:
        """Set aside for one request; `fits` was asked before."""
        if not self.fits(most):
            raise budget_reached(self)
        self._reserved[key] = most or Decimal(0)

    def reserve_again(self, key: str, most: Decimal | None) -> None:
        """Set aside for what an earlier attempt sent and still waits for, whatever is left."""
        self._reserved[key] = most or Decimal(0)

    def settle(self, key: str, cost: Decimal | None) -> None:
        """The reply came: `cost`, or None where its price is not known."""
        held = self._reserved.pop(key, Decimal(0))
        if cost is None:
            self.unknown += 1
            self.unsure += held
        else:
            self.spent += cost

    def add(self, cost: Decimal | None, most: Decimal | None) -> None:
        """One reply of many that were set aside together; `release` follows when all of them are in."""
        if cost is None:
            self.unknown += 1
            self.unsure += most or Decimal(0)
        else:
            self.spent += cost

    def release(self, key: str) -> None:
        """The request was refused before it cost anything."""
        self._reserved.pop(key, None)

    def lose(self, key: str, at_least: Decimal | None = None) -> None:
        """The request was sent and its reply never came; it may have been paid for."""
        self.unsure += max(self._reserved.pop(key, Decimal(0)), at_least or Decimal(0))

    def left_words(self) -> str:
        """ "$1.44 of $5.00", without a cap "$1.44"."""
        spent = money(self.spent) + (" and an unknown amount" if self.unknown else "")
        return spent if self.cap is None else f"{spent} of {money(self.cap)}"


def price_unknown(model: str = "") -> AppError:
    """A cap can't be kept without a price."""
    which = f" of {model}" if model else ""
    return AppError(
        "price_unknown",
        f"The price{which} is not known, so a spending cap can't be kept.",
        hint="Enter its price in Settings, choose another model, or start without a cap.",
        action="page:settings",
    )


def budget_reached(budget: Budget, most: Decimal | None = None) -> AppError:
    """The cap ends the run; everything that was paid for is kept. `most` is what the next request can cost."""
    unsure = f", and up to {money(budget.unsure)} more for replies that were lost" if budget.unsure else ""
    following = "the next request can cost " + ("more than is left" if most is None else money(most))
    return AppError(
        "budget_reached",
        f"{money(budget.spent)} of {money(budget.cap)} spent{unsure}; {following}.",
        hint="Raise the cap and resume: what is written stays, and the rest continues.",
        action="page:generate",
    )
