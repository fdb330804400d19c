"""How many requests run at once, by a clock of the test's own; and the log that a run is read back from."""

from __future__ import annotations

import asyncio
import errno
import os
import tracemalloc
from pathlib import Path

import orjson
import pytest

from core.generation.journal import read_history
from core.generation.pace import Limiter, backoff
from core.generation.provider import Limits
from core.generation.settings import Pace
from core.generation.troubles import retry_after, status_trouble
from core.workers.protocol import EventLog, read_events
from tests.support.generation import counts, done, new_batch, studio, work

NOTHING = Limits()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_alone_then_many_then_half_when_the_service_objects() -> None:
    clock = Clock()
    limiter = Limiter(16, alone_first=True, clock=clock)
    assert limiter.limit == 1
    limiter.succeeded(NOTHING)
    assert limiter.limit == 8
    for _ in range(20):
        limiter.succeeded(NOTHING)
    assert limiter.limit == 16
    for _ in range(5):
        # All those that were under way together object to one thing.
        limiter.slow_down(10.0)
    assert limiter.limit == 8
    clock.now = 11.0
    limiter.slow_down(1.0)
    assert limiter.limit == 4
    for _ in range(4):
        limiter.succeeded(NOTHING)
    assert 4.9 < limiter.limit < 5.1
    for _ in range(9):
        clock.now += 2.0
        limiter.slow_down(1.0)
    assert limiter.limit == 1


def test_a_limit_that_is_nearly_used_up_is_not_run_into() -> None:
    limiter = Limiter(8, alone_first=False)
    limiter.succeeded(NOTHING)
    limiter.succeeded(Limits(1, 100))
    assert limiter.limit == 7


def test_a_closed_limiter_lets_nobody_wait() -> None:
    async def main() -> list[bool]:
        limiter = Limiter(1, alone_first=False)
        assert await limiter.acquire()
        waiting = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        limiter.close()
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == [False, False, False]


def test_waits_are_the_services_wish_or_double() -> None:
    pace = Pace(base_s=1.0, longest_s=8.0)
    assert 3.0 <= backoff(pace, 0, 3.0) <= 3.25
    waits = [backoff(pace, number, None) for number in range(6)]
    for number, wait in enumerate(waits):
        top = min(8.0, 2.0**number)
        assert 0.75 * top <= wait <= top
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after({"retry-after": "soon"}) is None


def test_the_services_own_word_on_trying_again_counts() -> None:
    assert status_trouble(500, "api_error", "", "", {"x-should-retry": "false"}, "m").scope == "item"
    assert status_trouble(500, "api_error", "", "", {}, "m").scope == "retry"


def test_first_one_alone_and_then_all_places_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with studio(tmp_path, monkeypatch, latency_s=0.2, most_at_once=8) as (place, server):
        job = new_batch(place, 24, max_in_flight=8)
        done(work(place, job.id))
        assert counts(place, job.id) == (24, 0, 0, 0)
        assert len(server.asked) == 24
        assert server.busiest == 8
        written = [entry for entry in server.answered if entry.usage["cache_creation_input_tokens"]]
        assert written == server.answered[:1]


def log_of(path: Path, conversations: int) -> None:
    with path.open("wb") as handle:
        seq = 0
        for number in range(conversations):
            item = f"{number:032x}"
            reply = {"text": "x" * 2_000, "usage": {}}
            place = {"item": item, "key": f"{item}-0-0", "record": f"{item}-0-0-0"}
            for event in (
                {**place, "type": "asked", "tried": 0, "most_usd": "1"},
                {**place, "type": "reply", "usd": "0.01", "reply": reply},
                {"type": "conversation", "item": item},
            ):  # fmt: skip
                seq += 1
                handle.write(orjson.dumps({"v": 1, "id": "job", "seq": seq, **event}) + b"\n")


def test_a_long_log_is_read_in_little_memory(tmp_path: Path) -> None:
    peaks = []
    for conversations in (1_000, 4_000):
        path = tmp_path / f"{conversations}.jsonl"
        log_of(path, conversations)
        tracemalloc.start()
        history = read_history(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(history.made) == conversations
        assert history.items == {}
        assert history.open == {}
    # The ids of what is made are kept, their texts are not.
    assert peaks[1] < 4_000 * 400


def test_a_full_disk_leaves_no_half_event_and_makes_room_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("job", "one", {})

    class Full:
        """A file on a disk that has room for `room` bytes."""

        def __init__(self, file: object, room: int) -> None:
            self.file, self.room = file, room

        def write(self, data: bytes) -> int:
            if self.room <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            part = bytes(data)[: self.room]
            self.room -= len(part)
            return int(self.file.write(part))  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    full = Full(log._file, 10)
    log._file = full  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        log.append("job", "two", {"text": "x" * 100})
    assert [event["type"] for event, _ in read_events(log.path)] == ["one"]

    def make_room() -> bool:
        full.room = 10_000
        return True

    log.make_room = make_room
    full.room = 10
    log.append("job", "three", {"text": "x" * 100})
    log.append("job", "four", {})
    assert [(e["type"], e["seq"]) for e, _ in read_events(log.path)] == [("one", 1), ("three", 2), ("four", 3)]
    log.close()
