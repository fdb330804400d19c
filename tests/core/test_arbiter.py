"""The book of the memory: what fits beside what, and what is counted for whom."""

from __future__ import annotations

import pytest

from core.inference.arbiter import ADAPTERS, BASE, CHAT, JOB, Arbiter, base_needs, cache_budget
from core.memory import Memory, Pressure, metal_limit


class Machine:
    def __init__(self, total: int, available: int, limit: int = 0) -> None:
        self.total, self.available, self.limit = total, available, limit

    def read(self) -> Memory:
        return Memory(self.total, self.available, Pressure.NORMAL, self.limit)


def test_what_is_booked_is_not_given_twice() -> None:
    book = Arbiter(Machine(100, 100).read)
    assert book.ask(CHAT, 60)
    assert not book.ask("job", 50)
    assert book.ask("job", 40)
    assert book.room("third") == 0
    book.release(CHAT)
    assert book.room("third") == 60


def test_what_was_taken_is_no_longer_available_and_not_counted_twice() -> None:
    machine = Machine(100, 100)
    book = Arbiter(machine.read)
    book.ask(CHAT, 60)
    machine.available = 50
    book.tell(CHAT, {BASE: 45, ADAPTERS: 5})
    # Ten of the sixty may still come.
    assert book.room("job") == 40
    assert book.room(CHAT) == 100
    book.tell(CHAT, {BASE: 45, ADAPTERS: 20})
    assert book.holds(CHAT) == 65


@pytest.mark.parametrize(("available", "limit", "room"), [(30, 0, 30), (100, 70, 70), (30, 70, 30)])
def test_other_programs_and_the_limit_of_metal_count(available: int, limit: int, room: int) -> None:
    assert Arbiter(Machine(100, available, limit).read).room(CHAT) == room


def test_the_shares_name_holder_and_part() -> None:
    book = Arbiter(Machine(100, 100).read)
    book.ask(CHAT, 30)
    book.ask("run", 20)
    assert [(s.who, s.part, s.size_bytes) for s in book.shares()] == [(CHAT, BASE, 30), ("run", JOB, 20)]
    book.tell(CHAT, {BASE: 25, ADAPTERS: 0})
    book.tell("nobody", {JOB: 5})
    assert [(s.who, s.part, s.size_bytes) for s in book.shares()] == [(CHAT, BASE, 25), ("run", JOB, 20)]


def test_a_base_gets_its_weights_and_a_reserve() -> None:
    assert base_needs(1 << 30) > 1.1 * (1 << 30)


@pytest.mark.parametrize(
    ("total_gb", "by_hand_mb", "expected_gb"), [(8, 0, 16 / 3), (16, 0, 32 / 3), (64, 0, 48), (16, 14336, 14)]
)
def test_what_metal_may_wire(total_gb: int, by_hand_mb: int, expected_gb: float) -> None:
    found = metal_limit(total_gb << 30, lambda _name: by_hand_mb)
    assert found == pytest.approx(expected_gb * (1 << 30), rel=1e-6)


def test_a_kernel_without_that_number_has_the_default() -> None:
    def unknown(name: str) -> int:
        raise OSError(2, name)

    assert metal_limit(9 << 30, unknown) == 6 << 30


@pytest.mark.parametrize(("budget_gb", "expected_mb"), [(1, 64), (16, 512), (400, 1024)])
def test_read_chats_get_their_share(budget_gb: int, expected_mb: int) -> None:
    assert cache_budget(budget_gb << 30) == expected_mb << 20
